"""Signals: the first ends the run early and the result is printed, the second ends the program."""

import fcntl
import os
import signal
import subprocess

import pytest
from driver import wait_until
from outputs import checked

WRITE = {"x86_64": 1, "aarch64": 64}.get(os.uname().machine)

SIGNALS = [
    (signal.SIGHUP, 129),
    (signal.SIGINT, 130),
    (signal.SIGQUIT, 131),
    (signal.SIGTERM, 143),
]
NAMES = [number.name for number, _ in SIGNALS]


@pytest.mark.parametrize("connections", [1, 20])
@pytest.mark.parametrize("number, status", SIGNALS, ids=NAMES)
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
    first, *judged, rate, total = result.lines
    assert first.startswith("PARTIAL: "), str(result)
    assert all(line.startswith(("SUSPECT: ", "INVALID: ")) for line in judged), str(result)
    assert "roundtrips/s" in rate and "seconds total" in total, str(result)


@pytest.mark.parametrize("number, status", SIGNALS, ids=NAMES)
def test_a_signal_at_any_time_ends_the_program_with_its_status(pingpong, number, status):
    for calls in range(1, 100, 17):
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


@pytest.mark.skipif(not WRITE, reason="the number of write(2) is not known")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_second_signal_ends_a_program_that_cannot_get_rid_of_its_result(pingpong, number):
    """Nobody reads the pipe that it prints to, and the pipe is full."""
    if pingpong.holds_signals_back:
        pytest.skip("ThreadSanitizer keeps a signal that comes while write() waits to itself")
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
        wait_until(lambda: is_writing(run), "the result is not being written")
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


# ---- which signals --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT"])
def test_a_signal_that_was_ignored_from_the_start_stays_so(pingpong, name):
    """As nohup wants it, and what a script starts in the background. Had it counted, the next one
    would be the second."""
    prefix = ("sh", "-c", f"trap '' {name}; exec \"$@\"", "sh")
    with pingpong.endless("--wait", "block", prefix=prefix) as run:
        run.send(getattr(signal, f"SIG{name}"))
        run.wait_for_round_trips(100)
        run.interrupt(signal.SIGTERM).interrupted(143)


def test_a_file_that_grows_too_large_is_an_error_and_not_a_deadly_signal(pingpong, tmp_path):
    prefix = ("sh", "-c", 'ulimit -f 1; exec "$@"', "sh")
    run = pingpong("-q", "-n", "500", f"--json={tmp_path}/out.json", prefix=prefix)
    assert run.status == 1 and "File too large" in run.err, str(run)
    assert os.listdir(tmp_path) == []


# ---- in each stage --------------------------------------------------------------------------


NAMED = {
    "client": ("client", "some.name", "-n", "500"),
    "run": ("-H", "some.name", "-n", "500"),
    "bind": ("client", "127.0.0.1:7", "-B", "some.name", "-n", "500"),
}


@pytest.mark.parametrize("number, status", SIGNALS, ids=NAMES)
@pytest.mark.parametrize("args", NAMED.values(), ids=NAMED)
def test_a_signal_while_a_name_is_looked_up_ends_the_program(
    pingpong, shim, tmp_path, args, number, status
):
    asked = tmp_path / "asked"
    with pingpong.spawn(*args, env=shim(resolver=asked), free_port=args[0] != "client") as run:
        wait_until(asked.exists, "no name is looked up")
        result = run.interrupt(number)
    assert result.status == status and result.err == "", str(result)
    assert result.partial == (0, 500)
    assert ("some.name" in result.out) == ("-B" not in args), str(result)


def test_a_signal_while_a_name_is_looked_up_ends_each_format_whole(pingpong, shim, tmp_path):
    asked = tmp_path / "asked"
    args = ("client", "some.name:5", "-J", tmp_path / "out.json", "--csv", tmp_path / "out.csv")
    with pingpong.spawn(*args, env=shim(resolver=asked), free_port=False) as run:
        wait_until(asked.exists, "no name is looked up")
        result = run.interrupt()
    assert result.status == 130, str(result)
    whole = checked((tmp_path / "out.json").read_text())
    assert whole["partial"] and whole["signal"] == signal.SIGINT
    assert whole["server"]["address"] == "some.name:5"
    assert "some.name:5" in (tmp_path / "out.csv").read_text()


@pytest.mark.parametrize("number, status", SIGNALS, ids=NAMES)
def test_a_signal_while_a_server_looks_up_its_name_ends_it(
    pingpong, shim, tmp_path, number, status
):
    asked = tmp_path / "asked"
    with pingpong.spawn("serve", "some.name:0", env=shim(resolver=asked), free_port=False) as run:
        wait_until(asked.exists, "no name is looked up")
        result = run.interrupt(number)
    assert result.status == status and result.out == result.err == "", str(result)


def is_caught(run, number):
    with open(f"/proc/{run.pid}/status", encoding="ascii") as file:
        caught = next(line for line in file if line.startswith("SigCgt:"))
    return int(caught.split()[1], 16) >> (number - 1) & 1


