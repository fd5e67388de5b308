"""Junk and what it gets: each row of the table in docs/METHOD.md is produced for real, and so is
what must not be taken for junk."""

import itertools
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import hosts
import peers
import pytest
import truth
from driver import wait_until
from results import Measured, measured, measured_client, measured_quietly
from test_refused_engines import rings
from test_verdict import has_seen, part_time_hog

METHOD = Path(__file__).resolve().parents[2] / "docs/METHOD.md"
MS = 1_000_000  # ns
ROWS = {}


def row(number):
    """Says which row of the table a function produces."""

    def add(function):
        assert number not in ROWS, function
        ROWS[number] = function
        return function

    return add


class Lab:
    """Where junk is made. notes: of the last server."""

    def __init__(self, request, pingpong, build_folder, folder):
        self.request = request
        self.pingpong = pingpong
        self.build_folder = build_folder
        self.folder = folder
        self.notes = []

    def need(self, fixture):
        return self.request.getfixturevalue(fixture)

    def run(self, *args, **options):
        return measured(self.pingpong, self.folder, *args, **options)

    def ask(self, service, *args, message_bytes=5, **options):
        """A result for a server of tests/truth."""
        place = (self.build_folder, self.folder, service, message_bytes)
        with truth.server(*place) as server:
            result = measured_client(self.pingpong, self.folder, server, *args, **options)
        self.notes = server.notes()
        return result

    def ask_script(self, script, *args, **options):
        with peers.Server(script) as server:
            return measured_client(self.pingpong, self.folder, server, *args, **options)

    def until(self, is_right, measure):
        """What the machine may add to is tried again."""
        result = measured_quietly(is_right, measure)
        assert is_right(result), str(result)
        return result


@pytest.fixture
def lab(request, pingpong, build_folder, tmp_path):
    if pingpong.sanitizer:
        pytest.skip("a sanitizer is a good part of each time")
    return Lab(request, pingpong, build_folder, tmp_path)


def of_two_levels(result, name):
    """SUSPECT or INVALID, by its size."""
    assert name in result.reasons, str(result)
    return result.has_reason(name, result.reasons[name]["level"])


@row(1)
def slow_datagrams(lab):
    result = lab.ask("bimodal:1000,100000,0.05", "-u", "-D", 16, "-n", 2000)
    counts = result["counts"]
    assert counts["received"] == 2000 and counts["lost"] == counts["strays"] == 0, str(result)
    assert result["rtt"]["max_ns"] >= 100 * MS and "loss" not in result.reasons, str(result)
    assert result.percentile(99) >= truth.quantile(truth.kept_ns(lab.notes), 99) >= 99 * MS


@row(2)
def datagrams_that_take_more_than_a_second(lab):
    result = lab.ask("fixed:1200000", "-u", "-D", 16, "-n", 32)
    counts = result["counts"]
    assert counts["received"] == 32 and counts["lost"] == counts["strays"] == 0, str(result)
    assert result["rtt"]["min_ns"] >= 1200 * MS, str(result)


@row(3)
def stall_of_datagrams(lab):
    """From 0.2 to 0.7 s; it keeps its depth meanwhile, but for one now and then."""
    args = ("freezing:1000,500000,700000", "-u", "-D", 64, "-w", 0, "-t", "850ms")
    is_seen = lambda result: result["rtt"]["max_ns"] >= 490 * MS
    result = lab.until(is_seen, lambda: lab.ask(*args))
    counts = result["counts"]
    assert counts["lost"] == counts["strays"] == 0, str(result)
    stalled = sum(kept >= 400 * MS for kept in truth.kept_ns(lab.notes))
    assert stalled <= 80 and "loss" not in result.reasons, f"{stalled} of {result}"


@row(4)
def one_connection_at_a_time(lab):
    turn = threading.Lock()

    def script(connection):
        connection.sock.recv(1, peers.socket.MSG_PEEK)
        with turn:
            peers.echo(connection)

    result = lab.ask_script(script, "-c", 2, "-w", "100ms", "-t", "1s")
    result.has_reason("unanswered", "INVALID")
    counts = result["counts"]
    assert counts["in_flight"] - counts["drained"] >= 1, str(result)
    assert counts["in_flight_oldest_ns"] >= 1000 * MS, str(result)


