"""Much of it, between two processes: connections, messages under way, bytes."""

import os
import resource

import pytest
from driver import wait_until
from peers import Counts, all_sent, client, endless_client, exactly, serve

MANY = 10000
DESCRIPTORS = MANY + 2000
THREADS = ("-T", 2)


@pytest.fixture(scope="module")
def many():
    """Options of a run that may open so many descriptors."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < DESCRIPTORS and os.geteuid() != 0:
        pytest.skip(f"only {hard} descriptors may be opened here")
    enough = max(hard, DESCRIPTORS)
    return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (enough, enough))}


def test_ten_thousand_connections_come_and_go_and_leave_no_descriptor_behind(
    pingpong, engine, many
):
    with serve(pingpong, "-S", 2, "--engine", engine, **many) as server:
        args = ("-c", MANY, *THREADS, "--engine", engine)
        idle = server.descriptors()
        exactly(client(pingpong, server, "-n", 3 * MANY, *args, **many), 3 * MANY)
        wait_until(lambda: server.descriptors() == idle, "all are closed", server.timeout_s)
        with endless_client(pingpong, server, *args, **many) as run:
            wait_until(
                lambda: server.descriptors() == idle + MANY, "all are accepted", run.timeout_s
            )
            assert Counts(run.interrupt()).errors == 0
        wait_until(lambda: server.descriptors() == idle, "all are closed", server.timeout_s)
        server.interrupt().ok().find(r"^served 20,000 connections")


@pytest.mark.parametrize("size, count", [("1", 50000), ("1MiB", 400)])
def test_the_smallest_and_large_messages_go_at_a_depth_of_64(pingpong, engine, size, count):
    with serve(pingpong, "-S", 2, "--engine", engine) as server:
        args = ("-c", 4, *THREADS, "-D", 64, "-m", size, "-n", count, "--engine", engine)
        exactly(client(pingpong, server, *args), count)


@pytest.mark.parametrize("sizes, count", [("1,1MiB", 200), ("1MiB,1", 200)])
def test_large_answers_and_large_requests_go_at_a_depth_of_64(pingpong, engine, sizes, count):
    with serve(pingpong, "-S", 2, "--engine", engine) as server:
        args = ("-c", 4, *THREADS, "-D", 64, "-m", sizes, "-n", count, "--engine", engine)
        exactly(client(pingpong, server, *args), count)


def test_datagrams_of_every_size_go_at_a_depth_of_64(pingpong, engine):
    with serve(pingpong, "-S", 2, "--engine", engine) as server:
        args = ("-u", "-c", 4, *THREADS, "-D", 64, "-m", "uniform:16-1400", "-n", 20000)
        all_sent(client(pingpong, server, *args, "--engine", engine), 20000)


def test_large_messages_go_at_a_depth_of_64_over_unix_sockets(pingpong, engine, tmp_path):
    with serve(pingpong, f"unix:{tmp_path}/socket", "-S", 2, "--engine", engine) as server:
        args = ("-c", 4, *THREADS, "-D", 64, "-m", "1MiB", "-n", 200, "--engine", engine)
        exactly(client(pingpong, server, *args), 200)
