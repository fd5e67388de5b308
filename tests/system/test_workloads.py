"""Every way to run: counts, connections, engines, waiting, placement, addresses."""

import resource

import pytest
from driver import ENGINES
from peers import pinned

OLD_KERNELS = [
    "io_uring:no-multishot",
    "io_uring:no-buffer-ring",
    "io_uring:no-defer",
    "io_uring:no-skip",
    "io_uring:no-multishot,no-buffer-ring,no-defer,no-skip,no-fixed",
]


@pytest.mark.parametrize(
    "count, connections", [(1, 1), (1, 2), (2, 5), (3, 3), (7, 3), (999, 10), (1000, 300)]
)
def test_exactly_as_many_round_trips_are_counted_as_asked_for(
    pingpong, engine, count, connections
):
    result = pingpong("-v", "-n", count, "-c", connections, "--engine", engine).ok()
    assert result.done == count
    assert result.identity == (count, count, 0, 0)


def test_a_hundred_thousand_round_trips_are_counted_exactly(pingpong):
    assert pingpong("-v", "-n", "100k").ok().identity == (100000, 100000, 0, 0)


@pytest.mark.parametrize("connections", [1, 50])
@pytest.mark.parametrize("server", ENGINES)
@pytest.mark.parametrize("client", ENGINES)
def test_every_engine_talks_to_every_engine(pingpong, works, client, server, connections):
    if not works(client) or not works(server):
        pytest.skip("one of them does not run here")
    args = ("--engine", client, "--server-engine", server, "-c", connections)
    result = pingpong("-v", "-n", "2000", *args).ok()
    assert result.identity == (2000, 2000, 0, 0)
    assert result.engines == (client, server)


@pytest.mark.parametrize("connections", [1, 50])
@pytest.mark.parametrize("wait", ["block", "yield"])
@pytest.mark.parametrize("spec", OLD_KERNELS)
def test_io_uring_works_without_what_older_kernels_lack(
    pingpong, io_uring, spec, wait, connections
):
    args = ("--engine", spec, "--wait", wait, "-c", connections)
    assert pingpong("-v", "-n", "1000", *args).ok().identity == (1000, 1000, 0, 0)


@pytest.mark.parametrize("connections", [1, 20])
@pytest.mark.parametrize("wait", ["auto", "block", "yield", "yield:5", "spin:20"])
def test_every_way_to_wait_works(pingpong, engine, wait, connections):
    args = ("--wait", wait, "--engine", engine, "-c", connections, "--placement", "none")
    assert pingpong("-n", "1000", *args).ok().done == 1000


def test_spinning_for_ever_works_on_two_cpus(pingpong, engine, two_cpus):
    args = ("--wait", "spin", "--engine", engine, "--placement", "split")
    assert pingpong("-n", "500", *args).ok().done == 500


@pytest.mark.parametrize("args", ["--placement same", "-A 0,0", "-T 99 -c 99", "-T 99 -S 99 -c 99"])
def test_two_threads_that_spin_for_ever_on_one_cpu_are_refused(pingpong, args):
    result = pingpong("-n", "10", "--wait", "spin", *args.split())
    result.failed(2, "--wait spin", "--placement split", "--wait yield")


@pytest.mark.parametrize("connections", [1, 20])
@pytest.mark.parametrize("placement", ["auto", "same", "none"])
def test_every_placement_works(pingpong, placement, connections):
    args = ("--placement", placement, "-c", connections)
    assert pingpong("-n", "1000", *args).ok().done == 1000


@pytest.mark.parametrize("connections", [1, 20])
def test_split_placement_puts_the_two_threads_on_two_cpus(pingpong, two_cpus, connections):
    result = pingpong("-n", "1000", "--placement", "split", "-c", connections).ok()
    match = result.find(r"placement split \(cpu (\d+), server (\d+)\)")
    assert match[1] != match[2]


