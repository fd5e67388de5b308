"""pingpong explain: what it runs, which parts there are, that they add up, and what it advises."""

import csv
import io
import json
import os
import signal
import statistics
import subprocess

import jsonschema
import pytest
from driver import wait_until

ROUNDS = 6
QUICK = ("--rounds", ROUNDS, "-t", "60ms")
NUMBER = {"type": ["number", "null"]}
INTERVAL = {
    "oneOf": [{"type": "null"},
              {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}],
}


def item(what, figure, **more):
    """A figure with its interval."""
    return {
        "type": "object",
        "required": [what, figure, "interval_95", "rounds", *more],
        "additionalProperties": False,
        "properties": {what: {"type": "string"}, figure: NUMBER, "interval_95": INTERVAL,
                       "rounds": {"type": "integer"}, **more},
    }


SCHEMA = {
    "type": "object",
    "required": ["round_trip_ns", "interval_95", "rounds", "parts", "sum_ns", "instead", "advice"],
    "additionalProperties": False,
    "properties": {
        "round_trip_ns": NUMBER,
        "interval_95": INTERVAL,
        "rounds": {"type": "integer"},
        "parts": {"type": "array", "items": item("name", "ns")},
        "sum_ns": NUMBER,
        "instead": {"type": "array", "items": item("options", "change_ns")},
        "advice": {"type": "array",
                   "items": item("what", "saves_ns", part={"type": ["string", "null"]})},
    },
}


@pytest.fixture
def explain(pingpong):
    def run(*args, **options):
        return pingpong("explain", *args, free_port=False, **options)

    return run


def document(explain, tmp_path, *args):
    """Made again where a run of 60 ms hardly came to do anything, as on a busy machine."""
    path = tmp_path / "explain.json"
    for _ in range(8):
        result = explain(*QUICK, *args, "--json", path)
        assert result.status == 0, str(result)
        with open(path, encoding="utf-8") as file:
            whole = json.load(file)
        explanation = whole["explanation"]
        jsonschema.validate(explanation, SCHEMA)
        if {ROUNDS} == {part["rounds"] for part in (explanation, *explanation["instead"])}:
            break
    return whole


def p50s(experiment):
    """What each run took, a figure for each round."""
    found = {}
    for trial in experiment["trials"]:
        name = experiment["candidates"][trial["candidate"]]["name"]
        rtt = trial["result"]["rtt"]["percentiles"]
        p50, = (p["ns"] for p in rtt if p["percentile"] == 50)
        found.setdefault(name, [None] * ROUNDS)[trial["round"]] = p50
    return found


def hodges_lehmann(values):
    return statistics.median((a + b) / 2 for i, a in enumerate(values) for b in values[i:])


def difference(runs, with_it, without):
    return hodges_lehmann([a - b for a, b in zip(runs[with_it], runs[without])])


def parts(experiment):
    return {part["name"]: part for part in experiment["explanation"]["parts"]}


# ---- parts -------------------------------------------------------------------------------------

FIRST, LAST = ["system_calls", "sockets"], ["engine", "measuring"]


@pytest.mark.parametrize("args, between", [
    ((), ["tcp", "task_switches"]),
    (("--placement", "same", "--wait", "block"), ["tcp", "task_switches"]),
    (("--placement", "split", "--wait", "block"), ["tcp", "task_switches", "crossing", "waking"]),
    (("--placement", "split", "--wait", "spin"), ["tcp", "crossing"]),
    (("--placement", "split", "--wait", "yield"), ["tcp", "crossing", "yielding"]),
    (("--placement", "none"), ["tcp", "scheduler"]),
])
def test_which_parts_there_are_follows_from_where_it_runs_and_how_it_waits(
    explain, tmp_path, request, args, between
):
    if "split" in args:
        request.getfixturevalue("two_cpus")
    assert list(parts(document(explain, tmp_path, *args))) == FIRST + between + LAST


@pytest.mark.parametrize("args", [(), ("-u",)])
def test_over_a_unix_socket_there_is_no_tcp(explain, tmp_path, args):
    experiment = document(explain, tmp_path, "-H", f"unix:{tmp_path}/pp.sock", "-m", "1k", *args)
    assert list(parts(experiment)) == FIRST + ["task_switches"] + LAST
    assert "one thread, as asked" not in p50s(experiment)


def test_over_udp_there_is_udp(explain, tmp_path):
    assert list(parts(document(explain, tmp_path, "-u"))) == FIRST + ["udp", "task_switches"] + LAST


@pytest.mark.parametrize("args", [("-c", 20), ("-D", 4), ("-c", 4, "-T", 2, "-S", 2),
                                  ("-c", 20, "--placement", "none")])
