"""The ruler is straight: what a server is known to do stands in the result. Where the machine can
only add to a time, the time is bounded from below; counts are exact."""

import resource
import socket
import sys

import hosts
import peers
import pytest
from driver import wait_until
from peers import DatagramServer, Server, altered, delayed, turned
from results import measured, measured_client, measured_quietly, measured_until

MS = 1_000_000  # ns
STALL_S = 0.1


# ---- delays -------------------------------------------------------------------------------------


def test_a_delay_of_every_tenth_answer_stands_where_it_belongs(pingpong, engine, tmp_path):
    args = ("-n", "300", "--percentiles", "50,80,90.5,95", "--engine", engine)

    def measure():
        with Server(delayed(lambda number: 0.02 if number % 10 == 9 else 0)) as server:
            return measured_client(pingpong, tmp_path, server, *args)

    result = measured_quietly(lambda result: result.percentile(50) < 10 * MS, measure)
    assert result.percentile(95) >= 20 * MS, str(result)
    assert result.percentile(90.5) >= 20 * MS, str(result)
    assert result.percentile(50) < 10 * MS, str(result)
    rtt = result["rtt"]
    assert rtt["mean_ns"] >= 2 * MS and rtt["max_ns"] >= 20 * MS > rtt["min_ns"], str(result)
    assert result["worst"]["ns"] == rtt["max_ns"], str(result)


def test_each_percentile_of_a_known_distribution_is_reached(pingpong, engine, tmp_path):
    """1 to 10 ms in turn, 20 times each: the longest 20 are those of 10 ms and more."""
    percentiles = [10, 20, 30, 40, 50, 60, 70, 80, 90, 95]
    args = ("-n", "200", "--percentiles", ",".join(map(str, percentiles)), "--engine", engine)

    def measure():
        with Server(delayed(lambda number: 0.001 * (number % 10 + 1))) as server:
            return measured_client(pingpong, tmp_path, server, *args)

    result = measured_quietly(lambda result: result.percentile(10) < 9 * MS, measure)
    values = [result.percentile(percentile) for percentile in percentiles]
    for milliseconds, value in enumerate(values[:-1], 1):
        assert value >= milliseconds * MS, str(result)
    assert values[-1] >= 10 * MS and values == sorted(values), str(result)
    assert values[0] < 9 * MS, str(result)
    rtt, duration = result["rtt"], result["duration_ns"]
    assert rtt["mean_ns"] >= 5.5 * MS, str(result)
    assert 200 * (rtt["mean_ns"] - 1) <= duration, "round trips one after the other take their sum"


def test_percentiles_without_samples_enough_are_not_given(pingpong, tmp_path):
    args = ("-n", "999", "--percentiles", "50,98,99,99.9")
    result = measured(pingpong, tmp_path, *args)
    given = {p["percentile"]: p["ns"] is not None for p in result["rtt"]["percentiles"]}
    assert given == {50: True, 98: True, 99: False, 99.9: False}, str(result)


def test_the_longest_round_trip_is_found_when_it_was(pingpong, engine, tmp_path):
    """The 100th of 150 takes 3 s, which no busy machine makes of another, and before it 99 took 2 ms
    each."""
    with Server(delayed(lambda number: 3 if number == 99 else 0.002)) as server:
        args = ("-n", "150", "--percentiles", "50", "--engine", engine)
        result = measured_client(pingpong, tmp_path, server, *args)
    worst = result["worst"]
    assert worst["ns"] >= 3000 * MS, str(result)
    assert worst["at_ns"] >= 99 * 2 * MS + worst["ns"], str(result)
    assert worst["at_ns"] <= result["duration_ns"] - 50 * 2 * MS, str(result)


def test_time_to_connect_is_no_sample_but_of_a_connection_a_round_trip(pingpong, tmp_path):
    """With --crr a round trip begins where connecting does, and is longer than one on a connection
    that stands."""
    args = ("-n", "2000", "--percentiles", "50")
    kept = measured(pingpong, tmp_path, *args)
    anew = measured(pingpong, tmp_path, *args, "--crr")
    assert anew["rtt"]["min_ns"] > kept["rtt"]["min_ns"], f"{kept}\n{anew}"
    assert anew["tcp"] is None and kept["tcp"]["connections"] == 1


