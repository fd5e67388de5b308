"""What all rows of the benchmark have in common: limits, lines of the table, programs to call."""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Failed(Exception):
    """Something that was to be measured could not be: what, and the command to try by hand."""

    def __init__(self, text: str, command: list[str] | None = None) -> None:
        super().__init__(f"{text} ({shlex.join(command)})" if command else text)


FAILURES = (Failed, OSError, subprocess.SubprocessError, json.JSONDecodeError)


class Limit(NamedTuple):
    sign: str  # ">=" or "<="
    value: float

    def is_held_by(self, value: float) -> bool:
        return value >= self.value if self.sign == ">=" else value <= self.value

    def __str__(self) -> str:
        return f"{self.sign}{self.value:g}"


@dataclass(frozen=True)
class Line:
    """Of the table: a figure, what it is held against, and whether that is enough."""

    figure: str
    value: float  # what the limit is on: the figure, or its ratio to the other's
    spread: tuple[float, float]
    limit: Limit | None
    other: str = ""
    other_figure: str = ""
    is_ratio: bool = False

    @property
    def verdict(self) -> str:
        if self.limit is None:
            return ""
        return "held" if self.limit.is_held_by(self.value) else "short"


Measured = tuple[list[Line], object]  # the lines of a row, and for --json all that was found


@dataclass(frozen=True)
class Settings:
    """Of this call of the benchmark."""

    build: Path
    socket: Path  # for a Unix stream
    cpus: list[int]
    rounds: int
    time_ms: int  # of a run
    seed: int

    @property
    def pingpong(self) -> str:
        return str(self.build / "pingpong")

    @property
    def programs(self) -> Path:
        """Where those of the benchmark are."""
        return self.build / "bench"

    def words(self, options: str) -> list[str]:
        """Those of a row, in which {a} and {b} stand for the CPUs."""
        return shlex.split(options.format(a=self.cpus[0], b=self.cpus[-1], socket=self.socket,
                                          programs=self.programs))


def run(command: list[str], timeout_s: float = 60) -> str:
    """The output of a command that must succeed in time."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
    if done.returncode != 0:
        why = (done.stderr or done.stdout).strip().split("\n")[0]
        raise Failed(f"status {done.returncode}: {why}", command)
    return done.stdout


def result_of(command: list[str], timeout_s: float = 60) -> dict:
    """Of a program that prints one as JSON."""
    return json.loads(run(command, timeout_s))
