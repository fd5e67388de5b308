"""What makes a result doubtful is said, each reason provoked; and a quiet run is VALID."""

import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import peers
import pytest
import truth
from driver import wait_until
from results import (
    MACHINE,
    Measured,
    measured,
    measured_client,
    measured_quietly,
    measured_until,
)

ROOT = Path(__file__).resolve().parents[2]
SUPPORTED = ("--percentiles", "50")  # 20 samples are enough
TRIES = 10


def every(number, what):
    """A script that answers each message, and does what() before each so many."""

    def change(count, message):
        if count % number == number - 1:
            what()
        return message

    return peers.altered(5, change)


def silent(connection):
    while connection.receive():
        pass


# ---- VALID --------------------------------------------------------------------------------------


QUIET = {"one": (), "some": ("-c", "4", "--think", "200us"), "rate": ("-R", "5000")}


@pytest.mark.parametrize("load", QUIET)
def test_a_quiet_run_is_valid(pingpong, engine, tmp_path, load):
    """What only the machine is to blame for is tried again; anything else is a defect. A schedule
    is at the mercy of the machine, too."""
    excused = MACHINE | {"rate_missed", "not_kept_up"} if load == "rate" else MACHINE
    for _ in range(TRIES):
        result = measured(pingpong, tmp_path, "-n", "10100", "--engine", engine, *QUIET[load])
        if not result.faults:
            break
        assert result.faults <= excused, str(result)
    else:
        pytest.skip("this machine is never quiet")
    assert result.level == "VALID", str(result)
    result.text.find(r"^10,100 round trips, every byte checked · VALID$")
    assert result.text.err == "", str(result)


def test_a_run_that_spins_with_nothing_to_do_is_not_called_saturated(pingpong, tmp_path):
    with peers.Server(every(1, lambda: time.sleep(0.002))) as server:
        args = ("--wait", "spin", "-n", "100", *SUPPORTED)
        result = measured_client(pingpong, tmp_path, server, *args)
    assert result.faults <= MACHINE, str(result)


# ---- INVALID ------------------------------------------------------------------------------------


def is_invalid(result, name, *patterns):
    """For that reason first of all."""
    text = result.has_reason(name, "INVALID")
    assert result.level == "INVALID", str(result)
    assert result["verdict"]["reasons"][0]["id"] == name, str(result)
    for pattern in patterns:
        assert re.search(pattern, text), str(result)


def test_a_rate_that_cannot_be_held_is_invalid(pingpong, engine, tmp_path):
    args = ("-R", "100M", "-t", "200ms", "--engine", engine, *SUPPORTED)
    result = measured(pingpong, tmp_path, *args)
    is_invalid(result, "rate_missed", r"^RATE NOT HELD: 100,000,000 messages/s")
    measured(pingpong, tmp_path, *args, "--strict", status=3)


def test_a_connection_that_breaks_is_invalid(pingpong, engine, tmp_path):
    def script(connection):
        for number, message in enumerate(connection.messages(5)):
            if number == 50:
                return  # hangs up on the 51st message
            connection.send(message)

    with peers.Server(script) as server:
        args = ("-n", "300", "--engine", engine)
        result = measured_client(pingpong, tmp_path, server, *args, status=1)
    is_invalid(result, "errors", r"^messages failed: 1; connections broke: 1$")
    assert (result["counts"]["received"], result["counts"]["errors"]) == (50, 1), str(result)


def test_a_wrong_answer_is_invalid(pingpong, engine, tmp_path):
    change = lambda number, message: b"PONG\n" if number == 50 else message
    with peers.Server(peers.altered(5, change)) as server:
        args = ("-n", "300", "--engine", engine)
        result = measured_client(pingpong, tmp_path, server, *args, status=5)
    is_invalid(result, "errors", "an answer was wrong")


def test_a_server_that_never_answers_is_invalid(pingpong, engine, tmp_path):
    with peers.Server(silent) as server:
        args = ("-t", "100ms", "--engine", engine)
        for strict in (), ("--strict",):
            result = measured_client(pingpong, tmp_path, server, *args, *strict, status=1)
            is_invalid(result, "no_round_trips")
            assert result.text.err.count("\n") == 1, str(result)
            assert "not a byte came" in result.text.err, str(result)