def test_the_two_threads_run_on_the_cpus_they_are_given(pingpong, two_cpus):
    first, second = two_cpus
    for client, server in [(first, second), (second, first)]:
        with pingpong.endless("-A", f"{client},{server}", "--wait", "block") as run:
            run.wait_for_round_trips()
            allowed = pinned(run, 2)
            result = run.interrupt().interrupted()
        assert allowed == sorted([str(client), str(server)])
        assert f"placement split (cpu {client}, server {server})" in result.out


def test_both_threads_run_on_the_one_cpu_they_are_given(pingpong, cpus):
    for cpu in cpus[:2]:
        with pingpong.endless("-A", f"{cpu},{cpu}", "--wait", "block") as run:
            run.wait_for_round_trips()
            assert pinned(run, 2) == [str(cpu)] * 2
            result = run.interrupt().interrupted()
        assert f"placement same core (cpu {cpu})" in result.out


def on_one_cpu(cpus):
    return ("taskset", "-c", str(cpus[0]))


@pytest.mark.parametrize("connections", [1, 20])
def test_one_cpu_is_enough(pingpong, engine, cpus, connections):
    result = pingpong(
        "-n", "1000", "--engine", engine, "-c", connections, prefix=on_one_cpu(cpus)
    ).ok()
    assert result.done == 1000
    assert f"placement auto: same core (cpu {cpus[0]})" in result.out


def test_split_placement_on_one_cpu_is_refused_in_one_line(pingpong, cpus):
    result = pingpong("-n", "100", "--placement", "split", prefix=on_one_cpu(cpus))
    assert result.failed(1, "--placement split", "two CPUs").out == ""


def test_a_cpu_that_this_process_may_not_use_is_refused_by_name(pingpong, two_cpus):
    first, second = two_cpus
    args = ("-n", "100", "-A", f"{first},{second}")
    pingpong(*args, prefix=on_one_cpu([first])).failed(2, rf"--cpus.*CPU {second}\b")


@pytest.mark.parametrize("connections", [1, 20])
def test_ipv6_works(pingpong, engine, ipv6, connections):
    result = pingpong("-n", "1000", "--host", "::1", "--engine", engine, "-c", connections).ok()
    assert result.done == 1000
    result.find(r"TCP \[::1\]:\d+")


def test_a_host_name_works(pingpong, engine):
    result = pingpong("-n", "1000", "--host", "localhost", "--engine", engine).ok()
    assert result.done == 1000
    result.find(r"TCP (127\.0\.0\.1|\[::1\]):\d+")


def test_a_thousand_connections_work(pingpong, engine):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2100:
        pytest.skip("too few descriptors may be opened here")
    result = pingpong("-v", "-n", "3000", "-c", "1000", "--engine", engine).ok()
    assert result.identity == (3000, 3000, 0, 0)


def test_the_port_is_3131_and_the_count_500000_when_nothing_is_said(pingpong, own_network):
    with pingpong.start(free_port=False, prefix=own_network) as run:
        assert run.port == 3131
        assert run.interrupt().interrupted().partial[1] == 500000


def test_the_port_asked_for_is_taken(pingpong, free_port):
    pingpong("-n", "10", "-p", free_port).ok().find(rf"TCP 127\.0\.0\.1:{free_port} ")


@pytest.mark.parametrize("connections", [1, 20])
def test_no_descriptor_and_no_thread_is_left_at_the_end(
    pingpong, engine, shim, tmp_path, connections
):
    report = tmp_path / "report"
    args = ("--engine", engine, "-c", connections, "--host", "localhost")
    pingpong("-n", "500", *args, env=shim(report=report)).ok()
    assert report.read_text() == "threads 1\n"


def test_no_descriptor_and_no_thread_is_left_after_an_interrupt(pingpong, engine, shim, tmp_path):
    report = tmp_path / "report"
    with pingpong.endless("--engine", engine, "-c", "20", env=shim(report=report)) as run:
        run.interrupt().interrupted()
    assert report.read_text() == "threads 1\n"