@pytest.mark.parametrize("option", ["--json", "--json-stream", "--csv", "--hlog", "--output"])
def test_a_signal_while_a_pipe_has_no_reader_ends_the_program(pingpong, tmp_path, option):
    os.mkfifo(tmp_path / "pipe")
    with pingpong.spawn(f"{option}={tmp_path}/pipe", "-n", "500") as run:
        wait_until(lambda: is_caught(run, signal.SIGTERM), "no signal is caught")
        result = run.interrupt(signal.SIGTERM)
    assert result.status == 143 and result.out == result.err == "", str(result)


def is_connecting(port):
    """Whether somebody waits for an answer from there: SYN_SENT."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        rows = [line.split() for line in file]
    return any(row[2] == f"0100007F:{port:04X}" and row[3] == "02" for row in rows[1:])


@pytest.mark.parametrize("number, status", SIGNALS, ids=NAMES)
@pytest.mark.parametrize("hello", [(), ("--no-hello",)], ids=["hello", "no hello"])
def test_a_signal_while_connecting_ends_the_program(pingpong, deaf, hello, number, status):
    args = ("client", f"127.0.0.1:{deaf}", "-n", "500", "--connect-timeout", "60s", *hello)
    with pingpong.spawn(*args, free_port=False) as run:
        wait_until(lambda: is_connecting(deaf), "nobody connects")
        result = run.interrupt(number)
    assert result.status == status and result.err == "", str(result)
    assert result.partial == (0, 500)


@pytest.mark.skipif(not WRITE, reason="the number of write(2) is not known")
def test_a_signal_while_the_result_is_written_takes_nothing_from_it(pingpong):
    """The pipe that it goes to is full: the call that writes is interrupted."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writer, False)
    with os.fdopen(writer, "wb", buffering=0) as stuffing, os.fdopen(reader, "rb") as stream:
        while fill(stuffing):
            pass
        os.set_blocking(writer, True)
        with pingpong.spawn("-J", "-n", "500", stdout=writer) as run:
            stuffing.close()
            wait_until(lambda: is_writing(run), "nothing is written")
            run.send(signal.SIGINT)
            wait_until(lambda: not is_pending(run, signal.SIGINT), "no signal is caught")
            text = stream.read().decode().lstrip(".")
            status = run.process.wait(run.timeout_s)
            err = run.process.stderr.read().decode()
    assert status in (0, 130) and "cannot write" not in err, err
    checked(text)


def is_writing(run):
    """The first thread waits in write(2) for standard output to be read."""
    with open(f"/proc/{run.pid}/syscall", encoding="ascii") as file:
        return file.read().split()[:2] == [str(WRITE), "0x1"]


def is_pending(run, number):
    with open(f"/proc/{run.pid}/status", encoding="ascii") as file:
        sets = [line.split()[1] for line in file if line.startswith(("SigPnd:", "ShdPnd:"))]
    return any(int(bits, 16) >> (number - 1) & 1 for bits in sets)


# ---- what stays behind ----------------------------------------------------------------------


def send_both(run, first, second):
    """The second comes before anything could be done about the first."""
    run.send(signal.SIGSTOP)
    wait_until(run.is_stopped, "not stopped")
    run.send(first)
    run.send(second)
    run.send(signal.SIGCONT)
    return run.finish()


@pytest.mark.parametrize("number, _", SIGNALS, ids=NAMES)
@pytest.mark.parametrize("args", [("serve",), ("serve", "-u")], ids=["streams", "datagrams"])
def test_a_server_of_a_unix_socket_takes_its_file_with_it(pingpong, tmp_path, args, number, _):
    path = tmp_path / "socket"
    with pingpong.spawn(*args, f"unix:{path}", free_port=False) as run:
        assert run.process.stdout.readline()
        assert path.is_socket()
        result = run.interrupt(number)
    assert result.status == 0 and os.listdir(tmp_path) == [], str(result)


@pytest.mark.parametrize("first, second", [("HUP", "QUIT"), ("INT", "TERM")])
def test_a_second_signal_at_once_leaves_no_unix_socket(pingpong, tmp_path, first, second):
    first, second = (getattr(signal, f"SIG{name}") for name in (first, second))
    with pingpong.spawn("serve", f"unix:{tmp_path}/socket", free_port=False) as run:
        assert run.process.stdout.readline()
        result = send_both(run, first, second)
    assert -result.status in (first, second) and os.listdir(tmp_path) == [], str(result)


def test_a_server_leaves_alone_the_file_of_the_one_that_has_taken_its_path(pingpong, tmp_path):
    path = tmp_path / "socket"
    target = f"unix:{path}"
    with pingpong.spawn("serve", target, free_port=False) as old:
        assert old.process.stdout.readline()
        path.rename(tmp_path / "away")  # so that its inode is not given to the next
        with pingpong.spawn("serve", target, free_port=False) as new:
            assert new.process.stdout.readline()
            assert old.interrupt(signal.SIGTERM).status == 0
            assert path.is_socket()
            assert pingpong("client", target, "-n", "50", free_port=False).ok().done == 50
            assert new.interrupt(signal.SIGTERM).status == 0
    assert os.listdir(tmp_path) == ["away"]
