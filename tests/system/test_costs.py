"""What a round trip costs, and that the figures printed for it are true."""

import re
from collections import Counter

import pytest


@pytest.fixture
def trace(pingpong, strace, tmp_path):
    """Runs the program under strace, and counts its calls."""
    if pingpong.sanitizer:
        pytest.skip("a sanitizer makes system calls of its own")

    def run(*args, calls=None):
        out = tmp_path / "trace"
        only = ("-e", f"trace={calls}") if calls else ()
        prefix = (strace, "-f", "-qq", "-e", "signal=none", *only, "-o", out)
        result = pingpong(*args, prefix=prefix).ok()
        text = out.read_text(encoding="utf-8", errors="replace")
        # Of a call that was cut in two, the line that resumes it is not another one.
        return result, Counter(re.findall(r"^\d+ +(\w+)\(", text, re.MULTILINE))

    return run


@pytest.mark.parametrize("connections", [1, 50])
@pytest.mark.parametrize("wait", ["auto", "block"])
def test_nothing_is_allocated_while_measuring(trace, engine, wait, connections):
    counts = []
    for count in (200, 4000):
        args = ("-n", count, "-c", connections, "--engine", engine, "--wait", wait)
        _, calls = trace(*args, calls="mmap,munmap,brk,mremap,madvise")
        counts.append(calls)
    assert counts[0] == counts[1]


@pytest.mark.parametrize("connections", [1, 50])
@pytest.mark.parametrize("wait", ["auto", "block"])
def test_the_system_calls_printed_are_those_that_were_made(trace, engine, wait, connections):
    args = ("-v", "-c", connections, "--engine", engine, "--wait", wait)
    short, few = trace(*args, "-n", connections)
    long, many = trace(*args, "-n", connections + 3000)
    traced = many.total() - few.total()
    printed = sum(long.syscall_counts) - sum(short.syscall_counts)
    assert printed == pytest.approx(traced, rel=0.04, abs=100)
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


def test_spinning_costs_no_context_switches(pingpong, engine, two_cpus):
    args = ("--engine", engine, "--wait", "spin", "--placement", "split")
    result = pingpong("-n", "5k", *args).ok()
    switches = result.per_round_trip("context switches")
    assert switches <= 0.5


def test_a_blocking_round_trip_on_one_cpu_costs_two_context_switches(pingpong, engine):
    args = ("--engine", engine, "--wait", "block", "--placement", "same")
    result = pingpong("-n", "5k", *args).ok()
    switches = result.per_round_trip("context switches")
    assert switches == pytest.approx(2, abs=0.3)
