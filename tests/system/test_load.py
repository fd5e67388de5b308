"""Each option of the load, by what the other side sees of it."""

import math
import os
import re
import signal
import socket
import statistics
import time

import pytest
from driver import wait_until
from peers import (
    HEADER,
    Counts,
    DatagramServer,
    Relay,
    Server,
    all_sent,
    altered,
    client,
    delayed,
    echo,
    endless,
    endless_client,
    exactly,
    pinned,
    quantiles,
    serve,
    thread_count,
    turned,
    wait_for_sockets,
)

HELLO = 1200  # bytes, each way
QUIET_S = 0.05


# ---- connections and threads ----------------------------------------------------------------


@pytest.mark.parametrize("connections, threads", [(1, 1), (7, 1), (7, 3), (64, 2)])
def test_the_server_sees_as_many_connections_as_are_asked_for_and_all_are_used(
    pingpong, engine, connections, threads
):
    with Server() as server:
        args = ("-c", connections, "-T", threads, "--engine", engine)
        with endless_client(pingpong, server, *args) as run:
            wait_until(
                lambda: sum(connection.bytes >= 5 for connection in server.connections)
                == connections,
                "messages on all connections",
                run.timeout_s,
            )
            run.interrupt()
        assert len(server.connections) == connections


@pytest.mark.parametrize("connections", [1, 5])
def test_a_run_has_as_many_connections_as_are_asked_for(pingpong, connections):
    with endless(pingpong, "-c", connections) as run:
        both = lambda sockets: sockets.to(run.port) + sockets.of(run.port)  # noqa: E731
        with wait_for_sockets(run, both, 2 * connections) as sockets:
            assert len(sockets.to(run.port)) == connections
            assert len(sockets.of(run.port)) == connections


def test_each_client_thread_and_each_server_thread_is_a_thread(pingpong):
    counts = {}
    for clients, servers in [(1, 1), (2, 3)]:
        with endless(pingpong, "-c", 4, "-T", clients, "-S", servers) as run:
            counts[clients] = thread_count(run)
    assert counts[2] - counts[1] == (2 + 3) - (1 + 1)


def test_the_threads_of_a_server_and_of_a_client_are_as_many_as_asked_for(pingpong):
    with serve(pingpong, "-S", 1) as one, serve(pingpong, "-S", 3) as three:
        wait_until(lambda: thread_count(three) - thread_count(one) == 2, "two threads more")
        with endless_client(pingpong, one, "-c", 4, "-T", 2) as run:
            two = thread_count(run)
        with endless_client(pingpong, one, "-c", 4, "-T", 4) as run:
            assert thread_count(run) - two == 2


def test_the_threads_of_a_run_are_pinned_where_the_lists_say(pingpong, two_cpus):
    first, second = two_cpus
    args = ("-c", 4, "-T", 2, "-S", 3, "-A", f"{first},{second}/{second}")
    with endless(pingpong, *args) as run:
        assert pinned(run, 5) == sorted(map(str, [first, *[second] * 4]))


def test_the_threads_of_a_client_and_of_a_server_are_pinned_where_the_list_says(
    pingpong, two_cpus
):
    first, second = two_cpus
    with serve(pingpong, "-S", 4, "-A", f"{first},{second}") as server:
        assert pinned(server, 4) == sorted(map(str, [first, second] * 2))
        args = ("-c", 3, "-T", 3, "-A", f"{second},{first}")
        with endless_client(pingpong, server, *args) as run:
            assert pinned(run, 3) == sorted(map(str, [second, first, second]))


# ---- pairs ----------------------------------------------------------------------------------