def falls_silent(only=None):
    """A script that echoes five messages, and answers no more; only: on the connection of that
    number."""
    numbers = itertools.count()

    def script(connection):
        number = next(numbers)
        for count, message in enumerate(connection.messages(5)):
            if count >= 5 and only in (None, number):
                return silent(connection)
            connection.send(message)
        return None

    return script


def stalls_once(number, seconds):
    """A script that stands still for so long before that message, on the second connection."""
    connections = itertools.count()

    def script(connection):
        stalls = next(connections) == 1
        for count, message in enumerate(connection.messages(5)):
            if stalls and count == number:
                time.sleep(seconds)
            connection.send(message)

    return script


@pytest.mark.parametrize("number", [100, 256])
def test_a_thread_that_alone_is_behind_is_judged_with_the_others_wherever_it_was(
    pingpong, engine, tmp_path, number
):
    args = ("-R", 400, "-t", "2s", "-w", 0, "-c", 2, "-T", 2, "-D", 1, "--engine", engine)

    def measure():
        with peers.Server(stalls_once(number, 0.72)) as server:
            return measured_client(pingpong, tmp_path, server, *args)

    result = measured_quietly(lambda result: "rate_missed" not in result.reasons, measure)
    assert result["schedule"]["unsent"] == 0, str(result)
    assert "rate_missed" not in result.reasons, str(result)
    assert result["response"]["mean_ns"] >= 50e6, str(result)


SILENCES = {
    "open loop": (None, "-R", "1000"),
    "closed loop": (None,),
    "one of four": (2, "-c", "4", "-T", "2"),
}


@pytest.mark.parametrize("load", SILENCES)
def test_a_server_that_falls_silent_before_the_end_is_invalid(pingpong, engine, tmp_path, load):
    only, *args = SILENCES[load]
    args = ("-t", "800ms", "-w", "0", "--engine", engine, *args, *SUPPORTED)
    with peers.Server(falls_silent(only)) as server:
        result = measured_client(pingpong, tmp_path, server, *args)
    text = result.has_reason("unanswered", "INVALID")
    assert re.match(r"messages unanswered at the end: \d+, the oldest for [\d,]+ \u00b5s;", text), text
    assert result.level == "INVALID", str(result)
    counts = result["counts"]
    assert counts["in_flight"] >= 1 and counts["received"] > 0, str(result)
    assert counts["in_flight_oldest_ns"] > result["worst"]["ns"] + 80_000_000, str(result)
    with peers.Server(falls_silent(only)) as server:
        strict = measured_client(pingpong, tmp_path, server, *args, "--strict", status=3)
    assert "--strict" in strict.text.err, str(strict)


def test_a_run_that_is_given_up_says_what_has_no_answer(pingpong, tmp_path):
    with peers.Server(falls_silent()) as server:
        result = measured_client(pingpong, tmp_path, server, "-n", "1000G", *SUPPORTED, status=1)
    is_invalid(result, "unanswered", "^messages unanswered at the end: 1, ")
    result.has_reason("partial", "SUSPECT")
    waited_ns = result["counts"]["in_flight_oldest_ns"]
    assert 9_900_000_000 < waited_ns < result["duration_ns"], str(result)


def test_messages_under_way_at_the_end_are_nothing_unusual(pingpong, engine, tmp_path):
    """Unless the machine stood still just then, which is tried again."""
    args = ("-c", "4", "-D", "4", "-t", "300ms", "--engine", engine)
    for _ in range(TRIES):
        result = measured(pingpong, tmp_path, *args)
        if result["counts"]["in_flight"] and "unanswered" not in result.reasons:
            return
    pytest.fail(str(result))


def test_a_run_that_is_interrupted_before_it_measures_is_invalid(pingpong, tmp_path):
    """Where responses have sizes of their own, each connection waits for the server's consent."""
    file = tmp_path / "result.json"
    with peers.Server(silent) as server:
        args = ("client", server.target, "--no-hello", "-m", "64,128", "-J", file)
        with pingpong.spawn(*args, free_port=False) as run:
            wait_until(lambda: server.bytes, "no connection asked for consent")
            result = Measured(run.interrupt(), file)
    assert result.status == 130, str(result)
    is_invalid(result, "no_round_trips")


