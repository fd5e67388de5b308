"""The server on one host and the client on another, and what the network between them may do."""

import contextlib
import os
import re
import subprocess
import sys
import time
from types import SimpleNamespace

import hosts
import pytest
from driver import wait_until
from peers import Counts, begun, exactly, quantiles
from results import measured, measured_quietly
from services import program
from test_verdict import has_seen, part_time_hog

PORT = 3131  # nobody else is on these hosts


@pytest.fixture
def pair():
    with hosts.two() as pair:
        yield pair


@pytest.fixture
def near(pair):
    return pair[0]


@pytest.fixture
def far(pair):
    return pair[1]


def bracketed(address):
    return f"[{address}]" if ":" in address else address


def serving(pingpong, host, *args):
    """A server on all addresses of host, and the port that is taken when none is named."""
    run = pingpong.spawn("serve", "[::]", *args, prefix=host.prefix, free_port=False)
    try:
        return begun(run)
    except BaseException:
        run.end()
        raise


@pytest.fixture
def server(pingpong, far):
    """It must live to the end."""
    with serving(pingpong, far) as run:
        yield run
        assert run.interrupt().ok()


def measure(pingpong, host, address, *args):
    args = ("client", bracketed(address), "-v", *args)
    return pingpong(*args, prefix=host.prefix, free_port=False)


def sums_up(result, count):
    """All were sent, and what became of each is known."""
    counts = Counts(result)
    assert counts.sent == count and counts.in_flight == 0, str(result)
    return counts


@pytest.mark.alone
def test_a_client_that_waits_for_a_server_of_another_namespace_is_not_starved(
    pingpong, engine, near, far, server, tmp_path
):
    """They share the CPUs, as containers of one machine do."""
    args = ("client", far.v4, "-T", "2", "-c", "4", "-t", "1s", "--engine", engine)
    measure = lambda: measured(pingpong, tmp_path, *args, prefix=near.prefix, free_port=False)
    result = measured_quietly(lambda result: "starved" not in result.reasons, measure)
    assert "starved" not in result.reasons, str(result)


@pytest.mark.alone
def test_a_server_of_another_namespace_is_no_other_program_and_one_beside_it_is(
    pingpong, engine, near, far, server, tmp_path
):
    """It says that it is on this machine, and what it had."""
    args = ("client", far.v4, "-c", "4", "-t", "1500ms", "--engine", engine)
    measure = lambda: measured(pingpong, tmp_path, *args, prefix=near.prefix, free_port=False)
    result = measured_quietly(lambda result: "others_busy" not in result.reasons, measure)
    assert "others_busy" not in result.reasons, str(result)
    assert "others_busy" not in result["verdict"]["unknown"], str(result)
    with part_time_hog(tmp_path, os.sched_getaffinity(0)) as hog:
        result = measure()
        has_seen(result, hog(), os.cpu_count())


# ---- every way between them -----------------------------------------------------------------


@pytest.mark.parametrize("transport", [(), ("-u",)], ids=["TCP", "UDP"])
@pytest.mark.parametrize("way", ["v4", "v6", "link_local"])
def test_a_server_on_another_host_is_measured_and_says_what_it_costs(
    pingpong, engine, near, far, server, way, transport
):
    args = (*transport, "-n", "500", "-c", "3", "-D", "2", "--engine", engine)
    says_who = lambda result: result.out.count("server pingpong ")  # if its answer came in time
    result = measured_quietly(says_who, lambda: measure(pingpong, near, getattr(far, way), *args))
    counts = sums_up(result.ok(), 500)
    assert counts.received + counts.lost == 500 and (transport or counts.lost == 0), str(result)
    result.find(r"^server pingpong \d+\.\d+\.\d+ on \S+ · engine \w+ · wait [^·]+ · 1 thread$")
    assert None not in result.table("cost a round trip", "server").values(), str(result)


@pytest.mark.parametrize("added", ["192.0.2.12/24", "2001:db8::12/64", "fe80::12/64"])
def test_datagrams_are_answered_from_each_address_of_the_server_s_host(
    pingpong, engine, near, far, added
):
    far.add_address(added)
    scope = f"%{hosts.DEVICE}" if added.startswith("fe80") else ""
    args = ("-u", "-n", "100", "--engine", engine)
    with serving(pingpong, far, "--engine", engine) as run:
        for address in [far.v4, far.v6, far.link_local, added.partition("/")[0] + scope]:
            assert sums_up(measure(pingpong, near, address, *args).ok(), 100).errors == 0
        run.interrupt().ok()


