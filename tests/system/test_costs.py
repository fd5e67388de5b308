"""What a round trip costs, and that the figures printed for it are true."""

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections import Counter

import peers
import pytest
from driver import wait_until
from results import measured, measured_quietly


@pytest.fixture
def trace(pingpong, strace, tmp_path):
    """Runs the program under strace, and counts its calls, but for those of the coordinator, which
    is not measured."""
    if pingpong.sanitizer:
        pytest.skip("a sanitizer makes system calls of its own")

    def run(*args, calls=None):
        out = tmp_path / "trace"
        only = ("-e", f"trace={calls}") if calls else ()
        prefix = (strace, "-f", "-Y", "-qq", "-e", "signal=none", *only, "-o", out)
        result = pingpong(*args, prefix=prefix).ok()
        text = out.read_text(encoding="utf-8", errors="replace")
        # Of a call that was cut in two, the line that resumes it is not another one.
        calls_made = re.findall(r"^\d+<(?!coordinator>)[^>]*> +(\w+)\(", text, re.MULTILINE)
        return result, Counter(calls_made)

    return run


@pytest.mark.parametrize("connections", [1, 50])
@pytest.mark.parametrize("wait", ["auto", "block"])
def test_nothing_is_allocated_while_measuring(trace, engine, wait, connections):
    counts = []
    for count in (200, 4000):
        args = ("-n", count, "-c", connections, "--engine", engine, "--wait", wait)
        _, calls = trace(*args, calls="mmap,brk,mremap,madvise")
        counts.append(calls)
    assert counts[0] == counts[1]


@pytest.mark.parametrize("connections", [1, 50])
@pytest.mark.parametrize("wait", ["auto", "block"])
def test_the_system_calls_printed_are_those_that_were_made(trace, engine, wait, connections):
    """By loops, that is: how the host is looked at takes a call for each of its programs, and
    connections that stand still, as they do under strace on a machine that is busy, are asked why."""
    args = ("-v", "-c", connections, "--engine", engine, "--wait", wait)
    short, few = trace(*args, "-n", connections)
    long, many = trace(*args, "-n", connections + 3000)
    for name in ("openat", "read", "close", "getdents64", "getsockopt"):
        del few[name], many[name]
    traced = many.total() - few.total()
    printed = sum(long.syscall_counts) - sum(short.syscall_counts)
    assert printed == pytest.approx(traced, rel=0.04, abs=200)
    assert long.syscalls == pytest.approx(sum(long.syscall_counts) / long.done, abs=0.0101)


def test_a_blocking_io_uring_needs_at_most_two_system_calls_a_round_trip(pingpong, io_uring):
    args = ("--engine", "io_uring", "--wait", "block", "-c", "1")
    assert pingpong("-n", "20k", *args).ok().syscalls <= 2.1


def test_a_blocking_epoll_needs_at_most_six_system_calls_a_round_trip(pingpong):
    args = ("--engine", "epoll", "--wait", "block", "-c", "1")
    assert pingpong("-n", "20k", *args).ok().syscalls <= 6.3


def test_io_uring_needs_far_less_than_a_system_call_a_round_trip_when_there_are_many(
    pingpong, io_uring
):
    args = ("--engine", "io_uring", "--wait", "block", "-c", "100", "--placement", "same")
    assert pingpong("-n", "50k", *args).ok().syscalls <= 0.3


# A wait that lasts until something happens, or until a time; and as it is shown when another thread
# is shown in its midst. Any other only looks.
SLEEPS = re.compile(
    r"(?:epoll_wait\(|epoll_wait resumed>).*, (?:-1|[1-9]\d*)(?:\)| <unfinished)"
    r"|epoll_pwait2|io_uring_enter\(\d+, \d+, [1-9]|nanosleep|poll\("
)


@pytest.fixture
def sleeps(pingpong, strace, tmp_path):
    """Runs the program, and counts how often it has asked the kernel to let it sleep. The coordinator
    does so all the time: it is not measured."""
    if pingpong.sanitizer:
        pytest.skip("a sanitizer makes system calls of its own")

    def run(*args):
        out = tmp_path / "trace"
        calls = "epoll_wait,epoll_pwait2,io_uring_enter,nanosleep,clock_nanosleep,poll,ppoll"
        prefix = (strace, "-f", "-Y", "-qq", "-e", "signal=none", "-e", f"trace={calls}", "-o", out)
        result = pingpong(*args, prefix=prefix)
        if "no round trip was completed for" in result.err:
            pytest.skip("two that spin, and who traces them, wait for each other here")
        result.ok()
        lines = [line for line in out.read_text().splitlines() if "<coordinator>" not in line]
        return sum(bool(SLEEPS.search(line)) for line in lines)

    return run


@pytest.mark.parametrize("connections", [1, 20])
def test_who_spins_never_sleeps(sleeps, engine, connections, two_cpus):
    args = ("--engine", engine, "--wait", "spin", "--placement", "split", "-c", connections)
    few, many = (sleeps("-n", count, *args) for count in (connections, connections + 500))
    assert many == few, "setting up may sleep, and a round trip does not"


def test_who_blocks_sleeps_for_each_round_trip_on_either_side(sleeps, engine):
    """Twice a round trip, but for what has come before it is waited for: that depends on who gets
    the CPU, and saves one of the two."""
    args = ("--engine", engine, "--wait", "block", "--placement", "same")
    assert 500 <= sleeps("-n", 500, *args) <= 1100


