"""The peers: what they measure, and as candidates of compare."""

import json
import re
import shutil
import subprocess

import pytest
from driver import Program

PEERS = ["libev", "libevent", "libuv", "threads"]
ROUNDS = 8
QUICK = ("--rounds", ROUNDS, "-n", "300")


@pytest.fixture(params=PEERS)
def name(request, build_folder):
    if not (build_folder / "peers" / f"pingpong-peer-{request.param}").exists():
        pytest.skip(f"built without {request.param}")
    return request.param


@pytest.fixture
def built(build_folder):
    return sorted(path.name.removeprefix("pingpong-peer-")
                  for path in (build_folder / "peers").glob("pingpong-peer-*"))


@pytest.fixture
def peer(name, build_folder, pingpong):
    """peer(ARG...): how it ended, as subprocess says."""
    program = build_folder / "peers" / f"pingpong-peer-{name}"

    def run(*args):
        return subprocess.run([program, *map(str, args)], capture_output=True, text=True,
                              timeout=pingpong.timeout_s, check=False)

    return run


@pytest.fixture
def elsewhere(pingpong, build_folder, tmp_path):
    """elsewhere(PROGRAM...): a copy of pingpong with these peers alone, which stand in build."""
    def copy(*programs):
        (tmp_path / "bin/peers").mkdir(parents=True)
        for program in programs:
            shutil.copy(build_folder / program, tmp_path / "bin/peers")
        return Program(shutil.copy(pingpong.path, tmp_path / "bin"))

    return copy


def result_of(done):
    assert done.returncode == 0 and done.stderr == "", f"{done.stdout}{done.stderr}"
    return json.loads(done.stdout)


def percentiles(result):
    return {p["percentile"]: p["ns"] for p in result["rtt"]["percentiles"]}


# ---- a peer by itself --------------------------------------------------------------------------


@pytest.mark.parametrize("connections, size", [(1, 1), (1, 5), (7, 1000), (50, 5), (3, 65536)])
def test_a_peer_makes_as_many_round_trips_as_it_is_told_to(peer, connections, size):
    result = result_of(peer("-c", connections, "-m", size, "-n", 2000, "-w", 100))
    assert result["format"] == "pingpong-result"
    assert result["round_trips"] == result["rtt"]["samples"] == 2000
    per_s = 2000 / result["duration_ns"] * 1e9
    assert result["round_trips_per_s"] == pytest.approx(per_s, rel=1e-4)
    rtt = percentiles(result)
    assert 0 < rtt[50] <= rtt[90] <= rtt[99] <= result["rtt"]["max_ns"] * 1.001
    assert rtt[99.9] is None  # only one sample lies beyond
    assert rtt[50] <= result["duration_ns"] and result["rtt"]["mean_ns"] > 0
    load = result["options"]["load"]
    assert load["connections"] == connections
    assert load["request"]["mean_bytes"] == load["response"]["mean_bytes"] == size
    for side in ("client", "server"):
        assert result["costs"][side]["cpu_ns_per_round_trip"] > 0


def test_a_peer_measures_for_so_long_after_its_warm_up(peer):
    result = result_of(peer("--connections=4", "--time=200ms", "--warmup=50000us"))
    assert 200e6 <= result["duration_ns"] and result["round_trips"] == result["rtt"]["samples"] > 0


def test_a_message_that_no_socket_takes_at_once_comes_back_whole(peer, name):
    if name == "threads":
        pytest.skip("a client that blocks while it sends reads nothing")
    assert result_of(peer("-m", "8M", "-n", 6, "-c", 2))["round_trips"] == 6


def test_what_a_server_is_late_by_is_in_every_figure(build_folder):
    """Each answer is 2 ms late, in which nobody has anything to do."""
    done = subprocess.run([build_folder / "tests/peers/pingpong-peer-late", "-n", "50", "-w", "5"],
                          capture_output=True, text=True, timeout=60, check=False)
    result = result_of(done)
    rtt = percentiles(result)
    assert 2e6 * 0.999 <= rtt[50] <= result["rtt"]["max_ns"] * 1.001
    assert result["rtt"]["mean_ns"] >= 2e6 and result["duration_ns"] >= 50 * 2e6
    assert result["round_trips_per_s"] <= 500
    assert all(side["cpu_ns_per_round_trip"] < 2e6 for side in result["costs"].values())


@pytest.mark.parametrize("args", [
    ("-D", "4"), ("--rate=5",), ("-n", "0"), ("-n", "x"), ("-c", "1.5x"), ("-t", "5parsecs"),
    ("-A", "0"), ("-A", "0,-1"), ("-m", "0"), ("-w", "soon"), ("10.0.0.1",), ("-n",),
])
def test_what_makes_no_sense_to_a_peer_is_refused_in_a_line(peer, args):
    done = peer(*args)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert args[-1] in done.stderr or args[0] in done.stderr


# ---- as candidates -----------------------------------------------------------------------------


