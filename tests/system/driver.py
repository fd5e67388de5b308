"""Runs the real program and reads what it prints."""

import contextlib
import itertools
import os
import re
import select
import signal
import subprocess
import time
import unicodedata
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2] / "src/io/engines"
ENGINES = sorted(path.stem.removeprefix("engine_") for path in SOURCES.glob("engine_*.c"))
ESTIMATE = "  at an even pace, about"  # a row that is there where a closed loop hides stalls
PATIENCE_S = 60  # nothing tested takes nearly as long, on a busy machine either; under a
# sanitizer, 4 times


def wait_until(condition, what, timeout_s=PATIENCE_S):
    """Polls condition until it is true, and returns what it returned."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout_s} s in vain: {what}")
        time.sleep(0.002)


def display_width(text):
    """The columns that text takes up on a terminal."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def number(text):
    return float(text.replace(",", ""))


class Result:
    """What a run has printed, and how it ended."""

    def __init__(self, args, status, out, err):
        self.args = args
        self.status = status
        self.out = out
        self.err = err

    def __str__(self):
        command = " ".join(map(str, self.args))
        return f"{command}\nstatus {self.status}\n--- stdout\n{self.out}--- stderr\n{self.err}---"

    @property
    def lines(self):
        return self.out.splitlines()

    def find(self, pattern):
        match = re.search(pattern, self.out, re.MULTILINE)
        assert match, f"no {pattern!r} in\n{self}"
        return match

    # ---- what must be so

    def ok(self):
        """Runs of an experiment that a busy machine made INVALID are nobody's fault."""
        said = [line for line in self.err.splitlines()
                if " is left out: its result is INVALID: " not in line]
        assert self.status == 0 and not said, str(self)
        return self

    def failed(self, status, *patterns):
        """It ended with status and one line on stderr that holds each pattern."""
        assert self.status == status, str(self)
        assert self.err.endswith("\n") and self.err.count("\n") == 1, f"not one line:\n{self}"
        assert self.err.startswith("pingpong: "), str(self)
        for pattern in patterns:
            assert re.search(pattern, self.err), f"no {pattern!r} on stderr:\n{self}"
        return self

    def interrupted(self, status=130):
        """A signal ended it; what was measured is printed, and not one round trip went wrong."""
        assert self.status == status and self.err == "", str(self)
        done, _ = self.partial
        assert "; interrupted" in self.out, str(self)
        if "sent " in self.out:
            sent, received, errors, in_flight = self.identity
            assert (received, errors) == (done, 0) and sent == received + in_flight, str(self)
        return self

    # ---- what it says

    @property
    def done(self):
        return int(number(self.find(r"^([\d,]+) round trips?, every byte checked · [A-Z]+$")[1]))

    @property
    def partial(self):
        match = self.find(r"^PARTIAL: ([\d,]+) of ([\d,]+) round trips, every byte checked")
        return int(number(match[1])), int(number(match[2]))

    @property
    def rate(self):
        return number(self.find(r"^([\d,.]+) roundtrips/s$")[1])

    @property
    def seconds(self):
        return number(self.find(r"^([\d,.]+) seconds total$")[1])

    @property
    def verdict(self):
        return self.find(r" · (VALID|SUSPECT|INVALID)$")[1]

    @property
    def hides_stalls(self):
        return any(line.startswith(ESTIMATE) for line in self.lines)

    def table(self, title, label=""):
        """A row of a table as a dictionary from its heads to its numbers; None is n/a. A table too
        wide for the terminal goes on in another one below. Beside an estimate of what stalls hide,
        the row that has no name else is the measured one."""
        row = {}
        if not label and self.hides_stalls:
            label = "measured"
        lines = self.lines
        for at, line in enumerate(lines):
            if not line.startswith(title):
                continue
            heads = re.split(r"  +", line[len(title) :].strip())
            for below in itertools.takewhile(lambda text: text.startswith("  "), lines[at + 1 :]):
                cells = below[2 + len(label) :].split()
                if below[2:].startswith(label) and len(cells) == len(heads):
                    row |= zip(heads, (None if c == "n/a" else number(c) for c in cells))
                    break
        assert row, f"no row {label!r} below {title!r} in\n{self}"
        return row

    @property
    def rtt(self):
        """The RTTs in µs."""
        return self.table("RTT µs")

    def per_round_trip(self, what):
        """What it cost, on both sides as far as they are known."""
        return sum(
            self.table("cost a round trip", side)[what] or 0 for side in ("client", "server")
        )

    @property
    def syscalls(self):
        return self.per_round_trip("system calls")

    @property
    def syscall_counts(self):
        """Of client and server, as -v has them."""
        return [
            int(number(self.find(rf"^{side}  CPU [^\n]*?([\d,]+) system calls")[1]))
            for side in ("client", "server")
        ]

    @property
    def identity(self):
        match = self.find(r"^sent (\d+) = received (\d+) \+ lost 0 \+ errors (\d+) \+ in flight (\d+)$")
        return tuple(int(group) for group in match.groups())

    @property
    def engines(self):
        """The names of the client's and the server's engine."""
        match = self.find(r"engine (\w+)(?: \(auto\))?(?:, server (\w+))?")
        return match[1], match[2] or match[1]


