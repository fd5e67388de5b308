"""The figures are true: servers and relays that keep books have others to compare with.

A server reads a message after it was sent, and begins to answer before the answer is there, so no
figure may be below the one from its notes: that holds on any machine. Above it is what the way
takes, and waking up: as much as an answer without any delay takes, which is measured before."""

import pytest
import truth
from results import MACHINE, measured_client, measured_quietly

PERCENTILES = (50, 90, 99)
REST = 0.5  # %, see compare()
COUNT = 1600
MS = 1_000_000  # ns

SERVICES = {
    "fixed": "fixed:5000",
    "bimodal": "bimodal:5000,40000,0.05",
    "exponential": "exponential:10000",
    "drifting": "drifting:5000,10000",
    "flapping": "flapping:5000,15000,150000",
    "queue": "queue:1000",
    "halving": "halving:1000,0.7",
    "freezing": "freezing:2000,50000,66000",
}
OPEN_RATE = 800
LOADS = {
    "closed": ("-c", 16),
    "open": ("-c", 1, "-R", OPEN_RATE),  # in one order for both sides
    "random": ("-c", 4, "-R", OPEN_RATE, "--arrivals", "poisson"),
}
CASES = [(service, load) for service in SERVICES for load in ("closed", "open")]
CASES += [("exponential", "random"), ("queue", "random")]
TRANSPORTS = {"TCP": ((), 5), "UDP": (("-u", "--rcvbuf", "2M"), 16)}


class Way:
    """How an answer goes from a server to the figures. with_notes(): a result, and the notes."""

    def __init__(self, pingpong, build_folder, folder, transport):
        if pingpong.sanitizer:
            pytest.skip("a sanitizer is a good part of each time")
        self.pingpong = pingpong
        self.build_folder = build_folder
        self.folder = folder
        self.options, self.message_bytes = TRANSPORTS[transport]
        self.wire_ns = None

    def with_notes(self, service, *args, percentiles=PERCENTILES):
        place = (self.build_folder, self.folder, service, self.message_bytes)
        with truth.server(*place) as server:
            args = (*self.options, *args, "--percentiles", ",".join(map(str, percentiles)))
            result = measured_client(self.pingpong, self.folder, server, *args)
        return result, server.notes()

    def learn_wire(self, *load):
        """What it takes where the server takes no time, but for the rest."""
        args = (*load, "--think", "300us", "-n", 2000)
        result, _ = self.with_notes("fixed:0", *args, percentiles=[100 - REST])
        self.wire_ns = result.percentile(100 - REST)

    def compare(self, latency, true_ns, wires=1):
        """Whether it is not above, either; that it is not below is sure. The quantile p of a sum is
        not above that of p + rest of one part and that of 1 - rest of the other. One answer for
        which the machine needed long makes the maximum. wires: 2 where messages may go late."""
        shown = [figure for figure in latency["percentiles"] if figure["ns"] is not None]
        least = {p["percentile"]: truth.quantile(true_ns, p["percentile"]) for p in shown}
        most = {p["percentile"]: truth.quantile(true_ns, p["percentile"] + REST) for p in shown}
        mean_ns = sum(true_ns) / len(true_ns)
        told = f"{least}, {mean_ns}, {max(true_ns)} of {latency}"
        assert all(p["ns"] >= least[p["percentile"]] for p in shown), told
        assert latency["mean_ns"] + 1 >= mean_ns, told
        assert latency["min_ns"] + 1 >= min(true_ns), told
        assert latency["max_ns"] + 1 >= max(true_ns), told
        room_ns = wires * self.wire_ns
        return latency["mean_ns"] <= 1.02 * mean_ns + room_ns and all(
            p["ns"] <= 1.02 * most[p["percentile"]] + room_ns for p in shown
        )


@pytest.fixture(params=TRANSPORTS)
def way(request, pingpong, build_folder, tmp_path):
    """Each transport in turn."""
    return Way(pingpong, build_folder, tmp_path, request.param)