# ---- SUSPECT ------------------------------------------------------------------------------------


def is_suspect(result, name, *patterns):
    """What the machine alone is to blame for may make it worse."""
    text = result.has_reason(name, "SUSPECT")
    assert result.level != "VALID" and result.invalid <= MACHINE, str(result)
    for pattern in patterns:
        assert re.search(pattern, text), str(result)


def test_too_few_samples_for_the_percentiles_are_suspect(pingpong, engine, tmp_path):
    args = ("-n", "500", "--engine", engine)
    few = (*args, "--percentiles", "99")
    is_suspect(measured(pingpong, tmp_path, *few), "few_samples", r"^too few samples \(500\)")
    for enough in ("--percentiles", "98"), ():  # nobody asked for p99
        result = measured(pingpong, tmp_path, *args, *enough)
        assert "few_samples" not in result.reasons, str(result)
    assert measured(pingpong, tmp_path, *few, "--strict").level == "SUSPECT"


def test_strict_may_ask_for_more_than_not_invalid(pingpong):
    few = ("-n", 500, "--percentiles", "99.9")
    pingpong(*few, "--strict=suspect").failed(3, "SUSPECT", "--strict")
    pingpong(*few, "--strict", "suspect").failed(3, "SUSPECT", "--strict")


def test_other_programs_on_the_same_cpu_are_suspect(pingpong, engine, tmp_path, cpus):
    busy = ("timeout", "60", "taskset", "-c", str(cpus[0]), sys.executable, "-c", "while True: pass")
    with subprocess.Popen(busy) as hog:
        try:
            args = ("-A", f"{cpus[0]},{cpus[0]}", "-t", "1500ms", "--engine", engine, *SUPPORTED)
            measure = lambda: measured(pingpong, tmp_path, *args)
            result = measured_quietly(lambda result: "others_busy" in result.reasons, measure)
        finally:
            hog.terminate()
    result.has_reason("others_busy", "SUSPECT")
    assert 0.1 < result["disturbance"]["others_share"] <= 1


# Of a part of the time, and says at its end what it had, per second.
HOG = """
import os, sys, time
os.sched_setaffinity(0, {int(cpu) for cpu in sys.argv[1].split(",")})
print(flush=True)
begin = time.monotonic()
while not os.path.exists(sys.argv[2]):
    working = time.monotonic() + 0.03
    while time.monotonic() < working:
        pass
    time.sleep(0.02)
times = os.times()
print((times.user + times.system) / (time.monotonic() - begin))
"""


@contextlib.contextmanager
def part_time_hog(folder, cpus):
    """Yields a function that ends it and returns the share of one CPU that it had."""
    end = folder / "end"
    args = (sys.executable, "-c", HOG, ",".join(map(str, cpus)), end)
    with subprocess.Popen(args, stdout=subprocess.PIPE, text=True) as hog:
        try:
            hog.stdout.readline()

            def share():
                end.touch()
                return float(hog.stdout.readline())

            yield share
        finally:
            hog.kill()


def has_seen(result, share, cpus):
    """At least a third of what it had: ticks are coarse, the work of interrupts is anybody's, and it
    had more before it shared the CPU with what is measured."""
    if result["disturbance"]["others_share"] < share / cpus / 3:
        pytest.fail(f"of {share} of a CPU, {cpus} CPUs:\n{result}")


def test_a_program_that_is_busy_for_a_part_of_the_time_is_seen_on_loopback(
    pingpong, engine, tmp_path, cpus
):
    args = ("-A", f"{cpus[0]},{cpus[0]}", "-t", "2s", "--engine", engine, *SUPPORTED)
    with part_time_hog(tmp_path, cpus[:1]) as hog:
        result = measured(pingpong, tmp_path, *args)
        has_seen(result, hog(), 1)