def test_a_load_is_a_part_and_one_message_has_the_others(explain, tmp_path, args):
    experiment = document(explain, tmp_path, *args)
    runs, found = p50s(experiment), parts(experiment)
    assert list(found)[-3:] == LAST + ["load"]
    load = difference(runs, "the program", "the program, one message")
    assert found["load"]["ns"] == pytest.approx(load, abs=1e-3)
    names = [c["name"] for c in experiment["candidates"]]
    options = {names[t["candidate"]]: t["result"]["options"] for t in experiment["trials"]
               if "options" in t["result"]}
    alone, whole = options["the program, one message"], options["the program"]
    assert (alone["load"]["connections"], alone["load"]["depth"]) == (1, 1)
    assert alone["wait"]["how"] == whole["wait"]["how"]
    for side in ("client_cpus", "server_cpus"):
        assert alone["placement"][side][:1] == whole["placement"][side][:1]
    assert all(advice["part"] is None for advice in experiment["explanation"]["advice"])


def test_each_part_is_a_difference_of_runs_and_they_add_up(explain, tmp_path):
    experiment = document(explain, tmp_path)
    runs, found, explanation = p50s(experiment), parts(experiment), experiment["explanation"]
    expected = {
        "system_calls": hodges_lehmann(runs["4 system calls in vain"]),
        "tcp": difference(runs, "one thread, as asked", "one thread, Unix socket"),
        "task_switches": difference(runs, "two threads, as asked", "one thread, as asked"),
        "engine": difference(runs, "the program", "two threads, as asked"),
        "measuring": hodges_lehmann(runs["measured or not, in turns"]),
    }
    for name, ns in expected.items():
        assert found[name]["ns"] == pytest.approx(ns, abs=1e-3), name
    assert explanation["round_trip_ns"] == pytest.approx(hodges_lehmann(runs["the program"]))
    assert explanation["sum_ns"] == pytest.approx(sum(part["ns"] for part in found.values()))
    low, high = (sum(part["interval_95"][i] for part in found.values()) for i in (0, 1))
    assert low <= explanation["round_trip_ns"] <= high
    for options in explanation["instead"]:
        change = difference(runs, options["options"], "the program")
        assert options["change_ns"] == pytest.approx(change, abs=1e-3)


@pytest.mark.alone
def test_waking_is_what_spinning_saves(explain, tmp_path, two_cpus):
    """On a CPU each: what sleeping threads take longer is what waking and switching are."""
    experiment = document(explain, tmp_path, "--wait", "block", "-A", ",".join(map(str, two_cpus)))
    found, explanation = parts(experiment), experiment["explanation"]
    spin, = (o for o in explanation["instead"] if o["options"] == "--wait=spin")
    assert spin["interval_95"][1] < 0, explanation
    low, high = (found["waking"]["interval_95"][i] + found["task_switches"]["interval_95"][i]
                 for i in (0, 1))
    assert low <= -spin["interval_95"][0] and -spin["interval_95"][1] <= high, explanation
    assert any(advice["what"] == "--wait=spin" for advice in explanation["advice"])


# ---- what is run -------------------------------------------------------------------------------


def test_everything_runs_once_a_round_where_it_was_settled(explain, tmp_path):
    experiment = document(explain, tmp_path, "--seed", 5)
    count = len(experiment["candidates"])
    orders = [[t["candidate"] for t in experiment["trials"] if t["round"] == i]
              for i in range(ROUNDS)]
    assert all(sorted(order) == list(range(count)) for order in orders)
    assert len(set(map(tuple, orders))) > 1, "all rounds have one order"
    program, = (c for c in experiment["candidates"] if c["name"] == "the program")
    assert any(arg.startswith("--engine=") for arg in program["argv"])
    places = {json.dumps(t["result"]["options"]["placement"], sort_keys=True)
              for t in experiment["trials"] if t["candidate"] == 0}
    assert len(places) == 1
    again = document(explain, tmp_path, "--seed", 5)
    assert [t["candidate"] for t in again["trials"]] == [t["candidate"] for t in
                                                         experiment["trials"]]


def test_on_one_cpu_nothing_else_is_tried(explain, tmp_path, cpus):
    prefix = ("taskset", "-c", str(cpus[0]))
    path = tmp_path / "explain.json"
    assert explain(*QUICK, "--json", path, prefix=prefix).status == 0
    instead = json.loads(path.read_text())["explanation"]["instead"]
    assert not any("split" in options["options"] for options in instead)
    explain(*QUICK, "--placement", "split", prefix=prefix).failed(1, "needs two CPUs")


# ---- what is said ------------------------------------------------------------------------------


