"""What the tests of the outputs share: the schema of docs/OUTPUT.md, and what must hold in each result
whatever it is about."""

import csv
import io
import json
import os
import re
import select
import time
from pathlib import Path

import jsonschema
import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "OUTPUT.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
SCHEMA = json.loads(re.search(r"^```json\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)[1])

FORMULA = "=+-@\t\r"


# ---- JSON -----------------------------------------------------------------------------------


def assert_fits(value, part=None):
    """value is as the schema says, or as one of its $defs does."""
    validator = jsonschema.Draft202012Validator(SCHEMA)
    if part:
        validator = validator.evolve(schema=SCHEMA["$defs"][part])
    errors = [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message[:300]}"
        for error in validator.iter_errors(value)
    ]
    assert not errors, "\n".join(errors)


def _refuse_constant(name):
    raise AssertionError(f"{name} is no JSON")


def _unique(pairs):
    assert len(dict(pairs)) == len(pairs), f"a key stands twice: {pairs}"
    return dict(pairs)


def parse(text):
    """Strictly: without NaN, and with each key once."""
    return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)


def main_latency(part):
    """Of a result or an interval: what is counted from the intended send, where there is such."""
    return part["response"] or part["rtt"]


def assert_latency(latency):
    """Percentiles rise, and lie where they can."""
    found = [p for p in latency["percentiles"] if p["ns"] is not None]
    for percentile in found:
        assert latency["min_ns"] <= percentile["ns"] <= latency["max_ns"]
        assert latency["samples"] * (100 - percentile["percentile"]) >= 999
    values = [p["ns"] for p in sorted(found, key=lambda p: p["percentile"])]
    assert values == sorted(values)
    if latency["samples"]:
        assert latency["min_ns"] <= latency["mean_ns"] <= latency["max_ns"]


def assert_consistent(result):
    """What holds in each result."""
    counts = result["counts"]
    settled = counts["received"] + counts["lost"] + counts["errors"]
    assert counts["sent"] == settled + counts["in_flight"]
    assert result["balanced"] is True
    assert result["round_trips"] == counts["received"]
    for latency in filter(None, (result["rtt"], result["response"])):
        assert latency["samples"] == counts["received"] + counts["drained"]
        assert_latency(latency)
    assert counts["drained"] <= counts["in_flight"]
    if result["schedule"]:
        assert result["schedule"]["sent_late"]["samples"] <= counts["sent"]
    if counts["received"]:
        assert result["worst"]["ns"] == main_latency(result)["max_ns"]
    if result["duration_ns"]:
        rate = result["round_trips"] * 1e9 / result["duration_ns"]
        assert result["round_trips_per_s"] == pytest.approx(rate, rel=1e-12)
    levels = ["VALID", "SUSPECT", "INVALID"]
    reasons = [levels.index(reason["level"]) for reason in result["verdict"]["reasons"]]
    assert result["verdict"]["level"] == levels[max(reasons, default=0)]


def assert_intervals_make(intervals, result):
    """They lie end to end, and together they are the whole."""
    end_ns = 0
    for number, interval in enumerate(intervals, 1):
        assert interval["number"] == number
        assert interval["start_ns"] == end_ns
        counts = interval["counts"]
        assert interval["length_ns"] > 0 or counts["sent"] or counts["drained"]
        assert interval["rtt"]["samples"] == interval["round_trips"] + interval["counts"]["drained"]
        assert_latency(interval["rtt"])
        end_ns += interval["length_ns"]
    for name in set(result["counts"]) - {"in_flight", "in_flight_oldest_ns"}:
        total = sum(interval["counts"][name] for interval in intervals)
        assert total == result["counts"][name], name
    if not intervals:
        return
    assert intervals[-1]["counts"]["in_flight"] == result["counts"]["in_flight"]
    assert end_ns >= result["duration_ns"]
    for which in ("rtt", "response") if result["response"] else ("rtt",):
        assert_latencies_make([interval[which] for interval in intervals], result[which])


def assert_latencies_make(parts, whole):
    parts = [part for part in parts if part["samples"]]
    assert sum(part["samples"] for part in parts) == whole["samples"]
    if not parts:
        return
    assert min(part["min_ns"] for part in parts) == whole["min_ns"]
    assert max(part["max_ns"] for part in parts) == whole["max_ns"]
    sum_ns = sum(part["mean_ns"] * part["samples"] for part in parts)
    assert sum_ns / whole["samples"] == pytest.approx(whole["mean_ns"], abs=1.01)
    for at, percentile in enumerate(whole["percentiles"]):
        values = [part["percentiles"][at]["ns"] for part in parts]
        if None not in values:  # among those of the parts, but for the width of a bucket
            assert min(values) * 0.999 <= percentile["ns"] <= max(values) * 1.001


def checked(text):
    """A whole result, which is as it must be."""
    result = parse(text)
    assert_fits(result)
    assert_consistent(result)
    if result["intervals"] is not None:
        assert_intervals_make(result["intervals"], result)
    return result


def checked_lines(text):
    """The lines of --json-stream: begin, intervals, result."""
    begin, *intervals, result = [parse(line) for line in text.splitlines()]
    assert_fits(begin, "begin")
    for interval in intervals:
        assert_fits(interval, "interval_line")
    assert_fits(result, "result_line")
    assert_consistent(result)
    assert_intervals_make(intervals, result)
    for key in set(begin) - {"type"}:
        assert begin[key] == result[key]
    return begin, intervals, result


# ---- CSV ------------------------------------------------------------------------------------


def documented_columns(percentiles):
    """Those that the table of OUTPUT.md lists, in its order."""
    begin = TEXT.index("\n## CSV\n")
    table = TEXT[begin : TEXT.index("\n## ", begin + 1)]
    rows = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    columns = []
    for name in re.findall(r"`(\w+)`", " ".join(rows)):
        several = "_pN_" in name
        columns += [name.replace("_pN_", f"_p{p}_") for p in percentiles] if several else [name]
    return columns


def rows_of(text, percentiles=("50", "90", "99", "99.9")):
    """The rows as dictionaries; none is longer or shorter than the head, which is as documented."""
    assert text.endswith("\r\n")
    head, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert head == documented_columns(percentiles)
    assert all(len(row) == len(head) for row in rows)
    for row in rows:
        for column, cell in zip(head, row):
            assert not cell or cell[0] not in FORMULA or is_number(cell), f"{column}: {cell!r}"
    return [dict(zip(head, row)) for row in rows]


def is_number(cell):
    return re.fullmatch(r"-?\d+(\.\d+)?", cell) is not None


# ---- as it comes ----------------------------------------------------------------------------


def read_until(run, condition, what):
    """Reads what a run in the background prints until condition(text), and returns the text."""
    deadline = time.monotonic() + run.timeout_s
    fd = run.process.stdout.fileno()
    while not condition(run.head.decode()):
        ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
        data = os.read(fd, 65536) if ready else b""
        if not data:
            pytest.fail(f"{run.args}: {what} did not come; {run.finish() if ready else run.head}")
        run.head += data
    return run.head.decode()


def after_intervals(run, count):
    """Reads until so many lines of --json-stream have come."""
    return read_until(run, lambda text: text.count('{"type":"interval"') >= count, "an interval")
