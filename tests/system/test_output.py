"""What a run prints."""

import re

import pytest
from driver import ESTIMATE

RTT = r"(?:n/a|[\d,]+(?:\.\d+)?)"

HEAD = [
    r"pingpong \d+\.\d+\.\d+ · TCP 127\.0\.0\.1:\d+ · 1 connection · 5 B · depth 1",
    r"engine (?:epoll|io_uring) \(auto\)"
    r" · wait auto: (?:block|(?:spin|yield), block after [\d,]+ µs)"
    r" · placement auto: (?:same core \(cpu \d+\)|split \(cpu \d+, server \d+\))"
    r" · congestion control \w+",
    r"host Linux \S+(?: · .+)?",
]
RATE = [r"[\d,]+\.\d\d roundtrips/s", r"[\d,]+\.\d\d seconds total"]
COST = r" +[\d.]+ +[\d.]+ +[\d.]+ +\d+\.\d\d +\d+\.\d\d"
TAIL = [
    r"",
    r"20,000 round trips, every byte checked · (?:VALID|SUSPECT|INVALID)",
    *RATE,
    r"",
    r"RTT µs +min +mean +p50 +p90 +p99 +p99\.9 +max",
    rf"(?:  measured)? +{RTT} +{RTT} +{RTT} +{RTT} +{RTT} +{RTT} +{RTT}",
    r"  max [\d,.]+ s after the start",
    r"cost a round trip +CPU µs +user +system +system calls +context switches",
    rf"  client{COST}",
    rf"  server{COST}",
    r"TCP  retransmits [\d,]+ · least RTT seen by the kernel [\d,.]+ µs · MSS [\d,]+ B · \w+",
]
SIDE = (
    r"CPU [\d,]+ ms user \+ [\d,]+ ms system · [\d,]+ turns · [\d,]+ system calls"
    r" · [\d,]+ waits for a buffer · [\d,]+ queue overflows · [\d,]+ yield guard trips"
)


def assert_lines(result, patterns):
    varying = rf"SUSPECT: |INVALID: |note: |not judged, as it is unknown: |{ESTIMATE}"
    lines = [line for line in result.ok().lines if not re.match(varying, line)]
    assert len(lines) == len(patterns), str(result)
    for line, pattern in zip(lines, patterns):
        assert re.fullmatch(pattern, line), f"{line!r} is not {pattern!r}"


@pytest.fixture(scope="module")
def plain(pingpong):
    return pingpong("-n", "20k")


@pytest.fixture(scope="module")
def verbose(pingpong):
    return pingpong("-n", "20k", "-v")


def test_a_run_prints_these_lines_and_no_others(plain):
    assert_lines(plain, HEAD + TAIL)


def test_both_lines_of_libxev_are_printed_letter_for_letter(plain):
    assert re.search(r"^[\d,]+\.\d\d roundtrips/s\n[\d,]+\.\d\d seconds total$", plain.out, re.M)


def test_quiet_prints_the_rate_and_the_time_alone(pingpong):
    assert_lines(pingpong("-n", "500", "-q"), RATE)
    assert_lines(pingpong("-n", "500", "--quiet"), RATE)


def test_verbose_adds_lines_and_takes_none_away(verbose):
    engines = [r"client (?:epoll|io_uring): .+", r"server (?:epoll|io_uring): .+"]
    host = [r".* · CPUs allowed [\d,-]+ · .*", r"mitigations(?: off)?: .*", r"interface lo · .*"]
    kernel = [
        r"kernel \S+ #.*",
        r"memory [\d,.]+ GB · open files (?:[\d,]+|unlimited) · locked memory (?:[\d,]+ B|unlimited).*",
        r"net\.core\.somaxconn \d+ · .*",
    ]
    options = [
        r"seed 1 · nodelay on · send buffer default · receive buffer default",
        r"built by \w+ \d\S*, -.*",
    ]
    ends = [rf"client  {SIDE}", rf"server  {SIDE}", r"meanwhile  busiest client thread .*"]
    identity = [r"sent 20000 = received 20000 \+ lost 0 \+ errors 0 \+ in flight 0"]
    assert_lines(verbose, HEAD[:2] + engines + HEAD[2:] + host[:2] + kernel + host[2:] + options + TAIL + ends + identity)


def test_nothing_moves_when_output_is_not_a_terminal(plain, verbose):
    for result in (plain, verbose):
        assert "\r" not in result.out and "\033" not in result.out
        assert result.err == ""


def test_rate_and_time_agree_with_the_count(pingpong):
    result = pingpong("-n", "50k").ok()
    assert result.seconds == pytest.approx(result.done / result.rate, abs=0.0051)


def test_percentiles_rise_from_the_least_to_the_greatest(verbose):
    rtt = verbose.rtt
    rising = [rtt[name] for name in ("min", "p50", "p90", "p99", "p99.9", "max")]
    assert rising == sorted(rising)
    assert rtt["min"] <= rtt["mean"] <= rtt["max"]


def test_with_one_connection_the_mean_rtt_is_no_longer_than_time_over_count(verbose):
    assert verbose.rtt["mean"] <= 1e6 / verbose.rate * 1.02


@pytest.mark.parametrize(
    "count, supported",
    [
        ("1", []),
        ("19", []),
        ("20", ["p50"]),
        ("100", ["p50", "p90"]),
        ("999", ["p50", "p90"]),
        ("1000", ["p50", "p90", "p99"]),
        ("9999", ["p50", "p90", "p99"]),
        ("10000", ["p50", "p90", "p99", "p99.9"]),
    ],
)
def test_a_percentile_is_na_when_fewer_than_ten_samples_lie_beyond_it(pingpong, count, supported):
    rtt = pingpong("-n", count, "-v").ok().rtt
    given = [name for name, value in rtt.items() if name.startswith("p") and value is not None]
    assert given == supported


def test_engine_wait_and_placement_of_the_run_are_in_the_result(pingpong):
    args = ("--engine", "epoll", "--wait", "yield:20", "--placement", "same")
    result = pingpong("-n", "100", *args).ok()
    assert re.fullmatch(
        r"engine epoll · wait yield, block after 20 µs · placement same core \(cpu \d+\) · .*",
        result.lines[1],
    )


def test_both_engines_are_named_when_they_differ(pingpong, io_uring):
    result = pingpong("-n", "100", "--engine", "epoll", "--server-engine", "io_uring").ok()
    assert result.lines[1].startswith("engine epoll, server io_uring · ")


def test_what_an_engine_was_denied_is_in_the_verbose_result(pingpong, io_uring):
    result = pingpong("-n", "100", "-v", "--engine", "io_uring:no-multishot,no-buffer-ring").ok()
    assert result.find(r"^client io_uring: (.*)")[1].startswith("single-shot, no buffer ring, ")
    assert result.find(r"^server io_uring: (.*)")[1].startswith("single-shot, no buffer ring, ")