@pytest.mark.parametrize("way", ["v4", "v6", "link_local"])
def test_a_server_listens_on_the_one_address_it_is_given(pingpong, near, far, way):
    address = bracketed(getattr(far, way))
    args = ("serve", address)
    with begun(pingpong.spawn(*args, prefix=far.prefix, free_port=False)) as run:
        exactly(measure(pingpong, near, getattr(far, way), "-n", "100"), 100)
        other = far.v6 if way == "v4" else far.v4
        measure(pingpong, near, other, "-n", "100").failed(1, "cannot connect", "refused")
        run.interrupt().ok()


def test_several_threads_on_both_hosts_share_the_connections(pingpong, near, far):
    with serving(pingpong, far, "-S", "2") as run:
        args = ("-n", "2000", "-c", "8", "-T", "2")
        exactly(measure(pingpong, near, far.v4, *args), 2000).find(r" · 2 threads$")
        run.interrupt().ok()


def test_messages_larger_than_a_packet_arrive_whole(pingpong, near, far, server):
    exactly(measure(pingpong, near, far.v6, "-n", "20", "-m", "1M"), 20)
    exactly(measure(pingpong, near, far.v4, "-n", "100", "-m", "1,100k"), 100)
    sums_up(measure(pingpong, near, far.v4, "-u", "-n", "50", "-m", "60000").ok(), 50)


def test_the_source_address_asked_for_is_the_one_that_arrives(pingpong, near, far, server):
    near.add_address("192.0.2.11/24")
    near.add_address("2001:db8::11/64")
    far.filter(
        *(f"ip saddr {address} counter" for address in (near.v4, "192.0.2.11")),
        *(f"ip6 saddr {address} meta l4proto tcp counter" for address in (near.v6, "2001:db8::11")),
    )
    exactly(measure(pingpong, near, far.v4, "-n", "50", "-B", "192.0.2.11"), 50)
    exactly(measure(pingpong, near, far.v6, "-n", "50", "-B", "2001:db8::11"), 50)
    others, asked, others6, asked6 = far.packets()
    assert (others, others6) == (0, 0) and asked >= 50 and asked6 >= 50


def test_a_source_address_of_another_host_is_an_error(pingpong, near, far, server):
    result = measure(pingpong, near, far.v4, "-n", "50", "-B", far.v4)
    result.failed(1, re.escape(far.v4))
    assert result.out == "", str(result)


def once_quiet(host):
    """Its counters when nothing comes any more: a kernel may still be closing connections."""
    before, counters = None, host.packets()
    while counters != before:
        time.sleep(0.3)
        before, counters = counters, host.packets()
    return counters


@pytest.mark.parametrize("transport", [(), ("-u",)], ids=["TCP", "UDP"])
@pytest.mark.parametrize("way, field", [("v4", "ip"), ("v6", "ip6")])
def test_the_tos_asked_for_is_on_every_packet(
    pingpong, near, far, server, way, field, transport
):
    to_server = "udp dport" if transport else "tcp dport"
    far.filter(
        f"{to_server} {PORT} {field} dscp 0x2e counter",
        f"{to_server} {PORT} {field} dscp != 0x2e counter",
    )
    sums_up(measure(pingpong, near, getattr(far, way), *transport, "-n", "50").ok(), 50)
    marked, plain = once_quiet(far)
    assert marked == 0 and plain >= 50
    args = (*transport, "-n", "50", "--tos", "0xb8")
    sums_up(measure(pingpong, near, getattr(far, way), *args).ok(), 50)
    assert far.packets()[0] >= 50 and far.packets()[1] == plain


# ---- datagrams that are lost or doubled -----------------------------------------------------


def lossy(result):
    """What is said of loss: how many, and the share with its interval, in per cent."""
    number = r"([\d.,]+)"
    match = result.find(
        rf"^lost {number} \({number} %, 95 % interval {number} to {number} %\) · late {number}"
    )
    return tuple(float(text.replace(",", "")) for text in match.groups())


def all_dropped_are_lost(result, count, dropped):
    """Whose answers were still on the way at the end is given up for lost, too: but that takes a
    machine which stands still for long just then."""
    counts = sums_up(result.ok(), count)
    lost, share, low, high, _ = lossy(result)
    assert counts.errors == 0 and counts.received == result.done == count - counts.lost
    assert lost == counts.lost and dropped <= lost <= dropped + 30, str(result)
    assert share == pytest.approx(100 * lost / count, abs=0.0001) and low < share < high
    return counts