class Trace:
    """What strace has written: on which CPU a thread runs, and which one sends on a connection."""

    def __init__(self, path):
        self.cpus, self.senders = {}, {}
        for line in path.read_text(encoding="ascii", errors="replace").splitlines():
            thread, _, rest = line.partition(" ")
            pin = re.search(r"sched_setaffinity\((\d+), \d+, \[(\d+)\]", rest)
            sent = re.search(r"sendto\(\d+<TCP:\[\S+?:(\d+)->\S+?:(\d+)\]>", rest)
            if pin:
                self.cpus[thread if pin[1] == "0" else pin[1]] = pin[2]
            if sent:
                self.senders.setdefault((int(sent[1]), int(sent[2])), set()).add(thread)

    def cpu_of_sender(self, ports):
        (thread,) = self.senders[ports]
        return self.cpus[thread]


def traced(strace, path):
    return (strace, "-f", "-yy", "-o", path, "-e", "trace=sendto,sched_setaffinity")


def test_in_pairs_each_connection_is_served_on_the_cpu_of_its_client_thread(
    pingpong, strace, two_cpus, tmp_path
):
    """The run ends when each has been served: of a count, the threads may share as they like."""
    path = tmp_path / "trace"
    args = ("-c", 8, "-T", 2, "-S", 2, "--placement", "pairs", "--engine", "epoll")
    with pingpong.endless(*args, "--think", "10ms", prefix=traced(strace, path)) as run:
        wait_until(lambda: len(Trace(path).senders) >= 2 * 8, "all connections", run.timeout_s)
        os.killpg(run.pid, signal.SIGINT)  # strace itself hears nothing
        result = run.finish()
    port = int(result.find(r"TCP 127\.0\.0\.1:(\d+)")[1])
    result.find(r"placement pairs \(cpu \d+,\d+\)")
    trace = Trace(path)
    used = set()
    for ports in [ports for ports in trace.senders if ports[1] == port]:
        used.add(trace.cpu_of_sender(ports))
        assert trace.cpu_of_sender(ports) == trace.cpu_of_sender((port, ports[0]))
    assert len(used) == 2 and len(trace.senders) == 2 * 8


def test_a_server_serves_a_connection_on_the_cpu_where_its_packets_arrive(
    pingpong, strace, cpus, two_cpus, tmp_path
):
    path = tmp_path / "trace"
    args = ("-S", 2, "-A", ",".join(map(str, two_cpus)), "--engine", "epoll")
    arrived = {}
    with serve(pingpong, *args, prefix=traced(strace, path)) as server:
        try:
            for cpu in two_cpus * 4:
                os.sched_setaffinity(0, {cpu})
                arrived[one_echo(server.port)] = str(cpu)
        finally:
            os.sched_setaffinity(0, cpus)
        os.killpg(server.pid, signal.SIGINT)  # strace itself hears nothing
        server.finish()
    trace = Trace(path)
    for port, cpu in arrived.items():
        assert trace.cpu_of_sender((server.port, port)) == cpu


def one_echo(port):
    """Over a connection of its own; returns its port at this end."""
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        return sock.getsockname()[1]


# ---- depth ----------------------------------------------------------------------------------


def filling(depth):
    """Answers nothing before depth messages are there."""

    def script(connection):
        data = b""
        while len(data) < depth * 5:
            data += connection.receive()
        assert len(data) == depth * 5 and connection.is_quiet(QUIET_S), "more than the depth"
        connection.send(data)
        echo(connection)

    return script


def counting(depth):
    """Answers nothing before depth messages are there, and after each answer awaits one more."""

    def script(connection):
        data = b""
        while len(data) < depth * 5:
            data += connection.receive()
        for answers in range(1, 4):
            assert len(data) == (depth + answers - 1) * 5, "more than the depth"
            assert connection.is_quiet(QUIET_S), "more than the depth"
            connection.send(data[:5])
            while len(data) < (depth + answers) * 5:
                data += connection.receive()
        connection.send(data[15:])
        echo(connection)

    return script


@pytest.mark.parametrize("depth", [1, 4, 64])
def test_as_many_messages_are_on_their_way_as_the_depth_says_and_never_more(
    pingpong, engine, depth
):
    with Server(counting(depth)) as server:
        args = ("-D", depth, "-n", depth + 20, "--engine", engine)
        exactly(client(pingpong, server, *args), depth + 20)