@row(5)
def stall_across_the_border(lab):
    """The warm-up is given up a second after its end, and the answer comes in the measurement."""
    script = peers.delayed(lambda number: 1.9 if number == 10 else 0.01)
    result = lab.ask_script(script, "-w", "300ms", "-t", "1s")
    assert result["rtt"]["max_ns"] >= 1900 * MS, str(result)
    assert result["worst"]["ns"] == result["rtt"]["max_ns"], str(result)


def as_the_notes_say(lab, result):
    """Nothing is missing, so that the mean is not below the notes'."""
    counts, kept = result["counts"], truth.kept_ns(lab.notes)
    assert counts["drained"] == counts["in_flight"] > 0, str(result)
    assert result["rtt"]["samples"] == len(kept) == counts["sent"], str(result)
    assert result["rtt"]["mean_ns"] + 1 >= sum(kept) / len(kept), str(result)
    assert result["rtt"]["max_ns"] >= max(kept), str(result)


@row(6)
def many_in_flight_at_the_end(lab):
    """Of 2,000 messages some 200 wait before the server. They are the slowest of all."""
    result = lab.ask("queue:1100", "-R", 1000, "-w", 0, "-t", "2s")
    as_the_notes_say(lab, result)
    assert result["counts"]["drained"] >= 100, str(result)
    kept = truth.kept_ns(lab.notes)
    assert result.percentile(99) >= truth.quantile(kept, 99) >= 150 * MS, str(result)


@row(34)
def server_that_dies(lab):
    def script(connection):
        for count, message in enumerate(connection.messages(5)):
            if count < 900:
                connection.send(message)

    result = lab.ask_script(script, "-R", 1000, "-w", 0, "-t", "1s")
    result.has_reason("unanswered", "INVALID")
    counts = result["counts"]
    assert (counts["received"], counts["sent"]) == (900, 1000), str(result)


@row(7)
def exponential_answers_in_the_drain(lab):
    as_the_notes_say(lab, lab.ask("exponential:200000", "-c", 32, "-w", 0, "-t", "1s"))


@row(8)
def slow_answers_in_the_drain(lab):
    result = lab.ask("bimodal:1000,900000,0.1", "-u", "-R", 500, "-w", 0, "-t", "1s")
    as_the_notes_say(lab, result)
    assert result["rtt"]["mean_ns"] >= 50 * MS, str(result)


@row(9)
def one_schedule_for_all(lab):
    """The distance is 10 ms; half of a hundred neighbours had distances of 0 or 20."""

    def is_even(_):
        times = sorted(note.read_ns for note in lab.notes)
        gaps = [b - a for a, b in itertools.pairwise(times)]
        return 9 * MS < truth.quantile(gaps, 10) and truth.quantile(gaps, 90) < 11 * MS

    args = ("-T", 3, "-c", 5, "-R", 100, "-n", 100)
    lab.until(is_even, lambda: lab.ask("fixed:0", *args))


@row(10)
def rate_of_a_count(lab):
    result = lab.run("-n", 3, "-R", 10)
    assert result["round_trips_per_s"] <= 10, str(result)


@row(11)
def spin_in_the_drain(lab):
    """Slow answers are awaited for almost a second, in which the client spins at no cost."""

    def measure():
        return lab.ask("bimodal:1000,900000,0.1", "-c", 8, "-w", 0, "-t", "1s", "--wait", "spin")

    result = lab.until(lambda result: result["counts"]["drained"] > 0, measure)
    client = result["costs"]["client"]
    told = client["cpu_user_ns"] + client["cpu_system_ns"]
    assert told <= result["duration_ns"] + 30 * MS, str(result)


@row(12)
def falling_rate(lab):
    """To a twentieth. No rate falls by more than all of it."""

    def measure():
        return lab.ask("drifting:2000,20000", "-c", 4, "-w", 0, "-t", "2s")

    result = lab.until(lambda result: "unsteady" in result.reasons, measure)
    text = result.has_reason("unsteady", "SUSPECT")
    assert "%" not in text and "e+" not in result.text.out, text
    course = result["disturbance"]["course"]
    assert course["from"] > 0 and course["to"] > 0, str(result)


