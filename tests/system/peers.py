"""The other side of a run: servers that are not ours and do what a script says, `pingpong serve`,
and what the kernel knows of the sockets."""

import ctypes
import itertools
import os
import re
import select
import socket
import struct
import threading
import time

import pytest
from driver import wait_until

PATIENCE_S = 120  # of a script: longer than that of whoever waits for the run itself
SO_TIMESTAMPNS = 35
SO_BUSY_POLL = 46
IPPROTO_MPTCP = 262
PIDFD_GETFD = 438

HEADER = 16  # bytes, of a datagram
REQUEST, REPLY, HELLO, HELLO_REPLY = 0, 1, 2, 3


# ---- streams --------------------------------------------------------------------------------


class Connection:
    """One that a script serves. pieces: (time, bytes) of each receive."""

    def __init__(self, sock):
        self.sock = sock
        self.peer = sock.getpeername()
        self.pieces = []

    @property
    def bytes(self):
        return sum(size for _, size in self.pieces)

    def receive(self, most=1 << 20):
        """What is there, b"" at the end."""
        data = self.sock.recv(most)
        if data:
            self.pieces.append((time.monotonic(), len(data)))
        return data

    def messages(self, size):
        """Each message of so many bytes, until the end."""
        data = bytearray()
        while True:
            part = self.receive()
            if not part:
                return
            data += part
            while len(data) >= size:
                yield bytes(data[:size])
                del data[:size]

    def is_quiet(self, seconds):
        """Whether nothing comes for so long."""
        return not select.select([self.sock], [], [], seconds)[0]

    def send(self, data):
        self.sock.sendall(data)


def echo(connection):
    while data := connection.receive():
        connection.send(data)


def altered(size, change):
    """A script that answers message number (from 0) with change(number, message)."""

    def script(connection):
        for number, message in enumerate(connection.messages(size)):
            connection.send(change(number, message))

    return script


def delayed(delay_s):
    """A script that holds message number (from 0) of 5 B back for delay_s(number)."""

    def change(number, message):
        if seconds := delay_s(number):
            time.sleep(seconds)
        return message

    return altered(5, change)


class Server:
    """Listens, and runs script(connection) on a thread for each connection. Used as a context, at
    the end of which the scripts are over, and what one of them has complained of is raised."""

    def __init__(self, script=echo, address=("127.0.0.1", 0), protocol=0):
        family = (
            socket.AF_UNIX
            if isinstance(address, str)
            else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        )
        self.script = script
        self.connections = []
        self.complaints = []
        self.threads = []
        self.listener = socket.socket(family, socket.SOCK_STREAM, protocol)
        self.listener.bind(address)
        self.listener.listen(1024)
        self.target = target(self.listener)
        self.port = None if isinstance(address, str) else self.listener.getsockname()[1]

    def __enter__(self):
        self._run(self._accept)
        return self

    def __exit__(self, kind, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(PATIENCE_S)
        self.listener.close()
        for connection in self.connections:
            connection.sock.close()
        if self.complaints and kind is None:
            raise self.complaints[0]

    def _run(self, function, *args):
        thread = threading.Thread(target=function, args=args, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE_S)
            connection = Connection(sock)
            self.connections.append(connection)
            self._run(self._serve, connection)

    def _serve(self, connection):
        try:
            self.script(connection)
        except (ConnectionError, BrokenPipeError):
            pass  # whoever is sent wrong answers hangs up
        except BaseException as complaint:
            self.complaints.append(complaint)
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    @property
    def bytes(self):
        return sum(connection.bytes for connection in self.connections)


class Relay:
    """Between a client and the server at port: counts the bytes of both directions."""

    def __init__(self, port):
        self.port = port
        self.up = self.down = 0
        self.lock = threading.Lock()
        self.server = Server(self._script)
        self.target = self.server.target

    def __enter__(self):
        self.server.__enter__()
        return self

    def __exit__(self, *exception):
        self.server.__exit__(*exception)

    def _script(self, connection):
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE_S) as onward:
            back = threading.Thread(target=self._back, args=(onward, connection), daemon=True)
            back.start()
            while data := connection.receive():
                with self.lock:
                    self.up += len(data)
                onward.sendall(data)
            onward.shutdown(socket.SHUT_WR)
            back.join(PATIENCE_S)

    def _back(self, onward, connection):
        try:
            while data := onward.recv(1 << 20):
                with self.lock:
                    self.down += len(data)
                connection.send(data)
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass


# ---- datagrams ------------------------------------------------------------------------------


def turned(message, kind=REPLY):
    """A request as its reply."""
    return message[:4] + bytes([kind]) + message[5:]


