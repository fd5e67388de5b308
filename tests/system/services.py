"""Servers that are not ours: each is started by a test on a port that was free, or on a socket in a
folder of the test's, and ends with it."""

import contextlib
import errno
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest
from clients import receive
from driver import wait_until

ATTEMPTS = 5  # somebody else may take the port that was free just now
LISTENING, UNCONNECTED = "0A", "07"  # in /proc/net/tcp and udp


def program(name):
    """Where it is. Servers are often out of an ordinary user's PATH."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if not path:
        pytest.skip(f"no {name} here")
    return path


def is_free(port, kind, family, host):
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(socket.socket(family, kind)).bind((host, port))
        except OSError as error:  # where there is no IPv6, nobody has it
            return error.errno != errno.EADDRINUSE
    return True


def free_port(kind=socket.SOCK_STREAM):
    """One that nobody has right now, over IPv4 or IPv6, and that the kernel gives to nobody who
    does not ask for it, as the clients of other tests do not."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        given_out = int(file.read().split()[0])
    ports = range(1024, given_out) if given_out > 2048 else range(1024, 65536)
    places = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    while True:
        port = random.choice(ports)
        if all(is_free(port, kind, family, host) for family, host in places):
            return port


def is_bound(port, udp):
    """Whether a server has this port. To find out by connecting would be to visit it."""
    with open(f"/proc/net/{'udp' if udp else 'tcp'}", encoding="ascii") as file:
        sockets = [line.split() for line in file.readlines()[1:]]
    state = UNCONNECTED if udp else LISTENING
    return any(s[3] == state and int(s[1].rpartition(":")[2], 16) == port for s in sockets)


class Ended(Exception):
    """A server did not start; with what it has said."""


@contextlib.contextmanager
def running(command, is_up):
    """Runs it as soon as is_up(), and ends it with all its children."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_until(lambda: is_up() or process.poll() is not None, f"{command} does not start")
            if process.poll() is not None:
                log.seek(0)
                raise Ended(f"{command}: {log.read().decode(errors='replace')}")
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Service:
    """One that runs. target: its address as pingpong takes it."""

    def __init__(self, target, port=None):
        self.target = target
        self.port = port

    def ask(self, request, end):
        """The answer up to and including end."""
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), 30) as sock:
            sock.sendall(request)
            while not answer.endswith(end):
                part = receive(sock, 1)
                assert part, answer
                answer += part
        return answer


@contextlib.contextmanager
def on_a_port(command_for, udp=False):
    """command_for(port): the command that serves there."""
    with contextlib.ExitStack() as stack:
        for attempt in range(1, ATTEMPTS + 1):
            port = free_port(socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
            command = command_for(port)
            try:
                stack.enter_context(running(command, lambda: is_bound(port, udp)))
                break
            except Ended as ended:
                if attempt == ATTEMPTS:
                    pytest.fail(str(ended))
        yield Service(f"127.0.0.1:{port}", port)


@contextlib.contextmanager
def on_a_path(command_for, path):
    with running(command_for(path), lambda: os.path.exists(path)):
        yield Service(f"unix:{path}")


# ---- services -------------------------------------------------------------------------------


def redis(folder):
    server = program("redis-server")
    plain = ("--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--dir", str(folder))
    return on_a_port(lambda port: (server, "--port", str(port), *plain))


def memcached():
    server = program("memcached")
    user = ("-u", "nobody") if os.geteuid() == 0 else ()
    return on_a_port(
        lambda port: (server, *user, "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-t", "1")
    )


NGINX = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests {keepalive};
    server {{
        listen 127.0.0.1:{port};
        root {folder};
    }}
}}
"""


def nginx(folder, keepalive=1000000):
    """Serves what is in folder; keepalive: how many requests it takes on one connection."""
    server = program("nginx")
    config = folder / "nginx.conf"

    def command_for(port):
        text = NGINX.format(folder=folder, keepalive=keepalive, port=port)
        config.write_text(text, encoding="ascii")
        return server, "-p", str(folder), "-c", str(config), "-e", "stderr"

    return on_a_port(command_for)


def socat_echo(udp=False):
    """Over UDP a process a datagram: PIPE would make one of two that come close together."""
    server = program("socat")
    how = "UDP-RECVFROM:{},bind=127.0.0.1,fork" if udp else "TCP-LISTEN:{},bind=127.0.0.1,fork"
    return on_a_port(lambda port: (server, how.format(port), "PIPE"), udp)


def socat_unix_echo(folder):
    server = program("socat")
    return on_a_path(lambda path: (server, f"UNIX-LISTEN:{path},fork", "PIPE"), folder / "echo")


def ncat(command, udp=False):
    """The program that answers each connection."""
    server = program("ncat")
    options = ("-k", "--exec", program(command), *(("-u",) if udp else ()))
    return on_a_port(lambda port: (server, "-l", "127.0.0.1", str(port), *options), udp)


ECHOES = {"socat": socat_echo, "ncat": lambda udp=False: ncat("cat", udp)}
