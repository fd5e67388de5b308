"""A result as a program reads it: the JSON beside the text."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from peers import in_background

# What the machine may be to blame for: whoever measures must look twice, and whoever tests, again.
MACHINE = {
    "steal",
    "others_busy",
    "stopped",
    "sent_late",
    "unsteady",
    "stall_hidden",
    "frequency",
    "starved",
    "throttled",
}
MACHINE |= {"clock"}


class Measured:
    """What a run has printed (text: a driver.Result), and its JSON."""

    def __init__(self, text, file):
        self.text = text
        self.status = text.status
        self.json = json.loads(file.read_text(encoding="utf-8"))
        self._check_books()

    def __str__(self):
        return f"{self.text}\n{json.dumps(self.json, indent=1)}"

    def __getitem__(self, key):
        return self.json[key]

    def _check_books(self):
        """What holds in each result, whatever went wrong."""
        counts = self["counts"]
        parts = ("received", "lost", "errors", "in_flight")
        assert counts["sent"] == sum(counts[part] for part in parts), str(self)
        assert self["balanced"], str(self)
        assert counts["received"] == self["round_trips"], str(self)
        assert counts["drained"] <= counts["in_flight"], str(self)
        for latency in filter(None, (self["rtt"], self["response"])):
            assert latency["samples"] == counts["received"] + counts["drained"], str(self)

    # ---- latencies ----

    def percentile(self, percentile, of="rtt"):
        """In ns; None: n/a."""
        return next(p for p in self[of]["percentiles"] if p["percentile"] == percentile)["ns"]

    # ---- the verdict ----

    @property
    def level(self):
        return self["verdict"]["level"]

    @property
    def reasons(self):
        return {reason["id"]: reason for reason in self["verdict"]["reasons"]}

    @property
    def faults(self):
        """The reasons that are more than a note."""
        return {name for name, reason in self.reasons.items() if reason["level"] != "VALID"}

    @property
    def invalid(self):
        """The reasons that are as bad as can be."""
        return {name for name, reason in self.reasons.items() if reason["level"] == "INVALID"}

    def has_reason(self, name, level):
        """And the text names it, too."""
        assert name in self.reasons, f"no {name} in\n{self}"
        reason = self.reasons[name]
        assert reason["level"] == level, str(self)
        words = " ".join(self.text.out.split())
        label = "note" if level == "VALID" else level
        assert f"{label}: {reason['text']} → {reason['cure']}" in words, str(self)
        return reason["text"]


def measured(pingpong, folder, *args, status=0, **options):
    """A run to its end, which is one with that status."""
    file = folder / "result.json"
    result = Measured(pingpong(*args, "-J", file, **options), file)
    assert result.status == status, str(result)
    return result


def measured_client(pingpong, folder, server, *args, **options):
    """Of a server which is not ours."""
    args = ("client", server.target, "--no-hello", *args)
    return measured(pingpong, folder, *args, free_port=False, **options)


def measured_quietly(is_quiet, measure, tries=10):
    """The first result for which is_quiet(result), and the last if there is none. The machine may
    add to any time, so what bounds a time from above is tried again; a defect fails each time. A
    machine with many times more to do than it has CPUs cannot tell."""
    for _ in range(tries):
        result = measure()
        if is_quiet(result):
            return result
    if is_swamped():
        pytest.skip("this machine is never quiet")
    return result


def is_swamped():
    """Whether several times as many threads are ready to run as there are CPUs, all the time."""
    ready = []
    for _ in range(20):
        running, _ = Path("/proc/loadavg").read_text("ascii").split()[3].split("/")
        ready.append(int(running))
        time.sleep(0.01)
    return min(ready) > 3 * len(os.sched_getaffinity(0))


def measured_until(pingpong, folder, server, condition, *args):
    """Of a server which is not ours, interrupted once condition() has returned; status 130."""
    file = folder / "result.json"
    args = ("client", server.target, "--no-hello", *args, "-J", file)
    with in_background(pingpong, *args, free_port=False) as run:
        condition()
        return Measured(run.interrupt(signal.SIGINT), file)