@pytest.mark.parametrize("wait", ["block", "yield"])
def test_the_context_switches_printed_are_those_that_the_kernel_counts(
    pingpong, engine, wait, tmp_path
):
    """Of the whole process: setting up is not measured, but little beside it."""
    if pingpong.sanitizer:
        pytest.skip("a sanitizer's threads switch, too")

    def switches():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_nvcsw + usage.ru_nivcsw

    before = switches()
    args = ("-n", "5k", "--engine", engine, "--wait", wait, "--percentiles", "50")
    result = measured(pingpong, tmp_path, *args)
    whole = switches() - before
    told = sum(result["costs"][side]["context_switches"] for side in ("client", "server"))
    assert 0.9 * whole - 300 <= told <= whole, f"{whole}\n{result}"


def test_two_clients_of_one_server_share_its_costs(pingpong, tmp_path):
    """By the bytes that each was sent; and each is told of the other."""
    with peers.serve(pingpong) as server:
        other = ("client", server.target, "-n", "1000G", "-c", "3")
        args = ("client", server.target, "-t", "1500ms")
        is_known = lambda result: result["costs"]["server_share"] is not None
        measure = lambda: measured(pingpong, tmp_path, *args, free_port=False)
        alone = measured_quietly(is_known, measure)["costs"]  # if its answer came in time
        with pingpong.spawn(*other, free_port=False) as run:
            wait_until(lambda: run.threads() >= 1 and sockets_of(run) >= 4, "it is not connected")
            shared = measured_quietly(is_known, measure)
            assert run.process.poll() is None
            run.send(signal.SIGINT)
            run.finish()
    assert (alone["server_share"], alone["server_other_connections"]) == (1, 0)
    costs = shared["costs"]
    assert 0 < costs["server_share"] < 0.9 and costs["server_other_connections"] >= 3, str(shared)
    server_ns = costs["server"]["cpu_user_ns"] + costs["server"]["cpu_system_ns"]
    trip_ns = server_ns * costs["server_share"] / shared["round_trips"]
    assert costs["server"]["cpu_ns_per_round_trip"] == pytest.approx(trip_ns, rel=0.01)
    shared.text.find(r"^server  [\d.]+ % of the bytes that it sent were for this client")


def test_answers_that_were_lost_on_their_way_back_are_no_other_client_s(pingpong, tmp_path):
    """The client's buffer has room for a few datagrams only; nobody else is served."""
    with peers.serve(pingpong) as server:
        args = ("client", server.target, "-u", "-R", "200k", "--rcvbuf", "2k", "-t", "1")
        result = measured(pingpong, tmp_path, *args, free_port=False)
    assert result["counts"]["lost"] > result["round_trips"] / 20, str(result)
    assert result["costs"]["server_share"] == 1, str(result)


def pass_on(server, delay_s):
    """A script that is a relay to server: a hello passes at once, and what is echoed comes back
    after delay_s."""

    def script(connection):
        host, port = server.target.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as onward:
            while data := connection.receive():
                onward.sendall(data)
                back = onward.recv(1 << 16)
                if data.startswith(b"PING\n"):
                    time.sleep(delay_s)
                connection.send(back)

    return script


def test_what_a_server_elsewhere_spends_in_the_drain_is_not_in_its_costs(pingpong, tmp_path):
    with peers.serve(pingpong, "--wait", "spin") as server, peers.Server(
        pass_on(server, 1.5)
    ) as relay:
        args = ("client", relay.target, "-t", "1", "--warmup", "0")
        result = measured(pingpong, tmp_path, *args, free_port=False)
    counts = result["counts"]
    assert (counts["sent"], counts["drained"]) == (1, 1), str(result)
    costs = result["costs"]["server"]
    assert 0 < costs["cpu_user_ns"] + costs["cpu_system_ns"] < 1.3e9, str(result)


def sockets_of(run):
    return sum(link.startswith("socket:") for link in run.links())


# ---- of a server that does not say what it costs ------------------------------------------------

# Each connection has a process, and a message costs it 2 ms at least, as its books say.
FORKING = """
import os, socket, sys, time
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        client, _ = server.accept()
        if os.fork():
            client.close()
            continue
        while data := client.recv(65536):
            until = time.process_time() + 0.002
            while time.process_time() < until:
                pass
            client.sendall(data)
        os._exit(0)
"""


@pytest.fixture
def forking():
    process = subprocess.Popen([sys.executable, "-c", FORKING], stdout=subprocess.PIPE, text=True,
                               start_new_session=True)
    try:
        yield process.pid, process.stdout.readline().strip()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def test_a_foreign_servers_process_says_what_it_costs(pingpong, tmp_path, forking):
    pid, port = forking
    result = measured(pingpong, tmp_path, f"127.0.0.1:{port}", "-n", 50, "--server-pid", pid,
                      free_port=False)
    assert result["costs"]["server"]["cpu_ns_per_round_trip"] >= 2e6
    assert result["costs"]["server"]["system_calls"] is None
    assert result["costs"]["server_memory_bytes"] > 1e6
    result.text.find(r"^server  [\d.]+ MB of memory$")


def test_a_process_that_is_not_there_is_named(pingpong, forking):
    _, port = forking
    gone = subprocess.Popen(["true"])
    gone.wait()
    pingpong(f"127.0.0.1:{port}", "-n", 5, "--server-pid", gone.pid, free_port=False).failed(
        2, f"--server-pid: there is no process {gone.pid} here")
