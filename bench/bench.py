#!/usr/bin/env python3
"""Measures pingpong against hand-written floors and against its peers on other event libraries.

Each row of SCENARIOS holds one or two bounds that the project keeps itself to. All programs of a
row are candidates of one "pingpong compare": they take turns in every round, in an order drawn anew
each time; a bound is on the median of the ratios within the rounds, because rates drift with the
machine and ratios hardly do.

A bound that is missed is reported, not an error: the exit status is 0 when everything could be
measured, 1 when something failed to run, 2 for a wrong command line.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import re
import resource
import select
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

CHILD_TIMEOUT_S = 30.0
COMPARE_TIMEOUT_S = 1200.0
ROUNDS_LEAST = 8  # of "pingpong compare"


class Failed(Exception):
    """Something that was to be measured could not be run; the text says what. The command is the
    one to try by hand, where it was a command."""

    def __init__(self, text: str, command: list[str] | None = None) -> None:
        super().__init__(text)
        self.command = shlex.join(command or [])


# ---- bounds and outcomes -----------------------------------------------------------------------


@dataclass(frozen=True)
class Bound:
    limit: float
    is_minimum: bool

    def is_met_by(self, value: float) -> bool:
        return value >= self.limit if self.is_minimum else value <= self.limit

    def __str__(self) -> str:
        limit = f"{self.limit:.2f}" if self.limit < 10 else f"{self.limit:g}"
        return f"{'>=' if self.is_minimum else '<='}{limit}"


def at_least(limit: float) -> Bound:
    return Bound(limit, is_minimum=True)


def at_most(limit: float) -> Bound:
    return Bound(limit, is_minimum=False)


@dataclass(frozen=True)
class Outcome:
    """One line of the table: a figure, what it is held against, and whether that is enough."""

    figure: str
    against: str = ""
    against_figure: str = ""
    values: list[float] = field(default_factory=list)  # what the bound is on, one a trial
    is_ratio: bool = False  # whether values are ratios of the two figures, or the figure itself
    bound: Bound | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def verdict(self) -> str:
        if self.bound is None:
            return ""
        return "pass" if self.bound.is_met_by(self.median) else "short"


@dataclass(frozen=True)
class Measured:
    """What a scenario gives back: lines for the table, raw figures for --json."""

    outcomes: list[Outcome]
    raw: dict[str, object]


# ---- processes ---------------------------------------------------------------------------------


@contextmanager
def running(command: list[str], **options: int) -> Iterator[subprocess.Popen[str]]:
    """A child in a process group of its own, which has ended when the block is left."""
    try:
        child = subprocess.Popen(command, text=True, start_new_session=True, **options)
    except OSError as error:
        raise Failed(f"{error.strerror}: {command[0]}", command) from error
    try:
        yield child
    finally:
        kill_group(child)
        child.communicate()


def kill_group(child: subprocess.Popen[str]) -> None:
    """The group, because strace leaves its tracee behind. Not once the child has been waited for:
    its number might be another's by then."""
    if child.returncode is None:
        os.killpg(child.pid, signal.SIGKILL)


