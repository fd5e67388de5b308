"""pingpong compare: what it runs and in which order, what it says of it, and what becomes of
candidates that fail."""

import csv
import io
import json
import math
import os
import re
import signal
import stat
import subprocess
import sys
import textwrap
import time

import pytest
from driver import wait_until

ROUNDS = 8
QUICK = ("--rounds", ROUNDS, "-n", "300")
METRICS = ["cpu", "rate", "p50", "p99"]


@pytest.fixture
def compare(pingpong):
    def run(*args, **options):
        return pingpong("compare", *args, free_port=False, **options)

    return run


def document(compare, tmp_path, *args):
    path = tmp_path / "experiment.json"
    result = compare(*args, "--json", path)
    assert result.status == 0, str(result)
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def runs(experiment, candidate=None):
    """How many runs there were, repeated ones twice: on a busy machine one may be INVALID."""
    return sum(1 + t["repeated"] for t in experiment["trials"]
               if candidate is None or t["candidate"] == candidate)


def check_ended(log, experiment):
    """Each server of the second candidate was told to, but for one that did not come to listen."""
    said = log.read_text().split()
    whole = [t for t in experiment["trials"] if t["candidate"] == 1 and not t["missing"]]
    assert set(said) == {"ended"} and len(whole) <= len(said) <= runs(experiment, 1)


def script(tmp_path, name, text):
    """A program of the test's own."""
    path = tmp_path / name
    path.write_text(f"#!{sys.executable}\n" + textwrap.dedent(text), encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


# ---- what is run -------------------------------------------------------------------------------


def test_every_candidate_runs_once_a_round_and_the_first_one_twice(compare, tmp_path):
    result = document(compare, tmp_path, "epoll", "wait=block", *QUICK)
    assert [c["name"] for c in result["candidates"]] == ["epoll", "wait=block"]
    rounds = [[(t["candidate"], t["twin"]) for t in result["trials"] if t["round"] == i]
              for i in range(ROUNDS)]
    assert all(sorted(r) == [(0, False), (0, True), (1, False)] for r in rounds)
    assert len({tuple(r) for r in rounds}) > 1, "all rounds have one order"
    for trial in result["trials"]:
        assert trial["result"]["format"] == "pingpong-result"
        assert trial["result"]["round_trips"] == 300
        assert trial["result"]["rtt"]["histogram"].startswith("HISTFAAA")
    waits = {t["candidate"]: t["result"]["options"]["wait"]["how"] for t in result["trials"]}
    assert waits == {0: "yield", 1: "block"}


def test_a_seed_repeats_the_order(compare, tmp_path):
    def order(seed):
        result = document(compare, tmp_path, "epoll", "wait=block", *QUICK, "--seed", seed)
        return [(t["round"], t["candidate"], t["twin"]) for t in result["trials"]]

    first = order(5)
    assert order(5) == first
    assert order(6) != first


def test_placement_is_decided_once_for_all(compare, tmp_path):
    result = document(compare, tmp_path, "epoll", "size=100", *QUICK)
    places = {json.dumps(t["result"]["options"]["placement"], sort_keys=True)
              for t in result["trials"]}
    assert len(places) == 1


def test_commands_run_around_each_trial(compare, tmp_path):
    log = tmp_path / "log"
    result = document(compare, tmp_path, "epoll", "wait=block", *QUICK,
                      "--before", f"echo before >> {log}", "--after", f"echo after >> {log}")
    assert log.read_text().split() == ["before", "after"] * runs(result)


def test_what_goes_before_may_run_until_what_comes_after_is_over(compare, tmp_path):
    log = tmp_path / "log"
    before = f"sleep 1000 & echo $! > {tmp_path}/pid"
    after = f"kill -0 $(cat {tmp_path}/pid) && echo alive >> {log}"
    compare("epoll", "wait=block", *QUICK, "--before", before, "--after", after).ok()
    alive = log.read_text().split()
    assert set(alive) == {"alive"} and len(alive) >= 3 * ROUNDS, alive  # or more: some are repeated
    pid = (tmp_path / "pid").read_text().strip()
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "it has ended")