class Running:
    """A run in the background. host and port are those it prints before it measures."""

    def __init__(self, process, args, timeout_s):
        self.process = process
        self.args = args
        self.timeout_s = timeout_s
        self.head = b""
        self.port = None

    @property
    def pid(self):
        return self.process.pid

    def __str__(self):
        return " ".join(self.args)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        """Leaves nothing behind; only what was started here."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()

    def learn_port(self):
        deadline = time.monotonic() + self.timeout_s
        fd = self.process.stdout.fileno()
        while b"\n" not in self.head:
            ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
            data = os.read(fd, 65536) if ready else b""
            if not data:
                err = self.process.stderr.read().decode() if ready else "(nothing)"
                pytest.fail(f"{self.args}: no first line on stdout; stderr: {err}")
            self.head += data
        match = re.search(r"TCP (\S+):(\d+)", self.head.decode())
        assert match, self.head
        self.port = int(match[2])
        return self

    def send(self, number_):
        self.process.send_signal(number_)
        return self

    def finish(self):
        """Waits for its end."""
        try:
            out, err = self.process.communicate(timeout=self.timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            out, err = self.process.communicate()
            partly = Result(self.args, "none", (self.head + (out or b"")).decode(), err.decode())
            pytest.fail(f"still running after {self.timeout_s} s, killed: {partly}")
        out = (self.head + (out or b"")).decode()
        return Result(self.args, self.process.returncode, out, (err or b"").decode())

    def interrupt(self, number_=signal.SIGINT):
        return self.send(number_).finish()

    # ---- what the kernel knows of it

    def status_field(self, name, thread=None):
        path = f"/proc/{self.pid}/task/{thread or self.pid}/status"
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                match = re.search(rf"^{name}:\s*(\d+)", file.read(), re.MULTILINE)
        except (FileNotFoundError, ProcessLookupError):
            match = None
        if not match:
            pytest.fail(f"the run has ended: {self.finish()}")
        return int(match[1])

    def rss_kib(self):
        return self.status_field("VmRSS")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def links(self):
        """What its descriptors lead to. Some may go while they are listed."""
        links = []
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                links.append(os.readlink(f"/proc/{self.pid}/fd/{fd}"))
        return links

    def is_stopped(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "T"

    def wait_for_round_trips(self, count=1000):
        """Waits until the client has done some more. Only for --wait block: then a round trip is a
        sleep, and other than that it sleeps ten times a second."""
        assert ("--wait", "block") in zip(self.args, self.args[1:]), f"it may never sleep: {self}"
        before = self.status_field("voluntary_ctxt_switches")
        wait_until(
            lambda: self.status_field("voluntary_ctxt_switches") - before >= count,
            "the measurement has stopped moving",
            self.timeout_s,
        )


class Program:
    """The program under test. Every run listens on a free port unless -p is among its options."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            image = file.read()
        self.sanitizer = os.environ.get("PINGPONG_SANITIZER", "") not in ("", "0") or any(
            mark in image for mark in (b"__asan_init", b"__tsan_init")
        )
        self.dynamic = b"ld-linux" in image or b"ld-musl" in image
        self.holds_signals_back = b"__tsan_init" in image
        self.timeout_s = PATIENCE_S * (4 if self.sanitizer else 1)

    def spawn(self, *args, **options):
        """Starts it. Options: prefix (a command in front), env (added to ours), free_port, and
        those of Popen."""
        prefix = options.pop("prefix", ())
        options["env"] = {**os.environ, **options.pop("env", {})}
        if prefix:  # the search for leaks needs a thread, and to trace, which may be taken away
            asan = options["env"].get("ASAN_OPTIONS", "")
            options["env"]["ASAN_OPTIONS"] = f"{asan}:detect_leaks=0"
        if options.pop("free_port", True) and "-p" not in args:
            args = ("-p", "0", *args)
        command = [*map(str, prefix), self.path, *map(str, args)]
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        process = subprocess.Popen(command, start_new_session=True, **options)
        return Running(process, command, self.timeout_s)

    def __call__(self, *args, **options):
        """Runs it to its end."""
        with self.spawn(*args, **options) as running:
            return running.finish()

    def start(self, *args, **options):
        """Starts it, and returns when it is about to measure."""
        running = self.spawn(*args, **options)
        try:
            return running.learn_port()
        except BaseException:
            running.end()
            raise

    def endless(self, *args, **options):
        """Starts a run that only a signal ends."""
        return self.start("-n", "1000G", "-v", *args, **options)