def test_each_connection_has_its_own_depth(pingpong):
    with Server(filling(3)) as server:
        exactly(client(pingpong, server, "-D", 3, "-c", 4, "-n", 200), 200)


def test_as_many_datagrams_are_on_their_way_as_the_depth_says(pingpong, engine):
    kept = []

    def script(number, message):
        kept.append(turned(message))
        return kept if number == 15 else [kept[-1]] if number > 15 else []

    with DatagramServer(script) as server:
        all_sent(client(pingpong, server, "-u", "-D", 16, "-n", 40, "--engine", engine), 40)


def test_an_open_loop_has_no_more_on_its_way_than_the_depth_it_is_given(pingpong):
    with Server(counting(3)) as server:
        args = ("-D", 3, "-n", 50, "-R", 10000)
        assert Counts(client(pingpong, server, *args)).received == 50


# ---- sizes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size, bytes_", [("1", 1), ("1000", 1000), ("1k", 1000), ("4KiB", 4096)])
def test_every_message_has_the_size_asked_for(pingpong, engine, size, bytes_):
    with Server() as server:
        exactly(client(pingpong, server, "-m", size, "-n", 20, "--engine", engine), 20)
        assert [size for _, size in server.connections[0].pieces] == [bytes_] * 20


def test_a_message_may_have_64_mib(pingpong, engine):
    with Server() as server:
        exactly(client(pingpong, server, "-m", "64MiB", "-n", 2, "--engine", engine), 2)
        assert server.bytes == 2 * (64 << 20)


@pytest.mark.parametrize("size", ["0", "67108865", "65MiB", "-1", "1.5", "", "5,0", "5,", "5,6,7"])
@pytest.mark.parametrize("job", ["run", "client"])
def test_a_size_out_of_bounds_is_refused(pingpong, size, job):
    to = ["127.0.0.1:9"] if job == "client" else []
    result = pingpong(job, *to, "-m", size, free_port=False)
    assert result.failed(2, r"--size takes a size from 1 to 64MiB").out == ""


@pytest.mark.parametrize("args, request_, response", [
    ((), 100, 3000),
    (("-c", 3, "-T", 2, "-D", 4), 3000, 1),
    (("-c", 2), 1, 1 << 20),
])
def test_requests_and_responses_have_sizes_of_their_own(
    pingpong, engine, args, request_, response
):
    connections = args[1] if args else 1
    with serve(pingpong, "--engine", engine) as server, Relay(server.port) as relay:
        sizes = ("-m", f"{request_},{response}")
        exactly(client(pingpong, relay, "-n", 24, *sizes, "--engine", engine, *args), 24)
        assert relay.up == 24 * request_ + connections * HELLO
        assert relay.down == 24 * response + connections * HELLO


def test_a_run_has_responses_of_another_size(pingpong, engine):
    args = ("-m", "uniform:1-2000,uniform:1-3k", "-c", 4, "-D", 8, "-n", 2000)
    result = pingpong("-v", "--engine", engine, *args)
    exactly(result, 2000).find(r"1-2000 B, 1,000\.5 on average · 1-3000 B back")


def test_responses_of_another_size_cannot_be_had_of_a_plain_echo(pingpong):
    with Server() as server:
        result = client(pingpong, server, "-m", "5,6", "-n", 1)
        result.failed(1, "only pingpong can give responses of another size")


def test_sizes_are_drawn_evenly_from_a_range(pingpong, engine):
    with Server() as server:
        args = ("-m", "uniform:64-1400", "-n", 2000, "--engine", engine)
        exactly(client(pingpong, server, *args), 2000)
        sizes = [size for _, size in server.connections[0].pieces]
    assert len(sizes) == 2000 and min(sizes) >= 64 and max(sizes) <= 1400
    assert min(sizes) < 80 and max(sizes) > 1384  # deterministic: the seed is 1
    assert abs(statistics.mean(sizes) / 732 - 1) < 0.05


