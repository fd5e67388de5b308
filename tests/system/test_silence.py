"""Servers that stop to answer, from outside: a silence ends, counts, and is no round trip."""

import contextlib
import itertools
import json
import re
import signal
import socket
import time

import pytest
from driver import wait_until
from peers import Counts, DatagramServer, Server, client, delayed, exactly


def silent_after(messages):
    def script(connection):
        for number, message in enumerate(connection.messages(5)):
            if number < messages:
                connection.send(message)

    return script


STREAM_SHAPES = [
    "",
    "-n 100",
    "-c 20",
    "-c 4 -T 2",
    "-D 8",
    "-m 64k",
    "-R 50",
    "-R 50 -c 4 -T 2 --arrivals poisson",
    "-R 0.5 --arrivals poisson",
    "--think 1ms",
    "--crr",
    "--crr -c 3",
    "--verify off",
    "--send x --expect y",
    "--send x --expect-bytes 5",
    "--send x --expect-until y",
]
DATAGRAM_SHAPES = ["-u", "-u -n 100", "-u -c 4 -T 2 -D 8", "-u -R 50", "-u -m 256", "-u --think 1ms"]


def run_all(pingpong, servers, *more):
    """Each shape of load against a server of its kind, all at once."""
    with contextlib.ExitStack() as stack:
        runs = []
        for server in servers:
            shapes = DATAGRAM_SHAPES if isinstance(server, DatagramServer) else STREAM_SHAPES
            for shape in shapes:
                args = ("client", server.target, "-v", *shape.split(), *more)
                runs.append(stack.enter_context(pingpong.spawn(*args, free_port=False)))
        return [run.finish() for run in runs]


def four(stack, tmp_path, stream, datagram):
    """A server of each kind."""
    unix = [str(tmp_path / name) for name in ("stream", "datagram")]
    return [
        stack.enter_context(server)
        for server in (
            Server(stream),
            Server(stream, address=unix[0]),
            DatagramServer(datagram),
            DatagramServer(datagram, address=unix[1]),
        )
    ]


@pytest.mark.parametrize("warm_up", ["0", "50ms"])
def test_whatever_the_load_a_server_that_reads_and_is_silent_is_an_error(
    pingpong, tmp_path, warm_up
):
    with contextlib.ExitStack() as stack:
        servers = four(stack, tmp_path, silent_after(0), lambda number, message: [])
        results = run_all(pingpong, servers, "--no-hello", "-t", "0.2", "-w", warm_up)
    assert len(results) >= 40
    for result in results:
        result.failed(1, "not one of|only message|no message was due", "and not a byte came", "address right")
        assert Counts(result).received == 0


def test_whatever_the_load_a_result_without_an_answer_is_written_all_the_same(pingpong, tmp_path):
    with contextlib.ExitStack() as stack:
        servers = four(stack, tmp_path, silent_after(0), lambda number, message: [])
        args = ("--no-hello", "-t", "0.2", "-w", "50ms", "-J", "-", "--strict")
        for run in run_all(pingpong, servers, *args):
            result = json.loads(run.out)
            assert run.status == 1 and "and not a byte came" in result["error"]["text"], str(run)
            assert result["round_trips"] == 0 and result["verdict"]["level"] == "INVALID", str(run)


def test_what_came_is_said_where_it_is_no_answer(pingpong, engine):
    """Three bytes of a message, and datagrams that are too short for one."""

    def a_part(connection):
        for message in connection.messages(5):
            connection.send(message[:3])

    args = ("-t", "0.2", "-w", "0", "--engine", engine)
    with Server(a_part) as server:
        result = client(pingpong, server, *args)
    result.failed(1, "the only message was not answered, 3 of 5 B of an answer came, then nothing")
    with DatagramServer(lambda number, message: [message[:10]]) as server:
        result = client(pingpong, server, "-u", *args)
    result.failed(1, r"message\S* was (not )?answered, and \d+0 B that came made up no")


def test_an_answer_to_the_warm_up_alone_is_no_measurement(pingpong, engine):
    with Server(silent_after(1)) as server:
        args = ("-t", "0.2", "-w", "50ms", "-c", "1", "--engine", engine)
        result = client(pingpong, server, *args)
    nothing = "no message was due in the measured time|the only message was not answered"
    result.failed(1, nothing, "and not a byte came")