@pytest.mark.parametrize("depth", [1, 16])
def test_each_tenth_datagram_dropped_is_a_tenth_lost_and_no_sample(
    pingpong, engine, near, far, server, depth
):
    far.filter(f"udp dport {PORT} numgen inc mod 10 == 5 counter drop")
    count = 1000 if depth > 1 else 300
    args = ("-u", "--no-hello", "-n", count, "-D", depth, "--engine", engine)
    result = measure(pingpong, near, far.v4, *args)
    assert far.packets() == [count // 10]
    all_dropped_are_lost(result, count, count // 10)
    assert quantiles(result)["p99"] is None, "a thousand samples, and not all were answered"


def test_answers_that_are_dropped_are_lost_as_requests_are(pingpong, near, far, server):
    near.filter(f"udp sport {PORT} numgen inc mod 10 == 5 counter drop")
    args = ("-u", "--no-hello", "-n", "1000", "-D", "16", "-c", "2")
    result = measure(pingpong, near, far.v4, *args)
    assert near.packets() == [100]
    all_dropped_are_lost(result, 1000, 100)


def test_a_fifth_dropped_at_random_lies_in_the_interval_that_is_told(pingpong, near, far, server):
    """The interval is of 95 %, but two of them hold it all but always."""
    far.filter(f"udp dport {PORT} numgen random mod 100 < 20 counter drop")
    args = ("-u", "--no-hello", "-n", "2000", "-D", "16", "-c", "4")
    result = measure(pingpong, near, far.v6, *args)
    all_dropped_are_lost(result, 2000, far.packets()[0])
    _, share, low, high, _ = lossy(result)
    assert share - 3 * (share - low) < 20 < share + 3 * (high - share), str(result)


def test_loss_does_not_lengthen_a_run_that_has_a_time(pingpong, near, far, server):
    far.filter(f"udp dport {PORT} numgen inc mod 2 == 1 counter drop")
    result = measure(pingpong, near, far.v4, "-u", "--no-hello", "-t", "1", "-w", "0").ok()
    counts = Counts(result)
    assert result.seconds <= 1 and counts.received > 0 and counts.lost > 0, str(result)


def test_when_every_datagram_is_lost_the_run_ends_in_its_time(pingpong, near, far, server):
    far.filter(f"udp dport {PORT} drop")
    result = measure(pingpong, near, far.v4, "-u", "--no-hello", "-t", "1", "-w", "0", "-c", "3")
    counts = Counts(result)
    assert counts.received == 0 and counts.lost + counts.in_flight == counts.sent > 0
    assert result.status == 1 and f"not one of {counts.sent} messages was answered" in result.err
    assert "RTT" not in result.out and "nan" not in result.out.lower(), str(result)


def test_a_server_that_is_not_there_is_an_error_over_udp_too(pingpong, near, far):
    result = measure(pingpong, near, far.v4, "-u", "-n", "100")
    result.failed(1, "refused", "pingpong serve")
    assert Counts(result).received == 0


def test_a_datagram_that_comes_twice_is_a_duplicate_and_no_sample(pingpong, near, far, server):
    """The last one of all may come when nobody looks any more."""
    rule = f"udp sport {PORT} counter dup to {near.v4} device {hosts.DEVICE}"
    far.filter(rule, hook="output", family="ip")
    result = measure(pingpong, near, far.v4, "-u", "--no-hello", "-n", "999")
    counts = sums_up(result.ok(), 999)
    duplicates = float(result.find(r"· duplicate ([\d,]+) ·")[1].replace(",", ""))
    assert counts.received + counts.lost == 999 and duplicates <= 999, str(result)
    assert duplicates >= 999 - 1 - counts.lost, str(result)
    assert quantiles(result)["p99"] is None, "a duplicate is a sample"


# ---- connections that cannot be made, or stall ----------------------------------------------


@pytest.mark.parametrize("connections", [1, 20])
def test_when_every_syn_is_dropped_the_run_ends_with_its_connect_time_out(
    pingpong, engine, near, far, server, connections
):
    far.filter(f"tcp dport {PORT} tcp flags syn counter drop")
    args = ("-c", connections, "--connect-timeout", "0.3", "--engine", engine)
    result = measure(pingpong, near, far.v4, "-n", "100", *args)
    result.failed(1, f"cannot connect to {far.v4}:{PORT}: Connection timed out", "dropping packets")
    assert result.out == "" and far.packets()[0] > 0, str(result)


@pytest.mark.parametrize("limit", [("-n", "100"), ("-t", "20")])
def test_where_each_round_trip_is_a_connection_the_connect_time_out_holds_for_each(
    pingpong, engine, near, far, server, limit
):
    far.filter(f"tcp dport {PORT} tcp flags syn counter drop")
    args = ("--crr", "--no-hello", "--connect-timeout", "0.3", "--engine", engine)
    result = measure(pingpong, near, far.v4, *limit, *args)
    result.failed(1, f"cannot connect to {far.v4}:{PORT}: Connection timed out", "dropping packets")


def test_connections_are_made_a_few_hundred_at_a_time(pingpong, engine, near, far):
    """As none of them is answered, all that are begun can be seen."""
    ss = program("ss")
    far.filter("tcp flags syn drop")

    def begun_at_once():
        return near.must(ss, "-Htn", "state", "syn-sent").count("\n")

    args = ("client", far.v4, "--no-hello", "-c", 2000, "--connect-timeout", "10")
    with pingpong.spawn(*args, "--engine", engine, prefix=near.prefix, free_port=False) as run:
        wait_until(lambda: begun_at_once() >= 256, "connections", run.timeout_s)
        assert [begun_at_once() for _ in range(10)] == [256] * 10
        run.interrupt()


REFUSALS = {
    "tcp reset": "Connection refused",
    "icmpx type port-unreachable": "Connection refused",
    "icmpx type host-unreachable": "No route to host",
    "icmpx type admin-prohibited": "No route to host",
}


@pytest.mark.parametrize("connections", [1, 5])
@pytest.mark.parametrize("how", REFUSALS)
def test_a_connection_that_is_rejected_on_the_way_is_told_with_its_reason(
    pingpong, engine, near, far, server, how, connections
):
    far.must("sh", "-c", "echo 0 >/proc/sys/net/ipv4/icmp_ratelimit")
    far.filter(f"tcp dport {PORT} reject with {how}")
    args = ("-n", "100", "-c", connections, "--engine", engine)
    result = measure(pingpong, near, far.v4, *args)
    cure = "pingpong serve" if "refused" in REFUSALS[how] else "ip route get"
    result.failed(1, f"cannot connect to {far.v4}:{PORT}: {REFUSALS[how]}", cure)
    assert result.out == "", str(result)


@pytest.mark.parametrize("address", ["198.51.100.1", "2001:db8:1::1"])
@pytest.mark.parametrize("transport", [(), ("-u",)], ids=["TCP", "UDP"])
def test_a_host_to_which_no_route_leads_is_told(pingpong, near, address, transport):
    result = measure(pingpong, near, address, "-n", "100", *transport)
    result.failed(1, re.escape(address), "unreachable")
    assert "RTT" not in result.out, str(result)


def test_when_no_local_port_is_left_the_way_out_is_told(pingpong, near, far, server):
    ports = "/proc/sys/net/ipv4/ip_local_port_range"
    near.must("sh", "-c", f"echo 40000 40003 >{ports}")
    result = measure(pingpong, near, far.v4, "-n", "100", "-c", "10")
    result.failed(1, "cannot connect", "no free local port", "ip_local_port_range")


@pytest.mark.parametrize("transport", [(), ("-u",)], ids=["TCP", "UDP"])
def test_an_open_loop_shows_how_long_the_link_was_down_and_ends_in_its_time(
    pingpong, near, far, server, transport
):
    far.filter(f"{'udp' if transport else 'tcp'} dport {PORT} counter")
    args = ("-R", "500", "-t", "3", "-w", "0", *transport)
    command = ("client", far.v4, "-v", "--no-hello", *args)
    with begun(pingpong.spawn(*command, prefix=near.prefix, free_port=False)) as run:
        wait_until(lambda: far.packets()[0] > 100, "nothing arrives")
        far.link("down")
        down = time.monotonic()
        time.sleep(0.5)
        gap_ms = 1000 * (time.monotonic() - down)
        far.link("up")
        result = run.finish()
    counts = Counts(result)
    longest_us = quantiles(result, "from intended send")["max"]
    assert result.status == 0 and result.seconds <= 3, str(result)
    assert counts.errors == 0 and counts.received > 100, str(result)
    if transport:  # what was due then and not lost was sent later: the client itself stood still
        all_lost = counts.lost >= 0.9 * gap_ms / 1000 * 500
        assert counts.lost > 0 and (all_lost or longest_us > 50_000), str(result)
    else:
        assert counts.lost == 0 and longest_us >= 1000 * (gap_ms - 20), str(result)


# ---- peers that vanish ----------------------------------------------------------------------

VISIT = """
import socket, sys
host, port, count, speaks = sys.argv[1], *map(int, sys.argv[2:])
visitors = []
for _ in range(count):
    visitor = socket.create_connection((host, port), 60)
    if speaks:
        visitor.sendall(b"PING")
        assert visitor.recv(4) == b"PING"
    visitors.append(visitor)
print(len(visitors), flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def visitors(host, address, count, speak=True):
    """So many connections from host that have been served, or not, and say nothing more."""
    args = map(str, (PORT, count, int(speak)))
    command = [*host.prefix, sys.executable, "-c", VISIT, address, *args]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout.readline() == f"{count}\n"
        yield
        process.stdin.close()


def test_the_descriptors_of_vanished_clients_come_back(pingpong, engine, near, far):
    with serving(pingpong, far, "--engine", engine, "--idle-timeout", "1") as server:
        before = server.descriptors()
        with visitors(near, far.v4, 50):
            near.link("down")
            wait_until(lambda: server.descriptors() == before, "they do not come back")
        result = server.interrupt()
        assert result.status == 0 and "closed" in result.err, str(result)
        result.find(r"^served 50 connections · closed 50 idle ·")


def test_vanished_clients_make_room_when_descriptors_run_out(pingpong, engine, near, far):
    limited = SimpleNamespace(prefix=(*far.prefix, "prlimit", "--nofile=100:100"))
    with serving(pingpong, limited, "--engine", engine) as server:
        with visitors(near, far.v4, 100 - server.descriptors()):
            near.link("down")
            args = ("client", "127.0.0.1", "--no-hello", "--connect-timeout", "60", "-n", "100")
            pingpong(*args, prefix=far.prefix, free_port=False).ok()
        result = server.interrupt()
        assert result.status == 0, str(result)
        assert result.err.startswith("pingpong: no descriptor for another connection"), str(result)


def test_silent_clients_make_room_when_descriptors_run_out(pingpong, engine, near, far):
    limited = SimpleNamespace(prefix=(*far.prefix, "prlimit", "--nofile=100:100"))
    with serving(pingpong, limited, "--engine", engine) as server:
        with visitors(near, far.v4, 100 - server.descriptors(), speak=False):
            measure(pingpong, near, far.v4, "-n", "100", "--connect-timeout", "60").ok()
        assert server.interrupt().status == 0


# ---- forgery --------------------------------------------------------------------------------

FORGE = """
import socket, struct, sys
kind, source, target, count = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
message = b"pp\\x9d\\x01" + bytes([kind]) + (64).to_bytes(3, "big") + bytes(56)
header = struct.pack("!HHHH", 3131, 3131, 8 + len(message), 0)
with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
    raw.bind((source, 0))
    for _ in range(count):
        raw.sendto(header + message, (target, 0))
"""
REQUEST, REPLY, HELLO, HELLO_REPLY = range(4)


@pytest.mark.parametrize("kind, answered", [(REQUEST, 20), (REPLY, 0), (HELLO_REPLY, 0)])
def test_two_servers_made_to_write_to_each_other_fall_silent_at_once(
    pingpong, near, far, kind, answered
):
    """Each of 20 datagrams comes to far as if near's server had sent it."""
    with serving(pingpong, near) as victim, serving(pingpong, far) as server:
        for host in near, far:
            host.filter(f"udp dport {PORT} udp sport {PORT} counter")
        near.must(sys.executable, "-c", FORGE, str(kind), near.v4, far.v4, "20")
        wait_until(lambda: near.packets() == [answered], "what far answers does not arrive")
        for host, other in (near, far), (far, near):
            sums_up(measure(pingpong, host, other.v4, "-u", "-n", "50").ok(), 50)
        assert (near.packets(), far.packets()) == ([answered], [20])
        ignored = victim.interrupt().ok().find(r" · ignored ([\d,]+)$")[1]
        assert int(ignored) == answered
        ignored = server.interrupt().ok().find(r" · ignored ([\d,]+)$")[1]
        assert int(ignored) == 20 - answered


ASK_MANY = """
import socket, struct, sys
message = b"pp\\x9d\\x01" + bytes(1) + (64).to_bytes(3, "big") + bytes(56)
port, host, targets = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
if ":" not in host:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
        raw.sendto(struct.pack("!HHHH", 0, port, 8 + len(message), 0) + message, (host, 0))
with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"cable")
    sock.settimeout(10)
    for target in targets:
        info = socket.getaddrinfo(target, port, sock.family, socket.SOCK_DGRAM)
        sock.sendto(message, info[0][4])
    for _ in range(2):
        sock.sendto(message, (host, port))
        print(sock.recvfrom(100)[1][0])
"""


@pytest.mark.parametrize("address", ["[::]", "0.0.0.0"])
def test_what_is_sent_to_many_or_from_port_0_is_not_answered(pingpong, near, far, engine, address):
    """An answer to one of them would be read before those to what was sent to far alone."""
    many = ["192.0.2.255", "255.255.255.255"]
    if address == "0.0.0.0":
        many.append("224.0.0.1")  # for a socket of IPv6, the kernel joins no group of IPv4
    args = ("serve", address, "--engine", engine)
    run = pingpong.spawn(*args, prefix=far.prefix, free_port=False)
    with begun(run) as server:
        asked = near.must(sys.executable, "-c", ASK_MANY, str(PORT), far.v4, *many)
        assert asked.split() == [far.v4, far.v4]
        ignored = 1 + len(many)
        if address == "[::]":
            many = f"ff02::1%{hosts.DEVICE}"
            asked = near.must(sys.executable, "-c", ASK_MANY, str(PORT), far.v6, many)
            assert asked.split() == [far.v6, far.v6]
            ignored += 1
        counted = server.interrupt().ok().find(r" · ignored ([\d,]+)$")[1]
        assert int(counted) == ignored


def test_an_address_of_many_is_no_address_to_serve_datagrams_on(pingpong, far):
    for address in "192.0.2.255", "224.0.0.1", "255.255.255.255":
        result = pingpong("serve", address, prefix=far.prefix, free_port=False)
        assert "the address of many hosts" in result.failed(1, "cannot listen on").err, str(result)


# Each request is followed by one whose reply tells that the server is through with it.
ASK_FOR_MORE = r"""
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.settimeout(30)
    sock.connect((sys.argv[1], int(sys.argv[2])))
    number = 0
    def send(kind, size, asked, body=b""):
        global number
        number += 1
        head = b"pp\x9d\x01" + bytes([kind]) + asked.to_bytes(3, "big") + number.to_bytes(8, "big")
        sock.send((head + body).ljust(size, b"\0"))
        return number
    hello = b"\x9dpingpong hello 1\nanswers=0\n"
    for kind in 0, 2:
        for size in 16, 17, 64, 256, 1215, 1216, 1217, 1400, 9000:
            for asked in 0, 15, 16, size - 1, size, size + 1, 2 * size, 65507, (1 << 24) - 1:
                this = send(kind, size, asked, hello if kind == 2 and size > 64 else b"")
                through = send(0, 16, 16)
                while True:
                    reply = sock.recv(65536)
                    answers = int.from_bytes(reply[8:16], "big")
                    if answers == through:
                        break
                    assert answers == this
                    print(kind, size, len(reply))
"""


def test_no_reply_is_longer_than_its_request(pingpong, near, far, server):
    """Else a forged sender would be flooded, by asking for more than he sends."""
    asked = near.must(sys.executable, "-c", ASK_FOR_MORE, far.v4, str(PORT))
    replies = [tuple(map(int, line.split())) for line in asked.splitlines()]
    assert {kind for kind, _, _ in replies} == {REQUEST, HELLO}, "not all are answered"
    assert [reply for reply in replies if reply[2] > reply[1]] == []


def test_no_more_bytes_go_back_than_were_sent(pingpong, near, far, server):
    for host, end in (near, "sport"), (far, "dport"):
        host.filter(f"udp {end} {PORT} counter")
    sums_up(measure(pingpong, near, far.v4, "-u", "-m", "400,100", "-n", "100").ok(), 100)
    rule = r"counter packets \d+ bytes (\d+)"
    back, there = (
        int(re.search(rule, host.must("nft", "list", "ruleset"))[1]) for host in (near, far)
    )
    assert 0 < back <= there