def test_sizes_are_drawn_from_a_file_by_their_weights(pingpong, tmp_path):
    path = tmp_path / "sizes"
    path.write_text("# what we have seen\n10 6\n\n  1k\t3   # a comment\n200-300 1\n")
    with Server() as server:
        exactly(client(pingpong, server, "-m", f"file:{path}", "-n", 2000), 2000)
        sizes = [size for _, size in server.connections[0].pieces]
    assert abs(sizes.count(10) / 2000 - 0.6) < 0.05
    assert abs(sizes.count(1000) / 2000 - 0.3) < 0.05
    others = [size for size in sizes if size not in (10, 1000)]
    assert others and all(200 <= size <= 300 for size in others)
    assert len(set(others)) > 50


@pytest.mark.parametrize("text, line", [
    ("0\n", 1),
    ("5\n67108865\n", 2),
    ("5\n\n# so far\n65MiB 2\n", 4),
    ("5 0\n", 1),
    ("5 1 1\n", 1),
    ("9-5\n", 1),
    ("5-\n", 1),
    ("5\n-5\n", 2),
    ("5 4294967296\n", 1),
    ("5\nfive\n", 2),
    ("5 1.5\n", 1),
    ("5\n6 \x00\n", 2),
    ("1\n" * 5000 + "x\n", None),
    ("5 4294967295\n6 1\n", 2),
    (" " * 300 + "5\n", 1),
], ids=range(15))
def test_a_bad_file_of_sizes_is_refused_with_the_line(pingpong, tmp_path, text, line):
    path = tmp_path / "sizes"
    path.write_text(text)
    result = pingpong("-m", f"file:{path}")
    result.failed(2, rf"{path}, line {line}:" if line else rf"{path}, line \d+:")
    assert result.out == ""


@pytest.mark.parametrize("text, why", [("", "holds no size"), ("# none\n\n", "holds no size"),
                                       (None, "No such file")], ids=["empty", "comments", "none"])
def test_a_file_without_sizes_is_refused_by_name(pingpong, tmp_path, text, why):
    path = tmp_path / "sizes"
    if text is not None:
        path.write_text(text)
    assert pingpong("-m", f"file:{path}").failed(2, str(path), why).out == ""


def test_a_datagram_has_the_size_asked_for_header_and_all(pingpong, engine):
    for size in (HEADER, 1000, 65507):
        with DatagramServer() as server:
            args = ("-u", "-m", size, "-n", 20, "--engine", engine)
            all_sent(client(pingpong, server, *args), 20)
            assert set(server.sizes) == {size}


def test_datagrams_have_answers_of_another_size_if_they_are_asked_for(pingpong):
    def script(_, message):
        return [turned(message)[: int.from_bytes(message[5:8], "big")]]

    with DatagramServer(script) as server:
        all_sent(client(pingpong, server, "-u", "-m", "uniform:100-200,50", "-n", 50), 50)
        assert all(100 <= size <= 200 for size in server.sizes) and len(set(server.sizes)) > 20


# ---- how much -------------------------------------------------------------------------------


@pytest.mark.parametrize("args, count", [
    ("-n 1", 1),
    ("-n 1 -c 8 -T 4", 1),
    ("-n 7 -c 8 -T 4 -D 16", 7),
    ("-n 1001 -c 5 -T 2", 1001),
    ("-n 5000 -c 6 -T 3 -D 7", 5000),
])
def test_the_count_is_exact_over_all_connections_and_threads(pingpong, engine, args, count):
    with Server() as server:
        exactly(client(pingpong, server, *args.split(), "--engine", engine), count)
        assert server.bytes == count * 5