def all_answered(result, notes, count=COUNT):
    """Nothing is lost, and nothing is made up."""
    counts = result["counts"]
    assert len(notes) == counts["sent"] == counts["received"] == count, str(result)


@pytest.mark.parametrize("service, load", CASES)
def test_latencies_are_those_of_the_servers_notes(way, service, load):
    agrees = False

    def measure():
        nonlocal agrees
        way.learn_wire(*LOADS[load][:2])
        result, notes = way.with_notes(SERVICES[service], *LOADS[load], "-n", COUNT)
        all_answered(result, notes)
        agrees = way.compare(result["rtt"], truth.kept_ns(notes))
        if load == "closed":
            whole_ns, all_ns = truth.busy_ns(notes), result["rtt"]["mean_ns"] * COUNT
            assert whole_ns <= all_ns + COUNT, str(result)
            one_each = result["counts"]["late"] == 0  # for one given up another is sent
            agrees = agrees and (not one_each or all_ns <= 1.02 * whole_ns + 16 * way.wire_ns)
        if load == "open":
            true_ns = truth.response_ns(notes, OPEN_RATE)
            agrees = way.compare(result["response"], true_ns, 2) and agrees
        return result

    result = measured_quietly(lambda result: agrees, measure)
    assert agrees, str(result)


def test_a_message_that_waits_for_its_connection_has_waited(way):
    """One at a time: of 250/s at 80 % load most were due before the one in front was answered."""
    agrees = False

    def measure():
        nonlocal agrees
        way.learn_wire("-c", 1)
        args = ("-c", 1, "-D", 1, "-R", 250, "-n", 1000)
        result, notes = way.with_notes("bimodal:1000,20000,0.1", *args)
        all_answered(result, notes, 1000)
        agrees = way.compare(result["rtt"], truth.kept_ns(notes))
        agrees = way.compare(result["response"], truth.response_ns(notes, 250), 2) and agrees
        return result

    result = measured_quietly(lambda result: agrees, measure)
    assert agrees, str(result)


@pytest.mark.parametrize("load", ["closed", "open"])
def test_what_the_drain_has_brought_is_in_the_figures(way, load):
    """At the end of a time a part of the answers is under way, the slow ones above all."""
    agrees = False

    def measure():
        nonlocal agrees
        way.learn_wire(*LOADS[load][:2])
        args = ("-w", 0, "-t", "1s", *LOADS[load])
        result, notes = way.with_notes("bimodal:5000,400000,0.1", *args)
        counts = result["counts"]
        assert counts["drained"] == counts["in_flight"], str(result)
        assert len(notes) == counts["sent"] == counts["received"] + counts["drained"], str(result)
        agrees = way.compare(result["rtt"], truth.kept_ns(notes))
        return result

    result = measured_quietly(lambda result: agrees, measure)
    assert agrees, str(result)


# ---- a relay's ledger -------------------------------------------------------------------------


def through_relay(pingpong, build_folder, folder, deeds, *args, **options):
    """A result, what became of each datagram, and what the server has noted."""
    with truth.server(build_folder, folder, "fixed:100", 64) as server:
        with truth.relay(build_folder, folder, server.port, *deeds) as relay:
            args = ("-u", "-m", 64, *args)
            result = measured_client(pingpong, folder, relay, *args, **options)
    return result, relay.deeds(), server.notes()


class Fate:
    """What a ledger says of the answers: how many never went, went again, or after a later one."""

    def __init__(self, deeds):
        asked = {deed.number for deed in deeds if deed.direction == ">"}
        self.sent = len(asked)
        self.held = {d.number for d in deeds if d.direction == "<" and d.name == "hold"}
        went = [deed.number for deed in deeds if deed.direction == "<" and deed.went_ns]
        self.answered = len(set(went))
        self.duplicates = len(went) - self.answered
        self.reordered, highest, seen = 0, -1, set()
        for number in went:
            self.reordered += number < highest and number not in seen
            highest = max(highest, number)
            seen.add(number)