def test_what_comes_after_comes_after_a_signal_too(pingpong, tmp_path):
    log = tmp_path / "log"
    with pingpong.spawn("compare", "epoll", "wait=block", "--rounds", 500, "-n", "300",
                        "--before", f"echo before >> {log}", "--after", f"echo after >> {log}",
                        free_port=False) as running:
        wait_until(lambda: log.exists() and len(log.read_text().split()) > 4, "no trials")
        running.interrupt()
    said = log.read_text().split()
    assert said == ["before", "after"] * (len(said) // 2)


def test_a_command_that_fails_is_named(compare):
    compare("epoll", "wait=block", *QUICK, "--before", "echo no good >&2; exit 9").failed(
        1, "(epoll|wait=block): ", "ended with status 9: no good")


@pytest.fixture
def io_uring(compare):
    if compare("epoll", "io_uring", *QUICK).status == 4:
        pytest.skip("no io_uring here")


def test_a_matrix_shows_each_engine_with_each(compare, io_uring):
    lines = compare("--matrix", *QUICK).ok().out.splitlines()
    at = next(i for i, line in enumerate(lines) if "server io_uring" in line)
    assert re.fullmatch(r"Round trips/s +server \w+ +server \w+", lines[at])
    assert all(re.fullmatch(r"  client \w+ +[\d,]+ +[\d,]+", line) for line in lines[at + 1:at + 3])


def test_an_ablation_is_ranked_by_what_features_are_worth(compare, io_uring, tmp_path):
    result = document(compare, tmp_path, "--ablate", "io_uring", *QUICK)
    names = [c["name"] for c in result["comparison"]]
    assert names[0] == "io_uring" and "io_uring:no-fixed" in names
    assert names == [c["name"] for c in result["candidates"]]
    ratios = [abs(math.log(c["metrics"]["rate"]["ratio"])) for c in result["comparison"][1:]]
    assert ratios == sorted(ratios, reverse=True)
    for trial in result["trials"]:
        options = result["candidates"][trial["candidate"]]["argv"]
        assert f"--engine={names[trial['candidate']]}" in options
        assert trial["result"]["client_engine"].startswith("io_uring: ")


# ---- servers -----------------------------------------------------------------------------------

ECHO = """
    import signal, socket, sys, time
    signal.signal(signal.SIGTERM, lambda *_: (open(sys.argv[3], "a").write("ended\\n"), sys.exit(0)))
    with socket.create_server((sys.argv[1], int(sys.argv[2]))) as server:
        while True:
            client, _ = server.accept()
            while data := client.recv(65536):
                time.sleep(float(sys.argv[4]))
                client.sendall(data)
            client.close()
"""


def test_a_server_is_started_for_each_run_and_told_to_end(compare, tmp_path):
    log = tmp_path / "log"
    echo = script(tmp_path, "echo", ECHO)
    result = document(compare, tmp_path, "epoll", f"server:exec {echo} {{host}} {{port}} {log} 0",
                      "--rounds", ROUNDS, "-n", "50")
    check_ended(log, result)
    for trial in result["trials"]:
        if trial["candidate"] == 1:
            server = trial["result"]["costs"]["server"]
            assert server["cpu_ns_per_round_trip"] > 0 and server["system_calls"] is None
    mine, its = (c["server_memory_bytes"] for c in result["comparison"])
    assert mine is None and its > 1e6


@pytest.mark.parametrize("command, says", [
    ("echo is broken >&2; exit 3; # {port}", "its server ended with status 3: is broken"),
    ("kill -9 $$; # {port}", "its server was ended by signal 9"),
    ("/nonexistent/server {port}", "its server ended with status 127: .*not found"),
])
def test_a_server_that_does_not_start_is_named(compare, command, says):
    compare(f"server:{command}", "epoll", *QUICK).failed(1, says)


@pytest.mark.alone
def test_a_server_that_is_slower_is_called_slower_by_how_much_it_is(compare, tmp_path):
    """Each answer is 5 ms late, or 5.5."""
    echo = script(tmp_path, "echo", ECHO)
    servers = [f"server:exec {echo} {{host}} {{port}} /dev/null {delay}" for delay in (0.005, 0.0055)]
    result = document(compare, tmp_path, *servers, "--rounds", 12, "-n", "40")
    rate, p50 = (result["comparison"][1]["metrics"][metric] for metric in ("rate", "p50"))
    assert rate["verdict"] == p50["verdict"] == "worse", str(result["comparison"])
    low, high = p50["interval_95"]
    assert low - 0.02 <= 1.1 <= high + 0.02
    assert result["comparison"][1]["metrics"]["rate"]["ratio"] == pytest.approx(1 / 1.1, rel=0.05)


def test_a_server_that_goes_to_the_background_is_one_too(compare, tmp_path):
    echo = script(tmp_path, "echo", ECHO)
    log = tmp_path / "log"
    command = f"setsid {echo} {{host}} {{port}} {log} 0 >/dev/null 2>&1 &"
    result = document(compare, tmp_path, "epoll", f"server:{command}", *QUICK)
    assert result["comparison"][1]["metrics"]["cpu"]["pairs"] >= ROUNDS - 2
    check_ended(log, result)


# ---- candidates that fail ----------------------------------------------------------------------


def test_what_fails_at_once_ends_it_with_its_own_words(compare):
    compare("epoll", "bin:/nonexistent/pingpong", *QUICK).failed(
        1, "cannot run /nonexistent/pingpong: No such file")
    compare("epoll", "at:127.0.0.1:1", *QUICK).failed(1, "at:127.0.0.1:1", "refused")


def test_a_run_that_fails_later_is_tried_again_and_then_left_out(compare, pingpong, tmp_path):
    """Of its runs, each a call, the 3rd fails and the 4th does not; the 5th and the 6th do."""
    count = tmp_path / "count"
    count.write_text("0")
    flaky = script(tmp_path, "flaky", f"""
        import os, sys
        count = int(open({str(count)!r}).read()) + 1
        open({str(count)!r}, "w").write(str(count))
        if count in (3, 5, 6):
            sys.exit("gave up")
        os.execv({pingpong.path!r}, [{pingpong.path!r}] + sys.argv[1:])
    """)
    path = tmp_path / "experiment.json"
    result = compare("epoll", f"bin:{flaky}", *QUICK, "--json", path)
    assert result.status == 0, str(result)
    assert result.err.count("\n") == 1 and "is left out: " in result.err and "gave up" in result.err
    experiment = json.loads(path.read_text())
    missing = [t for t in experiment["trials"] if t["missing"]]
    assert len([t for t in experiment["trials"] if t["candidate"] == 1 and t["repeated"]]) >= 2
    assert [t["candidate"] for t in missing] == [1] and missing[0]["result"] is None
    assert experiment["comparison"][1]["metrics"]["rate"]["pairs"] == ROUNDS - 1
    assert f"1 of the {ROUNDS} runs of" in result.out.replace("\n", " ") + " "


GOOD = {"format": "pingpong-result", "round_trips_per_s": 1000.5}


@pytest.mark.parametrize("text, says", [
    ("", "printed no result"),
    ("nonsense", "printed no result"),
    (json.dumps(GOOD)[:-3], "printed no result"),
    (json.dumps(GOOD) * 2, "printed no result"),
    ('{"format": "pingpong-result", "format": "pingpong-result"}', "duplicate"),
    pytest.param("[" * 100000, "printed no result", id="deep"),
    ("[]", '"format" is not'),
    ("{}", '"format" is not'),
    (json.dumps({**GOOD, "format": "x"}), '"format" is not'),
    (json.dumps({"format": "pingpong-result"}), '"round_trips_per_s" is no rate'),
    (json.dumps({**GOOD, "round_trips_per_s": "7"}), '"round_trips_per_s" is no rate'),
    (json.dumps({**GOOD, "round_trips_per_s": -7}), '"round_trips_per_s" is no rate'),
    (json.dumps({**GOOD, "rtt": {"percentiles": [{"percentile": "x"}]}}), '"percentiles" are none'),
    (json.dumps({**GOOD, "rtt": {"percentiles": [{"percentile": 50, "ns": -1}]}}), "are none"),
    (json.dumps({**GOOD, "costs": {"client": {"cpu_ns_per_round_trip": []}}}), '"costs" are none'),
    (json.dumps({**GOOD, "verdict": {"level": "FINE"}}), '"verdict" is none'),
    (json.dumps({**GOOD, "verdict": 7}), '"verdict" is none'),
    (json.dumps({**GOOD, "verdict": {"level": "INVALID", "reasons": [{"text": "x\x1by"}]}}),
     r"its result is INVALID: x\?y"),
])
def test_what_is_no_result_is_refused(compare, tmp_path, text, says):
    (tmp_path / "text").write_text(text)
    program = script(tmp_path, "liar", f"print(open({str(tmp_path / 'text')!r}).read(), end='')")
    compare(f"bin:{program}", "epoll", *QUICK).failed(1, says)


def test_too_much_is_refused(compare, tmp_path):
    program = script(tmp_path, "liar", """
        import sys
        while True:
            sys.stdout.write(" " * 1000000)
    """)
    compare(f"bin:{program}", "epoll", *QUICK).failed(1, "printed more than 64 MiB")


def test_a_program_that_says_only_its_rate_is_compared_by_it(compare, tmp_path):
    program = script(tmp_path, "other", f"print({json.dumps(GOOD)!r})")
    result = document(compare, tmp_path, f"bin:{program}", "epoll", *QUICK)
    metrics = result["comparison"][1]["metrics"]
    assert metrics["rate"]["pairs"] == ROUNDS
    assert metrics["p50"]["pairs"] == 0 and metrics["cpu"]["verdict"] == "unknown"
    assert result["comparison"][0]["metrics"]["rate"]["median"] == 1000.5


def test_a_child_that_keeps_its_output_does_not_hold_it_up(compare, tmp_path):
    program = script(tmp_path, "other", f"""
        import subprocess
        print({json.dumps(GOOD)!r}, flush=True)
        child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        open({str(tmp_path / "children")!r}, "a").write(f"{{child.pid}}\\n")
    """)
    result = document(compare, tmp_path, f"bin:{program}", "epoll", *QUICK)
    children = (tmp_path / "children").read_text().split()
    assert len(children) == runs(result, 0)
    for pid in children:
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), f"{pid} has ended")