@row(13)
def stopped_client(lab):
    file = lab.folder / "result.json"
    args = ("-R", 1000, "-t", "2s", "--percentiles", "50,99", "-J", file)
    with peers.in_background(lab.pingpong, *args) as running:
        time.sleep(0.7)
        running.send(signal.SIGSTOP)
        wait_until(running.is_stopped, "not stopped")
        time.sleep(1)
        running.send(signal.SIGCONT)
        result = Measured(running.finish(), file)
    result.has_reason("stopped", "INVALID")
    assert result["disturbance"]["stopped_longest_ns"] >= 950 * MS, str(result)


@row(14)
def quota(lab):
    result = lab.run("-t", "1500ms", prefix=lab.need("quota")(0.05))
    of_two_levels(result, "throttled")


def hogs(count, cpu):
    """Threads that need all of a CPU, as processes of a context."""
    code = "print(flush=True)\nwhile True: pass"
    command = ("timeout", "60", "taskset", "-c", str(cpu), sys.executable, "-c", code)
    stack = hosts.contextlib.ExitStack()
    for _ in range(count):
        hog = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
        stack.callback(hog.terminate)
        hog.stdout.readline()  # it is busy now
    return stack


@row(15)
def hogs_on_the_clients_cpu(lab):
    client, server = lab.need("two_cpus")
    with hogs(2, client):
        args = ("-A", f"{client},{server}", "--wait", "spin", "-R", 2000, "-t", "1500ms")
        result = lab.run(*args)
    of_two_levels(result, "starved")


@row(16)
def hog_on_the_cpu_of_both(lab):
    cpu = lab.need("cpus")[0]
    with hogs(1, cpu):
        result = lab.run("-A", f"{cpu},{cpu}", "-t", "1500ms")
    assert {"others_busy", "starved"} & result.faults, str(result)


@row(17)
def overloaded_server(lab):
    """5,000/s is what it can do, on a machine that lets it."""
    for transport in (), ("-u",):
        args = ("queue:200", "-R", 5500, "-c", 8, "-w", 0, "-t", "2s", *transport)
        is_seen = lambda result: "not_kept_up" in result.reasons
        result = lab.until(is_seen, lambda args=args: lab.ask(*args, message_bytes=5))
        result.has_reason("not_kept_up", "INVALID")


@row(18)
def hiccup_at_the_end(lab):
    """20 or 400 ms, of which half lies within the time."""
    for pause_us, until_us in (20_000, 1_010_000), (400_000, 1_200_000):
        longest = lambda result: result["response"]["max_ns"] / 1000
        is_no_miss = lambda result, pause_us=pause_us: (
            not {"rate_missed", "not_kept_up"} & result.faults and longest(result) >= 0.9 * pause_us)
        args = (f"freezing:100,{pause_us},{until_us}", "-R", 2000, "-w", 0, "-t", "1s")
        result = lab.until(is_no_miss, lambda args=args: lab.ask(*args))
        assert result["counts"]["sent"] == 2000, str(result)
        assert longest(result) >= 0.9 * pause_us, str(result)


@row(19)
def stable_queue(lab):
    def measure():
        seed = next(seeds)
        args = ("-R", 780, "--arrivals", "poisson", "--seed", seed, "-D", 1, "-w", 0, "-t", "2s")
        return lab.ask("queue:950", *args)

    seeds = itertools.count(1)
    is_right = lambda result: not {"rate_missed", "not_kept_up"} & result.faults
    for _ in range(2):
        assert lab.until(is_right, measure)["response"]["max_ns"] >= 3 * MS


@row(20)
def step_in_the_last_quarter(lab):
    measure = lambda: lab.ask("halving:1000,1.5", "-c", 2, "-w", 0, "-t", "2s")
    result = lab.until(lambda result: "unsteady" in result.reasons, measure)
    assert "the rate " in result.has_reason("unsteady", "SUSPECT"), str(result)


@row(21)
def latency_nine_times_as_long(lab):
    args = ("-R", 400, "-w", 0, "-t", "2s")
    measure = lambda: lab.ask("flapping:1000,9000,1200000", *args)
    result = lab.until(lambda result: "unsteady" in result.reasons, measure)
    assert "the mean latency " in result.has_reason("unsteady", "SUSPECT"), str(result)


