"""pingpong engines: what runs here and why not, and the floor. How fast the floor is, is nobody's
promise."""

import errno
import json
import shutil
import signal
import subprocess

import pytest
from driver import ENGINES, display_width, wait_until
from test_terminal import on_terminal

CALLS = ("io_uring_setup", "io_uring_enter", "io_uring_register")
LOOPS = ["one_thread", "same_cpu_block", "same_cpu_yield", "two_cpus_block", "two_cpus_spin"]


@pytest.fixture
def engines(pingpong):
    def run(*args, **kwargs):
        return pingpong("engines", *args, free_port=False, **kwargs)

    return run


def found(result):
    """The JSON, with engines and loops by their names."""
    assert result.status == 0 and result.err == "", str(result)
    document = json.loads(result.out)
    assert document["format"] == "pingpong-engines"
    return (
        {engine["name"]: engine for engine in document["engines"]},
        {loop["name"]: loop for loop in document["floor"]["loops"]},
        document,
    )


def test_every_engine_runs_that_a_run_takes(engines, works):
    known, _, _ = found(engines("--json"))
    assert sorted(known) == ENGINES
    for name, engine in known.items():
        assert engine["available"] == works(name), str(engine)
        assert engine["available"] == (engine["errno"] is None) == (engine["why"] is None)
        assert engine["available"] == (engine["description"] is not None)


def test_features_are_granted_that_a_run_is_granted(engines, pingpong, io_uring):
    known, _, _ = found(engines("--json"))
    features = known["io_uring"]["features"]
    assert {"multishot", "buffer-ring", "defer", "skip", "fixed"} <= {f["name"] for f in features}
    for feature in features:
        spec = f"io_uring:{'' if feature['opt_in'] else 'no-'}{feature['name']}"
        result = pingpong("-n", "200", "-c", "4", "--engine", spec)
        assert result.status == (0 if feature["granted"] or not feature["opt_in"] else 4), str(result)
        if feature["opt_in"] and not feature["granted"]:
            assert result.err == f"pingpong: {feature['why']}\n"


@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOSYS, errno.ENOMEM], ids=errno.errorcode.get)
def test_an_engine_that_is_refused_is_told_with_its_error_and_a_cure(engines, deny, error):
    cure = {errno.EPERM: "seccomp", errno.ENOSYS: "kernel", errno.ENOMEM: "ulimit -l"}[error]
    prefix = deny(error, *CALLS)
    known, _, _ = found(engines("--json", prefix=prefix))
    io_uring = known["io_uring"]
    assert not io_uring["available"] and io_uring["errno"] == errno.errorcode[error]
    assert cure in io_uring["why"]
    assert not any(feature["granted"] for feature in io_uring["features"])
    assert known["epoll"]["available"]
    result = engines(prefix=prefix)
    assert result.status == 0 and "engine io_uring · cannot run here" in result.out
    assert cure in result.out and "engine epoll · runs here" in result.out


def test_the_floor_has_all_loops(engines, two_cpus):
    prefix = ("taskset", "-c", ",".join(map(str, two_cpus)))
    _, loops, document = found(engines("--json", prefix=prefix))
    assert list(loops) == LOOPS and sorted(document["floor"]["cpus"]) == sorted(two_cpus)
    assert document["floor"]["system_call_ns"] > 0 and document["floor"]["clock_reading_ns"] > 0
    for loop in loops.values():
        assert loop["why"] is None and loop["round_trips"] > 0 and loop["duration_ns"] > 0
        per_s = loop["round_trips"] / loop["duration_ns"] * 1e9
        assert loop["round_trips_per_s"] == pytest.approx(per_s, rel=1e-6)


def test_on_one_cpu_there_is_no_pair_and_the_reason_is_told(engines, cpus):
    prefix = ("taskset", "-c", str(cpus[0]))
    _, loops, document = found(engines("--json", prefix=prefix))
    assert document["floor"]["cpus"] == [cpus[0]]
    assert {n for n, loop in loops.items() if loop["why"]} == {"two_cpus_block", "two_cpus_spin"}
    assert loops["two_cpus_spin"]["round_trips_per_s"] is None
    result = engines(prefix=prefix)
    assert result.status == 0 and result.out.count("two CPUs, and this process") == 1, str(result)


def test_without_a_loopback_the_engines_are_told_all_the_same(engines, pingpong):
    alone = ("unshare", "-rn")
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("no network namespace can be made here")
    known, loops, _ = found(engines("--json", prefix=alone))
    assert known["epoll"]["available"] and all("do not work" in l["why"] for l in loops.values())
    result = engines(prefix=alone)
    assert result.status == 0 and result.out.count("do not work here") == 1, str(result)


@pytest.mark.parametrize("columns", [60, 80, 132])
@pytest.mark.parametrize("denied", [False, True])
def test_no_line_is_wider_than_the_terminal(pingpong, deny, denied, columns):
    prefix = deny(errno.EPERM, *CALLS) if denied else ()
    result = on_terminal(pingpong, "engines", columns=columns, prefix=prefix, free_port=False)
    assert result.status == 0, str(result)
    lines = result.terminal.splitlines()
    assert any("two CPUs, spinning" in line for line in lines)
    assert max(map(display_width, lines)) <= columns, result.terminal


def test_json_goes_to_a_file_beside_the_text(engines, tmp_path):
    path = tmp_path / "engines.json"
    result = engines("--json", path)
    assert result.status == 0 and result.out.startswith("engine "), str(result)
    assert json.loads(path.read_text())["format"] == "pingpong-engines"
    result = engines("-o", path)
    assert result.status == 0 and result.out == "" and path.read_text().startswith("engine ")


def test_what_cannot_be_written_is_found_out_before_anything_is_measured(engines):
    result = engines("--json", "/nonexistent/engines.json")
    assert result.status == 1 and result.out == "" and "cannot write" in result.err, str(result)
    with open("/dev/full", "w", encoding="ascii") as full:
        assert engines(stdout=full).status == 1


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("-n", "5"), "--count is for run and client, not for engines"),
        (("--csv",), "--csv is for"),
        (("localhost",), "takes no ADDRESS"),
    ],
)
def test_what_makes_no_sense_is_refused(engines, args, why):
    result = engines(*args)
    assert result.status == 2 and why in result.err and result.out == "", str(result)


def test_a_signal_ends_it(pingpong):
    with pingpong.spawn("engines", free_port=False) as run:
        wait_until(lambda: run.threads() >= 2, "no round trips are made")
        run.send(signal.SIGINT)
        result = run.finish()
    assert result.status == 130 and result.out == "", str(result)
