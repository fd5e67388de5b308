"""Servers that stop to answer, from outside: a silence ends, counts, and is no round trip."""

import itertools
import json
import re
import signal
import time

from driver import wait_until
from peers import Counts, Server, client, delayed, exactly


def silent_after(messages):
    def script(connection):
        for number, message in enumerate(connection.messages(5)):
            if number < messages:
                connection.send(message)

    return script


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