@row(22)
def flapping(lab):
    measure = lambda: lab.ask("flapping:1000,3000,200000", "-c", 2, "-w", 0, "-t", "2s")
    result = lab.until(lambda result: "unsteady" in result.reasons, measure)
    result.has_reason("unsteady", "SUSPECT")


@row(23)
def frozen_most_of_the_time(lab):
    measure = lambda: lab.ask("freezing:0,50000,66000", "-w", 0, "-t", "2s")
    result = lab.until(lambda result: "stall_hidden" in result.reasons, measure)
    result.has_reason("stall_hidden", "SUSPECT")
    assert result["stalls"]["time_share"] >= 0.5, str(result)
    at = next(p for p in result["hidden_stalls"]["percentiles"] if p["percentile"] == 99)
    assert at["corrected_ns"] >= 40 * MS, str(result)


@row(24)
def losses_of_tcp(lab):
    """One segment of 200 with data is dropped on its way to the server."""
    with hosts.two() as (near, far):
        far.filter("tcp dport 7 tcp flags & psh == psh numgen inc mod 200 == 199 counter drop")
        with peers.serve(lab.pingpong, f"{far.v4}:7", prefix=far.prefix):
            args = ("client", f"{far.v4}:7", "-n", 3000)
            result = lab.until(
                lambda result: "stall_hidden" in result.reasons,
                lambda: lab.run(*args, prefix=near.prefix, free_port=False),
            )
    result.has_reason("retransmits", "SUSPECT")
    assert result["tcp"]["retransmits"] >= 14, str(result)
    assert result["stalls"]["time_share"] >= 0.5, str(result)
    result.has_reason("stall_hidden", "SUSPECT")


@row(25)
def too_short(lab):
    lab.run("-t", "200ms").has_reason("short", "SUSPECT")
    assert "short" not in lab.run("-n", 500).reasons


@row(26)
def unread(lab):
    result = lab.run("-t", "1s", prefix=lab.need("hidden_proc"))
    unknown = set(result["verdict"]["unknown"])
    assert {"others_busy", "starved", "steal"} <= unknown, str(result)
    assert not unknown & set(result.reasons), str(result)


@row(27)
def percentiles_that_nobody_asked_for(lab):
    """As on any path of some milliseconds."""
    args = ("-w", 0, "-t", "1s")
    result = lab.until(
        lambda result: not result.faults, lambda: lab.ask("fixed:5000", *args)
    )
    assert result.percentile(99.9) is None, str(result)
    asked = lab.ask("fixed:5000", *args, "--percentiles", "99.9")
    asked.has_reason("few_samples", "SUSPECT")


@row(28)
def placement(lab):
    """Whoever is busy there."""
    placements = set()
    for busy in 0, 1, 2, 0:
        with hogs(busy, lab.need("cpus")[0]):
            result = lab.run("-c", 10, "-n", 5000)
        placements.add(result["options"]["placement"]["how"])
    assert len(placements) == 1, placements


@row(29)
def two_that_spin_on_one_cpu(lab):
    lab.pingpong("--wait", "spin", "-A", "0,0", "-t", "1s").failed(2, "spin", "CPU")


@row(30)
def silent_server(lab):
    silent = lambda connection: [None for _ in connection.messages(5)]
    result = lab.ask_script(silent, "-w", "100ms", "-t", "300ms", status=1)
    result.has_reason("no_round_trips", "INVALID")
    assert "not a byte came" in result["error"]["text"], str(result)


@row(31)
def deaf_server(lab):
    """Each connection is asked for in vain."""
    target = f"127.0.0.1:{lab.need('deaf')}"
    args = ("client", target, "--no-hello", "--crr", "-w", 0, "-t", "500ms")
    result = lab.pingpong(*args, "--connect-timeout", "2s", free_port=False)
    result.failed(1, "cannot connect|not one of|only message was not")


@row(32)
def one_byte_too_many(lab):
    page = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n\r\nOh!"

    def script(connection):
        for _ in connection.messages(4):
            connection.send(page)

    args = ("--send", "GET ", "--expect-bytes", len(page) + 1, "-w", 0, "-t", "300ms")
    result = lab.ask_script(script, *args, status=1)
    assert f"{len(page)} of {len(page) + 1} B of an answer came" in result.text.err, str(result)
    assert "HTTP/1.1 500 Internal Server Error" in result.text.err, str(result)