def test_advice_is_sure_and_the_best_comes_first(explain, tmp_path):
    explanation = document(explain, tmp_path)["explanation"]
    saves = [advice["saves_ns"] for advice in explanation["advice"]]
    assert saves == sorted(saves, reverse=True)
    for advice in explanation["advice"]:
        assert advice["interval_95"][0] > 0
        assert advice["saves_ns"] >= 0.02 * explanation["round_trip_ns"]


def test_csv_has_the_whole_the_parts_and_what_was_run_instead(explain):
    rows = list(csv.DictReader(io.StringIO(explain(*QUICK, "--csv").ok().out)))
    kinds = [row["kind"] for row in rows]
    assert kinds == ["whole"] + ["part"] * 6 + ["instead"] * (len(rows) - 7)
    known = [row for row in rows if row["ns_low"]]  # not where a run hardly came to do anything
    assert all(float(r["ns_low"]) <= float(r["ns"]) <= float(r["ns_high"]) for r in known)
    assert known and rows[0]["share"] in ("1", "")
    assert all(int(row["rounds"]) <= ROUNDS for row in rows)
    assert {row["rounds"] for row in known} == {str(ROUNDS)}  # fewer have no interval


def test_markdown_is_two_tables(explain):
    lines = explain(*QUICK, "--markdown").ok().lines
    assert [line.count("|") for line in lines[:9]] == [5] * 9
    assert "the whole" in lines[8] and lines[10].count("|") == 6


def test_quiet_says_how_long_and_what_to_do(explain):
    lines = explain(*QUICK, "-q").ok().lines
    assert lines[0].startswith("A round trip takes ")
    assert all("save" in line for line in lines[1:] if not line.startswith("note: "))


@pytest.mark.parametrize("columns", [60, 80])
def test_text_fits_a_terminal(pingpong, columns):
    command = f"{pingpong.path} explain --rounds {ROUNDS} -t 60ms -v"
    shown = subprocess.run(
        ["script", "-qec", f"stty cols {columns}; {command}", "/dev/null"],
        capture_output=True, text=True, timeout=pingpong.timeout_s, check=True,
        env={**os.environ, "NO_COLOR": "1", "TERM": "dumb"})
    lines = shown.stdout.splitlines()
    assert any(line.startswith("  a 4 system calls") for line in lines), shown.stdout
    assert any(line.startswith("  [a") for line in lines), shown.stdout
    assert max(map(len, lines)) <= columns, shown.stdout


# ---- what is refused, and signals --------------------------------------------------------------


@pytest.mark.parametrize("args, says", [
    (("-R", "1k"), "round trips by hand.*--rate: leave it out"),
    (("--crr",), "--crr: leave it out"),
    (("--mptcp",), "--mptcp: leave it out"),
    (("-m", "64,1k"), "messages of one size"),
    (("-m", "1M"), "up to 16KiB"),
    (("-H", "10.0.0.1"), "about this machine"),
    (("epoll",), "takes no ADDRESS"),
    (("--rounds", 5), "from 6 to 500"),
    (("--wait", "spin", "--placement", "same"), "two threads that never sleep"),
    (("-A", "0,1000"), "may not use CPU 1000"),
    (("--fail-if", "rate<1"), "--fail-if is for"),
])
def test_what_makes_no_sense_is_refused_in_a_line(explain, args, says):
    result = explain(*args)
    result.failed(2, says)
    assert result.err.count("\n") == 1 and result.err.startswith("pingpong: ")
    assert not result.err.startswith("pingpong: :")


def test_an_engine_that_cannot_be_had_is_refused_before_anything_runs(explain, deny):
    prefix = deny(1, "io_uring_setup")
    result = explain("--engine", "io_uring", prefix=prefix)
    assert result.status == 4 and result.out == "", str(result)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_the_rounds_that_are_whole(pingpong, tmp_path, number):
    path = tmp_path / "explain.json"
    with pingpong.spawn("explain", "--rounds", 500, "-t", "60ms", "--json", path,
                        "-H", f"unix:{tmp_path}/pp.sock", free_port=False) as running:
        seen = set()

        def some_rounds():
            seen.update(children_of(running.pid))
            return len(seen) > 12

        wait_until(some_rounds, "no trials")
        result = running.interrupt(number)
    assert result.status == 128 + number, str(result)
    assert "PARTIAL: interrupted" in result.out
    experiment = json.loads(path.read_text())
    count = len(experiment["candidates"])
    assert experiment["signal"] == number
    assert len(experiment["trials"]) == count * experiment["rounds"] > 0
    assert experiment["explanation"]["rounds"] == experiment["rounds"]
    jsonschema.validate(experiment["explanation"], SCHEMA)


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]
