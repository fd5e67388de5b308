"""What goes wrong on the way: wrong bytes, connections that break, calls that fail."""

import collections
import errno
import functools
import json
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest
from driver import ENGINES, wait_until
from peers import serve
from results import measured

COUNT = 500


def partial(result, errors=None):
    """The partial result of a run that failed, whose sums are right."""
    done, planned = result.partial
    sent, received, failed, in_flight = result.identity
    assert planned == COUNT and received == done < COUNT, str(result)
    assert sent == received + failed + in_flight, str(result)
    if errors is not None:
        assert failed == errors, str(result)
    return done


def run(pingpong, env, *args, server="epoll", client="epoll"):
    engines = ("--engine", client, "--server-engine", server)
    return pingpong("-v", "-n", COUNT, *engines, *args, env=env)


# ---- wrong answers ----


@pytest.mark.parametrize("wait", ["block", "yield"])
@pytest.mark.parametrize("byte", [1, 3, 5])
@pytest.mark.parametrize("trip", [1, 2, 100, COUNT])
def test_one_damaged_byte_is_found_and_its_place_named(pingpong, shim, trip, byte, wait):
    result = run(pingpong, shim(flip=f"{trip}:{byte}"), "--wait", wait)
    expected = b"PING\n"[byte - 1]
    result.failed(
        5,
        rf"wrong answer: at byte {byte} of round trip {trip} of a connection\b",
        rf"\b{expected:02x}\b.* was expected and {expected ^ 1:02x}\b.* received",
    )
    assert partial(result) == trip - 1


def test_one_damaged_byte_is_found_by_io_uring_too(pingpong, shim, io_uring):
    result = run(pingpong, shim(flip="100:3"), client="io_uring")
    result.failed(5, r"wrong answer: at byte 3 of round trip 100\b")
    assert partial(result) == 99


@pytest.mark.parametrize("connections", [2, 20])
def test_one_damaged_byte_among_many_connections_ends_the_run(pingpong, shim, connections):
    result = run(pingpong, shim(flip="100:3"), "-c", connections)
    result.failed(5, r"wrong answer: at byte 3 of round trip \d+\b")
    partial(result)


@pytest.mark.parametrize("byte", ["P", "x"])
@pytest.mark.parametrize("what", ["extra", "extra_late"])
def test_a_byte_too_many_is_a_wrong_echo(pingpong, shim, what, byte):
    result = run(pingpong, shim(**{what: f"100:{ord(byte)}"})).failed(5, "wrong answer")
    assert partial(result) in (99, 100)


def test_echoes_in_pieces_of_one_byte_are_counted_once_each(pingpong, shim):
    for client in ("--wait", "block"), ("--wait", "yield"), ("-c", "20"):
        result = run(pingpong, shim(short=1), *client).ok()
        assert result.identity == (COUNT, COUNT, 0, 0)


# ---- connections that cannot be made, or break ----


@pytest.mark.parametrize("which, connections", [(1, 1), (1, 20), (13, 20), (20, 20)])
def test_a_refused_connection_is_an_error_in_one_line(pingpong, shim, which, connections):
    result = run(pingpong, shim(refuse=which), "-c", connections)
    result.failed(1, "cannot connect to 127", "refused")
    assert result.out == "", str(result)


@pytest.mark.parametrize("wait", ["block", "yield"])
@pytest.mark.parametrize("call", ["reset", "send_reset"])
def test_a_reset_is_an_error_in_one_line_and_the_result_so_far_is_printed(
    pingpong, shim, call, wait
):
    result = run(pingpong, shim(**{call: 100}), "--wait", wait)
    result.failed(1, "a connection broke", "reset")
    assert partial(result, errors=1) == 99


@pytest.mark.parametrize("call", ["reset", "send_reset"])
@pytest.mark.parametrize("connections", [2, 3, 20])
def test_when_one_connection_breaks_the_others_go_on_to_the_full_count(
    pingpong, shim, connections, call
):
    result = run(pingpong, shim(**{call: 100}), "-c", connections)
    result.failed(1, "a connection broke", "reset")
    assert partial(result, errors=1) == COUNT - 1
    assert result.identity == (COUNT, COUNT - 1, 1, 0)