# ---- what was saved ----------------------------------------------------------------------------


@pytest.fixture
def saved(compare, tmp_path):
    """One is twice as fast as the other."""
    path = tmp_path / "saved.json"
    compare(*slow_and_fast(tmp_path), "--rounds", ROUNDS, "--json", path).ok()
    return path


def test_what_was_saved_is_reported_again(compare, saved, tmp_path):
    programs = slow_and_fast(tmp_path)
    for program in programs:  # which nobody may run
        os.unlink(program.removeprefix("bin:"))
    again = compare("--more", saved, "--rounds", 0)
    assert "is 100.0 % faster than" in again.ok().out and f"{ROUNDS} rounds of 3 runs" in again.out
    failed = compare("--more", saved, "--rounds", 0, "-q", "--fail-if", "rate>50%")
    failed.failed(3, "--fail-if rate>50%")


def test_more_rounds_go_on_with_those_that_were_saved(compare, saved, tmp_path):
    path = tmp_path / "more.json"
    compare("--more", saved, "--rounds", 3, "--json", path).ok()
    before, after = json.loads(saved.read_text()), json.loads(path.read_text())
    assert after["rounds"] == ROUNDS + 3 and after["seed"] == before["seed"]
    assert after["trials"][:len(before["trials"])] == before["trials"]
    assert after["command"] == before["command"] and after["candidates"] == before["candidates"]
    assert after["comparison"][1]["metrics"]["rate"]["pairs"] == ROUNDS + 3
    new = after["trials"][len(before["trials"]):]
    assert sorted((t["round"], t["candidate"], t["twin"]) for t in new) == sorted(
        (r, c, c == 2) if c < 2 else (r, 0, True) for r in range(ROUNDS, ROUNDS + 3)
        for c in range(3))
    compare("--more", path, "--rounds", 1, "--json", path).ok()  # into the same file
    assert json.loads(path.read_text())["rounds"] == ROUNDS + 4


