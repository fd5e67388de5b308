"""What stands in the way before a run: ports, addresses, names, descriptors."""

import resource
import shutil
import socket

import pytest


def nothing_measured(result):
    assert result.out == "", str(result)


def limit(soft, hard):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("connections", [1, 50])
def test_a_port_in_use_is_named_in_one_line_with_the_way_out(pingpong, engine, connections):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        result = pingpong("-n", "10", "-p", port, "--engine", engine, "-c", connections)
    nothing_measured(result.failed(1, rf"127\.0\.0\.1:{port}\b", "in use", "-p"))


def test_a_second_run_on_the_same_port_is_refused_and_the_first_goes_on(pingpong):
    with pingpong.endless("--wait", "block") as run:
        nothing_measured(pingpong("-n", "10", "-p", run.port).failed(1, f":{run.port}", "-p"))
        run.wait_for_round_trips()
        run.interrupt().interrupted()


@pytest.mark.parametrize("connections", [1, 50])
def test_runs_can_follow_each_other_on_the_same_port_at_once(
    pingpong, engine, free_port, connections
):
    args = ("-n", "200", "-p", free_port, "--engine", engine, "-c", connections)
    for _ in range(3):
        pingpong(*args).ok()


def test_a_port_can_be_taken_at_once_after_a_run_was_killed(pingpong, free_port):
    with pingpong.endless("-p", free_port, "-c", "5") as run:
        run.process.kill()
        run.process.wait()
        pingpong("-n", "200", "-p", free_port).ok()


def test_a_privileged_port_is_named_in_one_line_with_the_way_out(pingpong):
    port = 997
    try:
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
            start = int(file.read())
    except OSError:
        start = 1024
    if start <= port:
        pytest.skip("no port is privileged here")
    without = ()
    try:
        with socket.create_server(("127.0.0.1", port)):
            without = ("setpriv", "--bounding-set", "-net_bind_service", "--inh-caps",
                       "-net_bind_service")
    except PermissionError:
        pass
    except OSError:
        pytest.skip(f"port {port} is in use")
    if without and not shutil.which(without[0]):
        pytest.skip("this process may use every port, and there is no setpriv")
    result = pingpong("-n", "10", "-p", port, prefix=without)
    nothing_measured(result.failed(1, rf":{port}\b", "ermission", "-p"))


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_an_address_of_another_machine_is_named_in_one_line_with_the_way_out(pingpong, host):
    if ":" in host and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    result = pingpong("-n", "10", "--host", host)
    nothing_measured(result.failed(1, host, "--host"))


def test_a_host_that_cannot_be_resolved_is_named_in_one_line(pingpong, engine):
    result = pingpong("-n", "10", "--host", "no.such.invalid", "--engine", engine)
    nothing_measured(result.failed(1, r'"no\.such\.invalid"'))


@pytest.mark.parametrize("host", ["127.0.0.1.", "256.1.1.1", "a b", "%s%n"])
def test_what_can_be_no_host_is_refused_in_one_line(pingpong, host):
    result = pingpong("-n", "10", "--host", host)
    nothing_measured(result.failed(2, "--host takes", f'"{host}"'.replace(".", r"\.")))


def test_too_many_connections_for_the_limit_are_refused_before_anything_is_measured(
    pingpong, engine
):
    args = ("-n", "100", "-c", "50", "--engine", engine)
    result = pingpong(*args, preexec_fn=limit(100, 100))
    nothing_measured(result.failed(1, r"\b50 connections", r"\b100\b", "-c", "ulimit"))


def test_as_many_connections_as_the_limit_allows_are_served(pingpong, engine):
    refused = pingpong("-n", "1", "-c", "50", preexec_fn=limit(60, 60)).failed(1)
    enough = int(refused.err.split(" need ")[1].split()[0])
    args = ("-n", "500", "-c", "50", "--engine", engine, "--host", "localhost")
    pingpong(*args, preexec_fn=limit(enough, enough)).ok()
    pingpong(*args, preexec_fn=limit(enough - 1, enough - 1)).failed(1)


def test_a_low_soft_limit_on_descriptors_is_raised_by_itself(pingpong, engine):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < 400:
        pytest.skip("too few descriptors may be opened here")
    args = ("-n", "500", "-c", "100", "--engine", engine)
    assert pingpong(*args, preexec_fn=limit(32, hard)).ok().done == 500


@pytest.mark.parametrize("descriptors", [2**20, 1073741816, 2**32 + 5, 2**63 - 1])
def test_a_limit_of_a_billion_descriptors_does_no_harm(pingpong, engine, shim, descriptors):
    result = pingpong("-n", "500", "-c", "2", "--engine", engine, env=shim(limit=descriptors))
    assert result.ok().done == 500
