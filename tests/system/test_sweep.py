"""pingpong sweep: which points it runs, and what it says of each."""

import csv
import io
import json
import os
import subprocess

import pytest


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