@pytest.mark.parametrize("args, says", [
    (("epoll",), "leave out epoll"),
    (("-c", "4"), "leave out --connections"),
    (("--before", "true"), "leave out --budget"),
])
def test_what_goes_on_is_not_asked_for_otherwise(compare, saved, args, says):
    compare("--more", saved, *args).failed(2, says)


def test_what_goes_on_runs_as_it_did_then(compare, tmp_path):
    """With what was decided for it, on whichever CPUs that was."""
    path = tmp_path / "saved.json"
    compare("epoll", "wait=block", *QUICK, "--json", path).ok()
    document = json.loads(path.read_text())
    document["candidates"][1]["argv"].append("--depth=2")
    path.write_text(json.dumps(document))
    compare("--more", path, "--rounds", 1, "--json", path).ok()
    trials = json.loads(path.read_text())["trials"][-3:]
    depths = {t["candidate"]: t["result"]["options"]["load"]["depth"] for t in trials
              if not t["missing"]}
    assert depths and depths.items() <= {0: 1, 1: 2}.items()


def test_another_command_s_runs_are_not_gone_on_with(compare, saved):
    document = json.loads(saved.read_text())
    document["candidates"][1]["name"] = "another"
    saved.write_text(json.dumps(document))
    compare("--more", saved).failed(1, "asks for other candidates here than then")
    del document["command"]
    saved.write_text(json.dumps(document))
    compare("--more", saved).failed(1, "does not say what it was asked for with")


