"""pingpong sweep: which points it runs, and what it says of each."""

import csv
import io
import json
import math
import os
import re
import subprocess

import pytest
import truth
from results import measured, measured_quietly


@pytest.fixture
def sweep(pingpong):
    def run(*args):
        return pingpong("sweep", *args, free_port=False)

    return run


def rows(result):
    assert result.status == 0, str(result)
    return list(csv.DictReader(io.StringIO(result.out)))


def test_each_step_has_a_row_with_its_own_load(sweep, tmp_path):
    path = tmp_path / "sweep.json"
    table = rows(sweep("-c", "1..16:x4", "-n", "400", "--rounds", 2, "--csv", "--json", path))
    assert [row["connections"] for row in table] == ["1", "4", "16"]
    assert all(int(row["trials"]) == 2 and float(row["round_trips_per_s"]) > 0 for row in table)
    document = json.loads(path.read_text())
    assert document["format"] == "pingpong-experiment"
    assert [point["name"] for point in document["points"]] == [
        "connections=1", "connections=4", "connections=16"]
    ran = [(t["candidate"], t["result"]["options"]["load"]["connections"])
           for t in document["trials"]]
    assert sorted(ran) == sorted([(0, 1), (1, 4), (2, 16)] * 2)


def test_two_axes_are_all_pairs_and_candidates_each_have_theirs(sweep):
    table = rows(sweep("wait=block", "wait=yield", "-c", "1,2", "-m", "5..50:x10", "-n", "100",
                       "--rounds", 1, "--csv"))
    assert [(row["candidate"], row["connections"], row["size"]) for row in table] == [
        (series, connections, size) for series in ("wait=block", "wait=yield")
        for connections in "12" for size in ("5", "50")]
    for row in table:
        each_way = float(row["bytes_per_s"]) / float(row["round_trips_per_s"])
        assert each_way == pytest.approx(2 * int(row["size"]))


def test_placement_and_wait_are_the_same_at_every_step(sweep, tmp_path):
    path = tmp_path / "sweep.json"
    sweep("-c", "1..64:x8", "-n", "400", "--rounds", 1, "--json", path).ok()
    options = [t["result"]["options"] for t in json.loads(path.read_text())["trials"]]
    assert len({json.dumps([o["wait"], o["placement"]], sort_keys=True) for o in options}) == 1


def test_a_rate_goes_up_to_that_of_a_closed_loop(sweep):
    table = rows(sweep("-R", "100..max:x10", "-t", "200ms", "--rounds", 1, "--csv"))
    rates = [float(row["rate"]) for row in table]
    assert rates[0] == 100 and rates == sorted(rates) and len(rates) >= 2
    assert float(table[0]["round_trips_per_s"]) == pytest.approx(100, rel=0.2)


def test_a_rate_that_cannot_be_held_is_a_row_that_says_so(sweep):
    row, = rows(sweep("-R", "1,1G", "-t", "200ms", "--rounds", 1, "--csv"))[1:]
    assert row["verdict"] == "INVALID" and row["missing"] == "0"


@pytest.mark.parametrize("args, says", [
    ((), "sweep takes an option with several values"),
    (("-c", "1..4", "-m", "1..4", "-D", "1..4"), "2 axes at most"),
    (("-c", "4..1"), "not above the lowest"),
    (("-c", "1..1000:+1"), "more than 64 steps"),
    (("-c", "1..64:+1", "-D", "1..64:+1"), "256 points at most"),
    (("nonsense", "-c", "1..4"), "is no candidate"),
    (("-c", "1..4", "--fail-if", "rate<1"), "--fail-if is for"),
    (("-c", "1..4", "-i", "1"), "--interval is for run and client"),
    (("--slo", "p99>1ms"), "a percentile below a time"),
    (("--slo", "rate<1k"), "a percentile below a time"),
    (("--slo", "p99"), "a percentile below a time"),
    (("--slo", "p99<1ms", "-c", "1..4"), "--slo looks for a rate"),
    (("--slo", "p99<1ms", "-R", "1k"), "leave out --rate"),
    (("--slo", "p99<1ms", "-R", "1k..2k", "-n", "10"), "so --count cannot"),
    (("--slo", "p99<1ms", "-R", "1k..2k", "--knee"), "give one"),
    (("--slo", "p99<1ms", "-R", "1k..2k", "epoll", "R=5"), "R=5: --slo looks for the rate"),
    (("--slo", "p99<1ms", "-R", "1k..2k", "rate=5 epoll"), "rate=5 epoll: --slo looks for the rate"),
    (("--slo", "p99<1ms", "-R", "1k..2k", "epoll", "epoll"), "pingpong: epoll stands there twice"),
    (("--slo", "p99<1ms", "-R", "1k..2k", "--think", "1ms"), "pingpong: --rate says when"),
    (("--knee", "-c", "1..4"), "--knee is one of rates alone"),
    (("--knee", "-R", "1..4", "-c", "1..4"), "--knee is one of rates alone"),
])
def test_what_makes_no_sense_is_refused(sweep, args, says):
    sweep(*args).failed(2, says)


@pytest.mark.parametrize("columns", [60, 80])
def test_text_fits_a_terminal(pingpong, columns):
    command = (f"{pingpong.path} sweep wait=block wait=yield -c 1..4 -m 1..5000:x5000 -n 100 "
               "--rounds 1")
    shown = subprocess.run(
        ["script", "-qec", f"stty cols {columns}; {command}", "/dev/null"],
        capture_output=True, text=True, timeout=pingpong.timeout_s, check=True,
        env={**os.environ, "NO_COLOR": "1", "TERM": "dumb"})
    lines = shown.stdout.splitlines()
    assert sum("wait=block" in line for line in lines) == 3 * 6, shown.stdout
    assert max(map(len, lines)) <= columns, shown.stdout


