"""While a run goes on, anybody may connect to its server. None of them harms the run, and those who
behave are served."""

import random
import re
import shutil
import socket
import subprocess
import time

import pytest
from clients import connect, pump, receive, reset, stuff
from driver import wait_until
from peers import Counts, client, exactly, serve


@pytest.fixture
def run(pingpong, engine):
    """A run on each engine, which must survive all that a test does to it."""
    with pingpong.endless("--engine", engine, "--wait", "block") as running:
        running.wait_for_round_trips()
        yield running
        running.wait_for_round_trips()
        running.interrupt().interrupted()


def is_served(run, text=b"are you there?\n"):
    with connect(run) as sock:
        sock.sendall(text)
        return receive(sock, len(text)) == text


def answer_of(data, *command):
    """What a program prints whose input is data."""
    return subprocess.run(command, input=data, capture_output=True, timeout=60, check=True).stdout


def netcat_echoes(port):
    nc = shutil.which("nc")
    if not nc or "-N" not in subprocess.run([nc, "-h"], capture_output=True, text=True).stderr:
        pytest.skip("no nc with -N here")
    data = random.Random(1).randbytes(100_000)
    return answer_of(data, nc, "-N", "127.0.0.1", str(port)) == data


def socat_echoes(address):
    socat = shutil.which("socat")
    if not socat:
        pytest.skip("no socat here")
    data = random.Random(2).randbytes(300_000)
    return answer_of(data, socat, "-t", "60", "-", address) == data


def test_netcat_is_echoed_to_the_last_byte(run):
    assert netcat_echoes(run.port)


def test_netcat_socat_and_python_are_echoed_by_a_server_by_itself(pingpong, engine):
    data = random.Random(3).randbytes(3_000_000)
    with serve(pingpong, "-S", 2, "--engine", engine) as server:
        assert netcat_echoes(server.port)
        assert socat_echoes(f"TCP:127.0.0.1:{server.port}")
        with connect(server) as sock:
            assert pump(sock, data) == data
        server.interrupt().ok().find(r"^served 3 connections")


def test_socat_is_echoed_over_a_unix_socket(pingpong, engine, tmp_path):
    with serve(pingpong, f"unix:{tmp_path}/socket", "--engine", engine) as server:
        assert socat_echoes(f"UNIX-CONNECT:{tmp_path}/socket")
        server.interrupt().ok().find(r"^served 1 connection\b")


def test_bytes_sent_one_by_one_come_back_in_order(run):
    text = b"PING\nPONG\n" * 20
    with connect(run) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(text)):
            sock.sendall(text[i : i + 1])
        assert receive(sock, len(text)) == text
        for i in range(len(text)):
            sock.sendall(text[i : i + 1])
            assert sock.recv(1) == text[i : i + 1]


def test_three_megabytes_at_once_come_back_whole_after_a_half_close(run):
    data = random.Random(2).randbytes(3_000_000)
    with connect(run) as sock:
        assert pump(sock, data) == data


def test_ten_clients_at_once_each_get_their_own_bytes(run):
    socks = [connect(run) for _ in range(10)]
    texts = [bytes([65 + i]) * 5000 for i in range(10)]
    for _ in range(10):
        for sock, text in zip(socks, texts):
            sock.sendall(text)
        for sock, text in zip(socks, texts):
            assert receive(sock, len(text)) == text
    for sock in socks:
        sock.close()


def test_a_client_that_half_closes_first_is_closed_in_return(run):
    with connect(run) as sock:
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""


def test_a_reset_in_mid_message_touches_nobody_else(run):
    descriptors = run.descriptors()
    for _ in range(100):
        sock = connect(run)
        sock.sendall(b"PIN")
        reset(sock)
    assert is_served(run)
    wait_until(lambda: run.descriptors() <= descriptors, "connections that are gone stay open")


def test_a_reset_with_much_unread_touches_nobody_else(run):
    descriptors = run.descriptors()
    for _ in range(5):
        sock = connect(run, receive_buffer=4096)
        stuff([sock], enough=4 << 20)
        reset(sock)
    assert is_served(run)
    wait_until(lambda: run.descriptors() <= descriptors, "connections that are gone stay open")


def test_a_client_that_never_reads_costs_little_memory_and_holds_nobody_up(run):
    before = run.rss_kib()
    with connect(run, receive_buffer=4096) as sock:
        assert stuff([sock]) < 128 << 20
        assert run.rss_kib() - before < 16 << 10
        run.wait_for_round_trips()
        assert is_served(run)


def test_forty_clients_that_never_read_hold_nobody_up(pingpong, engine):
    """Not the measurement, not the end of the run. The server may drop them for it."""
    with pingpong.endless("--engine", engine, "--wait", "block") as run:
        socks = [connect(run, receive_buffer=4096) for _ in range(40)]
        stuff(socks, enough=512 << 20)
        run.wait_for_round_trips()
        assert is_served(run)
        run.interrupt().interrupted()
        for sock in socks:
            sock.close()