@pytest.mark.alone
def test_it_is_seen_beside_a_server_of_its_own_too(pingpong, engine, tmp_path):
    with peers.serve(pingpong) as server:
        args = ("client", server.target, "-t", "2s", "--engine", engine, *SUPPORTED)
        measure = lambda: measured(pingpong, tmp_path, *args, free_port=False)
        quiet = measured_quietly(lambda result: "others_busy" not in result.reasons, measure)
        assert quiet["disturbance"]["others_share"] is not None
        assert "others_busy" not in quiet.reasons, str(quiet)
        assert "others_busy" not in quiet["verdict"]["unknown"], str(quiet)
        with part_time_hog(tmp_path, os.sched_getaffinity(0)) as hog:
            result = measure()
            has_seen(result, hog(), os.cpu_count())


@pytest.mark.alone
def test_it_is_seen_by_a_pinned_client_of_a_pinned_server(pingpong, engine, tmp_path, two_cpus):
    near, far = two_cpus
    with peers.serve(pingpong, "-A", far) as server:
        args = ("client", server.target, "-A", near, "-t", "2s", "--engine", engine, *SUPPORTED)
        measure = lambda: measured(pingpong, tmp_path, *args, free_port=False)
        quiet = measured_quietly(lambda result: "others_busy" not in result.reasons, measure)
        assert "others_busy" not in quiet.reasons, str(quiet)
        with part_time_hog(tmp_path, [near]) as hog:
            result = measure()
            has_seen(result, hog(), os.cpu_count())


def test_beside_a_foreign_server_nobody_knows_whose_time_it_is(pingpong, tmp_path):
    with peers.Server() as server:
        result = measured_client(pingpong, tmp_path, server, "-t", "1s", *SUPPORTED)
    assert "others_busy" in result["verdict"]["unknown"], str(result)


def test_less_than_a_second_is_suspect_unless_a_count_was_asked_for(pingpong, engine, tmp_path):
    args = ("--engine", engine, *SUPPORTED)
    result = measured(pingpong, tmp_path, "-t", "300ms", *args)
    result.has_reason("short", "SUSPECT")
    for enough in ("-n", "300"), ("-t", "1s"):
        result = measured(pingpong, tmp_path, *enough, *args)
        assert "short" not in result.reasons, str(result)


def test_too_few_answers_to_tell_how_steady_they_were_are_suspect(pingpong, engine, tmp_path):
    with peers.Server(every(1, lambda: time.sleep(0.05))) as server:
        args = ("-t", "1s", "--engine", engine)
        result = measured_client(pingpong, tmp_path, server, *args)
    text = result.has_reason("short", "SUSPECT")
    assert re.match(r"with \d+ round trips nobody can tell", text), str(result)


def test_what_cannot_be_read_is_unknown_and_no_fault(pingpong, engine, tmp_path, hidden_proc):
    args = ("-t", "1s", "--engine", engine, *SUPPORTED)
    for verbose in (), ("-v",):
        result = measured(pingpong, tmp_path, *args, *verbose, prefix=hidden_proc)
        unknown = result["verdict"]["unknown"]
        assert {"throttled", "starved", "others_busy", "steal"} <= set(unknown), str(result)
        assert not result.faults & set(unknown), str(result)
        words = " ".join(result.text.out.split())
        assert f"not judged, as it is unknown: {', '.join(unknown)}" in words, str(result)


def test_what_is_always_known_is_not_listed_as_unknown(pingpong, tmp_path):
    result = measured(pingpong, tmp_path, "-t", "1s", "-v", *SUPPORTED)
    known = {"accounting", "no_round_trips", "errors", "stopped", "short", "loss"}
    assert not known & set(result["verdict"]["unknown"]), str(result)
    assert "starved" in result["verdict"]["unknown"] or result["disturbance"]["waiting_share"] >= 0


# ---- whose time it was --------------------------------------------------------------------------


def has_reason_by_share(result, name, share):
    """SUSPECT, or INVALID from a quarter of the time, or of a second, on."""
    large = share * result["duration_ns"] >= max(result["duration_ns"], 1e9) / 4
    return result.has_reason(name, "INVALID" if large else "SUSPECT")