def test_a_reset_of_the_last_round_trip_ends_the_run(pingpong, shim):
    result = run(pingpong, shim(reset=COUNT), "-c", "3").failed(1, "reset")
    assert partial(result, errors=1) == COUNT - 1


def kill_connection(port, which):
    """Has the kernel abort connections of a run; which: a condition of ss(8)."""
    ss = shutil.which("ss")
    if not ss:
        pytest.skip("no ss here")
    done = subprocess.run(
        [ss, "-K", "-tnH", "dst", "127.0.0.1", "dport", "=", str(port), *which],
        capture_output=True,
        text=True,
        check=False,
    )
    return [line.split() for line in done.stdout.splitlines() if line]


def cpu_seconds(run):
    """More than starting takes: then it measures."""
    with open(f"/proc/{run.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("wait", ["block", "yield"])
def test_a_connection_that_the_kernel_aborts_is_an_error_in_one_line(pingpong, engine, wait):
    with pingpong.endless("--engine", engine, "--wait", wait) as running:
        wait_until(lambda: cpu_seconds(running) > 0.5, "round trips", running.timeout_s)
        if not kill_connection(running.port, ()):
            pytest.skip("ss may not abort connections here")
        result = running.finish()
    result.failed(1, "a connection broke", r"abort|reset|closed|Broken pipe")
    sent, received, errors, in_flight = result.identity
    assert errors <= 1 and sent == received + errors + in_flight


def test_when_the_kernel_aborts_one_connection_the_others_go_on(pingpong, engine):
    args = ("--engine", engine, "--wait", "block", "-c", "5")
    with pingpong.endless(*args) as running:
        running.wait_for_round_trips(100)
        done = subprocess.run(
            ["ss", "-tnH", "dst", "127.0.0.1", "dport", "=", str(running.port)],
            capture_output=True,
            text=True,
            check=False,
        )
        source = done.stdout.split()[3].rsplit(":", 1)[1]
        if not kill_connection(running.port, ("and", "sport", "=", source)):
            pytest.skip("ss may not abort connections here")
        running.wait_for_round_trips()
        result = running.interrupt()
    result.failed(1, "a connection broke")
    assert result.identity[2] == 1, str(result)


# ---- calls that fail ----


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS])
@pytest.mark.parametrize("connections", [1, 20])
def test_a_run_completes_although_the_first_accepts_fail(pingpong, shim, connections, error):
    env = shim(accept=f"3:{error}")
    assert run(pingpong, env, "-c", connections).ok().identity == (COUNT, COUNT, 0, 0)


@pytest.mark.parametrize("error", [errno.ECONNABORTED, errno.EINTR, errno.EPROTO, errno.EPERM])
def test_a_run_completes_although_clients_vanish_before_they_are_accepted(pingpong, shim, error):
    env = shim(accept=f"5:{error}")
    assert run(pingpong, env, "-c", "20").ok().done == COUNT


