"""--fail-if: a result that meets a condition is a failure, and every output says so."""

import csv
import io
import json
import re

import pytest
from outputs import checked

HOLDS = ("rate<1", "p99<1ns", "counts.errors>0", "tcp.retransmits<0")
MEETS = ("rate>1", "p50>1ns", "counts.received>=100", "rtt.min_ns<1m", "worst.ns>0")


def fine(run):
    """Without the text, what the machine has done to a result is a warning."""
    assert run.status == 0, str(run)
    return run


def refused(run, *texts):
    """Its last line says so. Without the text, what the machine has done to a result stands before."""
    assert run.status == 3, str(run)
    for text in texts:
        assert text in run.err.splitlines()[-1], str(run)
    return run


def gates(run):
    return json.loads(run.out)["gates"]


def test_a_result_that_meets_no_condition_is_none_the_worse(pingpong, engine):
    run = pingpong("-n", "2k", "--engine", engine, "--fail-if", *HOLDS).ok()
    line = run.find(r"^fail if  .*$").group()
    for condition in HOLDS:
        assert re.search(re.escape(condition) + r": [\d.,]+( µs)?, passed", line), str(run)


@pytest.mark.parametrize("condition", MEETS)
def test_a_result_that_meets_a_condition_is_a_failure(pingpong, condition):
    run = pingpong("-n", "100", "--fail-if", condition)
    run.failed(3, f"^pingpong: --fail-if {re.escape(condition)}: [\\d.,]+( µs)?, failed$")
    run.find(rf"^fail if  {re.escape(condition)}: .*, failed$")


@pytest.mark.parametrize("together", ["words", "commas", "options"])
def test_several_conditions_are_several_however_they_are_typed(pingpong, together):
    conditions = (MEETS[0], HOLDS[0], MEETS[1])
    args = {
        "words": ("--fail-if", *conditions),
        "commas": (f"--fail-if={', '.join(conditions)}",),
        "options": [arg for condition in conditions for arg in ("--fail-if", condition)],
    }[together]
    run = pingpong("-n", "100", *args, "-J")
    refused(run, "--fail-if rate>1: ", ", and 1 more of 3 conditions")
    result = json.loads(run.out)
    assert [gate["condition"] for gate in result["gates"]] == list(conditions)
    assert [gate["failed"] for gate in result["gates"]] == [True, False, True]
    assert result["gates"][0]["value"] == pytest.approx(result["round_trips_per_s"])
    checked(run.out)


def test_what_is_not_there_fails(pingpong):
    """A percentile without samples enough, and losses where nothing can be lost."""
    for condition in ("p99.99>1s", "loss>50%", "response.mean_ns>1s", "schedule.lag_ns>1s"):
        run = pingpong("-n", "100", "--fail-if", condition, "-J")
        refused(run, f"--fail-if {condition}: n/a, failed")
        assert gates(run)[0]["value"] is None and gates(run)[0]["failed"]


def test_any_percentile_is_a_figure_shown_or_not(pingpong):
    args = ("-n", "20k", "--percentiles", "50", "--fail-if", "p75<1ns", "rtt.p12.5<1ns")
    values = [gate["value"] for gate in gates(fine(pingpong(*args, "-J")))]
    assert values[0] >= values[1] > 0


def test_an_open_loop_is_judged_from_the_intended_send(pingpong):
    args = ("-R", "2k", "-n", "400", "--fail-if", "mean<1ns", "schedule.sent_late.p50>1m", "-J", "-")
    result = json.loads(fine(pingpong(*args)).out)
    assert result["gates"][0]["value"] == result["response"]["mean_ns"]


def test_every_output_lists_the_conditions(pingpong, tmp_path):
    files = {suffix: tmp_path / f"out.{suffix}" for suffix in ("jsonl", "csv", "hlog")}
    args = (f"--json-stream={files['jsonl']}", f"--csv={files['csv']}", f"--hlog={files['hlog']}")
    run = pingpong("-n", "100", "--fail-if", MEETS[0], HOLDS[0], *args)
    refused(run, "--fail-if rate>1")
    last = json.loads(files["jsonl"].read_text().splitlines()[-1])
    assert [gate["failed"] for gate in last["gates"]] == [True, False]
    rows = list(csv.DictReader(io.StringIO(files["csv"].read_text())))
    assert rows[-1]["failed_if"] == MEETS[0]
    assert "#[Fail if rate>1: " in files["hlog"].read_text()


def test_a_signal_decides_the_status_all_the_same(pingpong):
    with pingpong.endless("--fail-if", MEETS[0], "--wait", "block") as run:
        run.wait_for_round_trips(100)
        result = run.interrupt()
    assert result.status == 130, str(result)


@pytest.mark.parametrize(
    "condition, why",
    [
        ("p99", "it takes a figure, < or >, and a limit"),
        ("p99>200", "a time needs a unit"),
        ("speed>5", 'no result has a figure called "speed"; there are rate, p50'),
        ("counts>5", 'no result has a figure called "counts"'),
        ("p100>1s", 'no result has a figure called "p100"'),
        ("rate<x", "it takes a number"),
        ("", "--fail-if"),
        (",".join(["rate<1"] * 17), "16 conditions at most"),
    ],
)
def test_a_condition_that_cannot_be_is_refused_before_anything_is_measured(
    pingpong, condition, why
):
    run = pingpong("--fail-if", condition)
    run.failed(2, re.escape(why))
    assert run.out == ""


def test_a_word_is_a_condition_only_behind_one(pingpong):
    pingpong("rate<1", "-n", "1", free_port=False).failed(2, "rate<1")