def test_the_time_asked_for_is_measured(pingpong, engine):
    before = time.monotonic()
    result = pingpong("-v", "-t", "300ms", "-w", 0, "-c", 3, "--engine", engine).ok()
    assert time.monotonic() - before >= 0.3
    counts = Counts(result)
    assert counts.received > 0 and counts.errors == 0
    assert 0 < result.seconds <= 0.3


def test_a_time_measures_with_several_threads_too(pingpong):
    result = pingpong("-v", "-t", "200ms", "-c", 4, "-T", 2, "-S", 2).ok()
    assert Counts(result).received > 0 and 0 < result.seconds <= 0.2


def test_of_a_count_and_a_time_what_comes_first_ends_the_run(pingpong, engine):
    args = ("-v", "-c", 2, "--engine", engine)
    exactly(pingpong("-n", 10, "-t", "5m", *args), 10)
    result = pingpong("-n", "1000G", "-t", "200ms", *args).ok()
    assert 0 < Counts(result).received and result.seconds <= 0.2


def test_a_client_goes_on_for_a_time_when_nothing_is_said(pingpong):
    with serve(pingpong) as server:
        args = ("client", server.target, "-w", 0, "--wait", "block")
        with pingpong.spawn(*args, free_port=False) as run:
            run.wait_for_round_trips()
            result = run.interrupt()
    assert result.status == 130
    result.find(r"^PARTIAL: [\d,]+ round trips? in less than the time asked for.*; interrupted · [A-Z]+$")


def test_a_warm_up_of_some_round_trips_is_sent_and_not_counted(pingpong, engine):
    for connections, threads in [(1, 1), (3, 2)]:
        with Server() as server:
            args = ("-w", 20, "-n", 30, "-c", connections, "-T", threads, "--engine", engine)
            result = exactly(client(pingpong, server, *args), 30)
            assert server.bytes == (20 + 30) * 5
            result.find(r"warm-up 20\b")


@pytest.mark.parametrize("args", [(), ("-R", 2000), ("-c", 2, "-T", 2, "-D", 3)])
def test_a_warm_up_for_a_time_is_sent_and_not_counted(pingpong, args):
    with Server() as server:
        result = client(pingpong, server, "-w", "50ms", "-n", 30, *args)
        assert Counts(result).received == 30 and Counts(result).sent == 30, str(result)
        assert server.bytes > 30 * 5
        result.find(r"warm-up 0\.05 s")


def test_a_warm_up_of_some_round_trips_goes_before_a_rate(pingpong):
    with Server() as server:
        result = client(pingpong, server, "-w", 20, "-n", 30, "-R", 2000)
        assert Counts(result).received == 30 and server.bytes == 50 * 5


def test_the_warm_up_is_a_tenth_of_the_time_and_none_with_a_count(pingpong):
    pingpong("-t", "300ms").ok().find(r"warm-up 0\.03 s")
    assert "warm-up" not in pingpong("-n", 10).ok().out
    assert "warm-up" not in pingpong("-t", "50ms", "-w", 0).ok().out


# ---- rates ----------------------------------------------------------------------------------

NOT_HELD = "RATE NOT HELD"


def held(measure, tries=8):
    """A result for which the machine had the time: others may have kept it busy."""
    for _ in range(tries):
        result = measure()
        assert result.status == 0, str(result)
        if NOT_HELD not in result.out:
            return result
    pytest.skip("this machine is too busy to hold the rate")
    return None


@pytest.mark.parametrize("args", [(), ("-c", 4, "-T", 2), ("-u",)])
def test_a_rate_is_held_to_a_thousandth_or_the_result_says_otherwise(pingpong, engine, args):
    rate = 2000
    result = held(lambda: pingpong("-v", "-t", "1s", "-w", 0, "-R", rate, "--engine", engine, *args))
    counts = Counts(result)
    seconds = counts.received / result.rate
    assert abs(counts.sent / (rate * seconds) - 1) <= 0.001 + 2 / counts.sent, str(result)


def middle(arrivals, interval):
    """How late half of the messages are, at most."""
    return statistics.median(at - number * interval for number, at in arrivals)


