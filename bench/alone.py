"""The rows that are no comparison: system calls, memory, and the time of a whole process."""

from __future__ import annotations

import re
import resource
import select
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from common import Failed, Limit, Line, Measured, Settings, result_of, run

TRIALS = 3


@dataclass(frozen=True)
class Row:
    name: str
    limit: Limit
    how: Callable[[Settings, Limit], Measured]
    cpus_needed: int = 1

    def measure(self, settings: Settings) -> Measured:
        return self.how(settings, self.limit)


def line_of(values: list[float], form: str, limit: Limit, *other: str) -> Line:
    """Of several measurements of the same; other is a name, and its figure."""
    median = statistics.median(values)
    return Line(form.format(median), median, (min(values), max(values)), limit, *other)


# ---- system calls ------------------------------------------------------------------------------


def system_calls(settings: Settings, limit: Limit, connections: int) -> Measured:
    """A round trip, on both sides, as pingpong counts them; rounded as the bounds are, as each
    phase has a call or two more. strace, where it is installed, counts once more."""
    command = [settings.pingpong, "run", *settings.words("-A {a},{a} -p 0"), "--engine=io_uring",
               "--wait=block", f"--connections={connections}"]
    counted = []
    for _ in range(TRIALS):
        costs = result_of([*command, f"--time={settings.time_ms}ms", "--json"])["costs"]
        sides = [costs[side]["system_calls_per_round_trip"] for side in ("client", "server")]
        counted.append(round(sum(sides), 2))
    other = ("strace", f"{traced_calls(command):.2f}") if shutil.which("strace") else ()
    return [line_of(counted, "{:.2f}", limit, *other)], {"counted": counted, "other": other}


def traced_calls(command: list[str], round_trips: int = 40_000) -> float:
    """Of all threads, start and end included, which are far fewer. Tracing slows the threads down,
    so batches may differ a little."""
    with tempfile.NamedTemporaryFile("r") as summary:
        run(["strace", "-f", "-c", "-U", "calls", "-o", summary.name, *command, "-q",
             f"--count={round_trips}"])
        return float(summary.read().split()[-2]) / round_trips


# ---- memory ------------------------------------------------------------------------------------


def memory(settings: Settings, limit: Limit, growth: Callable[[Settings, int], int],
           connections: int) -> Measured:
    limit_of_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit_of_files != resource.RLIM_INFINITY:
        connections = min(connections, limit_of_files - 500)
    grown = [growth(settings, connections) / connections for _ in range(TRIALS)]
    return [line_of(grown, "{:.0f} B", limit)], {"connections": connections, "bytes": grown}


def server_growth(engine: str, settings: Settings, connections: int) -> int:
    """When another process connects many times and has a ping answered on each, all at once."""
    with serving(settings, engine) as (server, port):
        before = settled_bytes(server)
        with running([str(settings.programs / "holder"), str(connections), port]) as holder:
            answer_of(holder, "done")
            return settled_bytes(server) - before


def client_growth(settings: Settings, connections: int) -> int:
    """From a client with one connection to one with many."""
    with serving(settings, "epoll") as (_, port):
        one, many = (most_bytes([settings.pingpong, "client", f"127.0.0.1:{port}", "--time=1s",
                                 "-q", f"--connections={count}"]) for count in (1, connections))
    return many - one


@contextmanager
def serving(settings: Settings, engine: str) -> Iterator[tuple[int, str]]:
    """The process of a server, and its port."""
    with running([settings.pingpong, "serve", "127.0.0.1:0", f"--engine={engine}"]) as server:
        yield server.pid, re.search(r"[.]1:(\d+)", answer_of(server, "listening on"))[1]


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A child that has ended when the block is left."""
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as child:
        try:
            yield child
        finally:
            child.kill()


def answer_of(child: subprocess.Popen[str], expected: str) -> str:
    """The next line that it prints, which begins so; what went wrong it says on stderr."""
    line = child.stdout.readline() if select.select([child.stdout], [], [], 60)[0] else ""
    if not line.startswith(expected):
        raise Failed(f"{Path(child.args[0]).name} does not come to '{expected}'", child.args)
    return line


def most_bytes(command: list[str]) -> int:
    """That a process has until it ends."""
    seen = []
    with running(command) as child:
        while child.poll() is None:
            seen.append(rss_bytes(child.pid))
            time.sleep(0.05)
    if child.returncode != 0:
        raise Failed(f"status {child.returncode}", command)
    return max(seen)


def settled_bytes(pid: int) -> int:
    """Once it has stood still for a while, or as it is after two seconds."""
    seen = [rss_bytes(pid)]
    while len(seen) < 20 and (len(seen) < 4 or len(set(seen[-4:])) > 1):
        time.sleep(0.1)
        seen.append(rss_bytes(pid))
    if not seen[-1]:
        raise Failed("pingpong ended early, or /proc does not tell its memory")
    return seen[-1]


def rss_bytes(pid: int) -> int:
    """Exact, unlike the counters in statm and status, which lag by some pages a CPU; 0 for one
    that has ended."""
    try:
        found = re.search(r"^Rss:\s*(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


# ---- a whole process ---------------------------------------------------------------------------


def whole_process(settings: Settings, limit: Limit) -> Measured:
    """From its start to its end: one round trip, and all that is around it."""
    times_ms = []
    for _ in range(20):
        start_s = time.monotonic()
        run([settings.pingpong, "--count=1", "--port=0", "-q"])
        times_ms.append((time.monotonic() - start_s) * 1e3)
    return [line_of(times_ms, "{:.1f}ms", limit)], {"ms": times_ms}


ROWS = [
    Row("system calls, io_uring, block, 1", Limit("<=", 2.0), partial(system_calls, connections=1)),
    Row("system calls, io_uring, block, 100", Limit("<=", 0.15),
        partial(system_calls, connections=100)),
    Row("memory a connection, io_uring", Limit("<=", 160),
        partial(memory, growth=partial(server_growth, "io_uring"), connections=10_000)),
    Row("memory a connection, epoll", Limit("<=", 64),
        partial(memory, growth=partial(server_growth, "epoll"), connections=10_000)),
    Row("memory a connection, client", Limit("<=", 700),
        partial(memory, growth=client_growth, connections=9_000)),
    Row("whole process, one round trip", Limit("<=", 10), whole_process),
]