def test_the_run_that_finds_the_highest_rate_is_shown_too(pingpong):
    command = f"{pingpong.path} sweep -R 100..max:x100 -n 300 --rounds 1"
    shown = subprocess.run(
        ["script", "-qec", f"stty cols 80; {command}", "/dev/null"],
        capture_output=True, text=True, timeout=pingpong.timeout_s, check=True,
        env={**os.environ, "TERM": "xterm"})
    runs = re.findall(r"\] run 1 of (\d+)", shown.stdout)
    assert len(runs) >= 2 and runs[0] == "1" and int(runs[-1]) > 1, shown.stdout


# ---- knees and highest rates -------------------------------------------------------------------

SERVICE_S = 0.0002


def md1_quantile(load, share):
    """Of the time in a queue with Poisson arrivals and service of 1 (Erlang 1909)."""

    def longer(time):
        def term(k):
            x = load * (k - time)
            return x ** k / math.factorial(k) * math.exp(-x)
        return 1 - (1 - load) * math.fsum(term(k) for k in range(int(time) + 1))

    low, high = 0.0, 15.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if longer(middle) > 1 - share else (low, middle)
    return 1 + high


def md1_rate(share, latency_s, path_s):
    """The rate at which so large a share of the messages is back in time, if the path adds so much."""
    low, high = 0.01, 0.9
    while high - low > 1e-6:
        middle = (low + high) / 2
        good = md1_quantile(middle, share) * SERVICE_S + path_s < latency_s
        low, high = (middle, high) if good else (low, middle)
    return low / SERVICE_S


def path_of(pingpong, queue, tmp_path):
    """What a round trip takes but for the service: at a tenth of the load half of all wait for
    nobody."""
    args = ("client", queue.removeprefix("at:"), "-R", 0.1 / SERVICE_S, "-t", "1s", *OPEN)
    result = measured(pingpong, tmp_path, *args, "--percentiles", "50", free_port=False)
    return result["response"]["percentiles"][0]["ns"] / 1e9 - SERVICE_S


@pytest.fixture
def queue(build_folder, tmp_path):
    with truth.server(build_folder, tmp_path, f"queue:{SERVICE_S * 1e6:.0f}") as server:
        yield f"at:{server.target}"


OPEN = ("--arrivals", "poisson", "-c", 64, "--no-hello")


@pytest.mark.alone
def test_the_highest_rate_with_a_condition_is_that_of_theory(pingpong, sweep, queue, tmp_path):
    path = tmp_path / "slo.json"
    added_s = path_of(pingpong, queue, tmp_path)
    truth_rate = md1_rate(0.9, 0.0007, added_s)

    def search():
        result = sweep(queue, "--slo", "p90<700us", "-R", "500..4800", "-t", "250ms", *OPEN,
                       "--rounds", 6, "--json", path, "--output", tmp_path / "slo.txt")
        assert result.status == 0, str(result)
        return json.loads(path.read_text())["highest_rates"][0]

    def is_right(found):
        low, high = found["interval_95"]
        inside = 0.95 * low <= truth_rate <= 1.05 * high
        return inside and found["rate"] == pytest.approx(truth_rate, rel=0.1)  # in runs so short

    found = measured_quietly(is_right, search, tries=4)
    assert is_right(found), (found, truth_rate, added_s)
    assert "p90<700us holds up to " in (tmp_path / "slo.txt").read_text()


def test_what_holds_at_no_rate_or_at_all_is_said(sweep, queue):
    never = sweep(queue, "--slo", "p50<1us", "-R", "500..1k", "-t", "100ms", *OPEN).ok()
    assert "does not even hold at 500 messages/s." in never.out
    always = sweep(queue, "--slo", "p50<1s", "-R", "500..1k", "-t", "100ms", *OPEN, "-q").ok()
    assert always.out == (
        f"{queue}: p50<1s holds up to 1,000 messages/s, more than which was not tried.\n")


def test_each_try_of_a_search_is_a_row(sweep, queue, tmp_path):
    path = tmp_path / "slo.json"
    table = rows(sweep(queue, "--slo", "p50<20ms", "-R", "300..20k", "-t", "100ms", *OPEN,
                       "--rounds", 2, "--csv", "--json", path))
    assert {row["round"] for row in table} == {"0", "1", "2"}
    trials = json.loads(path.read_text())["trials"]
    assert len(trials) == len(table)
    for row, trial in zip(table, trials, strict=True):
        assert (row["holds"] == "1") == (float(row["value_ns"]) < 2e7)
        asked = trial["result"]["options"]["load"]["rate_per_s"]
        assert float(row["rate"]) == pytest.approx(asked, rel=1e-6)


def test_a_knee_is_looked_for_in_each_series(sweep, queue, tmp_path):
    """How well it is found, tests/result/test_ladder.c shows."""
    path = tmp_path / "knee.json"
    result = sweep(queue, f"{queue} depth=2", "-R", "200..4800:x2", "--knee", "-t", "100ms", *OPEN,
                   "--rounds", 1, "--json", path, "--output", tmp_path / "knee.txt")
    assert result.status == 0, str(result)
    assert len(json.loads(path.read_text())["knees"]) == 2
    lines = (tmp_path / "knee.txt").read_text().splitlines()
    assert sum(line.startswith("knee: at:") for line in lines) == 2
