"""Each option of the transport, by what the kernel and the other side see of it."""

import json
import os
import random
import signal
import socket
import stat
import struct
import subprocess
import time

import pytest
from clients import pump
from driver import number, wait_until
from peers import (
    HEADER,
    IPPROTO_MPTCP,
    SO_BUSY_POLL,
    Counts,
    DatagramServer,
    Server,
    Sockets,
    all_sent,
    client,
    echo,
    endless,
    endless_client,
    exactly,
    quantiles,
    serve,
    turned,
    wait_for_sockets,
)

SOL_MPTCP = 284
MPTCP_INFO = 1
MPTCP_FALLBACK = 1


# ---- where ----------------------------------------------------------------------------------


def test_a_client_finds_the_server_by_address_and_by_host_and_port(pingpong):
    with Server() as server:
        for where in [
            ("client", server.target),
            (server.target,),
            ("client", "-H", "127.0.0.1", "-p", server.port),
            ("client", "127.0.0.1", "-p", server.port),
            ("client", f"localhost:{server.port}", "-4"),
            ("client", f":{server.port}"),
        ]:
            before = len(server.connections)
            exactly(pingpong(*where, "-n", 3, "-v", "--no-hello", free_port=False), 3)
            assert len(server.connections) == before + 1, where


def test_a_server_listens_where_it_is_told_to(pingpong, free_port):
    for where in [
        (f"127.0.0.1:{free_port}",),
        ("127.0.0.1", "-p", free_port),
        ("-H", "127.0.0.1", "-p", free_port),
    ]:
        with serve(pingpong, *where) as server:
            assert server.address == f"127.0.0.1:{free_port}"
            exactly(client(pingpong, server, "-n", 3), 3)
            # Of one that is killed the kernel takes down the ring, and its port, when it likes.
            assert server.interrupt(signal.SIGTERM).status == 0


def test_a_server_says_by_what_engine_it_runs_and_who_chose_it(pingpong, engine):
    for args, words in [
        ((), r"engine \w+ \(auto\)"),
        (("--engine", engine), f"engine {engine}"),
        (("--server-engine", engine), f"engine {engine}"),
    ]:
        with serve(pingpong, *args) as server:
            server.interrupt().ok().find(rf"^listening on \S.* · {words} · wait ")


def test_a_server_listens_on_all_addresses_only_if_it_is_told_to(pingpong):
    with serve(pingpong, ":0") as everywhere, serve(pingpong) as here:
        for host, reached in [("127.0.0.1", True), ("127.0.0.2", False)]:
            assert answers(host, everywhere.port)
            assert answers(host, here.port) == reached


def answers(host, port):
    try:
        with socket.create_connection((host, port), 20) as sock:
            sock.sendall(b"x")
            return sock.recv(1) == b"x"
    except ConnectionRefusedError:
        return False