def drift(pingpong):
    """By how much the second half of the messages is further behind the schedule than the first."""
    with DatagramServer() as server:
        result = held(lambda: client(pingpong, server, "-u", "-R", 1000, "-n", 600))
        assert Counts(result).sent == 600
        arrivals = list(enumerate(server.arrivals[-600:]))
    return middle(arrivals[300:], 0.001) - middle(arrivals[:300], 0.001)


def test_messages_go_out_at_equal_distances_at_the_rate_asked_for(pingpong):
    seen = []
    while len(seen) < 5:
        seen.append(drift(pingpong))
        if abs(seen[-1]) < 0.01 * 0.3:
            return
    pytest.fail(f"a half of the messages is off the schedule by {seen} s")


def variation(pingpong, arrivals):
    """The coefficient of variation of the distances between messages, as the middle half of them
    has it if they are exponential: a busy machine spoils the others."""
    rate = 250
    with DatagramServer() as server:
        args = ("-u", "-R", rate, "-n", 200, "--arrivals", arrivals)
        held(lambda: client(pingpong, server, *args))
        at = server.arrivals[-200:]
    distances = [after - before for before, after in zip(at, at[1:], strict=False)]
    lower, _, upper = statistics.quantiles(distances, n=4)
    return (upper - lower) * rate / math.log(3)


@pytest.mark.parametrize("arrivals, low, high", [("poisson", 0.75, 1.3), ("fixed", 0, 0.5)])
def test_arrivals_are_spread_as_they_are_asked_for(pingpong, arrivals, low, high):
    seen = []
    while len(seen) < 5:
        seen.append(variation(pingpong, arrivals))
        if low <= seen[-1] <= high:
            return
    pytest.fail(f"coefficients of variation {seen}, not from {low} to {high}")


def test_a_rate_that_cannot_be_held_is_said_in_capitals_and_fails_if_strict(pingpong, engine):
    args = ("-R", "100M", "-t", "500ms", "-c", 2, "--engine", engine)
    said = pingpong(*args).ok()
    said.find(r"^INVALID: RATE NOT HELD: 100,000,000 messages/s were asked for")
    strict = pingpong(*args, "--strict").failed(3, "the rate was not held", "--strict")
    strict.find(r"^INVALID: RATE NOT HELD: ")


@pytest.mark.parametrize("args", [(), ("-c", 4, "-T", 2), ("--arrivals", "poisson")])
def test_a_client_that_blocks_sleeps_between_the_messages_of_a_rate(pingpong, engine, args):
    with serve(pingpong) as server:
        load = ("-R", 500, "-n", 250, "--wait", "block", "--engine", engine)
        result = client(pingpong, server, *load, *args).ok()
    spent = result.find(r"^client  CPU (\d+) ms user \+ (\d+) ms system")
    assert int(spent[1]) + int(spent[2]) < result.seconds * 1000 / 2, str(result)


def test_a_rate_that_a_slow_server_does_not_keep_up_with_is_not_held(pingpong):
    with Server(delayed(lambda number: 0.005)) as server:
        args = ("-R", 2000, "-n", 100, "-D", 1)
        assert NOT_HELD in client(pingpong, server, *args).ok().out
        client(pingpong, server, *args, "--strict").failed(3, "--strict")


def test_a_rate_that_is_held_is_no_failure_if_strict(pingpong):
    for _ in range(8):
        result = pingpong("-R", 100, "-n", 50, "--strict")
        if result.status == 0:
            assert NOT_HELD not in result.out
            return
        result.failed(3)
    pytest.skip("this machine is too busy to hold the rate")


def stalling(after, seconds):
    """A server that stops once for so long before it answers message number after."""
    return delayed(lambda number: seconds if number == after else 0)