def test_the_rate_of_a_counted_schedule_is_not_above_the_one_asked_for(pingpong, tmp_path):
    """Three messages at 100/s have two distances between them, and take three."""
    result = measured(pingpong, tmp_path, "-n", "3", "-R", "100", "--percentiles", "50")
    assert result["round_trips_per_s"] <= 100 and result["duration_ns"] >= 30 * MS, str(result)


# ---- stalls -------------------------------------------------------------------------------------


def stall_at(number_of_stall, seconds=STALL_S):
    return delayed(lambda number: seconds if number == number_of_stall else 0)


def test_a_stall_shows_in_the_open_loop(pingpong, engine, tmp_path):
    """At 5,000/s the stalled message and the ten after it were due within 2 ms: all eleven waited
    for 98 ms or more, and of 10,000 the eleventh longest is p99.9."""
    with Server(stall_at(2000)) as server:
        args = ("-R", "5000", "-n", "10000", "--engine", engine)
        result = measured_client(pingpong, tmp_path, server, *args)
    assert result.percentile(99.9, "response") >= 98 * MS, str(result)
    assert result["response"]["max_ns"] >= 100 * MS, str(result)
    assert result["hidden_stalls"] is None and "stall_hidden" not in result.reasons, str(result)
    for actual, intended in zip(
        result["rtt"]["percentiles"], result["response"]["percentiles"], strict=True
    ):
        assert actual["ns"] <= intended["ns"], str(result)


def test_a_stall_is_named_as_hidden_in_the_closed_loop(pingpong, engine, tmp_path):
    """A stall is one sample of 10,000 here, and a third of the time or more: had messages been due
    all the time, more than a hundredth of them would have waited for almost as long."""

    def measure():
        with Server(stall_at(2000, 0.5)) as server:
            args = ("-n", "10000", "--engine", engine)
            return measured_client(pingpong, tmp_path, server, *args)

    result = measured_quietly(lambda result: "stall_hidden" in result.reasons, measure)
    assert result["rtt"]["max_ns"] >= 500 * MS, str(result)
    stalls, hidden = result["stalls"], result["hidden_stalls"]
    assert stalls["round_trips"] >= 1 and stalls["time_share"] >= 0.1, str(result)
    assert stalls["time_share"] * result["rtt"]["mean_ns"] * 10001 >= 500 * MS, str(result)
    assert hidden["matters"], str(result)
    assert hidden["expected_interval_ns"] == result.percentile(50), str(result)
    for shown, corrected in zip(
        result["rtt"]["percentiles"], hidden["percentiles"], strict=True
    ):
        assert corrected["percentile"] == shown["percentile"], str(result)
        assert corrected["shown_ns"] == shown["ns"] <= corrected["corrected_ns"], str(result)
        assert corrected["corrected_ns"] <= result["rtt"]["max_ns"], str(result)
    assert hidden["percentiles"][-1]["corrected_ns"] >= 250 * MS, str(result)
    text = result.has_reason("stall_hidden", "SUSPECT")
    assert "of the time went into stalls" in text and "at an even pace p" in text, text


# ---- loss, doubles and damage -------------------------------------------------------------------


def test_a_known_loss_is_found_exactly(pingpong, engine, tmp_path):
    """An answer that the machine keeps back for too long is late, and no loss, unless it is so late
    that the run is over."""
    for _ in range(5):
        drop = lambda number, message: [] if number % 10 == 5 else [turned(message)]
        with DatagramServer(drop) as server:
            args = ("-u", "-n", "1000", "--engine", engine)
            result = measured_client(pingpong, tmp_path, server, *args)
        counts, loss = result["counts"], result["loss"]
        assert counts["sent"] == 1000 and counts["lost"] >= 100, str(result)
        if counts["lost"] == 100:
            break
    assert (counts["received"], counts["lost"]) == (900, 100), str(result)
    assert loss["share"] == 0.1 and loss["low"] < 0.1 < loss["high"], str(result)
    assert loss["low"] == pytest.approx(0.0829, abs=1e-4)  # Wilson's interval of 100 in 1,000
    assert loss["high"] == pytest.approx(0.1202, abs=1e-4)