class DatagramServer:
    """Answers each request with what script(number, message) returns: a list of datagrams. sizes,
    arrivals (in seconds, by the kernel) and tos tell of each request."""

    def __init__(self, script=lambda number, message: [turned(message)], address=("127.0.0.1", 0)):
        unix = isinstance(address, str)
        family = socket.AF_UNIX if unix else socket.AF_INET
        self.script = script
        self.sizes, self.arrivals, self.tos, self.peers = [], [], [], set()
        self.complaint = None
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.bind(address)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        if not unix:
            self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        self.target = target(self.sock)
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.ending.set()
        self.thread.join(PATIENCE_S)
        self.sock.close()
        if self.complaint and kind is None:
            raise self.complaint

    def _serve(self):
        try:
            while not self.ending.is_set():
                if select.select([self.sock], [], [], 0.02)[0]:
                    self._take()
        except BaseException as complaint:
            self.complaint = complaint

    def _take(self):
        message, extras, _, peer = self.sock.recvmsg(65536, 256)
        for level, kind, data in extras:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, nanoseconds = struct.unpack("qq", data[:16])
                self.arrivals.append(seconds + nanoseconds / 1e9)
            elif (level, kind) == (socket.IPPROTO_IP, socket.IP_TOS):
                self.tos.append(data[0])
        self.sizes.append(len(message))
        self.peers.add(peer)
        for reply in self.script(len(self.sizes) - 1, message):
            try:
                self.sock.sendto(reply, peer)
            except (ConnectionRefusedError, FileNotFoundError):
                pass  # the client is through


def target(sock):
    """As an ADDRESS."""
    name = sock.getsockname()
    if isinstance(name, str):
        return f"unix:{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{host}:{name[1]}"


# ---- hellos ---------------------------------------------------------------------------------


HELLO_BYTES = 1200


def introduction(**values):
    """What a server that is another pingpong answers to a hello."""
    says = {
        "version": "9", "engine": "x: y", "wait": "block", "host": "h", "threads": "1",
        "user_ns": "1", "system_ns": "1", "context_switches": "1", "syscalls": "1", **values,
    }
    lines = "".join(f"{name}={value}\n" for name, value in says.items())
    return (b"\x9dpingpong here 1\n" + lines.encode("latin-1")).ljust(HELLO_BYTES, b"\0")


def introducing(introduce):
    """A script for streams: answers hello number (from 0) with introduce(number), where that is not
    None, and other connections with an echo."""

    def script(connection):
        if connection.sock.recv(1, socket.MSG_PEEK) != b"\x9d":
            return echo(connection)
        for number, _ in enumerate(connection.messages(HELLO_BYTES)):
            if reply := introduce(number):
                connection.send(reply)
        return None

    return script


def introducing_datagrams(introduce, copies=1):
    """The same for datagrams, each reply so many times. Repeated hellos have numbers of their own."""
    numbers = itertools.count()

    def script(_, message):
        if message[4] != HELLO:
            return [turned(message)]
        if reply := introduce(next(numbers)):
            return [turned(message[:HEADER], HELLO_REPLY) + reply] * copies
        return []

    return script


# ---- the program ----------------------------------------------------------------------------


def begun(run):
    """Waits for the first lines of a run in the background: then all is connected, or listening.
    Learns the port, where there is one."""
    deadline = time.monotonic() + run.timeout_s
    fd = run.process.stdout.fileno()
    while run.head.count(b"\n") < 1:
        ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
        data = os.read(fd, 65536) if ready else b""
        if not data:
            pytest.fail(f"{run.args}: nothing on stdout; {run.finish() if ready else '(waiting)'}")
        run.head += data
    match = re.search(r"(?:TCP|UDP|stream|datagrams) (\S+?)(?::(\d+))? · ", run.head.decode())
    assert match, run.head
    run.address = match[0].split(" ")[1]
    run.port = int(match[2]) if match[2] else None
    return run


def in_background(pingpong, *args, **options):
    """Any job in the background, as soon as it has begun."""
    run = pingpong.spawn(*args, **options)
    try:
        return begun(run)
    except BaseException:
        run.end()
        raise


def endless(pingpong, *args, **options):
    """A run that only a signal ends."""
    return in_background(pingpong, "run", "-v", "-n", "1000G", *args, **options)


def serve(pingpong, *args, **options):
    """A server of ours. Its target is where it listens."""
    addressed = any(re.search(r"^unix:|:\d+$", str(arg)) for arg in args)
    run = in_background(pingpong, "serve", *args, free_port=not addressed, **options)
    run.target = run.address
    return run


def client(pingpong, server, *args, **options):
    """A client, with all that it can say, of a server which is not ours."""
    return pingpong("client", server.target, "--no-hello", "-v", *args, free_port=False, **options)


