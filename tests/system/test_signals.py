"""Signals: the first ends the run early and the result is printed, the second ends the program."""

import fcntl
import os
import signal
import subprocess

import pytest
from driver import wait_until

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.mark.parametrize("connections", [1, 20])
@pytest.mark.parametrize("number, status", SIGNALS, ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_run_and_what_was_measured_is_printed_as_partial(
    pingpong, engine, number, status, connections
):
    with pingpong.endless("--engine", engine, "-c", connections, "--wait", "block") as run:
        run.wait_for_round_trips(200)
        result = run.interrupt(number).interrupted(status)
    done, planned = result.partial
    assert 0 < done < planned == 10**12
    assert result.rate > 0 and result.rtt["min"] > 0


@pytest.mark.parametrize("wait", ["auto", "block", "spin", "yield"])
def test_a_signal_ends_the_run_however_it_waits(pingpong, engine, wait):
    with pingpong.endless("--engine", engine, "--wait", wait, "--placement", "none") as run:
        result = run.interrupt()
    assert result.status == 130 and result.partial[1] == 10**12, str(result)


def test_quiet_says_that_the_result_is_partial(pingpong):
    with pingpong.spawn("-q", "-n", "1000G", "--wait", "block") as run:
        wait_until(lambda: run.threads() > 1, "no second thread")
        run.wait_for_round_trips()
        result = run.interrupt()
    assert result.status == 130 and result.err == "", str(result)
    assert result.lines[0].startswith("PARTIAL: ") and len(result.lines) == 3, str(result)


@pytest.mark.parametrize("number, status", SIGNALS, ids=["SIGINT", "SIGTERM"])
def test_a_signal_at_any_time_ends_the_program_with_its_status(pingpong, number, status):
    for calls in range(1, 100, 7):
        with pingpong.spawn("-n", "1000G", "-c", "20") as run:
            for _ in range(calls * 50):
                run.process.poll()
            run.send(number)
            result = run.finish()
        assert result.status in (status, -number) and result.err == "", str(result)


def test_two_signals_at_once_end_the_program_at_once(pingpong, engine):
    with pingpong.endless("--engine", engine) as run:
        run.send(signal.SIGSTOP)
        wait_until(run.is_stopped, "not stopped")
        run.send(signal.SIGINT)
        run.send(signal.SIGTERM)
        run.send(signal.SIGCONT)
        result = run.finish()
    assert result.status in (-signal.SIGINT, -signal.SIGTERM), str(result)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_second_signal_ends_a_program_that_cannot_get_rid_of_its_result(pingpong, number):
    """Nobody reads the pipe that it prints to, and the pipe is full."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    with os.fdopen(writer, "wb", buffering=0) as stuffing, pingpong.spawn(
        "-n", "1000G", stdout=writer
    ) as run:
        run.process.stdout = os.fdopen(reader, "rb")
        run.learn_port()
        os.set_blocking(writer, False)
        while fill(stuffing):
            pass
        os.set_blocking(writer, True)
        threads = run.threads()
        run.send(number)
        wait_until(lambda: run.threads() < threads, "the server lives on")
        assert run.process.poll() is None
        run.send(number)
        wait_until(lambda: run.process.poll() is not None, "the second signal is ignored")
        assert run.process.returncode == -number


def fill(stuffing):
    try:
        return stuffing.write(b".")
    except BlockingIOError:
        return 0


def test_a_reader_that_goes_away_is_an_error_in_one_line_and_not_a_deadly_signal(pingpong):
    with pingpong.endless() as run:
        run.process.stdout.close()
        run.process.stdout = None
        run.send(signal.SIGINT)
        _, err = run.process.communicate(timeout=run.timeout_s)
    assert run.process.returncode == 1, err
    assert err.decode().count("\n") == 1 and "Broken pipe" in err.decode(), err


def test_output_into_head_is_not_killed_by_a_signal(pingpong):
    script = '"$@" | head -1; exit ${PIPESTATUS[0]}'
    done = subprocess.run(
        ["bash", "-c", script, "bash", pingpong.path, "-p", "0", "-n", "5000", "-v"],
        capture_output=True,
        text=True,
        timeout=pingpong.timeout_s,
    )
    assert done.returncode in (0, 1), done
    assert done.stdout.count("\n") == 1 and done.stdout.startswith("pingpong "), done