def test_answers_that_come_twice_are_counted_once(pingpong, engine, tmp_path):
    def script(number, message):
        return [turned(message)] * (2 if number % 10 == 5 else 1)

    with DatagramServer(script) as server:
        args = ("-u", "-n", "1000", "--engine", engine)
        result = measured_client(pingpong, tmp_path, server, *args)
    counts = result["counts"]
    assert counts["received"] + counts["lost"] == 1000 and counts["lost"] <= 1, str(result)
    assert counts["duplicates"] == 100 and counts["strays"] == 0, str(result)


def test_a_late_answer_is_a_sample_and_no_loss(pingpong, engine, tmp_path):
    """It comes with the next one, after it was given up."""
    held = []

    def script(number, message):
        if number == 100:
            held.append(turned(message))
            return []
        return [turned(message)] + ([held.pop()] if held else [])

    with DatagramServer(script) as server:
        args = ("-u", "-n", "300", "--engine", engine)
        result = measured_client(pingpong, tmp_path, server, *args)
    counts = result["counts"]
    assert counts["late"] >= 1 and counts["reordered"] >= 1, str(result)
    assert counts["received"] + counts["lost"] == 300 and counts["lost"] <= 1, str(result)
    assert result["rtt"]["max_ns"] >= 10 * MS, "the patience with a datagram is 10 ms at least"


def damaged(message, place):
    return message[:place] + bytes([message[place] ^ 1]) + message[place + 1 :]


def test_a_damaged_byte_ends_the_run_and_is_never_a_sample(pingpong, engine, tmp_path):
    change = lambda number, message: damaged(message, 3) if number == 70 else message
    with Server(altered(5, change)) as server:
        args = ("-n", "300", "--engine", engine)
        result = measured_client(pingpong, tmp_path, server, *args, status=5)
    counts = result["counts"]
    assert (counts["sent"], counts["received"], counts["in_flight"]) == (71, 70, 1), str(result)
    assert result["error"]["kind"] == "wrong_answer" and result["partial"], str(result)
    assert "round trip 71 " in result["error"]["text"], str(result)


def test_a_damaged_datagram_ends_the_run_and_is_never_a_sample(pingpong, engine, tmp_path):
    def script(number, message):
        return [damaged(turned(message), 40) if number == 70 else turned(message)]

    with DatagramServer(script) as server:
        args = ("-u", "-m", "64", "-n", "300", "--engine", engine)
        result = measured_client(pingpong, tmp_path, server, *args, status=5)
    assert result["counts"]["received"] <= 70, str(result)
    assert result["error"]["kind"] == "wrong_answer", str(result)


# ---- connections --------------------------------------------------------------------------------


def test_a_server_that_starves_some_connections_shows(pingpong, engine, tmp_path):
    """Two of four wait ten times as long, and get 50 answers a second at most. Of four, two that
    get a tenth of the others' share have an index of 0.6."""

    def script(connection):
        slow = server.connections.index(connection) >= 2
        delayed(lambda number: 0.02 if slow else 0.002)(connection)

    def measure():
        nonlocal server
        with Server(script) as server:
            args = ("-c", "4", "-t", "1500ms", "--percentiles", "50", "--engine", engine)
            return measured_client(pingpong, tmp_path, server, *args)

    server = None
    is_quiet = lambda result: 0.5 < result["connections"]["jain_index"] < 0.8  # noqa: E731
    result = measured_quietly(is_quiet, measure)
    spread = result["connections"]
    slowest, fastest = spread["slowest_round_trips_per_s"], spread["fastest_round_trips_per_s"]
    assert spread["count"] == 4 and slowest <= 51 and fastest > 3 * slowest, str(result)
    assert 0.5 < spread["jain_index"] < 0.8, str(result)
    result.text.find(r"^connections  slowest [\d.]+/s · fastest [\d.]+/s · Jain's index 0\.[567]")