@pytest.mark.parametrize("call", ["epoll_wait", "recvfrom", "sendto", "accept4"])
@pytest.mark.parametrize("wait", ["block", "yield"])
def test_epoll_loses_nothing_when_calls_are_interrupted(pingpong, strace, call, wait):
    inject = f"inject={call}:error=EINTR:when=1..20"
    prefix = (strace, "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject)
    args = ("--engine", "epoll", "--wait", wait, "-c", "3")
    result = pingpong("-v", "-n", COUNT, *args, prefix=prefix).ok()
    assert result.identity == (COUNT, COUNT, 0, 0)


@pytest.mark.parametrize("error", ["EINTR", "EAGAIN", "EBUSY"])
@pytest.mark.parametrize("wait", ["block", "yield"])
@pytest.mark.parametrize("connections", [1, 20])
def test_io_uring_loses_nothing_when_enter_fails_for_a_moment(
    pingpong, strace, io_uring, error, wait, connections
):
    inject = f"inject=io_uring_enter:error={error}:when=1..20"
    prefix = (strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=io_uring_enter", "-e", inject)
    args = ("--engine", "io_uring", "--wait", wait, "-c", connections)
    result = pingpong("-v", "-n", COUNT, *args, prefix=prefix).ok()
    assert result.identity == (COUNT, COUNT, 0, 0)


# In one of these a thread waits that has nothing to do.
WAITING_CALLS = ("epoll_wait", "epoll_pwait", "epoll_pwait2", "io_uring_enter", "poll", "ppoll")


@pytest.fixture(scope="session")
def waits_by(pingpong, strace, tmp_path_factory):
    """waits_by(ENGINE): the call in which its loop waits, which is the one that a run makes most."""

    @functools.cache
    def find(engine):
        path = tmp_path_factory.mktemp("strace") / "calls"
        prefix = (strace, "-f", "-qq", "-o", path, "-e", f"trace={','.join(WAITING_CALLS)}")
        assert pingpong("-n", 300, "--engine", engine, "--wait", "block", prefix=prefix).status == 0
        calls = re.findall(r"^\d+ +(\w+)\(", path.read_text(), re.MULTILINE)
        return collections.Counter(calls).most_common(1)[0][0]

    return find


def other_than(engine):
    return next(name for name in ENGINES if name != engine)


@pytest.mark.parametrize("threads", [1, 2])
def test_when_an_engine_breaks_down_the_run_ends_and_what_it_measured_is_kept(
    pingpong, strace, waits_by, engine, threads
):
    call = waits_by(engine)
    inject = f"inject={call}:error=EIO:when=300+"  # in the main thread: others are not traced
    prefix = (strace, "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject)
    args = ("--engine", engine, "--wait", "block", "--warmup", "0", "-T", threads, "-c", threads)
    result = pingpong("-v", "-n", "100M", *args, prefix=prefix)
    result.failed(4, f"engine {engine} broke down: Input/output error")
    sent, received, errors, in_flight = result.identity
    assert errors == 0 and 0 < received == sent - in_flight, str(result)
    assert result.partial == (received, 100_000_000), str(result)


def breaking(strace, call, call_number):
    """The command in front of a program that waits in this call on one side alone."""
    inject = f"inject={call}:error=EIO:when={call_number}+"
    return (strace, "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject)


@pytest.mark.parametrize("threads", [1, 2])
def test_when_the_servers_engine_breaks_down_the_run_says_so_with_its_errno(
    pingpong, strace, waits_by, io_uring, engine, threads
):
    args = ("--engine", other_than(engine), "--server-engine", engine, "--wait", "block")
    args += ("-w", "0", "-c", 2, "-T", threads, "-S", threads)
    prefix = breaking(strace, waits_by(engine), 300)
    result = pingpong("-v", "-n", "100M", *args, prefix=prefix)
    result.failed(4, f"engine {engine} broke down: Input/output error")
    sent, received, errors, in_flight = result.identity
    assert 0 < received == sent - errors - in_flight, str(result)
    assert result.partial == (received, 100_000_000), str(result)


@pytest.mark.parametrize("threads", [1, 2])
def test_when_the_engine_of_a_server_by_itself_breaks_down_it_ends_and_says_so(
    pingpong, strace, waits_by, engine, threads
):
    args = ("--engine", engine, "-S", threads, "--wait", "block")
    with serve(pingpong, *args, prefix=breaking(strace, waits_by(engine), 100)) as server:
        with pingpong.spawn("client", server.target, "-n", "100M", free_port=False) as measuring:
            result = server.finish()
            broken = measuring.finish()
    assert result.status == 4, str(result)
    assert result.err == f"pingpong: engine {engine} broke down: Input/output error\n", str(result)
    assert broken.status == 1, str(broken)


SET_UP = [
    "epoll_create1",
    "epoll_ctl",
    "timerfd_create",
    "eventfd2",
    "socket",
    "bind",
    "listen",
    "getsockname",
    "clone,clone3",
]


@pytest.mark.parametrize("calls", SET_UP)
def test_a_call_that_fails_while_setting_up_is_an_error_in_one_line(pingpong, deny, calls):
    prefix = deny(errno.EMFILE, *calls.split(","))
    result = pingpong("-n", "100", "--engine", "epoll", prefix=prefix)
    assert result.status in (1, 4), str(result)
    result.failed(result.status)
    assert result.out == "", str(result)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_whichever_allocation_fails_there_is_one_line_and_nothing_is_left_open(
    pingpong, engine, shim, tmp_path, host
):
    report = tmp_path / "report"
    args = ("-n", "100", "-c", "3", "--engine", engine, "--host", host)

    def at_the_end():
        return dict(line.split(" ", 1) for line in report.read_text().splitlines())

    pingpong(*args, env=shim(report=report, allocation=0)).ok()
    count = int(at_the_end()["allocations"])
    assert count >= 8
    for which in range(1, count + 1):
        result = pingpong(*args, env=shim(report=report, allocation=which))
        if result.status != 0:  # an engine may do without what it failed to get
            assert result.failed(1, "memory").out == "", str(result)
        assert "descriptor" not in at_the_end() and at_the_end()["threads"] == "1", str(result)


JSON = {"json": ("-J", "-i", "50ms"), "stream": ("--json-stream", "-i", "50ms")}


@pytest.mark.parametrize("which", [1, 7, 200, 900, 1100])
@pytest.mark.parametrize("args", JSON.values(), ids=JSON)
def test_json_without_memory_is_an_error_and_not_cut(pingpong, shim, args, which):
    result = pingpong(*args, "-t", "800ms", "-n", "1000G", env=shim(json_allocation=which))
    assert result.status == 1 and "no memory for the result as JSON" in result.err, str(result)
    assert args[0] != "-J" or result.out == "", str(result)
    for line in result.out.splitlines(keepends=True):
        assert json.loads(line)["type"] != "result" and line.endswith("\n"), str(result)


@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOSYS], ids=errno.errorcode.get)
def test_a_run_works_without_leave_to_read_its_costs(pingpong, deny, tmp_path, error):
    args = ("-n", "500", "-v", "--percentiles", "50", "--csv", tmp_path / "result.csv")
    result = measured(pingpong, tmp_path, *args, prefix=deny(error, "getrusage"))
    costs = result["costs"]
    assert costs["client"] is None and costs["server"] is None, str(result)
    assert costs["client_busy_share"] is None and costs["client_saturated"] is None, str(result)
    for side in "client", "server":
        result.text.find(rf"^  {side} +n/a +n/a +n/a +n/a +n/a$")
    assert "client_saturated" not in result.reasons, str(result)


def test_a_server_that_may_not_read_its_costs_says_none(pingpong, deny, tmp_path):
    with serve(pingpong, prefix=deny(errno.EPERM, "getrusage")) as server:
        args = ("client", server.target, "-n", "500")
        result = measured(pingpong, tmp_path, *args, free_port=False)
        assert result["server"]["kind"] == "pingpong", str(result)
        assert result["costs"]["client"] and result["costs"]["server"] is None, str(result)


def test_a_run_works_without_leave_to_choose_its_cpu(pingpong, deny):
    prefix = deny(errno.EPERM, "sched_setaffinity")
    assert pingpong("-n", "100", prefix=prefix).ok().done == 100


def test_the_server_is_gone_when_the_program_is(pingpong, engine):
    with pingpong.endless("--engine", engine) as running:
        port = running.port
        running.interrupt().interrupted()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def test_a_frozen_program_goes_on_where_it_was(pingpong, engine):
    with pingpong.endless("--engine", engine, "--wait", "block") as running:
        for _ in range(3):
            running.wait_for_round_trips(100)
            running.send(signal.SIGSTOP)
            wait_until(running.is_stopped, "not stopped")
            running.send(signal.SIGCONT)
        running.wait_for_round_trips()
        running.interrupt().interrupted()