def endless_client(pingpong, server, *args, **options):
    args = ("client", server.target, "--no-hello", "-v", "-n", "1000G", *args)
    return in_background(pingpong, *args, free_port=False, **options)


class Counts:
    """sent = received + lost + errors + in flight, as -v has it."""

    def __init__(self, result):
        match = result.find(
            r"^sent (\d+) = received (\d+) \+ lost (\d+) \+ errors (\d+) \+ in flight (\d+)$"
        )
        numbers = (int(text) for text in match.groups())
        self.sent, self.received, self.lost, self.errors, self.in_flight = numbers
        assert self.sent == self.received + self.lost + self.errors + self.in_flight, str(result)


def exactly(result, count):
    """All went well, and so many round trips were counted."""
    counts = Counts(result.ok())
    assert (counts.sent, counts.received) == (count, count), str(result)
    return result


def all_sent(result, count):
    """So many datagrams were sent, and none went wrong. On a busy machine some may be given up."""
    counts = Counts(result.ok())
    assert (counts.sent, counts.errors) == (count, 0) and counts.received > 0, str(result)
    return result


def quantiles(result, from_when=""):
    """A row of RTTs as a dictionary, in µs; None is n/a."""
    return result.table("RTT µs", from_when)


# ---- threads --------------------------------------------------------------------------------


PF_IO_WORKER = 0x10  # among the flags of a thread: the kernel made it, for io_uring


def thread_flags(task):
    with open(f"{task}/stat", encoding="ascii", errors="replace") as file:
        return int(file.read().rsplit(")", 1)[1].split()[6])


def allowed_cpus(run):
    """The list of CPUs that each thread may use, but those that the kernel made for io_uring. Its
    flags tell such a thread from the beginning, its name only once it has run."""
    lists = []
    for thread in os.listdir(f"/proc/{run.pid}/task"):
        task = f"/proc/{run.pid}/task/{thread}"
        try:
            if thread_flags(task) & PF_IO_WORKER:
                continue
            with open(f"{task}/status", encoding="ascii", errors="replace") as file:
                lists.append(re.search(r"^Cpus_allowed_list:\s*(\S+)$", file.read(), re.M)[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return lists


def thread_count(run):
    """A sanitizer may add one to it as soon as there is a second thread."""
    return len(allowed_cpus(run))


def pinned(run, count):
    """The CPUs of the threads that may use only one, as soon as there are count of these."""

    def found():
        cpus = sorted(cpus for cpus in allowed_cpus(run) if cpus.isdigit())
        return cpus if len(cpus) >= count else None

    return wait_until(found, f"{count} pinned threads", run.timeout_s)


# ---- sockets --------------------------------------------------------------------------------


def _descriptor(pidfd, number):
    """A descriptor of ours for the same socket; None if it is gone."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(PIDFD_GETFD, pidfd, number, 0)
    if fd >= 0:
        return fd
    error = ctypes.get_errno()
    if error == 9:  # EBADF
        return None
    pytest.skip(f"this kernel shows no other process's sockets: {os.strerror(error)}")
    return None


class Sockets:
    """Those of a process that is running, as sockets of ours, to ask them for their options."""

    def __init__(self, run):
        self.all = []
        pidfd = os.pidfd_open(run.pid)
        try:
            for name in os.listdir(f"/proc/{run.pid}/fd"):
                self._take(run, pidfd, name)
        finally:
            os.close(pidfd)

    def _take(self, run, pidfd, name):
        try:
            if not os.readlink(f"/proc/{run.pid}/fd/{name}").startswith("socket:"):
                return
        except FileNotFoundError:
            return
        fd = _descriptor(pidfd, int(name))
        if fd is not None:
            self.all.append(socket.socket(fileno=fd))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in self.all:
            sock.close()

    def to(self, port):
        """The client's ends of the connections to port."""
        return [sock for sock in self.all if port_of(sock.getpeername) == port]

    def of(self, port):
        """The server's ends of the connections to port."""
        return [
            sock
            for sock in self.all
            if port_of(sock.getsockname) == port and port_of(sock.getpeername) is not None
        ]

    def listening(self, port):
        """Those that wait for whoever comes to port: listeners, and the server's of datagrams."""
        return [
            sock
            for sock in self.all
            if port_of(sock.getsockname) == port and port_of(sock.getpeername) is None
        ]


def port_of(name):
    """name: getsockname or getpeername of a socket."""
    try:
        value = name()
    except OSError:
        return None
    return value[1] if isinstance(value, tuple) else None


def wait_for_sockets(run, choose, count):
    """The sockets that choose(sockets) picks out, as soon as there are count of them."""

    def chosen():
        with Sockets(run) as sockets:
            return len(choose(sockets)) >= count

    wait_until(chosen, f"{count} sockets", run.timeout_s)
    return Sockets(run)