def test_two_others_on_the_clients_cpu_starve_it(pingpong, engine, tmp_path, two_cpus):
    client, server = two_cpus
    busy = ("timeout", "60", "taskset", "-c", str(client), sys.executable, "-c", "while True: pass")
    with subprocess.Popen(busy) as one, subprocess.Popen(busy) as two:
        try:
            args = ("-A", f"{client},{server}", "-t", "1500ms", "--wait", "spin", "--engine", engine)
            result = measured(pingpong, tmp_path, *args, *SUPPORTED)
        finally:
            one.terminate()
            two.terminate()
    disturbance = result["disturbance"]
    text = has_reason_by_share(result, "starved", disturbance["starved_share"])
    assert re.match(r"other programs had the CPU of a (client|server) thread", text), str(result)
    assert 0.05 < disturbance["starved_share"] <= disturbance["waiting_share"] <= 1, str(result)


def test_two_others_on_the_cpu_of_the_client_of_a_foreign_server_starve_it(
    pingpong, engine, tmp_path, two_cpus
):
    prefix = ("taskset", "-c", str(two_cpus[0]))
    busy = ("timeout", "60", *prefix, sys.executable, "-c", "while True: pass")
    with peers.Server() as server, subprocess.Popen(busy) as one, subprocess.Popen(busy) as two:
        try:
            args = ("-t", "1500ms", "--wait", "spin", "--engine", engine, *SUPPORTED)
            result = measured_client(pingpong, tmp_path, server, *args, prefix=prefix)
        finally:
            one.terminate()
            two.terminate()
    if "starved" in result["verdict"]["unknown"]:
        pytest.skip("who has the CPU changes too often to tell a server from others")
    text = result.has_reason("starved", "SUSPECT")
    assert text.startswith("other programs, or the server, had the CPU of a client"), str(result)


WAIT_FOR_EACH_OTHER = {
    "both on one CPU": ("-A", "{0},{0}", "--wait", "yield"),
    "both on one CPU, asleep": ("-A", "{0},{0}", "--wait", "block", "-c", "10"),
    "more threads than CPUs": ("-T", "8", "-S", "8", "-c", "16"),
}


@pytest.mark.alone
@pytest.mark.parametrize("load", WAIT_FOR_EACH_OTHER)
def test_our_own_threads_that_wait_for_each_other_are_not_starved(pingpong, tmp_path, cpus, load):
    args = [arg.format(cpus[0]) for arg in WAIT_FOR_EACH_OTHER[load]]
    measure = lambda: measured(pingpong, tmp_path, *args, "-t", "500ms", *SUPPORTED)
    result = measured_quietly(lambda result: "starved" not in result.reasons, measure)
    assert "starved" not in result.reasons, str(result)


def test_a_cpu_quota_that_is_used_up_is_said(pingpong, engine, tmp_path, quota):
    args = ("-t", "1500ms", "--engine", engine, *SUPPORTED)
    result = measured(pingpong, tmp_path, *args, prefix=quota(0.05))
    disturbance = result["disturbance"]
    share = disturbance["throttled_ns"] / result["duration_ns"]
    text = has_reason_by_share(result, "throttled", share)
    assert re.match(r"the CPU quota of the control group was used up [1-9]", text), str(result)
    assert disturbance["throttled"] > 0 and share > 0.01, str(result)
    assert result["host"]["cpu"]["limit_cpus"] == pytest.approx(0.05), str(result)


def test_a_cpu_quota_that_is_not_used_up_is_not_mentioned(pingpong, tmp_path, quota, cpus):
    args = ("-n", "500", "-A", f"{cpus[0]},{cpus[0]}", *SUPPORTED)
    result = measured(pingpong, tmp_path, *args, prefix=quota(4))
    assert "throttled" not in result.reasons, str(result)
    assert result["disturbance"]["throttled"] == 0, str(result)


def test_an_interrupted_run_is_suspect(pingpong, engine, tmp_path):
    with peers.Server() as server:
        enough = lambda: wait_until(lambda: server.bytes > 500, "no messages come")
        args = ("-n", "1000G", "--engine", engine, *SUPPORTED)
        result = measured_until(pingpong, tmp_path, server, enough, *args)
    assert result.status == 130 and result["partial"], str(result)
    result.has_reason("partial", "SUSPECT")  # a moment in which the machine was busy is a tenth of it
    assert result["counts"]["received"] >= 99, str(result)


