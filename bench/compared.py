"""The rows that are comparisons: each is one "pingpong compare" and its bounds.

All programs of a row take turns in every round, in an order drawn anew each time; a bound is on the
ratio within the rounds, because rates drift with the machine and ratios hardly do.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from common import Failed, Limit, Line, Measured, Settings, result_of

COMPARE_TIMEOUT_S = 1200

PEERS = ("libuv", "libevent", "libev")
RING = ("floor-ring", "floor-block")  # with many connections either may be the quicker one

SAME = "-A {a},{a}"
SPLIT = "-A {a},{b}"
UDP = f"{SAME} -u -m 16"  # the least that pingpong sends there: its header
UNIX = f"{SAME} -H unix:{{socket}}"
PAIRS = "-c 200 -T 2 -S 2 -A {a},{b}/{a},{b}"
CROSSED = "A={a},{b}/{b},{a}"


@dataclass(frozen=True)
class Bound:
    figure: str  # a metric of compare: "rate", or "cpu" of a round trip, of both sides
    limit: Limit | None
    others: tuple[str, ...]  # candidates as in Row; the best of them counts

    def line(self, compared: dict[str, dict], subject: str) -> Line:
        metrics = {name: compared[name]["metrics"][self.figure]
                   for name in (subject, *self.others)}
        ratios = {name: metrics[name]["ratio"] for name in self.others if metrics[name]["ratio"]}
        if not ratios:
            raise Failed(f"no round has the {self.figure} of {subject} and {self.others[0]}")
        other = (max if self.figure == "rate" else min)(ratios, key=ratios.__getitem__)
        ends = metrics[other]["interval_95"] or (math.nan, math.nan)
        return Line(show(self.figure, metrics[subject]["median"]), 1 / ratios[other],
                    (1 / ends[1], 1 / ends[0]), self.limit,
                    other.replace(CROSSED, "crossed"), show(self.figure, metrics[other]["median"]),
                    is_ratio=True)


def show(figure: str, value: float) -> str:
    value /= 1e3
    return f"{value:.2f}us" if figure == "cpu" else f"{value:.{1 if value >= 10 else 2}f}k"


def rate(limit: float | None, *others: str) -> list[Bound]:
    return [Bound("rate", Limit(">=", limit) if limit else None, others)]


def cpu(limit: float, *others: str) -> list[Bound]:
    return [Bound("cpu", Limit("<=", limit), others)]


def floor(limit: float, *others: str) -> list[Bound]:
    """Loops that make the same system calls."""
    return rate(limit, *others) + cpu(1.03, *others)


def peers(limit: float) -> list[Bound]:
    return rate(limit, *PEERS) + cpu(1.0, *PEERS)


@dataclass(frozen=True)
class Row:
    """A candidate is written as compare takes it, but for a program of the benchmark, which goes by
    its name alone."""

    name: str
    options: str
    subject: str  # the baseline
    bounds: list[Bound]

    @property
    def cpus_needed(self) -> int:
        return 1 if SAME in self.options else 2

    def measure(self, settings: Settings) -> Measured:
        names = list(dict.fromkeys(
            [self.subject, *(name for bound in self.bounds for name in bound.others)]))
        found = result_of([settings.pingpong, "compare", *(typed(name, settings) for name in names),
                           *settings.words(self.options), f"--time={settings.time_ms}ms",
                           f"--rounds={settings.rounds}", f"--seed={settings.seed}", "--json"],
                          COMPARE_TIMEOUT_S)["comparison"]
        compared = dict(zip(names, found, strict=True))
        return [bound.line(compared, self.subject) for bound in self.bounds], compared


def typed(name: str, settings: Settings) -> str:
    """A candidate as on the command line of compare."""
    path = re.sub(r"^(?=floor-|pingpong_)", f"bin:{settings.programs}/", name)
    return " ".join(settings.words(path))


def sizes(where: str, options: str, *subjects: str) -> list[Row]:
    return [Row(f"1, {where}, {name}, {subject.replace(' wait=', ', ')}", f"{options} -m {size}",
                subject, floor(0.90, "floor-stream"))
            for name, size in (("16 kB", 16_000), ("64 kB", 64_000), ("1 MB", 1_000_000))
            for subject in subjects]


ROWS = [
    # what can be had at all here
    Row("hand-written: yield, same core", SAME, "floor-yield", rate(None, "floor-block")),
    Row("hand-written: yield, split", SPLIT, "floor-yield", rate(None, "floor-block")),
    Row("hand-written: one thread", SAME, "floor-single", rate(None, "floor-block")),
    Row("hand-written: yield, UDP", UDP, "floor-yield", rate(None, "floor-block")),
    Row("hand-written: yield, UDP, any peer", UDP, "floor-answer", rate(None, "floor-block")),
    Row("hand-written: yield, Unix", UNIX, "floor-yield", rate(None, "floor-block")),
    Row("hand-written: 200 in two pairs", PAIRS, "floor-block",
        rate(None, f"floor-block {CROSSED}")),

    Row("1 connection, same core", SAME, "auto", floor(0.98, "floor-yield") + peers(1.05)),
    Row("1, same core, io_uring", SAME, "io_uring", floor(1.0, "floor-ring") + peers(1.10)),
    Row("1, same core, io_uring, block", SAME, "io_uring wait=block",
        floor(1.0, "floor-ring") + peers(1.05)),
    Row("1, same core, epoll, block", SAME, "epoll wait=block",
        rate(0.85, "floor-block") + peers(1.0)),
    Row("1, same core, busy neighbour", f"{SAME} --before '{{programs}}/hog {{a}} 60 &'", "auto",
        rate(0.85, "floor-block")),
    Row("1, split", SPLIT, "auto",
        floor(0.95, "floor-yield") + rate(5, "floor-block", *PEERS) + cpu(1.0, *PEERS)),
    Row("1, unpinned", "--placement none", "auto",
        rate(5, "floor-block", *PEERS) + cpu(1.0, *PEERS)),
    Row("1, same core, UDP", UDP, "auto", floor(0.97, "floor-answer")),
    Row("1, same core, Unix", UNIX, "auto", floor(0.98, "floor-yield")),
    Row("1, same core, Unix, epoll, block", UNIX, "epoll wait=block", rate(0.82, "floor-block")),

    Row("10, same core", f"{SAME} -c 10", "auto", floor(0.97, *RING) + peers(1.10)),
    Row("100, same core", f"{SAME} -c 100", "auto", floor(0.98, *RING) + peers(1.10)),
    Row("1000, same core", f"{SAME} -c 1000", "auto", floor(0.95, *RING) + peers(1.10)),
    Row("100, split", f"{SPLIT} -c 100", "auto", floor(0.97, *RING) + peers(1.10)),
    Row("1000, split", f"{SPLIT} -c 1000", "auto", floor(0.95, *RING) + peers(1.10)),
    Row("200 in two pairs", PAIRS, "auto", floor(0.97, *RING) + rate(1.8, f"auto {CROSSED}")),

    *(Row(f"1, same core, 16 deep, {engine}", f"{SAME} -D 16", engine, floor(0.90, "floor-stream"))
      for engine in ("epoll", "io_uring")),
    *(Row(f"1, split, 16 deep, {engine}, block", f"{SPLIT} -D 16", f"{engine} wait=block",
          floor(0.90, "floor-stream")) for engine in ("epoll", "io_uring")),
    *sizes("same core", SAME, "epoll", "io_uring"),
    *sizes("split", SPLIT, "epoll wait=block", "io_uring wait=block"),

    # what the clock readings, the histogram and the counters cost
    Row("measuring on / off, 1", SAME, "auto", rate(0.97, "pingpong_unmeasured")),
    Row("measuring on / off, 100", f"{SAME} -c 100", "auto", rate(0.97, "pingpong_unmeasured")),
]