@pytest.mark.parametrize("depth", [(), ("-D", 1)])
def test_a_server_that_stalls_shows_in_the_latency_from_the_intended_time(pingpong, depth):
    with Server(stalling(300, 0.3)) as server:
        result = client(pingpong, server, "-R", 1000, "-n", 1100, *depth)
        assert Counts(result).received == 1100
    intended = quantiles(result, "from intended send")
    actual = quantiles(result, "from actual send")
    assert intended["max"] >= 300e3 and actual["max"] >= 300e3
    assert intended["p99"] >= 200e3
    assert intended["p90"] > 0.95 * actual["p90"]
    if depth:  # the stall is in one round trip alone, and the others wait for it in front
        assert intended["mean"] > 5 * actual["mean"]


# ---- connect, request, response -------------------------------------------------------------


@pytest.mark.parametrize("connections, threads", [(1, 1), (4, 2)])
def test_each_round_trip_has_a_connection_of_its_own(pingpong, engine, connections, threads):
    with Server() as server:
        args = ("--crr", "-n", 50, "-c", connections, "-T", threads, "--engine", engine)
        exactly(client(pingpong, server, *args), 50)
        assert [connection.bytes for connection in server.connections] == [5] * 50


def test_a_run_and_a_server_of_ours_take_a_connection_for_each_round_trip(pingpong, engine):
    exactly(pingpong("-v", "--crr", "-n", 200, "-c", 3, "--engine", engine), 200)
    with serve(pingpong, "--engine", engine) as server:
        exactly(client(pingpong, server, "--crr", "-n", 40, "-m", 100), 40)
        server.interrupt().find(r"^served 40 connections")


def test_a_connection_for_each_round_trip_has_a_rate_too(pingpong):
    with Server() as server:
        result = client(pingpong, server, "--crr", "-n", 40, "-R", 500, "-c", 8)
        assert Counts(result).received == 40 and len(server.connections) == 40


# ---- thinking -------------------------------------------------------------------------------


@pytest.mark.parametrize("think, seconds", [("20000", 0.02), ("50ms", 0.05)])
def test_the_client_thinks_for_so_long_before_each_request(pingpong, engine, think, seconds):
    gaps = []

    def script(connection):
        answered = None
        for message in connection.messages(5):
            if answered:
                gaps.append(time.monotonic() - answered)
            answered = time.monotonic()
            connection.send(message)

    with Server(script) as server:
        args = ("--think", think, "-n", 6, "--engine", engine)
        result = exactly(client(pingpong, server, *args), 6)
    assert len(gaps) == 5 and min(gaps) >= seconds
    assert quantiles(result)["min"] < seconds * 1e6, "the time to think is in the round trip"


def test_thinking_works_with_depth_threads_and_connections(pingpong, engine):
    args = ("--think", "1ms", "-n", 100, "-c", 4, "-T", 2, "-D", 3, "--engine", engine)
    exactly(pingpong("-v", *args), 100)


# ---- checking -------------------------------------------------------------------------------

SIZE = 100


def flipped(number, message):
    """The eighth answer is wrong in one bit."""
    if number != 7:
        return message
    return message[:41] + bytes([message[41] ^ 1]) + message[42:]


def shifted():
    """From the eighth answer on each byte comes where the one before it should be."""
    waiting = bytearray()

    def change(number, message):
        waiting.extend(message[1:] if number == 7 else message)
        if number < 7:
            answer = bytes(waiting)
            waiting.clear()
            return answer
        answer = bytes(waiting[:SIZE]) if number > 7 else bytes(waiting) + b"\x00"
        del waiting[:SIZE]
        return answer

    return change


def repeated():
    """The eighth answer is the seventh once more."""
    last = [b""]

    def change(number, message):
        answer = last[0] if number == 7 else message
        last[0] = message
        return answer

    return change


def swapped(number, message):
    """The eighth answer has its halves swapped."""
    return message[50:] + message[:50] if number == 7 else message


WRONG = {"flipped": lambda: flipped, "shifted": shifted, "repeated": repeated,
         "swapped": lambda: swapped}