def test_a_client_that_was_stopped_says_so(pingpong, engine, tmp_path):
    file = tmp_path / "result.json"
    with pingpong.endless("--engine", engine, "--wait", "block", "-J", file) as running:
        running.wait_for_round_trips(100)
        running.send(signal.SIGSTOP)
        wait_until(running.is_stopped, "not stopped")
        time.sleep(0.3)
        running.send(signal.SIGCONT)
        running.wait_for_round_trips(100)
        result = Measured(running.interrupt(), file)
    stopped = result["disturbance"]
    assert stopped["stopped_ns"] >= stopped["stopped_longest_ns"] >= 200e6, str(result)
    share = stopped["stopped_ns"] / result["duration_ns"]
    text = has_reason_by_share(result, "stopped", share)
    assert re.match(r"a client thread stood still for [\d,]+ ms, [\d,]+ ms at once", text), str(result)


def stopped_over_the_end(pingpong, folder, server, *args, after, seconds):
    file = folder / "result.json"
    args = ("client", server.target, "--no-hello", "-w", 0, *args, "-J", file)
    with peers.in_background(pingpong, *args, free_port=False) as running:
        time.sleep(after)
        running.send(signal.SIGSTOP)
        wait_until(running.is_stopped, "not stopped")
        time.sleep(seconds)
        running.send(signal.SIGCONT)
        return Measured(running.finish(), file)


def test_a_client_that_was_stopped_over_the_end_waits_for_what_it_sends_then(
    pingpong, engine, build_folder, tmp_path
):
    args = ("--engine", engine, "-R", 2, "-t", "1900ms")  # due at 0, 0.5, 1 and 1.5 s
    with truth.server(build_folder, tmp_path, "fixed:200000") as server:
        result = stopped_over_the_end(pingpong, tmp_path, server, *args, after=1.4, seconds=2)
    counts = result["counts"]
    assert counts["received"] + counts["drained"] == counts["sent"], str(result)
    assert "unanswered" not in result.reasons, str(result)


def test_intervals_of_a_client_that_was_stopped_over_the_end_are_no_longer_than_it(
    pingpong, engine, build_folder, tmp_path
):
    args = ("--engine", engine, "-t", "1s", "-i", "300ms")
    with truth.server(build_folder, tmp_path, "fixed:1000") as server:
        result = stopped_over_the_end(pingpong, tmp_path, server, *args, after=0.7, seconds=1)
    lengths = [interval["length_ns"] for interval in result["intervals"]]
    assert sum(lengths) <= result["duration_ns"] + 50e6, str(result)


def test_lost_messages_are_suspect(pingpong, engine, tmp_path):
    drop = lambda number, message: [] if number % 10 == 9 else [peers.turned(message)]
    with peers.DatagramServer(drop) as server:
        args = ("-u", "-n", "200", "--engine", engine, *SUPPORTED)
        result = measured_client(pingpong, tmp_path, server, *args)
    is_suspect(result, "loss", r"^\d+ of 200 messages were lost")


def test_a_server_that_becomes_slower_and_slower_is_unsteady(pingpong, engine, tmp_path):
    """It takes 2 ms at first, and twice as long each 400 ms. On a busy machine it takes so long
    from the beginning, which is tried again."""

    def becomes_slower():
        begin = time.monotonic()
        return lambda: time.sleep(0.002 * 2 ** ((time.monotonic() - begin) / 0.4))

    def measure():
        with peers.Server(every(1, becomes_slower())) as server:
            args = ("-t", "2s", "--engine", engine, *SUPPORTED)
            return measured_client(pingpong, tmp_path, server, *args)

    result = measured_quietly(lambda result: "unsteady" in result.reasons, measure)
    ways = "fell from|went from|went to and fro between"
    figures = r"[\d,]+ (to|and) [\d,]+ roundtrips/s"
    is_suspect(result, "unsteady", rf"^the rate ({ways}) {figures}")
    course = result["disturbance"]["course"]
    falls = course["to"] < course["from"] or course["shape"] == "levels"
    assert course["of"] == "round_trips_per_s" and falls, str(result)