RELAYED = {
    "lost on the way there": ["lose:0.02"],
    "lost on the way back": ["forget:0.02"],
    "asked twice": ["ask:0.03"],
    "answered twice": ["double:0.03"],
    "passed": ["pass:0.03:1000"],
    "late": ["hold:0.01:300"],
    "all": "lose:0.01 forget:0.01 ask:0.01 double:0.02 pass:0.02:1000 hold:0.01:300".split(),
}


@pytest.mark.parametrize("what", RELAYED)
@pytest.mark.parametrize("load", ["open", "closed"])
def test_what_a_relay_did_is_counted_exactly(pingpong, build_folder, tmp_path, what, load):
    args = ("-R", 1500) if load == "open" else ("-D", 4, "--think", "1ms")
    fate = None

    def measure():
        nonlocal fate
        result, deeds, _ = through_relay(
            pingpong, build_folder, tmp_path, RELAYED[what], "-n", 2000, *args
        )
        fate = Fate(deeds)
        return result

    def is_quiet(result):
        counts = result["counts"]
        return (counts["received"], counts["late"]) == (fate.answered, len(fate.held))

    # On a machine that stands still more are late, and the kernel drops what nobody takes.
    result = measured_quietly(is_quiet, measure)
    counts = result["counts"]
    assert counts["sent"] == fate.sent == 2000, str(result)
    assert counts["received"] == fate.answered, str(result)
    assert counts["lost"] == fate.sent - fate.answered, str(result)
    assert counts["duplicates"] == fate.duplicates and counts["strays"] == 0, str(result)
    assert counts["reordered"] == fate.reordered, str(result)
    assert counts["late"] == len(fate.held), str(result)
    if fate.held:
        assert result["rtt"]["max_ns"] >= 300 * MS, str(result)
    # A client that has no CPU keeps up with no rate.
    behind = {"not_kept_up", "rate_missed"} if "starved" in result.faults else set()
    assert result.faults <= MACHINE | behind | {"loss", "sent_late", "unsteady"}, str(result)


@pytest.mark.parametrize("deeds", [[], ["lose:0.01"]])
def test_to_wait_for_what_was_given_up_is_no_change(pingpong, build_folder, tmp_path, deeds):
    """At the end of a count answers to it are waited for, if any are missing."""
    if pingpong.sanitizer:
        pytest.skip("a sanitizer is a good part of each time")

    def measure():
        args = ("-u", "-D", 8, "-n", 1500)
        with truth.server(build_folder, tmp_path, "exponential:10000", 16) as server:
            place = (build_folder, tmp_path, server.port, "hold:0:0", *deeds)
            with truth.relay(*place) as relay:
                return measured_client(pingpong, tmp_path, relay, *args)

    result = measured_quietly(lambda result: "unsteady" not in result.reasons, measure)
    assert result["counts"]["late"] > 0 and "unsteady" not in result.reasons, str(result)
    assert (result["counts"]["lost"] > 0) == bool(deeds), str(result)


@pytest.mark.parametrize("deed", ["cut", "damage"])
def test_what_a_relay_has_damaged_is_found_and_no_sample(pingpong, build_folder, tmp_path, deed):
    """The run ends there: all that went before was right."""
    args = ("-n", 2000)
    result, deeds, _ = through_relay(
        pingpong, build_folder, tmp_path, [f"{deed}:0.01"], *args, status=5
    )
    back = [d for d in deeds if d.direction == "<"]
    assert [d.name for d in back[:-1]].count(deed) == 0 and back[-1].name == deed, back[-3:]
    counts = result["counts"]
    assert counts["received"] == len(back) - 1 and counts["sent"] == len(back), str(result)
    assert result["error"]["kind"] == "wrong_answer", str(result)