@pytest.mark.parametrize("load", ["-t 0.2 -w 0", "-t 0.2 -w 100ms", "--crr -t 0.2", "-n 5"])
def test_an_answer_that_is_shorter_than_was_asked_for_is_shown(pingpong, engine, load):
    """--expect-bytes is one too many."""
    page = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 5\r\n\r\nSorry"

    def answer(connection):
        for _ in connection.messages(4):
            connection.send(page)

    args = (*load.split(), "--engine", engine, "--send", "GET ")
    with Server(answer) as server:
        result = client(pingpong, server, *args, "--expect-bytes", len(page) + 1)
        until = client(pingpong, server, *args, "--expect-until", "END", "-c", "2")
    came = f"{len(page)} of {len(page) + 1} B of an answer came, then nothing for "
    result.failed(1, came, 'HTTP/1.1 500 Internal Server Error')
    until.failed(1, "no answer|no round trip", 'HTTP/1.1 500 Internal Server Error')


class Full:
    """Whoever connects is not answered: the queue of those who wait to be accepted is full."""

    def __init__(self, stack):
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        self.target = "127.0.0.1:%d" % listener.getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())


@pytest.mark.parametrize("load", [("-t", "0.5"), ("-n", "5"), ("-t", "0.5", "-R", "20")])
def test_where_no_connection_comes_about_nothing_was_measured(pingpong, engine, load):
    args = ("--no-hello", "--crr", "-w", "0", "--connect-timeout", "2s", "--engine", engine)
    with contextlib.ExitStack() as stack:
        result = client(pingpong, Full(stack), *args, *load)
    result.failed(1, "cannot connect|not one of|only message", "dropping packets|and not a byte came")


def test_a_measurement_without_any_answer_is_an_error(pingpong, engine):
    with Server(silent_after(0)) as server:
        args = ("-t", "0.3", "-w", "0", "-c", "2", "-T", "2", "--engine", engine)
        result = client(pingpong, server, *args)
    assert result.status == 1 and "not one of 2 messages was answered" in result.err, str(result)
    assert Counts(result).in_flight == 2


def test_a_warm_up_by_count_does_not_wait_for_ever(pingpong):
    """The limit is 10 s."""
    with Server(silent_after(10)) as server:
        result = client(pingpong, server, "-n", "100", "-w", "50")
    assert result.status == 1 and "no round trip was completed for 10 s" in result.err, str(result)


def test_a_server_that_hangs_up_when_the_warm_up_is_over_has_measured_nothing(pingpong, engine):
    """Whether that is noticed between the two or in the measurement."""

    def script(connection):
        for message in itertools.islice(connection.messages(5), 10):
            connection.send(message)

    with Server(script) as server:
        for _ in range(5):
            result = client(pingpong, server, "-n", "100", "-w", "10", "--engine", engine)
            result.failed(1, "a connection broke after 0 round trips", "the server closed it")
            assert not re.search(r"received [1-9]", result.out), str(result)


def test_a_program_that_was_stopped_for_longer_than_any_silence_goes_on(pingpong):
    """The limit of a silence is 10 s."""
    with Server(delayed(lambda number: 0.05)) as server:
        args = ("client", server.target, "--no-hello", "-v", "-n", "20", "-w", "0")
        with pingpong.spawn(*args, free_port=False) as run:
            wait_until(lambda: server.bytes >= 25, "messages", run.timeout_s)
            run.send(signal.SIGSTOP)
            time.sleep(11)
            run.send(signal.SIGCONT)
            exactly(run.finish(), 20)


def test_a_signal_when_the_time_is_over_cuts_nothing_off(pingpong):
    """Messages under way at the end are waited for, for a while."""
    with Server(silent_after(3)) as server:
        args = ("client", server.target, "--no-hello", "-t", "0.3", "-w", "0", "-c", "1", "-J", "-")
        with pingpong.spawn(*args, free_port=False) as run:
            wait_until(lambda: server.bytes >= 20, "messages", run.timeout_s)
            time.sleep(0.6)
            result = run.interrupt()
    assert result.status == 0 and not json.loads(result.out)["partial"], str(result)


def test_intervals_end_with_the_measured_time(pingpong):
    with Server(silent_after(3)) as server:
        args = ("-t", "0.5", "-w", "0", "-i", "0.2", "-J", "-")
        result = json.loads(client(pingpong, server, *args).out)
    assert result["duration_ns"] <= 500_000_000 and len(result["intervals"]) <= 3, str(result)
