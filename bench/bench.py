#!/usr/bin/env python3
"""Measures pingpong against hand-written floors and against its peers on other event libraries.

The rows are in compared.py and alone.py. A bound that is missed is reported, not an error: the exit
status is 0 when everything could be measured, 1 when something failed to run, 2 for a wrong command
line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import signal
import sys
import tempfile
from pathlib import Path

import alone
import compared
from common import FAILURES, Line, Settings

Row = compared.Row | alone.Row

ROWS: list[Row] = [*compared.ROWS, *alone.ROWS]
ROUNDS_LEAST = 8  # of "pingpong compare"
FORM = "{:<34} {:>7}  {:<19} {:>7}  {:>5}  {:<12} {:>6}  {:<5}"


def describe_host() -> str:
    congestion_control = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    return (f"{platform.platform()} · {os.cpu_count()} CPUs · {congestion_control} · "
            f"load average at start {os.getloadavg()[0]:.2f}")


def print_head(host: str, settings: Settings) -> None:
    print("pingpong against hand-written floors and other event libraries, over loopback: 5 B over "
          f"TCP,\none at a time on each connection, where a row says nothing else\n{host}\n"
          f"{settings.rounds} rounds a row · seed {settings.seed} · "
          f"CPUs {','.join(map(str, settings.cpus))}\n")
    print(FORM.format("row", "figure", "against", "figure", "ratio", "between", "bound",
                      "").rstrip(), flush=True)


def short(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def print_lines(name: str, lines: list[Line]) -> None:
    """One a bound; what would repeat the line above is left blank."""
    above = ""
    for line in lines:
        print(FORM.format(name, line.figure if line.figure != above else "", line.other,
                          line.other_figure, f"{line.value:.3f}" if line.is_ratio else "",
                          "..".join(map(short, line.spread)), str(line.limit or ""),
                          line.verdict).rstrip(), flush=True)
        name, above = "", line.figure


def measured(row: Row, settings: Settings) -> dict[str, object]:
    """Prints the row, and returns it for --json."""
    try:
        lines, found = row.measure(settings)
    except FAILURES as why:
        print(f"{row.name:<34} could not be measured: {why}", flush=True)
        return {"row": row.name, "failed": str(why)}
    print_lines(row.name, lines)
    return {"row": row.name, "found": found, "lines": [
        {**vars(line), "limit": str(line.limit or ""), "verdict": line.verdict} for line in lines]}


def measure_all(rows: list[Row], settings: Settings, done: list[dict]) -> None:
    for number, row in enumerate(rows, start=1):
        left_out = row.cpus_needed > len(settings.cpus)
        print(f"[{number}/{len(rows)}] {row.name}{': left out, it needs two CPUs' * left_out}",
              file=sys.stderr, flush=True)
        if not left_out:
            done.append(measured(row, settings))


def report(rows: list[Row], settings: Settings, json_file: Path | None) -> int:
    host = describe_host()
    done: list[dict] = []
    print_head(host, settings)
    try:
        measure_all(rows, settings, done)
    except KeyboardInterrupt:
        print("interrupted")
        return 130
    finally:
        verdicts = [line["verdict"] for row in done for line in row.get("lines", [])]
        failed = sum("failed" in row for row in done)
        print(f"\n{verdicts.count('held')} of {len(verdicts) - verdicts.count('')} bounds held"
              + f"; {failed} rows could not be measured" * (failed > 0))
        if json_file:
            found = {"host": host, "settings": vars(settings), "rows": done}
            json_file.write_text(json.dumps(found, indent=1, default=str))
    return 1 if failed else 0


# ---- command line ------------------------------------------------------------------------------


def parse_cpus(text: str) -> list[int]:
    if not re.fullmatch(r"\d+(,\d+)?", text):
        raise argparse.ArgumentTypeError("two CPU numbers, like 0,1")
    return [int(cpu) for cpu in text.split(",")]


def parse_rounds(text: str) -> int:
    if not text.isdecimal() or not ROUNDS_LEAST <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"a number from {ROUNDS_LEAST} to 100")
    return int(text)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--build", type=Path, default=Path("build/release"),
                        help="the build directory (default: %(default)s)")
    parser.add_argument("--trials", type=parse_rounds, metavar="N", default=ROUNDS_LEAST,
                        help="rounds a row (default: %(default)s)")
    parser.add_argument("--only", action="append", metavar="TEXT", default=[],
                        help="only the rows whose name contains TEXT; may be repeated")
    parser.add_argument("--list", action="store_true", help="print the names of the rows and stop")
    parser.add_argument("--quick", action="store_true", help="short runs: for a first look")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    parser.add_argument("--seed", type=int, help="of the order of the runs",
                        default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--cpus", type=parse_cpus, metavar="A,B",
                        default=sorted(os.sched_getaffinity(0))[:2],
                        help="the CPUs of client and server (default: the first two allowed)")
    return parser.parse_args()


def main() -> int:
    given = parse_arguments()
    rows = [row for row in ROWS
            if not given.only or any(text.lower() in row.name.lower() for text in given.only)]
    if given.list or not rows:
        print("\n".join(row.name for row in rows or ROWS))
        return 0 if given.list else 2

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="pingpong-bench-") as scratch:
        settings = Settings(given.build.resolve(), Path(scratch) / "socket", given.cpus,
                            given.trials, 100 if given.quick else 800, given.seed)
        return report(rows, settings, given.json)


if __name__ == "__main__":
    sys.exit(main())