def test_an_open_loop_whose_answers_become_slower_is_unsteady(pingpong, engine, tmp_path):
    """The rate stays what it is: each answer takes 1 ms, and nine times as long in the end."""

    def becomes_slower():
        begin = time.monotonic()
        return lambda: time.sleep(0.001 if time.monotonic() - begin < 1 else 0.009)

    def measure():
        with peers.Server(lambda connection: every(1, becomes_slower())(connection)) as server:
            args = ("-t", "1500ms", "-R", "200", "-c", "8", "--engine", engine, *SUPPORTED)
            return measured_client(pingpong, tmp_path, server, *args)

    result = measured_quietly(lambda result: "unsteady" in result.reasons, measure)
    text = result.has_reason("unsteady", "SUSPECT")
    ways = "went from|rose from|went to and fro between"  # the machine may add to either part
    assert re.match(rf"the mean latency ({ways}) [\d,.]+ (to|and) [\d,.]+ \u00b5s", text), text
    course = result["disturbance"]["course"]
    assert course["of"] == "latency_ns" and course["from"] < course["to"], str(result)


def test_to_wait_for_an_answer_that_never_comes_is_no_change(pingpong, engine, tmp_path):
    """After the time is over the client waits for another second."""

    def script(connection):
        begin = time.monotonic()
        for message in connection.messages(5):
            if time.monotonic() - begin > 1.4:
                return silent(connection)
            time.sleep(0.02)
            connection.send(message)
        return None

    with peers.Server(script) as server:
        args = ("-t", "1500ms", "--engine", engine, *SUPPORTED)
        result = measured_client(pingpong, tmp_path, server, *args)
    assert result["counts"]["in_flight"] == 1, str(result)
    assert "unsteady" not in result.reasons, str(result)


@pytest.fixture
def favoured():
    """The command in front of a run that nobody takes the CPU from."""
    nice = shutil.which("nice")
    if not nice or os.geteuid() != 0:
        pytest.skip("only root may favour a process, and without that a CPU is shared")
    return nice, "-n", "-20"


def test_a_client_that_is_the_bottleneck_is_suspect(pingpong, engine, tmp_path, two_cpus, favoured):
    """The server echoes thousands of messages at once, and the client looks at each."""
    cpus = ",".join(map(str, two_cpus))
    args = ("-c", "16", "-D", "16k", "-t", "500ms", "--wait", "block", "-A", cpus)
    for _ in range(TRIES):
        result = measured(pingpong, tmp_path, *args, "--engine", engine, prefix=favoured)
        if result["costs"]["client_busy_share"] > 0.951:
            break
    else:
        pytest.skip("no CPU of this machine is all the client's")
    is_suspect(result, "client_saturated", r"busy for (9\d|100) %")


# ---- stalls -------------------------------------------------------------------------------------


def test_a_stall_that_a_closed_loop_hides_is_named(pingpong, engine, tmp_path):
    def measure():
        with peers.Server(every(1000, lambda: time.sleep(0.1))) as server:
            args = ("-n", "1500", "--percentiles", "50,99", "--engine", engine)
            return measured_client(pingpong, tmp_path, server, *args)

    result = measured_quietly(lambda result: "stall_hidden" in result.reasons, measure)
    is_suspect(result, "stall_hidden", r"^\d+ % of the time went into stalls, \d+ of more than ")
    assert result["hidden_stalls"]["matters"], str(result)


# ---- what stands elsewhere ----------------------------------------------------------------------


def test_who_reads_no_text_is_told_of_faults_on_stderr(pingpong):
    result = pingpong("-n", "500", "--percentiles", "99", "-J", "-")
    assert result.status == 0 and "pingpong: SUSPECT: too few samples (500)" in result.err, str(result)


def test_the_method_explains_every_reason():
    names = re.findall(
        r'\[PP_REASON_\w+\] = \{ "(\w+)"', (ROOT / "src/result/verdict.c").read_text("utf-8")
    )
    method = (ROOT / "docs/METHOD.md").read_text("utf-8")
    assert len(names) >= 16
    assert [name for name in names if f"| `{name}` |" not in method] == []
