"""Servers and relays that keep books (tests/truth), and what is right by these."""

import contextlib
import math
import struct
import subprocess
from collections import defaultdict, namedtuple

import pytest

Note = namedtuple("Note", "read_ns answered_ns number source")
Deed = namedtuple("Deed", "number direction name came_ns went_ns")


class Book:
    """A program that prints its port, and writes down what it did when its standard input ends."""

    def __init__(self, build_folder, name, file, before, after):
        program = build_folder / "tests/truth" / name
        if not program.exists():
            pytest.fail(f"{program} has not been built")
        self.file = file
        command = [program, *map(str, before), file, *map(str, after)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, text=True, **pipes)
        self.port = int(self.process.stdout.readline())
        self.target = f"127.0.0.1:{self.port}"

    def close(self):
        """Its book is whole then."""
        self.process.stdin.close()
        status = self.process.wait()
        self.process.stdout.close()
        assert status == 0, self.process.args

    def notes(self):
        data = self.file.read_bytes()
        return [Note(*values) for values in struct.iter_unpack("4Q", data)]

    def deeds(self):
        lines = self.file.read_text("ascii").splitlines()
        fields = map(str.split, lines)
        return [Deed(int(n), way, name, int(c), int(w)) for n, way, name, c, w in fields]


@contextlib.contextmanager
def server(build_folder, folder, service, message_bytes=5, seed=1):
    """service: as tests/truth/server.c has them. Read its notes() when it is closed."""
    book = Book(build_folder, "server", folder / "notes", [service], [message_bytes, seed])
    with contextlib.closing(book):
        yield book


@contextlib.contextmanager
def relay(build_folder, folder, port, *deeds, seed=1):
    """deeds: as tests/truth/relay.c has them. Read its deeds() when it is closed."""
    book = Book(build_folder, "relay", folder / "ledger", [port], [seed, *deeds])
    with contextlib.closing(book):
        yield book


# ---- what notes say --------------------------------------------------------------------------


def quantile(values, percentile):
    """By its definition: number ceil(n q) in rising order."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percentile / 100 - 1e-9), 1) - 1]


def kept_ns(notes):
    """For how long the server kept each: no round trip was shorter."""
    return [note.answered_ns - note.read_ns for note in notes]


def response_ns(notes, rate):
    """Of a fixed schedule, from when each was due, at the latest, to when its answer began: no
    response was shorter. The schedule began when the message was due that came soonest after that,
    or earlier."""
    notes = sorted(notes, key=lambda note: note.read_ns)
    due_ns = [number * 1e9 / rate for number in range(len(notes))]
    begin_ns = min(note.read_ns - due for note, due in zip(notes, due_ns, strict=True))
    return [note.answered_ns - begin_ns - due for note, due in zip(notes, due_ns, strict=True)]


def busy_ns(notes):
    """In a closed loop with one message on each connection: from the first to the last answer, of
    all connections together. All of that is round trips."""
    sources = defaultdict(list)
    for note in notes:
        sources[note.source].append(note)
    return sum(
        max(note.answered_ns for note in some) - min(note.read_ns for note in some)
        for some in sources.values()
    )