def test_saved_runs_are_candidates(compare, saved):
    fast = json.loads(saved.read_text())["candidates"][1]["name"]
    result = compare(saved, f"{saved}#{fast}").ok()
    assert re.search(r"B is 100.0 % faster than A \[100.0, 100.0\]\.", result.out), str(result)
    assert result.out.count("was measured at another time") == 2
    mixed = compare(saved, fast, "--rounds", 12).ok()
    assert f"{ROUNDS} rounds of 3 runs" in mixed.out
    assert mixed.out.count("was measured at another time") == 1
    compare(saved, f"{saved}#nobody").failed(2, 'has no candidate "nobody"')


def hosted(tmp_path, name, **host):
    text = json.dumps({**GOOD, "host": {"kernel": "6.1", "load_average": len(name), **host}})
    return f"bin:{script(tmp_path, name, f'print({text!r})')}"


def test_results_of_unlike_machines_are_refused(compare, tmp_path):
    here, there = hosted(tmp_path, "here"), hosted(tmp_path, "there", kernel="5.10")
    compare(here, there, "--rounds", ROUNDS).failed(
        2, 'another kind of machine .host.kernel: "(6.1|5.10)" and "(5.10|6.1)"', "--unlike")
    path = tmp_path / "unlike.json"
    result = compare(here, there, "--rounds", ROUNDS, "--unlike", "--json", path, "--output", "-")
    assert "against the baseline: host.kernel 5.10, not 6.1" in " ".join(result.ok().out.split())
    difference = {"key": "host.kernel", "baseline": "6.1", "other": "5.10"}
    assert json.loads(path.read_text())["environments"] == [
        {"name": there, "differences": [difference]}]


def test_what_differs_is_listed_where_machines_are_alike(compare, tmp_path):
    here, there = hosted(tmp_path, "here"), hosted(tmp_path, "there", clocksource="hpet")
    out = " ".join(compare(here, there, "--rounds", ROUNDS).ok().out.split())
    assert "against the baseline: host.clocksource hpet, not n/a" in out