@row(33)
def suspect_as_a_failure(lab):
    args = ("-n", 500, "--percentiles", "99.9")
    assert lab.pingpong(*args, "--strict").status == 0
    lab.pingpong(*args, "--strict=suspect").failed(3, "SUSPECT")


@row(35)
def a_part_of_the_time_for_others(lab):
    """A program that is busy for 30 ms of each 50, on the CPU of client and server."""
    cpu = lab.need("cpus")[0]
    with part_time_hog(lab.folder, [cpu]) as hog:
        result = lab.run("-A", f"{cpu},{cpu}", "-t", "1500ms")
        has_seen(result, hog(), 1)


@row(36)
def two_namespaces(lab):
    """What a server there does is no other program's work. A run without one tells how often
    others really are busy here."""
    is_right = lambda result: "others_busy" not in result.reasons
    busy = []

    def measure():
        busy.append(not is_right(lab.run("-t", "1s")))
        args = ("client", f"{far.v4}:7", "-t", "1s")
        return lab.run(*args, prefix=near.prefix, free_port=False)

    with hosts.two() as (near, far):
        with peers.serve(lab.pingpong, f"{far.v4}:7", prefix=far.prefix):
            result = measured_quietly(is_right, measure, tries=5)
    if not is_right(result) and sum(busy) >= 2:
        pytest.skip("others are busy here")
    assert is_right(result), str(result)


@row(37)
def little_memory_for_rings(lab):
    """Enough for some of four threads: what io_uring locks counts for those who have a limit."""
    become = ("setpriv", "--reuid", "65534", "--clear-groups")
    done = subprocess.run([*become, "test", "-x", lab.pingpong.path], check=False)
    if done.returncode != 0:
        pytest.skip("nobody can become somebody who has limits, or the program is out of reach")
    args = ("-n", "1000G", "-c", "64", "-T", "4", "--server-engine", "epoll", "--wait", "block")
    prefix = ("prlimit", "--memlock=65536:65536", *become)
    with lab.pingpong.spawn(*args, prefix=prefix) as run:
        run.learn_port()
        wait_until(lambda: run.threads() >= 5, "the threads do not run")
        assert rings(run) in (0, 4), str(run)
        run.interrupt()


@row(38)
def conditions_of_ones_own(lab):
    run = lab.pingpong("-n", 500, "--fail-if", "p50>1ns", "p99.99>1s", "loss>0.1%")
    assert run.status == 3, str(run)
    run.find(r"^fail if  p50>1ns: .*, failed")
    assert "p99.99>1s: n/a, failed" in " ".join(run.out.split()), str(run)


@row(39)
def client_that_is_stopped_again_and_again(lab):
    """For 5 of each 25 ms, in which 10 of 50 messages are due."""
    file = lab.folder / "result.json"
    args = ("-R", 2000, "-t", "1500ms", "--percentiles", "50,99", "-J", file)

    def measure():
        with peers.in_background(lab.pingpong, *args) as running:
            while running.process.poll() is None:
                running.send(signal.SIGSTOP)
                time.sleep(0.005)
                running.send(signal.SIGCONT)
                time.sleep(0.02)
            return Measured(running.finish(), file)

    result = lab.until(lambda result: "sent_late" in result.reasons, measure)
    of_two_levels(result, "sent_late")
    assert result["schedule"]["delayed"] >= 100, str(result)
    assert result["schedule"]["sent_late"]["max_ns"] >= 4 * MS, str(result)


@pytest.mark.parametrize("number", ROWS)
def test_each_row_gets_what_the_table_says(lab, number):
    ROWS[number](lab)


def test_each_row_of_the_table_is_tested():
    text = METHOD.read_text("utf-8").split("### Junk, and what it gets\n")[1].split("\n#")[0]
    numbers = [int(number) for number in re.findall(r"^\| (\d+) \| ", text, re.M)]
    assert numbers == sorted(ROWS) == list(range(1, len(ROWS) + 1)), numbers
    assert len(numbers) >= 25