@pytest.fixture
def own_names(tmp_path):
    """The command in front of a run that knows "here", which has two addresses."""
    names = tmp_path / "hosts"
    names.write_text("127.0.0.1 here\n::1 here\n")
    command = ("unshare", "-m", "sh", "-c", f'mount --bind {names} /etc/hosts && exec "$@"', "sh")
    try:
        done = subprocess.run([*command, "true"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if done.returncode != 0:
        pytest.skip("no file systems of our own here")
    return command


def test_ipv4_and_ipv6_choose_between_the_addresses_of_a_name(
    pingpong, ipv6, own_names, free_port
):
    six, four = Server(address=("::1", free_port)), Server(address=("127.0.0.1", free_port))
    with six, four:
        for option, server, other in [("-4", four, six), ("-6", six, four)]:
            before = len(server.connections), len(other.connections)
            args = ("client", f"here:{free_port}", "--no-hello", option, "-n", 3)
            pingpong(*args, free_port=False, prefix=own_names).ok()
            assert (len(server.connections), len(other.connections)) == (before[0] + 1, before[1])


@pytest.mark.parametrize("option, host", [("-4", "127.0.0.1"), ("-6", "[::1]")])
def test_ipv4_and_ipv6_say_where_a_run_and_a_server_listen(pingpong, ipv6, option, host):
    for udp in ([], ["-u"]):
        assert f" {host}:" in pingpong("-n", 10, option, *udp).ok().out
        with serve(pingpong, option, *udp) as server:
            assert server.address.startswith(f"{host}:")
            all_sent(client(pingpong, server, "-n", 3, *udp), 3)


def test_an_address_of_the_other_family_is_refused(pingpong):
    for option, address in [("-4", "[::1]:9"), ("-6", "127.0.0.1:9")]:
        result = pingpong("client", address, option, "-n", 1, free_port=False)
        assert result.status in (1, 2) and result.err.count("\n") == 1, str(result)


@pytest.mark.parametrize("with_port", [False, True])
def test_a_client_connects_from_the_address_it_is_bound_to(pingpong, engine, with_port, free_port):
    source = f"127.0.0.2:{free_port}" if with_port else "127.0.0.2"
    with Server() as server:
        args = ("-B", source, "-n", 3, "--engine", engine)
        exactly(client(pingpong, server, *args), 3)
        host, port = server.connections[0].peer
    assert host == "127.0.0.2" and (port == free_port) == with_port


def test_many_connections_share_the_address_they_are_bound_to(pingpong):
    with Server() as server:
        exactly(client(pingpong, server, "-B", "127.0.0.3", "-c", 20, "-T", 2, "-n", 60), 60)
        assert {connection.peer[0] for connection in server.connections} == {"127.0.0.3"}


def test_datagrams_come_from_the_address_and_port_they_are_bound_to(pingpong, free_port):
    with DatagramServer() as server:
        all_sent(client(pingpong, server, "-u", "-B", f"127.0.0.2:{free_port}", "-n", 20), 20)
        assert server.peers == {("127.0.0.2", free_port)}


def test_a_run_and_a_client_of_ours_connect_from_the_address_they_are_bound_to(pingpong):
    with endless(pingpong, "-B", "127.0.0.2") as run:
        with wait_for_sockets(run, lambda sockets: sockets.of(run.port), 1) as sockets:
            assert [sock.getpeername()[0] for sock in sockets.of(run.port)] == ["127.0.0.2"]
    with serve(pingpong) as server:
        args = ("client", server.target, "-n", 10, "-v", "-B", "127.0.0.2")
        exactly(pingpong(*args, free_port=False), 10)


@pytest.mark.parametrize("udp", [[], ["-u"]])
def test_a_client_bound_to_a_port_can_ask_a_server_of_ours_who_it_is(pingpong, free_port, udp):
    with serve(pingpong) as server:
        args = ("client", server.target, "-n", 10, "-v", "-B", f"127.0.0.2:{free_port}", *udp)
        all_sent(pingpong(*args, free_port=False), 10).find("^server pingpong ")


def test_an_address_that_is_not_of_this_machine_cannot_be_bound_to(pingpong):
    with Server() as server:
        result = client(pingpong, server, "-B", "192.0.2.1", "-n", 1)
        result.failed(1, r"192\.0\.2\.1", "this machine has no such address")


# ---- datagrams ------------------------------------------------------------------------------


def test_messages_are_datagrams_if_asked_for(pingpong, engine):
    with DatagramServer() as server:
        args = ("-u", "-c", 3, "-T", 2, "--engine", engine)
        with endless_client(pingpong, server, *args) as run:
            wait_until(lambda: len(server.peers) == 3, "datagrams of all", run.timeout_s)
        assert set(server.sizes) == {16} and len(server.peers) == 3


def test_a_run_with_datagrams_has_no_stream(pingpong, engine):
    with endless(pingpong, "-u", "-c", 2, "--engine", engine) as run:
        with wait_for_sockets(run, lambda sockets: sockets.to(run.port), 2) as sockets:
            ends = sockets.to(run.port) + sockets.listening(run.port)
            assert [sock.type for sock in ends] == [socket.SOCK_DGRAM] * 3


def test_a_server_answers_to_tcp_and_udp_on_one_port_and_to_udp_alone_if_asked_for(
    pingpong, engine
):
    with serve(pingpong, "--engine", engine) as server:
        exactly(client(pingpong, server, "-n", 20), 20)
        all_sent(client(pingpong, server, "-u", "-n", 20), 20)
        server.interrupt().find(r"^served 1 connection · answered 20 datagrams · ignored 0$")
    with serve(pingpong, "-u", "--engine", engine) as server:
        all_sent(client(pingpong, server, "-u", "-n", 20), 20)
        client(pingpong, server, "-n", 20).failed(1, "refused")


@pytest.mark.parametrize("host", ["", "0.0.0.0", "[::]"])
def test_a_server_on_all_addresses_answers_datagrams_from_the_one_that_was_asked(
    pingpong, engine, free_port, host, request
):
    if host == "[::]":
        request.getfixturevalue("ipv6")
    with serve(pingpong, f"{host}:{free_port}", "-S", 2, "--engine", engine) as server:
        for address in ["127.0.0.1", "127.0.0.2"]:
            server.target = f"{address}:{free_port}"
            all_sent(client(pingpong, server, "-u", "-c", 4, "-n", 100, "--engine", engine), 100)


def test_datagrams_have_threads_depth_and_a_rate(pingpong, engine):
    args = ("-u", "-v", "-T", 2, "-S", 2, "-c", 4, "-D", 4, "-n", 2000, "--engine", engine)
    all_sent(pingpong(*args), 2000)
    all_sent(pingpong(*args, "-R", 20000), 2000)


def astray(result):
    """How many datagrams came late, twice, and out of order."""
    match = result.find(r" · late ([\d,]+) · duplicate ([\d,]+) · reordered ([\d,]+)$")
    return tuple(int(number(text)) for text in match.groups())


def test_a_datagram_that_is_answered_late_holds_nobody_up_and_is_no_loss(pingpong, engine):
    """Answer 20 waits for message 21, which goes out when 20 was given up, after 10 ms at least."""
    held = []

    def script(count, message):
        if count == 20:
            held.append(turned(message))
            return []
        return [*held, turned(message)] if count == 21 else [turned(message)]

    with DatagramServer(script) as server:
        args = ("-u", "-n", 50, "--engine", engine)
        result = all_sent(client(pingpong, server, *args), 50)
    late, duplicates, reordered = astray(result)
    assert late >= 1 and (duplicates, reordered) == (0, 0), str(result)
    assert quantiles(result)["max"] >= 10e3, "not the whole round trip"


@pytest.mark.parametrize("size", [16, 17, 255, 256, 257, 512, 1400, 65000])
@pytest.mark.parametrize("requests", [None, 65500], ids=["echoes", "sized answers"])
def test_a_datagram_of_another_length_is_a_wrong_answer(pingpong, engine, size, requests):
    """Though its beginning be right: it must not be taken for one that was cut to fit."""
    for change in (-1, 1, 300):
        if size + change < HEADER or size + change > 65507:
            continue  # no answer at all, by its header; or none that can be sent

        def script(number, message):
            reply = turned(message)[:size]
            return [(reply + random.Random(5).randbytes(300))[: size + change]]

        sizes = f"{requests},{size}" if requests else size
        with DatagramServer(script) as server:
            result = client(pingpong, server, "-u", "-n", 9, "-m", sizes, "--engine", engine)
        result.failed(5, rf"wrong answer: a datagram of \d+ B.* instead of one of {size} B")
        assert Counts(result).received == 0


def test_datagrams_that_overtake_each_other_are_counted(pingpong, engine):
    held = []

    def script(count, message):
        held.append(turned(message))
        return [held.pop(), held.pop()] if count % 2 else []

    with DatagramServer(script) as server:
        args = ("-u", "-n", 100, "-D", 2, "--engine", engine)
        result = all_sent(client(pingpong, server, *args), 100)
    lost = number(result.find(r"^lost ([\d,]+)")[1])  # on a busy machine, and what follows then is first
    assert astray(result)[1] == 0 and 45 - lost <= astray(result)[2] <= 50, str(result)
    with DatagramServer() as server:
        result = all_sent(client(pingpong, server, *args), 100)
    assert astray(result)[1:] == (0, 0), str(result)


def test_a_datagram_that_is_answered_twice_is_no_sample_more(pingpong, engine):
    with DatagramServer(lambda _, message: [turned(message)] * 2) as server:
        args = ("-u", "-n", 100, "--engine", engine)
        result = all_sent(client(pingpong, server, *args), 100)
    assert 90 <= astray(result)[1] <= 100 and astray(result)[2] == 0, str(result)


# ---- Unix sockets ---------------------------------------------------------------------------


def dgram(transport):
    return ["-u"] if transport == "datagrams" else []


@pytest.mark.parametrize("transport", ["stream", "datagrams"])
def test_a_run_works_over_a_unix_socket_and_takes_it_away(pingpong, engine, tmp_path, transport):
    path = tmp_path / "socket"
    args = ("-H", f"unix:{path}", *dgram(transport), "-c", 3, "-n", 500, "-v")
    result = pingpong(*args, "--engine", engine, free_port=False)
    all_sent(result, 500).find(rf"· {transport} unix:{path} ·")
    assert not path.exists()


@pytest.mark.parametrize("transport", ["stream", "datagrams"])
def test_a_server_and_a_client_meet_at_a_unix_socket(pingpong, engine, tmp_path, transport):
    path = tmp_path / "socket"
    with serve(pingpong, f"unix:{path}", *dgram(transport), "-S", 2, "--engine", engine) as server:
        assert stat.S_ISSOCK(path.stat().st_mode)
        for where in [("client", f"unix:{path}"), ("client", "-H", f"unix:{path}")]:
            args = (*where, *dgram(transport), "-v", "-n", 200, "-c", 4, "-T", 2)
            all_sent(pingpong(*args, free_port=False), 200).find("server pingpong ")
        server.interrupt()
    assert not path.exists()


def test_a_unix_stream_is_a_plain_echo_to_others(pingpong, engine, tmp_path):
    path = tmp_path / "socket"
    data = os.urandom(300000)
    with serve(pingpong, f"unix:{path}", "--engine", engine):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            assert pump(sock, data) == data


def test_a_client_measures_others_at_unix_sockets(pingpong, engine, tmp_path):
    with Server(address=str(tmp_path / "stream")) as server:
        exactly(client(pingpong, server, "-n", 50, "-c", 2, "--engine", engine), 50)
        assert server.bytes == 250 and len(server.connections) == 2
    with DatagramServer(address=str(tmp_path / "datagrams")) as server:
        all_sent(client(pingpong, server, "-u", "-n", 50, "--engine", engine), 50)
        assert set(server.sizes) == {16}


def test_responses_have_another_size_over_unix_sockets(pingpong, tmp_path):
    args = ("-H", f"unix:{tmp_path}/socket", "-n", 100, "-v", "-m", "100,30")
    exactly(pingpong(*args, free_port=False), 100)
    all_sent(pingpong(*args, "-u", free_port=False), 100)


def test_the_socket_of_a_server_that_was_killed_is_taken_over(pingpong, tmp_path):
    path = tmp_path / "socket"
    with serve(pingpong, f"unix:{path}") as server:
        server.process.kill()
        server.process.wait()
        assert path.exists()
    with serve(pingpong, f"unix:{path}") as server:
        exactly(client(pingpong, server, "-n", 3), 3)


def test_a_unix_socket_in_use_and_a_file_that_is_none_are_left_alone(pingpong, tmp_path):
    path = tmp_path / "socket"
    with serve(pingpong, f"unix:{path}") as server:
        result = pingpong("serve", f"unix:{path}", free_port=False)
        assert result.failed(1, str(path), "another program listens there").out == ""
        exactly(client(pingpong, server, "-n", 3), 3)
    path.unlink(missing_ok=True)
    path.write_text("mine")
    pingpong("serve", f"unix:{path}", free_port=False).failed(1, str(path), "not a socket")
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    "served, asked, cure", [(("-u",), (), "with -u"), ((), ("-u",), "without -u")]
)
def test_a_unix_socket_of_the_other_kind_is_named_with_the_way_out(
    pingpong, tmp_path, served, asked, cure
):
    path = f"unix:{tmp_path}/socket"
    with serve(pingpong, path, *served):
        result = pingpong("client", path, "-n", 1, *asked, free_port=False)
    assert result.failed(1, "Protocol wrong type for socket", cure).out == ""


def test_a_unix_socket_that_nobody_has_made_is_named_with_the_way_out(pingpong, tmp_path):
    result = pingpong("client", f"unix:{tmp_path}/none", "-n", 1, free_port=False)
    assert result.failed(1, f"{tmp_path}/none", "pingpong serve unix:/path").out == ""


def test_a_file_that_is_no_socket_is_named_as_such_to_a_client(pingpong, tmp_path):
    path = tmp_path / "file"
    path.write_text("mine")
    result = pingpong("client", f"unix:{path}", "-n", 1, free_port=False)
    assert result.failed(1, str(path), "no socket: pick another").out == ""
    assert path.read_text() == "mine"


@pytest.mark.parametrize("job", ["run", "serve", "client"])
def test_a_unix_path_that_is_too_long_is_named_with_how_long_it_may_be(pingpong, tmp_path, job):
    path = str(tmp_path / "x").ljust(108, "x")
    args = ("-n", 1, "-H", f"unix:{path}") if job == "run" else (job, f"unix:{path}")
    assert pingpong(*args, free_port=False).failed(2, path[:40], "at most 107 bytes", "has 108").out == ""


# ---- connecting -----------------------------------------------------------------------------


def test_connecting_is_given_up_after_the_time_asked_for(pingpong, engine, deaf):
    args = ("client", f"127.0.0.1:{deaf}", "-n", 1, "--no-hello", "--engine", engine)
    before = time.monotonic()
    result = pingpong(*args, "--connect-timeout", "300ms", free_port=False)
    assert time.monotonic() - before >= 0.3
    assert result.failed(1, "cannot connect", rf"127\.0\.0\.1:{deaf}", "timed out").out == ""


SIZED = ("-m", "64,1k", "-c", 2)  # what a server has to agree to, on each connection

LATE = {
    "connecting": ("deaf", ("--no-hello",)),
    "a hello, connecting": ("deaf", ()),
    "each round trip": ("deaf", ("--no-hello", "--crr")),
    "a hello, each round trip": ("deaf", ("--crr",)),
    "greeting": ("mute", ("--no-hello", *SIZED)),
    "a hello, greeting": ("mute", SIZED),
}


@pytest.mark.parametrize("what", LATE)
def test_all_that_comes_before_the_first_message_has_one_limit_of_time(
    pingpong, engine, deaf, what
):
    """A measurement that began before is the clock: it takes two seconds, as it would to wait for a
    server that does not hang up."""
    server, args = LATE[what]
    with socket.create_server(("127.0.0.1", 0), backlog=100) as mute, Server() as answering:
        port = deaf if server == "deaf" else mute.getsockname()[1]
        clock = ("client", answering.target, "--no-hello", "-t", "2", "-w", "0", "--wait", "block")
        with pingpong.spawn(*clock, free_port=False) as measuring:
            args = ("client", f"127.0.0.1:{port}", "-n", 1, "--engine", engine, *args)
            result = pingpong(*args, "--connect-timeout", "0.3", free_port=False)
            assert measuring.process.poll() is None, measuring.finish()
    words = "cannot connect.*timed out" if server == "deaf" else "does not answer as pingpong does"
    result.failed(1, words)


def test_a_server_that_does_not_answer_a_hello_is_measured_within_the_time_for_connecting(
    pingpong, engine
):
    """The hello takes half of it at most."""

    def script(connection):
        if len(server.connections) > 1:
            return echo(connection)
        while connection.receive():
            pass
        return None

    with Server(script) as server:
        args = ("client", server.target, "-v", "-n", 9, "--engine", engine)
        exactly(pingpong(*args, "--connect-timeout", "0.4", free_port=False), 9)


def test_a_server_that_refuses_is_named_with_the_way_out(pingpong, engine, free_port):
    args = ("client", f"127.0.0.1:{free_port}", "-n", 1, "--engine", engine)
    result = pingpong(*args, free_port=False)
    result.failed(1, "cannot connect", f":{free_port}", "refused", "pingpong serve")


# ---- options of sockets ---------------------------------------------------------------------


class Ends:
    """The sockets of all three jobs: of a run, of a client, and of a server with one connection."""

    def __init__(self, pingpong, *args):
        self.pingpong, self.args = pingpong, args
        self.udp = "-u" in args

    def each(self, ask):
        """ask() of each socket, by what it is."""
        found = {}
        with endless(self.pingpong, *self.args) as run:
            count = 1 if self.udp else 2
            choose = lambda sockets: sockets.to(run.port) + sockets.of(run.port)  # noqa: E731
            with wait_for_sockets(run, choose, count) as sockets:
                found["run's client"] = {ask(sock) for sock in sockets.to(run.port)}
                found["run's server"] = {ask(sock) for sock in self.served(sockets, run.port)}
        with serve(self.pingpong, *self.args) as server:
            with endless_client(self.pingpong, server, *self.args) as run:
                with Sockets(run) as sockets:
                    found["client"] = {ask(sock) for sock in sockets.to(server.port)}
                with wait_for_sockets(server, lambda it: self.served(it, server.port), 1) as sockets:
                    found["server"] = {ask(sock) for sock in self.served(sockets, server.port)}
        assert all(found.values()), found
        return found

    def served(self, sockets, port):
        if self.udp:
            return sockets.listening(port)
        return sockets.of(port)

    def all_are(self, ask, value):
        found = self.each(ask)
        assert found == dict.fromkeys(found, {value})


def option(level, name):
    return lambda sock: sock.getsockopt(level, name)


@pytest.mark.parametrize("args, value", [((), 1), (("--nodelay", "on"), 1),
                                         (("--nodelay", "off"), 0)])
def test_small_messages_are_held_back_only_if_nodelay_is_off(pingpong, args, value):
    ask = option(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    Ends(pingpong, *args).all_are(lambda sock: int(bool(ask(sock))), value)


def congestion(sock):
    name = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    return name.rstrip(b"\0").decode()


def known_congestion_controls():
    with open("/proc/sys/net/ipv4/tcp_available_congestion_control", encoding="ascii") as file:
        return file.read().split()


@pytest.mark.parametrize("name", ["reno", "cubic", "bbr"])
def test_all_connections_have_the_congestion_control_asked_for(pingpong, name):
    if name not in known_congestion_controls():
        pytest.skip(f"no {name} here")
    Ends(pingpong, "--cc", name).all_are(congestion, name)
    pingpong("-n", 10, "--cc", name).ok().find(rf"congestion control {name}\b")


@pytest.mark.parametrize("job", ["run", "serve"])
def test_a_congestion_control_that_is_unknown_here_is_refused_with_those_that_are_known(
    pingpong, job
):
    result = pingpong(job, "--cc", "nonesuch")
    result.failed(4, '"nonesuch"', "modprobe tcp_nonesuch", known_congestion_controls()[0])


@pytest.mark.parametrize("udp", [[], ["-u"]])
@pytest.mark.parametrize("name, number", [("--sndbuf", socket.SO_SNDBUF),
                                          ("--rcvbuf", socket.SO_RCVBUF)])
def test_the_buffers_of_sockets_have_the_size_asked_for(pingpong, name, number, udp):
    # the kernel has doubled it, and may give TCP's receive buffer more
    Ends(pingpong, name, "50000", *udp).all_are(option(socket.SOL_SOCKET, number), 100000)


def test_the_buffers_of_unix_sockets_have_the_size_asked_for(pingpong, tmp_path):
    args = ("run", "-n", "1000G", "-H", f"unix:{tmp_path}/socket", "--sndbuf", "50000")
    with pingpong.spawn(*args, free_port=False) as run:
        ask = option(socket.SOL_SOCKET, socket.SO_SNDBUF)

        def chosen(sockets):
            return [sock for sock in sockets.all if sock.family == socket.AF_UNIX]

        with wait_for_sockets(run, chosen, 3) as sockets:
            assert 100000 in [ask(sock) for sock in chosen(sockets)]


@pytest.mark.parametrize("udp", [[], ["-u"]])
@pytest.mark.parametrize("text, value", [("0xb8", 0xB8), ("16", 16), ("0x8", 8)])
def test_packets_have_the_type_of_service_asked_for(pingpong, text, value, udp):
    Ends(pingpong, "--tos", text, *udp).all_are(option(socket.IPPROTO_IP, socket.IP_TOS), value)


def test_the_type_of_service_stands_in_every_packet(pingpong):
    with DatagramServer() as server:
        all_sent(client(pingpong, server, "-u", "--tos", "0xb8", "-n", 20), 20)
        assert set(server.tos) == {0xB8}
    with DatagramServer() as server:
        all_sent(client(pingpong, server, "-u", "-n", 20), 20)
        assert set(server.tos) == {0}


def test_the_type_of_service_is_the_traffic_class_over_ipv6(pingpong, ipv6):
    ask = option(socket.IPPROTO_IPV6, socket.IPV6_TCLASS)
    Ends(pingpong, "-6", "--tos", "0xb8").all_are(ask, 0xB8)


@pytest.mark.parametrize("udp", [[], ["-u"]])
@pytest.mark.parametrize("text, value", [("50", 50), ("1ms", 1000)])
def test_sockets_poll_their_device_for_the_time_asked_for(pingpong, text, value, udp):
    if pingpong("-q", "-n", 1, "--busy-poll", 1).status == 4:
        pytest.skip("this kernel does not let us busy-poll")
    Ends(pingpong, "--busy-poll", text, *udp).all_are(
        option(socket.SOL_SOCKET, SO_BUSY_POLL), value
    )


def test_no_busy_polling_is_asked_for_too(pingpong, strace, tmp_path):
    """The system may have it on for all sockets."""
    log = tmp_path / "calls"
    prefix = (strace, "-f", "-qq", "-o", log, "-e", "trace=setsockopt")
    pingpong("-n", 1, "--busy-poll", 0, prefix=prefix).ok()
    assert log.read_text(errors="replace").count("SO_BUSY_POLL, [0]") == 2


@pytest.mark.parametrize("args, pattern", [
    ("--sndbuf 0", "--sndbuf takes a size from 1 to 1GiB"),
    ("--rcvbuf 2GiB", "--rcvbuf takes a size from 1 to 1GiB"),
    ("--tos 256", "--tos takes a number from 0 to 255"),
    ("--tos 0x100", "--tos takes a number from 0 to 255"),
    ("--tos 0x", "--tos takes a number from 0 to 255"),
    ("--busy-poll 2s", "--busy-poll takes a time from 0 to 1s"),
    ("--busy-poll 1ns", "--busy-poll takes a time from 0 to 1s"),
    ("--nodelay yes", "--nodelay takes on or off"),
    ("--cc averyveryverylongname", "--cc takes the name of a congestion control"),
    ("-p 65536", "--port takes a port from 0 to 65535"),
])
@pytest.mark.parametrize("job", ["run", "serve", "client"])
def test_a_value_out_of_bounds_is_refused_in_every_job(pingpong, job, args, pattern):
    to = ["127.0.0.1"] if job == "client" else []
    pingpong(job, *to, *args.split(), free_port=False).failed(2, pattern)


# ---- Multipath TCP --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mptcp():
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP):
            pass
    except OSError as error:
        pytest.skip(f"no Multipath TCP here: {error}")


def is_multipath(sock):
    """Whether both ends speak it."""
    try:
        info = sock.getsockopt(SOL_MPTCP, MPTCP_INFO, 64)
    except OSError:
        return False
    (flags,) = struct.unpack_from("=I", info, 8)
    return not flags & MPTCP_FALLBACK


@pytest.mark.parametrize("args, multipath", [((), False), (("--mptcp",), True)])
def test_a_client_speaks_multipath_tcp_if_asked_for(pingpong, engine, mptcp, args, multipath):
    seen = []

    def script(connection):
        for message in connection.messages(5):
            seen.append(is_multipath(connection.sock))
            connection.send(message)

    with Server(script, protocol=IPPROTO_MPTCP) as server:
        exactly(client(pingpong, server, "-n", 5, "--engine", engine, *args), 5)
    assert seen == [multipath] * 5


@pytest.mark.parametrize("args, multipath", [((), False), (("--mptcp", "-S", 2), True)])
def test_a_server_speaks_multipath_tcp_if_asked_for(pingpong, engine, mptcp, args, multipath):
    with serve(pingpong, "--engine", engine, *args) as server:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP) as sock:
            sock.settimeout(20)
            sock.connect(("127.0.0.1", server.port))
            sock.sendall(b"hello")
            assert sock.recv(5, socket.MSG_WAITALL) == b"hello"
            assert is_multipath(sock) == multipath
        exactly(client(pingpong, server, "-n", 5), 5)


@pytest.mark.parametrize("serving, fallbacks", [((), 2), (("--mptcp",), 0)])
def test_what_fell_back_from_multipath_tcp_is_said(pingpong, mptcp, serving, fallbacks):
    with serve(pingpong, *serving) as server:
        args = ("-n", 20, "-c", 2, "--mptcp")
        text = client(pingpong, server, *args).ok().out
        found = json.loads(client(pingpong, server, *args, "-J").out)
    assert ("2 of 2 connections fell back from MPTCP to TCP" in text) == (fallbacks > 0), text
    assert found["tcp"]["mptcp_fallbacks"] == fallbacks


def test_a_run_over_multipath_tcp_says_so(pingpong, engine, mptcp):
    args = ("-v", "-n", 500, "-c", 3, "-T", 2, "-S", 2, "--mptcp", "--engine", engine)
    exactly(pingpong(*args), 500).find(r"· MPTCP 127\.0\.0\.1:\d+ ·")