def document(pingpong, tmp_path, *args):
    path = tmp_path / "experiment.json"
    pingpong("compare", *args, "--json", path, "-o", "/dev/null", free_port=False).ok()
    return json.loads(path.read_text())


def test_peers_are_compared_as_engines_are(pingpong, built, tmp_path):
    result = document(pingpong, tmp_path, "epoll", *built, "-c", "5", "-m", "100", *QUICK)
    assert [c["name"] for c in result["candidates"]] == ["epoll", *built]
    for found in result["comparison"][1:]:
        assert {m: v["pairs"] for m, v in found["metrics"].items()} == {
            "cpu": ROUNDS, "rate": ROUNDS, "p50": ROUNDS, "p99": 0}  # of 300, 3 lie beyond p99
    for trial in result["trials"]:
        load = trial["result"]["options"]["load"]
        assert (load["connections"], load["request"]["mean_bytes"]) == (5, 100)
        assert trial["result"]["round_trips"] == 300
    assert all(not found["differences"] for found in result["environments"])


def cpus_of(candidate):
    return [re.split("[,/]", arg.removeprefix("--cpus=")) for arg in candidate["argv"]
            if arg.startswith("--cpus=")]


@pytest.mark.parametrize("args, placed", [((), True), (("--placement", "none"), False)])
def test_a_peer_runs_on_the_cpus_of_the_others(pingpong, name, tmp_path, args, placed):
    result = document(pingpong, tmp_path, "epoll", name, *args, *QUICK)
    ours, theirs = map(cpus_of, result["candidates"])
    assert ours == theirs and len(ours) == placed


def test_a_peer_may_be_the_baseline_and_have_a_load_of_its_own(pingpong, name, tmp_path):
    result = document(pingpong, tmp_path, name, f"{name} c=3", "--rounds", ROUNDS, "-t", "30ms",
                      "--wait", "block")
    loads = {t["candidate"]: t["result"]["options"]["load"] for t in result["trials"]}
    assert {i: load["connections"] for i, load in loads.items()} == {0: 1, 1: 3}
    assert {load["time_ns"] for load in loads.values()} == {30_000_000}
    assert {load["warmup_ns"] for load in loads.values()} == {3_000_000}


def test_a_sweep_has_rows_for_peers(pingpong, name, tmp_path):
    path = tmp_path / "sweep.json"
    pingpong("sweep", "epoll", name, "-c", "1,4", "-n", "300", "--rounds", 1, "--json", path,
             free_port=False).ok()
    assert len(json.loads(path.read_text())["trials"]) == 4


@pytest.mark.parametrize("args, option", [
    (("-R", "1000"), "--rate"),
    (("-D", "4"), "--depth"),
    (("-u",), "--udp"),
    (("--crr",), "--crr"),
    (("-T", "2", "-c", "2"), "--threads"),
    (("-m", "64,128"), "--size with several sizes"),
    (("-m", "uniform:5-9"), "--size with several sizes"),
    (("--think", "1ms"), "--think"),
    (("-6",), "--ipv6|--host"),
])
def test_a_load_that_no_peer_can_make_is_refused_by_its_name(pingpong, args, option):
    pingpong("compare", "epoll", "threads", *args, *QUICK, free_port=False).failed(
        2, f"threads: a peer has no ({option}): it makes round trips over TCP")


def test_an_engine_is_none_of_a_peer(pingpong):
    pingpong("compare", "epoll", "threads engine=epoll", *QUICK, free_port=False).failed(
        2, "a peer has no --engine")


def test_an_answer_that_is_wrong_is_status_5(elsewhere):
    program = elsewhere("tests/peers/pingpong-peer-wrong")
    program("compare", "epoll", "wrong", *QUICK, free_port=False).failed(
        5, "wrong: ", "status 5: .*byte 2 of an answer is 0x")
    program("compare", "epoll", "wrong", "--rounds", ROUNDS, "-n", "50", free_port=False).ok()


# ---- where they are ----------------------------------------------------------------------------


def test_engines_lists_the_peers(pingpong, built):
    listed = json.loads(pingpong("engines", "--json", free_port=False).ok().out)["peers"]
    assert listed == [{"name": name} for name in built]
    line = " · ".join(["peers for compare", *built])
    assert line in pingpong("engines", free_port=False).ok().lines


def test_without_peers_there_are_none(elsewhere):
    program = elsewhere()
    assert json.loads(program("engines", "--json", free_port=False).ok().out)["peers"] == []
    assert "peers" not in program("engines", free_port=False).ok().out
    program("compare", "epoll", "threads", *QUICK, free_port=False).failed(
        2, '"threads" is no candidate')


def test_any_program_with_that_name_is_a_peer(elsewhere, tmp_path):
    program = elsewhere()
    mine = tmp_path / "bin/peers/pingpong-peer-mine"
    mine.write_text('#!/bin/sh\necho \'{"format": "pingpong-result", "round_trips_per_s": 7}\'\n')
    mine.chmod(0o755)
    result = document(program, tmp_path, "mine", "epoll", *QUICK)
    assert result["comparison"][0]["metrics"]["rate"]["median"] == 7