def test_whoever_never_reads_neither_fills_the_server_nor_takes_the_buffers_of_others(
    pingpong, engine
):
    """The others' messages are large, too, and datagrams: they need the buffers that fill up."""
    with serve(pingpong, "--engine", engine) as server:
        exactly(client(pingpong, server, "-m", "64k", "-n", 20), 20)
        before = server.rss_kib()
        socks = [connect(server, receive_buffer=4096) for _ in range(64)]
        stuff(socks, enough=1 << 30)
        exactly(client(pingpong, server, "-m", "64k", "-c", 4, "-n", 100), 100)
        exactly(client(pingpong, server, "-n", 100), 100)
        assert Counts(client(pingpong, server, "-u", "-m", 1400, "-n", 50).ok()).received > 0
        assert server.rss_kib() - before < 64 << 10
        for sock in socks:
            sock.close()
        server.interrupt().ok()


def test_a_client_that_reads_late_gets_every_byte(run):
    data = random.Random(3).randbytes(8 << 20)
    with connect(run, receive_buffer=4096) as sock:
        sock.setblocking(False)
        sent = 0
        while sent < len(data):
            try:
                sent += sock.send(data[sent : sent + 65536])
            except BlockingIOError:
                break
        sock.settimeout(30)
        run.wait_for_round_trips()
        assert receive(sock, sent) == data[:sent]


def test_three_hundred_idle_connections_hold_nobody_up(run):
    descriptors = run.descriptors()
    socks = [connect(run) for _ in range(300)]
    wait_until(lambda: run.descriptors() >= descriptors + 300, "not all were accepted")
    run.wait_for_round_trips()
    assert is_served(run)
    for sock in socks:
        sock.close()
    wait_until(lambda: run.descriptors() <= descriptors, "connections that are gone stay open")


def test_five_hundred_connects_without_a_byte_leave_nothing_behind(run):
    descriptors = run.descriptors()
    for _ in range(500):
        connect(run).close()
    assert is_served(run)
    wait_until(lambda: run.descriptors() <= descriptors, "connections that are gone stay open")


def test_random_bytes_come_back_as_they_are(run):
    rng = random.Random(4)
    for _ in range(30):
        data = rng.randbytes(rng.randrange(1, 20_000))
        with connect(run) as sock:
            assert pump(sock, data) == data


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        b"\xff\xff\xff\xff" * 4,
        b"\0" * 100,
    ],
    ids=["http", "tls", "a size of 4 GB", "zeros"],
)
def test_what_another_protocol_says_is_only_bytes(run, data):
    assert is_served(run, data)


def test_a_client_that_stays_to_the_end_of_the_run_does_not_hold_it_up(run):
    run.visitor = connect(run)
    run.visitor.sendall(b"hello")
    assert receive(run.visitor, 5) == b"hello"


def test_clients_that_never_read_do_not_hold_up_the_end_of_the_run(run):
    run.visitors = [connect(run, receive_buffer=4096) for _ in range(3)]
    stuff(run.visitors, enough=64 << 20)


def test_out_of_descriptors_the_run_goes_on_and_later_clients_are_served(pingpong, engine):
    args = ("--engine", engine, "--wait", "block")
    with pingpong.endless(*args, prefix=("prlimit", "--nofile=100:100")) as run:
        run.wait_for_round_trips()
        socks = [connect(run) for _ in range(150)]
        wait_until(lambda: run.descriptors() >= 78, "the descriptors do not run out")
        run.wait_for_round_trips()
        for sock in socks:
            sock.close()
        assert is_served(run)
        run.wait_for_round_trips()
        run.interrupt().interrupted()


def test_out_of_descriptors_the_server_does_not_spin(pingpong, engine):
    """A server that asks again and again makes many more system calls than its client."""
    args = ("--engine", engine, "--wait", "block")
    with pingpong.endless(*args, prefix=("prlimit", "--nofile=100:100")) as run:
        socks = [connect(run) for _ in range(150)]
        wait_until(lambda: run.descriptors() >= 78, "the descriptors do not run out")
        run.wait_for_round_trips(5000)
        result = run.interrupt().interrupted()
        for sock in socks:
            sock.close()
    client, server = result.syscall_counts
    assert server < 1.5 * client + 2000, str(result)


def test_what_a_server_tells_of_its_clients_is_a_line_a_second_at_most(pingpong):
    """Connections fall silent and are closed all the time."""
    begun = time.monotonic()
    with serve(pingpong, "--idle-timeout", "100ms") as server:
        silent = []
        while time.monotonic() - begun < 3:
            silent.append(connect(server))
            time.sleep(0.02)
        for sock in silent:
            assert sock.recv(1) == b""
            sock.close()
        result = server.interrupt()
        seconds = time.monotonic() - begun
    lines = result.err.splitlines()
    closed = [re.fullmatch(r"pingpong: (\d+) idle connections? closed", line) for line in lines]
    assert all(closed) and 2 <= len(lines) <= seconds + 1, str(result)
    assert sum(int(line[1]) for line in closed) <= len(silent), str(result)