@pytest.mark.parametrize("what", WRONG)
def test_an_answer_with_other_content_is_a_wrong_one(pingpong, engine, what):
    with Server(altered(SIZE, WRONG[what]())) as server:
        result = client(pingpong, server, "-m", SIZE, "-n", 20, "--engine", engine)
    result.failed(5, r"at byte \d+ of round trip 8\b", r"expected and ([0-9a-f]{2} ?)+ received")
    result.find(r"^PARTIAL: 7 of 20 round trips")


def test_a_wrong_byte_is_named_with_what_was_expected(pingpong):
    def change(number, message):
        return b"PONG\n" if number == 2 else message

    with Server(altered(5, change)) as server:
        result = client(pingpong, server, "-n", 5)
    result.failed(5, r"byte 2 of round trip 3 .*, 49 4e 47 0a .* was expected and 4f 4e 47 0a rec")


@pytest.mark.parametrize("verify", ["len", "off"])
@pytest.mark.parametrize("what", WRONG)
def test_content_is_not_looked_at_where_only_lengths_are_checked(pingpong, verify, what):
    with Server(altered(SIZE, WRONG[what]())) as server:
        args = ("-m", SIZE, "-n", 20, "--verify", verify)
        exactly(client(pingpong, server, *args), 20)


def test_the_result_says_what_was_checked(pingpong):
    for verify, words in [("full", "every byte checked"), ("len", "only lengths checked"),
                          ("off", "answers not checked")]:
        pingpong("-n", 10, "--verify", verify).ok().find(rf"^10 round trips, {words} · [A-Z]+$")


@pytest.mark.parametrize("verify", ["full", "len", "off"])
def test_an_answer_that_is_too_long_is_wrong_unless_nothing_is_checked(pingpong, verify):
    def change(number, message):
        return message + b"!!" if number == 7 else message

    with Server(altered(SIZE, change)) as server:
        result = client(pingpong, server, "-m", SIZE, "-n", 8, "--verify", verify)
    if verify == "off":
        exactly(result, 8)
    else:
        result.failed(5, r"\b21 21\b")


@pytest.mark.parametrize("verify, status", [("full", 5), ("len", 0), ("off", 0)])
def test_a_datagram_with_another_byte_is_wrong_if_all_are_checked(pingpong, verify, status):
    def script(number, message):
        return [flipped(number, turned(message))]

    with DatagramServer(script) as server:
        args = ("-u", "-m", SIZE, "-n", 300, "--verify", verify)
        result = client(pingpong, server, *args)
    if status:
        result.failed(5, "at byte 42 of a datagram, .. .*was expected and .. .*received")
    else:
        all_sent(result, 300)


@pytest.mark.parametrize("verify, status", [("full", 5), ("len", 5), ("off", 0)])
def test_a_datagram_of_another_length_is_wrong_unless_nothing_is_checked(
    pingpong, verify, status
):
    def script(number, message):
        return [turned(message)[: SIZE - 1 if number == 7 else SIZE]]

    with DatagramServer(script) as server:
        args = ("-u", "-m", SIZE, "-n", 300, "--verify", verify)
        result = client(pingpong, server, *args)
    if status:
        result.failed(5, "a datagram of 99 B came back instead of one of 100 B")
    else:
        all_sent(result, 300)


# ---- seeds ----------------------------------------------------------------------------------


def sizes_seen(pingpong, *args):
    with Server() as server:
        exactly(client(pingpong, server, "-m", "uniform:1-1400", "-n", 40, *args), 40)
        return [size for _, size in server.connections[0].pieces]


def test_the_same_seed_draws_the_same_sizes_and_another_one_others(pingpong, engine):
    first = sizes_seen(pingpong, "--seed", 7, "--engine", engine)
    assert sizes_seen(pingpong, "--seed", 7) == first
    assert sizes_seen(pingpong, "--seed", 8) != first
    assert sizes_seen(pingpong) == sizes_seen(pingpong, "--seed", 1)