def test_what_is_no_file_is_not_waited_for(compare, tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    os.mkdir(tmp_path / "folder.json")
    for args in ((tmp_path / "pipe.json", "epoll"), ("--more", tmp_path / "pipe.json")):
        compare(*args).failed(1, "pipe.json: it is no regular file")
    for args in ((tmp_path / "folder.json", "epoll"), ("--more", tmp_path)):
        compare(*args).failed(1, "cannot read .*: Is a directory")


def test_a_saved_candidate_may_have_any_name(compare, tmp_path):
    path = tmp_path / "saved.json"
    compare("epoll", "wait=block", *QUICK, "--json", path).ok()
    saved = json.loads(path.read_text())
    result = document(compare, tmp_path, path, f"{path}#wait=block")
    for metric in METRICS:
        medians = [c["metrics"][metric]["median"] for c in result["comparison"]]
        assert medians == [c["metrics"][metric]["median"] for c in saved["comparison"]]


def test_more_rounds_than_there_can_be_are_refused(compare, saved):
    compare("--more", saved, "--rounds", 500).failed(2, f"{saved}: with the {ROUNDS} rounds")
    document = json.loads(saved.read_text())
    for trial in document["trials"]:
        trial["round"] += 5
    saved.write_text(json.dumps(document))
    compare("--more", saved, "--rounds", 1).failed(1, f"{saved}: its trials are not round by round")


BROKEN = [
    ("nonsense", "'.' or '.' expected"),
    ('{"format": "x"}', '"format" is neither'),
    ('{"format": "pingpong-experiment", "format_version": 99}', "take a newer one"),
    ('{"format": "pingpong-experiment", "format_version": 1}', '"candidates" is no list'),
    ('{"format": "pingpong-result"}', '"round_trips_per_s" is no rate'),
]
TRIAL = {"candidate": 0, "round": 0, "twin": False, "result": GOOD}
BROKEN += [
    (json.dumps({"format": "pingpong-experiment", "format_version": 1, "seed": 1,
                 "candidates": [{"name": "a"}], "trials": trials}), says)
    for trials, says in [
        ([], 'no "trials"'),
        ([{**TRIAL, "candidate": 1}], "of this experiment"),
        ([{**TRIAL, "candidate": -1}], "of this experiment"),
        ([{**TRIAL, "round": 500}], "of this experiment"),
        ([{**TRIAL, "round": 1e9}], "of this experiment"),
        ([TRIAL, TRIAL], "of the same candidate and round"),
        ([{**TRIAL, "result": {"format": "x"}}], '"format" is not'),
    ]
]


@pytest.mark.parametrize("text, says", BROKEN)
def test_what_was_saved_and_cannot_be_is_refused(compare, tmp_path, text, says):
    path = tmp_path / "broken.json"
    path.write_text(text)
    compare("--more", path).failed(1, f"{path}: ", says)
    compare(path, "epoll").failed(1, f"{path}: ", says)


# ---- what is said ------------------------------------------------------------------------------


def slow_and_fast(tmp_path):
    """Two programs that print what they are told: one makes twice as many round trips."""
    programs = []
    for name, rate in (("slow", 1000), ("fast", 2000)):
        text = json.dumps({**GOOD, "round_trips_per_s": rate})
        programs.append(f"bin:{script(tmp_path, name, f'print({text!r})')}")
    return programs


def test_twice_as_fast_is_said_in_a_sentence(compare, tmp_path):
    slow, fast = slow_and_fast(tmp_path)
    result = compare(slow, fast, "--rounds", ROUNDS, "-q")
    assert "is 100.0 % faster than" in result.ok().out and "[100.0, 100.0]" in result.out


def test_a_condition_that_is_surely_met_is_status_3(compare, tmp_path):
    slow, fast = slow_and_fast(tmp_path)
    rounds = ("--rounds", ROUNDS)
    compare(fast, slow, *rounds, "-q", "--fail-if", "rate<-3%").failed(3, "rate<-3%", "-50.0 %")
    compare(fast, slow, *rounds, "-q", "--fail-if", "rate>3%", "rate<-60%").ok()
    unknown = compare(fast, slow, *rounds, "-q", "--fail-if", "p99>3%")
    assert unknown.status == 0 and "cannot be told" in unknown.err, str(unknown)


@pytest.mark.parametrize("condition", ["rate<-100%", "cpu<-200%", "p99>-100%"])
def test_a_condition_that_no_change_decides_is_refused(compare, condition):
    compare("epoll", "wait=block", *QUICK, "--fail-if", condition).failed(2, "met never or always")


def test_csv_has_a_row_for_each_candidate_and_metric(compare, tmp_path):
    slow, fast = slow_and_fast(tmp_path)
    result = compare(slow, fast, "--rounds", ROUNDS, "--csv")
    rows = list(csv.DictReader(io.StringIO(result.ok().out)))
    assert [(r["candidate"], r["metric"]) for r in rows] == [
        (name, metric) for name in (slow, fast) for metric in METRICS]
    assert (rows[5]["median"], rows[5]["ratio"], rows[5]["verdict"]) == ("2000", "2", "better")


def test_markdown_is_a_table(compare, tmp_path):
    slow, fast = slow_and_fast(tmp_path)
    lines = compare(slow, fast, "--rounds", ROUNDS, "--markdown").ok().lines
    assert [line.count("|") for line in lines[:4]] == [6, 6, 6, 6]
    assert "2,000 (+100.0 % [+100.0, +100.0], faster)" in lines[3]


def test_who_reads_no_json_any_more_is_told_of_the_pipe(pingpong, tmp_path):
    slow, fast = slow_and_fast(tmp_path)
    command = f"{pingpong.path} compare {slow} {fast} --rounds {ROUNDS} --json | true"
    shell = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True,
                           timeout=pingpong.timeout_s, check=False)
    assert shell.returncode == 1 and "memory" not in shell.stderr, shell.stderr