def run(command: list[str], timeout_s: float = CHILD_TIMEOUT_S) -> str:
    """The output of a command that must succeed in time."""
    with running(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        try:
            out, err = child.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise Failed(f"no end after {timeout_s:g} s", command) from None
    if child.returncode != 0:
        raise Failed(f"status {child.returncode}: {first_line(err or out)}", command)
    return out


def first_line(text: str) -> str:
    return text.strip().split("\n")[0]


# ---- what is run -------------------------------------------------------------------------------

PING_BYTES = 5
UDP_BYTES = 16  # the least that pingpong sends over UDP: its header

FLOORS = {"block": "raw blocking", "yield": "raw yield", "answer": "raw answer",
          "single": "one thread", "ring": "raw ring", "stream": "raw stream"}

# For each placement the options on the CPUs a and b: both threads on the same core, split over two,
# left to the scheduler; two pairs of threads, each on a core of its own, or each split over both.
PLACES = {
    "same": "-A {a},{a}",
    "split": "-A {a},{b}",
    "none": "--placement none",
    "pairs": "-T 2 -S 2 -A {a},{b}/{a},{b}",
    "crossed": "-T 2 -S 2 -A {a},{b}/{b},{a}",
}


@dataclass(frozen=True)
class Load:
    """What the programs of a row have in common."""

    connections: int = 1
    placement: str = "same"  # a key of PLACES
    transport: str = "tcp"  # or udp, or unix: a stream
    size: int = PING_BYTES
    depth: int = 1  # messages under way on each connection

    @property
    def cpus_needed(self) -> int:
        return 1 if self.placement == "same" else 2

    @property
    def floor(self) -> str:
        """The mode of the floor that pingpong is held against."""
        return "stream" if self.depth > 1 or self.size > 4096 else "block"

    @property
    def floor_name(self) -> str:
        return self.name_of(self.floor)

    def name_of(self, mode: str) -> str:
        names = {"pairs": " pairs", "crossed": " crossed"}
        return FLOORS[mode] + names.get(self.placement, "")

    @property
    def floors(self) -> list[str]:
        """All modes that may be the quickest: with several connections a ring makes one system
        call for many messages."""
        several = self.connections > 1 and self.transport != "udp"
        return [self.floor, "ring"] if several and self.floor == "block" else [self.floor]


@dataclass(frozen=True)
class Subject:
    """A way to call pingpong. What is auto is left off the command line: the default is tested."""

    engine: str = "auto"
    wait: str = "auto"

    def options(self) -> list[str]:
        options: list[str] = []
        if self.engine != "auto":
            options += ["--engine", self.engine, "--server-engine", self.engine]
        if self.wait != "auto":
            options += ["--wait", self.wait]
        return options

    def candidate(self) -> str:
        wait = "" if self.wait == "auto" else f" wait={self.wait}"
        return f"{self.engine}{wait}"


class Figure(NamedTuple):
    """Of one run."""

    rate: float  # round trips/s
    cpu_ns: float  # a round trip, of both sides


Figures = dict[str, list[Figure | None]]  # by name: one a round; None: that run has none


@dataclass
class Bench:
    """The settings of this run, and how each program is called under them."""

    build: Path
    scratch: Path  # for a Unix socket
    cpus: list[int]
    trials: int
    run_s: float  # how long a run of the floor should take
    memory_connections: int
    rng: random.Random
    note: Callable[[str], None]

    def program(self, name: str) -> str:
        return str(self.build / "bench" / name)

    def place(self, load: Load) -> list[str]:
        return PLACES[load.placement].format(a=self.cpus[0], b=self.cpus[-1]).split()

    def options(self, load: Load, count: int) -> list[str]:
        """What is the same for all programs of a row."""
        options = ["-n", str(count), "-c", str(load.connections), *self.place(load)]
        if load.transport == "unix":
            options += ["-H", f"unix:{self.scratch / 'socket'}"]
        if load.transport == "udp":
            options.append("-u")
        if load.size != PING_BYTES:
            options += ["-m", str(load.size)]
        if load.depth != 1:
            options += ["-D", str(load.depth)]
        return options

    def pingpong(self, load: Load, subject: Subject, count: int) -> list[str]:
        port = [] if load.transport == "unix" else ["-p", "0"]
        return [str(self.build / "pingpong"), *self.options(load, count), *port,
                *subject.options()]

    def floor(self, mode: str) -> str:
        return f"bin:{self.program(f'floor-{mode}')}"

    def floor_rate(self, load: Load) -> float:
        """A first look, from which the number of round trips of a run is taken."""
        words = [self.program(f"floor-{load.floor}"), "run", "--time=200ms",
                 f"--connections={load.connections}", f"--size={load.size}",
                 f"--depth={load.depth}"]
        place = self.place(load)
        if place[-2] == "-A":
            near, _, far = place[-1].partition("/")
            words.append(f"--cpus={place[-1] if far else near.replace(',', '/')}")
        if load.transport == "udp":
            words.append("--udp")
        if load.transport == "unix":
            words.append("--host=unix:")
        return float(result_of(words)["round_trips_per_s"])

    def count_for(self, load: Load, stretch: float = 1.0) -> int:
        count = int(self.floor_rate(load) * self.run_s * stretch)
        return max(count // 100 * 100, 20 * load.connections, 100)

    def compare(self, contenders: dict[str, str], load: Load, count: int) -> Figures:
        """By "pingpong compare": each name in the table stands for a candidate, the first one for
        the baseline."""
        names, candidates = list(contenders), list(contenders.values())
        command = [str(self.build / "pingpong"), "compare", *candidates,
                   *self.options(load, count), "--rounds", str(self.trials),
                   "--seed", str(self.rng.randrange(10**6)), "--json", "-"]
        trials = result_of(command, COMPARE_TIMEOUT_S)["trials"]
        figures: Figures = {name: [None] * self.trials for name in names}
        for trial in trials:
            if not trial["twin"] and not trial["missing"]:
                figures[names[trial["candidate"]]][trial["round"]] = figure_of(trial["result"])
        return figures


def figure_of(result: dict) -> Figure:
    sides = [result["costs"][side] for side in ("client", "server")]
    cpu_ns = sum(side["cpu_ns_per_round_trip"] for side in sides) if all(sides) else math.nan
    return Figure(float(result["round_trips_per_s"]), float(cpu_ns))


def result_of(command: list[str], timeout_s: float = CHILD_TIMEOUT_S) -> dict:
    """Of a program that prints one as JSON."""
    out = run(command, timeout_s)
    try:
        return json.loads(out)
    except ValueError as error:
        raise Failed(f"no result in {out!r}", command) from error


def pingpong_syscalls(command: list[str]) -> float:
    """A round trip, on both sides, as exact as the bounds are: each phase has a call or two more."""
    costs = result_of([*command, "-J", "-"])["costs"]
    sides = [costs[side]["system_calls_per_round_trip"] for side in ("client", "server")]
    return round(sum(sides), 2)


# ---- scenarios: rates --------------------------------------------------------------------------

PEERS = ["libuv", "libevent"]



def thousands(rate: float) -> str:
    return f"{rate / 1e3:.{1 if rate >= 10e3 else 2}f}k"


def microseconds(ns: float) -> str:
    return f"{ns / 1e3:.2f}us"


def against(figures: Figures, subject: str, other: str, bound: Bound | None,
            of: str = "rate") -> Outcome:
    """Round by round, of those that have both."""
    both = [(getattr(mine, of), getattr(its, of))
            for mine, its in zip(figures[subject], figures[other], strict=True) if mine and its]
    if not both:
        raise Failed(f"no round has runs of both {subject} and {other}")
    show = thousands if of == "rate" else microseconds
    mine, its = (statistics.median(values) for values in zip(*both))
    return Outcome(show(mine), other if of == "rate" else "its CPU time", show(its),
                   [a / b for a, b in both], True, bound)


def quickest(figures: Figures, names: Sequence[str]) -> str:
    """Of these the one with the highest median."""
    return max(names, key=lambda name: statistics.median(
        [figure.rate for figure in figures[name] if figure] or [0]))


@dataclass(frozen=True)
class RateScenario:
    """pingpong against the floors and against the peers, of which those with the highest medians in
    this row count; and against itself with each of two pairs split over both CPUs."""

    name: str
    load: Load
    subject: Subject
    floor: Bound
    peers: Bound | None = None
    crossed: Bound | None = None
    beside_hog: bool = False
    stretch: float = 1.0  # for rows whose floor is far slower than pingpong
    cpu: Bound | None = None  # of a round trip, against the same floor

    @property
    def cpus_needed(self) -> int:
        return self.load.cpus_needed

    def measure(self, bench: Bench) -> Measured:
        with self.neighbour(bench):
            count = bench.count_for(self.load, self.stretch)
            bench.note(f"{bench.trials} rounds of {count:,} round trips")
            figures = bench.compare(self.contenders(bench), self.load, count)
        floor = quickest(figures, [self.load.name_of(mode) for mode in self.load.floors])
        outcomes = [against(figures, "pingpong", floor, self.floor)]
        if self.cpu:
            outcomes.append(against(figures, "pingpong", floor, self.cpu, "cpu_ns"))
        if self.peers:
            outcomes.append(against(figures, "pingpong", quickest(figures, PEERS), self.peers))
        if self.crossed:
            outcomes.append(against(figures, "pingpong", "crossed", self.crossed))
        return Measured(outcomes, {"count": count, "figures": figures})

    def contenders(self, bench: Bench) -> dict[str, str]:
        mine = self.subject.candidate()
        contenders = {"pingpong": mine}
        for mode in self.load.floors:
            contenders[self.load.name_of(mode)] = bench.floor(mode)
        for name in PEERS if self.peers else []:
            contenders[name] = name
        if self.crossed:
            contenders["crossed"] = f"{mine} A={bench.place(replace(self.load, placement='crossed'))[-1]}"
        return contenders

    def neighbour(self, bench: Bench) -> AbstractContextManager[object]:
        if not self.beside_hog:
            return nullcontext()
        return running([bench.program("hog"), str(bench.cpus[0]), "300"])


@dataclass(frozen=True)
class FloorScenario:
    """One hand-written loop against the blocking one, or that one placed differently, without
    bounds: what can be had at all here."""

    name: str
    load: Load
    mode: str = "block"
    placed: str = ""  # where the other one is; a key of PLACES

    @property
    def cpus_needed(self) -> int:
        return self.load.cpus_needed

    def measure(self, bench: Bench) -> Measured:
        count = bench.count_for(self.load)
        bench.note(f"{bench.trials} rounds of {count:,} round trips")
        other = replace(self.load, placement=self.placed or self.load.placement)
        mine = self.load.floor_name if self.placed else FLOORS[self.mode]
        its = bench.floor("block")
        if self.placed:
            its += f" A={bench.place(other)[-1]}"
        figures = bench.compare({mine: bench.floor(self.mode), other.floor_name: its}, self.load,
                                count)
        return Measured([against(figures, mine, other.floor_name, None)],
                        {"count": count, "figures": figures})


@dataclass(frozen=True)
class MeasuringScenario:
    """What the clock readings, the histogram and the counters cost: pingpong with them against
    the same program compiled without."""

    name: str
    load: Load
    bound: Bound
    cpus_needed: int = 1

    def measure(self, bench: Bench) -> Measured:
        count = bench.count_for(self.load)
        bench.note(f"{bench.trials} rounds of {count:,} round trips")
        without = f"bin:{bench.program('pingpong_unmeasured')}"
        figures = bench.compare({"pingpong": "auto", "unmeasured": without}, self.load, count)
        return Measured([against(figures, "pingpong", "unmeasured", self.bound)],
                        {"count": count, "figures": figures})


# ---- scenarios: system calls -------------------------------------------------------------------


def strace_total(command: list[str]) -> int:
    """All system calls of all threads of a command, its start and its end included."""
    with tempfile.NamedTemporaryFile("r") as summary:
        run(["strace", "-f", "-c", "-o", summary.name, *command], timeout_s=2 * CHILD_TIMEOUT_S)
        # % time, seconds, usecs/call, calls, [errors,] name
        fields = [line.split() for line in summary.read().splitlines()]
    calls = [int(words[3]) for words in fields
             if len(words) >= 5 and words[3].isdigit() and words[-1] != "total"]
    if not calls:
        raise Failed("strace printed no table of system calls")
    return sum(calls)


@dataclass(frozen=True)
class SyscallScenario:
    """System calls a round trip, client and server, as pingpong itself counts them. Where strace
    is installed it counts once more: the difference between a long and a short run, in which
    start and end cancel out. Tracing slows the threads down, so batches may differ a little."""

    name: str
    load: Load
    subject: Subject
    bound: Bound
    traced_counts: tuple[int, int]
    cpus_needed: int = 1

    def measure(self, bench: Bench) -> Measured:
        count = bench.count_for(self.load)
        bench.note(f"{min(bench.trials, 3)} runs of {count:,} round trips, then two under strace")
        command = bench.pingpong(self.load, self.subject, count)
        counted = [pingpong_syscalls(command) for _ in range(min(bench.trials, 3))]
        traced = self.trace(bench) if shutil.which("strace") else None
        figure = f"{statistics.median(counted):.2f}"
        outcome = Outcome(figure, "strace" if traced is not None else "",
                          f"{traced:.2f}" if traced is not None else "", counted,
                          bound=self.bound)
        return Measured([outcome], {"count": count, "syscalls_per_roundtrip": counted,
                                    "strace_per_roundtrip": traced})

    def trace(self, bench: Bench) -> float:
        short, long = self.traced_counts
        calls = [strace_total([*bench.pingpong(self.load, self.subject, count), "-q"])
                 for count in (short, long)]
        return (calls[1] - calls[0]) / (long - short)


# ---- scenarios: memory -------------------------------------------------------------------------


def rss_bytes(pid: int) -> int:
    """Exact, unlike the counters in statm and status, which lag by some pages a CPU."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError as error:
        raise Failed(f"pingpong ended early ({error.strerror})") from error
    found = re.search(r"^Rss:\s*(\d+) kB", text, re.MULTILINE)
    if not found:
        raise Failed("no Rss in smaps_rollup")
    return int(found[1]) * 1024


def settled_rss_bytes(pid: int) -> int:
    """Resident memory once it has stood still for a while, or as it is after two seconds."""
    seen = [rss_bytes(pid)]
    for _ in range(20):
        time.sleep(0.1)
        seen.append(rss_bytes(pid))
        if len(seen) >= 4 and len(set(seen[-4:])) == 1:
            break
    return seen[-1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_listening(server: subprocess.Popen[str]) -> None:
    assert server.stdout and server.stderr
    if not select.select([server.stdout], [], [], 5)[0]:
        raise Failed("pingpong does not listen after 5 s")
    line = server.stdout.readline()
    if line.startswith("listening on"):
        return
    if line:
        raise Failed(f"pingpong said something else than that it listens: {line.strip()}")
    why = first_line(server.stderr.read())
    raise Failed(f"pingpong ended early with status {server.wait()}: {why}")


@dataclass(frozen=True)
class MemoryScenario:
    """What a connection that was used once leaves behind in the server: the growth of a
    "pingpong serve" when another process connects many times and has one ping answered on each."""

    name: str
    engine: str
    bound: Bound
    cpus_needed: int = 1

    def measure(self, bench: Bench) -> Measured:
        trials = min(bench.trials, 3)
        bench.note(f"{trials} trials of {bench.memory_connections:,} connections")
        grown = [self.growth(bench) / bench.memory_connections for _ in range(trials)]
        outcome = Outcome(f"{statistics.median(grown):.0f} B", values=grown, bound=self.bound)
        return Measured([outcome], {"connections": bench.memory_connections,
                                    "bytes_per_connection": grown})

    def growth(self, bench: Bench) -> int:
        port = free_port()
        command = [str(bench.build / "pingpong"), "serve", f"127.0.0.1:{port}",
                   "--engine", self.engine]
        with running(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
            wait_until_listening(server)
            before = settled_rss_bytes(server.pid)
            with self.holder(bench, port) as holder:
                self.tell(holder, "", "connected")
                self.tell(holder, "go\n", "done")
                after = settled_rss_bytes(server.pid)
            self.end(server)
        return after - before

    def holder(self, bench: Bench, port: int) -> AbstractContextManager[subprocess.Popen[str]]:
        command = [bench.program("holder"), str(bench.memory_connections), str(port)]
        return running(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def tell(self, holder: subprocess.Popen[str], line: str, answer: str) -> None:
        """Waits for the answer; the holder itself gives up after a minute."""
        assert holder.stdin and holder.stdout
        try:
            holder.stdin.write(line)
            holder.stdin.flush()
        except BrokenPipeError:
            pass  # its end shows in the answer
        if holder.stdout.readline().strip() != answer:
            raise Failed(f"the holder of connections did not come to '{answer}'")

    def end(self, server: subprocess.Popen[str]) -> None:
        server.send_signal(signal.SIGTERM)
        try:
            status = server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            raise Failed("pingpong did not end within 10 s of SIGTERM") from None
        if status not in (0, 143, -signal.SIGTERM):
            raise Failed(f"pingpong ended with status {status} after SIGTERM")


# ---- the table of scenarios --------------------------------------------------------------------

Scenario = (RateScenario | FloorScenario | MeasuringScenario | SyscallScenario | MemoryScenario)

ONE = Load()
ONE_SPLIT = Load(placement="split")
ONE_UDP = Load(transport="udp", size=UDP_BYTES)
ONE_UNIX = Load(transport="unix")
DEEP = Load(depth=16)
DEEP_SPLIT = Load(depth=16, placement="split")
EPOLL = Subject(engine="epoll")
URING = Subject(engine="io_uring")
URING_BLOCK = Subject(engine="io_uring", wait="block")
EPOLL_BLOCK = Subject(engine="epoll", wait="block")

SCENARIOS: list[Scenario] = [
    FloorScenario("hand-written: yield, same core", ONE, "yield"),
    FloorScenario("hand-written: yield, split", ONE_SPLIT, "yield"),
    FloorScenario("hand-written: one thread", ONE, "single"),
    FloorScenario("hand-written: yield, UDP", ONE_UDP, "yield"),
    FloorScenario("hand-written: yield, UDP, any peer", ONE_UDP, "answer"),
    FloorScenario("hand-written: yield, Unix", ONE_UNIX, "yield"),
    FloorScenario("hand-written: 200 in two pairs", Load(200, "pairs"), placed="crossed"),
    RateScenario("1 connection, same core", ONE, Subject(), at_least(1.04), at_least(1.25),
                 cpu=at_most(1.03)),
    RateScenario("1, same core, io_uring", ONE, URING, at_least(0.92), at_least(1.10)),
    RateScenario("1, same core, io_uring, block", ONE, URING_BLOCK, at_least(0.90),
                 at_least(1.05)),
    RateScenario("1, same core, epoll, block", ONE, EPOLL_BLOCK, at_least(0.82), at_least(0.98)),
    RateScenario("1, same core, busy neighbour", ONE, Subject(), at_least(0.85),
                 beside_hog=True),
    RateScenario("1, split", ONE_SPLIT, Subject(), at_least(10), at_least(10), stretch=1.5),
    RateScenario("1, unpinned", Load(placement="none"), Subject(), at_least(10), at_least(10),
                 stretch=1.5),
    RateScenario("1, same core, UDP", ONE_UDP, Subject(), at_least(1.04)),
    RateScenario("1, same core, Unix", ONE_UNIX, Subject(), at_least(1.20)),
    RateScenario("1, same core, Unix, epoll, block", ONE_UNIX, EPOLL_BLOCK, at_least(0.82)),
    RateScenario("10, same core, io_uring", Load(10), URING, at_least(0.97), at_least(1.12),
                 cpu=at_most(1.03)),
    RateScenario("100, same core, io_uring", Load(100), URING, at_least(0.98), at_least(1.13),
                 cpu=at_most(1.03)),
    RateScenario("1000, same core, io_uring", Load(1000), URING, at_least(0.95),
                 at_least(1.12), cpu=at_most(1.03)),
    RateScenario("100, split, io_uring", Load(100, "split"), URING, at_least(0.97),
                 at_least(1.10)),
    RateScenario("1000, split, io_uring", Load(1000, "split"), URING, at_least(0.95),
                 at_least(1.08)),
    RateScenario("200 in two pairs, io_uring", Load(200, "pairs"), URING, at_least(1.0),
                 crossed=at_least(1.8)),
    RateScenario("1, same core, 16 deep, epoll", DEEP, EPOLL, at_least(0.90)),
    RateScenario("1, same core, 16 deep, io_uring", DEEP, URING, at_least(0.90)),
    RateScenario("1, split, 16 deep, epoll, block", DEEP_SPLIT, EPOLL_BLOCK, at_least(0.90)),
    RateScenario("1, split, 16 deep, io_uring, block", DEEP_SPLIT, URING_BLOCK, at_least(0.90)),
    *(RateScenario(f"1, same core, {name}, {subject.engine}", replace(ONE, size=size), subject,
                   at_least(0.90))
      for name, size in (("16 kB", 16_000), ("64 kB", 64_000), ("1 MB", 1_000_000))
      for subject in (EPOLL, URING)),
    *(RateScenario(f"1, split, {name}, {subject.engine}, block", replace(ONE_SPLIT, size=size),
                   subject, at_least(0.90))
      for name, size in (("16 kB", 16_000), ("64 kB", 64_000), ("1 MB", 1_000_000))
      for subject in (EPOLL_BLOCK, URING_BLOCK)),
    MeasuringScenario("measuring on / off, 1", ONE, at_least(0.97)),
    MeasuringScenario("measuring on / off, 100", Load(100), at_least(0.97)),
    SyscallScenario("system calls, io_uring, block, 1", ONE, URING_BLOCK, at_most(2.0),
                    (5_000, 20_000)),
    SyscallScenario("system calls, io_uring, block, 100", Load(100), URING_BLOCK, at_most(0.15),
                    (20_000, 100_000)),
    MemoryScenario("memory a connection, io_uring", "io_uring", at_most(160)),
    MemoryScenario("memory a connection, epoll", "epoll", at_most(64)),
]


# ---- report ------------------------------------------------------------------------------------

ROW = "{:<34} {:>7}  {:<14} {:>7}  {:>5}  {:<13} {:>6}  {:<5}"


def first_line_of(path: str, prefix: str = "") -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return "unknown"
    found = [line for line in lines if line.startswith(prefix)]
    return found[0].split(":")[-1].strip() if found else "unknown"


def describe_host() -> dict[str, str]:
    return {
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": f"{first_line_of('/proc/cpuinfo', 'model name')}, {os.cpu_count()} CPUs",
        "congestion_control": first_line_of("/proc/sys/net/ipv4/tcp_congestion_control"),
        "load_average": first_line_of("/proc/loadavg").split()[0],
    }


def print_header(host: dict[str, str], bench: Bench, seed: int) -> None:
    print("pingpong against hand-written floors and other event libraries, over loopback: 5 B over "
          "TCP,\none at a time on each connection, where a row says nothing else")
    print(f"{host['kernel']} · {host['cpu']}")
    print(f"congestion control {host['congestion_control']} · load average at start "
          f"{host['load_average']}")
    print(f"{bench.trials} rounds a row, medians of the ratios within a round · seed {seed} · "
          f"CPUs {','.join(map(str, bench.cpus))}")
    print()
    print(ROW.format("scenario", "figure", "against", "figure", "ratio", "min..max", "bound",
                     "").rstrip())
    sys.stdout.flush()


def short(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def print_outcomes(name: str, outcomes: list[Outcome]) -> None:
    """One line a bound; what would repeat the line above is left blank."""
    figure_above = ""
    for outcome in outcomes:
        figure = outcome.figure if outcome.figure != figure_above else ""
        ratio = f"{outcome.median:.{3 if outcome.median < 10 else 2}f}" if outcome.is_ratio else ""
        spread = f"{short(min(outcome.values))}..{short(max(outcome.values))}"
        print(ROW.format(name, figure, outcome.against, outcome.against_figure, ratio, spread,
                         str(outcome.bound or ""), outcome.verdict).rstrip())
        name, figure_above = "", outcome.figure
    sys.stdout.flush()


def as_json(scenario: Scenario, measured: Measured) -> dict[str, object]:
    lines = [{**asdict(outcome), "median": outcome.median, "verdict": outcome.verdict}
             for outcome in measured.outcomes]
    return {"scenario": scenario.name, "outcomes": lines, **measured.raw}


@dataclass
class Tally:
    met: int = 0
    bounds: int = 0
    failed: int = 0
    rows: list[dict[str, object]] = field(default_factory=list)

    def add(self, scenario: Scenario, measured: Measured) -> None:
        bounded = [outcome for outcome in measured.outcomes if outcome.bound]
        self.bounds += len(bounded)
        self.met += sum(outcome.verdict == "pass" for outcome in bounded)
        self.rows.append(as_json(scenario, measured))

    def add_failure(self, scenario: Scenario, why: str) -> None:
        self.failed += 1
        self.rows.append({"scenario": scenario.name, "failed": why})

    def __str__(self) -> str:
        failed = f"; {self.failed} rows could not be measured" if self.failed else ""
        return f"{self.met} of {self.bounds} bounds met{failed}"


def measure_all(bench: Bench, scenarios: list[Scenario], tally: Tally) -> None:
    for number, scenario in enumerate(scenarios, start=1):
        prefix = f"[{number}/{len(scenarios)}] {scenario.name}: "
        bench.note = lambda text, prefix=prefix: print(prefix + text, file=sys.stderr, flush=True)
        if scenario.cpus_needed > len(bench.cpus):
            bench.note("left out, it needs two CPUs")
            continue
        try:
            measured = scenario.measure(bench)
        except Failed as why:
            tally.add_failure(scenario, str(why))
            print(f"{scenario.name:<34} could not be measured: {why}", flush=True)
            if why.command:
                bench.note(f"could not be measured: {why.command}")
        else:
            tally.add(scenario, measured)
            print_outcomes(scenario.name, measured.outcomes)


# ---- command line ------------------------------------------------------------------------------


def parse_cpus(text: str) -> list[int]:
    try:
        return [int(cpu) for cpu in text.split(",", 1)]
    except ValueError:
        raise argparse.ArgumentTypeError("two CPU numbers, like 0,1") from None


def parse_trials(text: str) -> int:
    if not text.isdecimal() or not ROUNDS_LEAST <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"a number from {ROUNDS_LEAST} to 100")
    return int(text)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--build", type=Path, default=Path("build/release"),
                        help="the build directory (default: %(default)s)")
    parser.add_argument("--trials", type=parse_trials, metavar="N",
                        help="rounds a row (default: 8)")
    parser.add_argument("--only", action="append", metavar="TEXT",
                        help="only the rows whose name contains TEXT; may be repeated")
    parser.add_argument("--list", action="store_true", help="print the names of the rows and stop")
    parser.add_argument("--quick", action="store_true", help="short runs: for a first look")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    parser.add_argument("--seed", type=int, default=None, help="of the order of the runs")
    parser.add_argument("--cpus", type=parse_cpus, metavar="A,B",
                        default=sorted(os.sched_getaffinity(0))[:2],
                        help="the CPUs of client and server (default: the first two allowed)")
    return parser.parse_args()


def rows_named(wanted: list[str] | None) -> list[Scenario]:
    if not wanted:
        return SCENARIOS
    return [scenario for scenario in SCENARIOS
            if any(text.lower() in scenario.name.lower() for text in wanted)]


def raise_descriptor_limit() -> int:
    """For the children, which inherit it. Returns it."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit


def exit_on_sigterm(_signal: int, _frame: object) -> None:
    sys.exit(143)


def measure(arguments: argparse.Namespace, scenarios: list[Scenario], scratch: Path) -> int:
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(10**6)
    bench = Bench(
        build=arguments.build.resolve(),
        scratch=scratch,
        cpus=arguments.cpus,
        trials=arguments.trials or ROUNDS_LEAST,
        run_s=0.1 if arguments.quick else 0.8,
        memory_connections=min(10_000, raise_descriptor_limit() - 500),
        rng=random.Random(seed),
        note=print,
    )
    host = describe_host()
    tally = Tally()
    print_header(host, bench, seed)
    try:
        measure_all(bench, scenarios, tally)
    except KeyboardInterrupt:
        print("interrupted")
        return 130
    finally:
        print(f"\n{tally}", flush=True)
        if arguments.json:
            settings = {"trials": bench.trials, "seed": seed, "cpus": bench.cpus}
            arguments.json.write_text(
                json.dumps({"host": host, "settings": settings, "rows": tally.rows}, indent=1))
    return 1 if tally.failed else 0


def main() -> int:
    arguments = parse_arguments()
    scenarios = rows_named(arguments.only)
    if arguments.list or not scenarios:
        rows = scenarios or SCENARIOS
        print("\n".join(scenario.name for scenario in rows))
        return 0 if arguments.list else 2

    signal.signal(signal.SIGTERM, exit_on_sigterm)
    with tempfile.TemporaryDirectory(prefix="pingpong-bench-") as scratch:
        return measure(arguments, scenarios, Path(scratch))


if __name__ == "__main__":
    sys.exit(main())