def test_a_server_that_serves_all_alike_is_even(pingpong, engine, tmp_path):
    def measure():
        with Server(delayed(lambda number: 0.005)) as server:
            args = ("-c", "4", "-t", "1s", "--percentiles", "50", "--engine", engine)
            return measured_client(pingpong, tmp_path, server, *args)

    is_quiet = lambda result: result["connections"]["jain_index"] > 0.95  # noqa: E731
    result = measured_quietly(is_quiet, measure)
    assert result["connections"]["jain_index"] > 0.95, str(result)
    assert result["connections"]["fastest_round_trips_per_s"] <= 201, str(result)


# ---- costs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("connections", [1, 20])
def test_the_cpu_time_printed_is_what_the_kernel_says_of_the_process(
    pingpong, engine, tmp_path, connections
):
    """Connecting and the rest are not measured, but short beside it."""
    if pingpong.sanitizer:
        pytest.skip("a sanitizer takes most of the time for itself")

    def spent_ns():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return int((usage.ru_utime + usage.ru_stime) * 1e9)

    before = spent_ns()
    args = ("-n", "40k", "-c", connections, "--engine", engine)
    result = measured(pingpong, tmp_path, *args)
    whole = spent_ns() - before
    sides = (result["costs"][side] for side in ("client", "server"))
    told = sum(side["cpu_user_ns"] + side["cpu_system_ns"] for side in sides)
    assert 0.5 * whole <= told <= 1.02 * whole + 20 * MS, f"{whole}\n{result}"


# ---- TCP ----------------------------------------------------------------------------------------


def asked(sock):
    """What the kernel says of a socket of the client."""
    mss = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
    name = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    return mss, name.rstrip(b"\0").decode()


def test_mss_and_congestion_control_are_those_of_the_sockets(pingpong, engine, tmp_path):
    with Server() as server:

        def ask():
            come = lambda: server.bytes > 500 and len(server.connections) == 3
            wait_until(come, "no messages come")
            # Only the client knows its end; the server's has the same way to go.
            answers.extend(asked(connection.sock) for connection in server.connections)

        answers = []
        args = ("-n", "1000G", "-c", "3", "--engine", engine)
        result = measured_until(pingpong, tmp_path, server, ask, *args)
    tcp = result["tcp"]
    assert len(answers) == tcp["connections"] == 3, str(result)
    assert {(tcp["mss_min_bytes"], tcp["congestion_control"])} == set(answers), str(result)
    assert tcp["mss_min_bytes"] == tcp["mss_max_bytes"] and tcp["retransmits"] == 0, str(result)
    assert 0 < tcp["min_rtt_ns"] <= result["rtt"]["max_ns"], str(result)


ECHO = """
import socket
listener = socket.create_server(("", 7))
print(flush=True)
sock = listener.accept()[0]
while data := sock.recv(4096):
    sock.sendall(data)
"""


def test_segments_that_were_sent_again_are_counted(pingpong, engine, tmp_path):
    """Of those with data every 50th is dropped where the server is: the client has to send each
    again, and may send some for which it was too impatient."""
    with hosts.two() as (near, far), hosts.contextlib.ExitStack() as stack:
        far.filter("tcp dport 7 tcp flags & psh == psh numgen inc mod 50 == 49 counter drop")
        pipe = hosts.subprocess.PIPE
        command = [*far.prefix, sys.executable, "-c", ECHO]
        process = stack.enter_context(hosts.subprocess.Popen(command, stdout=pipe))
        stack.callback(process.terminate)
        assert process.stdout.read(1) == b"\n"
        args = ("client", f"{far.v4}:7", "--no-hello", "-n", "500", "--engine", engine)
        result = measured(pingpong, tmp_path, *args, prefix=near.prefix, free_port=False)
        dropped = sum(far.packets())
    assert dropped >= 9, str(result)
    assert dropped <= result["tcp"]["retransmits"] <= 3 * dropped, f"{dropped} of {result}"
    result.has_reason("retransmits", "SUSPECT")
    assert result["counts"]["received"] == 500 and result["tcp"]["connections"] == 1, str(result)