def test_it_finds_itself_where_there_is_no_proc(pingpong):
    if pingpong.sanitizer:
        pytest.skip("a sanitizer needs /proc")
    prefix = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a mount namespace cannot be had here")
    shown = subprocess.run([*prefix, pingpong.path, "compare", "epoll", "wait=block", "--rounds",
                            str(ROUNDS), "-n", "100", "-q"], capture_output=True, text=True,
                           timeout=pingpong.timeout_s, check=False)
    assert shown.returncode == 0 and "epoll" in shown.stdout, shown.stderr


# ---- signals -----------------------------------------------------------------------------------


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_what_is_complete_and_leaves_nothing_running(pingpong, tmp_path, number):
    log, path = tmp_path / "log", tmp_path / "experiment.json"
    with pingpong.spawn("compare", "epoll", "wait=block", "--rounds", "500", "-n", "100",
                        "--before", f"echo >> {log}", "--json", path, free_port=False) as running:
        wait_until(lambda: log.exists() and len(log.read_text()) > 3, "no trials")
        children = wait_until(lambda: children_of(running.pid), "no trial runs")
        result = running.interrupt(number)
    assert result.status == 128 + number, str(result)
    assert "PARTIAL: interrupted" in result.out
    wait_until(lambda: not any(os.path.exists(f"/proc/{child}") for child in children),
               "a trial goes on")
    experiment = json.loads(path.read_text())
    assert experiment["signal"] == number
    assert 3 <= len(experiment["trials"]) < 1500 and len(experiment["trials"]) % 3 == 0


def test_a_kill_leaves_no_trial_behind(pingpong):
    with pingpong.spawn("compare", "epoll", "wait=block", "-t", "100",
                        free_port=False) as running:
        children = wait_until(lambda: children_of(running.pid), "no trial runs")
        time.sleep(0.1)
        running.send(signal.SIGKILL).finish()
    wait_until(lambda: not any(os.path.exists(f"/proc/{child}") for child in children),
               "a trial goes on")
