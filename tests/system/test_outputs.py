"""Every format of output is what docs/OUTPUT.md says, whatever the run."""

import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time
from pathlib import Path

import jsonschema
import peers
import pytest
from driver import wait_until
from hlog_readers import bucket_top_ns
from outputs import (
    SCHEMA,
    after_intervals,
    assert_fits,
    checked,
    checked_lines,
    documented_columns,
    main_latency,
    read_until,
    rows_of,
)


@pytest.fixture
def short():
    """A folder whose name leaves room for that of a Unix socket."""
    folder = tempfile.mkdtemp(prefix="pp")
    yield Path(folder)
    shutil.rmtree(folder)


# ---- kinds of runs --------------------------------------------------------------------------

RUNS = {
    "a closed loop": ("-n", "20k"),
    "one round trip": ("-n", "1"),
    "by time": ("-t", "200ms", "-w", "50ms"),
    "an open loop": ("-R", "5k", "-t", "300ms"),
    "a random open loop": ("-R", "2k", "-t", "300ms", "--arrivals", "poisson"),
    "udp": ("-u", "-n", "2k"),
    "udp, an open loop": ("-u", "-R", "2k", "-t", "200ms"),
    "connections and threads": ("-c", "20", "-T", "2", "-S", "2", "-n", "5k"),
    "depth": ("-D", "16", "-n", "20k"),
    "a connection each": ("--crr", "-n", "200"),
    "sizes": ("-m", "uniform:64-1400,100", "-n", "1k"),
    "time to think": ("--think", "100us", "-n", "500"),
    "ipv6": ("-6", "-n", "1k"),
    "many percentiles": ("-n", "2k", "--percentiles", "0.001,25,50,99.99991,99,99.99992,99.99999"),
    "one percentile": ("-n", "2k", "--percentiles", "90"),
    "nothing verified": ("-n", "1k", "--verify", "off"),
    "options of sockets": ("-n", "1k", "--sndbuf", "64k", "--rcvbuf", "64k", "--tos", "16"),
    "no placement": ("-n", "1k", "--placement", "none", "--wait", "block"),
    "short intervals": ("-t", "300ms", "-i", "20ms"),
    "one interval": ("-n", "1k", "-i", "10s"),
    "intervals of an open loop": ("-R", "5k", "-t", "300ms", "-i", "50ms"),
    "intervals of connections and threads": "-c 30 -T 2 -S 2 -t 300ms -i 50ms".split(),
    "intervals of udp": ("-u", "-t", "300ms", "-i", "50ms", "-D", "4"),
    "intervals of a connection each": ("--crr", "-t", "300ms", "-i", "50ms"),
    "histograms": ("-R", "5k", "-t", "200ms", "--histogram"),
}


@pytest.fixture
def need(request):
    """Skips what this machine has not."""
    if "-6" in request.node.callspec.params["args"]:
        request.getfixturevalue("ipv6")


@pytest.mark.parametrize("args", RUNS.values(), ids=RUNS)
def test_json_fits_the_schema_and_adds_up(pingpong, need, args):
    run = pingpong("-J", *args)
    assert run.status == 0, str(run)
    result = checked(run.out)
    assert (result["intervals"] is not None) == ("-i" in args)
    assert (result["response"] is not None) == ("-R" in args)
    assert result["partial"] is False and result["signal"] is None and result["error"] is None


@pytest.mark.parametrize("args", RUNS.values(), ids=RUNS)
def test_all_formats_of_a_run_say_the_same(pingpong, need, tmp_path, args):
    names = {name: tmp_path / f"out.{name}" for name in ("json", "jsonl", "csv", "hlog")}
    run = pingpong(
        *("--json", names["json"], "--json-stream", names["jsonl"], "--csv", names["csv"]),
        *("--hlog", names["hlog"], *args),
    )
    assert run.status == 0, str(run)
    result = checked(names["json"].read_text())
    assert f"{result['round_trips']:,} round trip" in run.out
    assert result["verdict"]["level"] in run.out

    _, intervals, last = checked_lines(names["jsonl"].read_text())
    result_intervals = result.pop("intervals")
    assert {key: value for key, value in last.items() if key != "type"} == result
    if result_intervals is not None:
        without_type = [{k: v for k, v in i.items() if k != "type"} for i in intervals]
        assert without_type == result_intervals

    percentiles = [f"{p['percentile']:.12g}" for p in result["rtt"]["percentiles"]]
    *rows, total = rows_of(names["csv"].read_bytes().decode(), percentiles)
    assert_row_is(total, result, percentiles)
    assert total["verdict"] == result["verdict"]["level"]
    assert total["reasons"].split() == [r["id"] for r in result["verdict"]["reasons"]]
    assert len(rows) == len(result_intervals or [])
    for row, interval in zip(rows, result_intervals or []):
        assert_row_is(row, interval, percentiles)
        assert row["started_unix_ns"] == total["started_unix_ns"]
    lines = [line for line in names["hlog"].read_text().splitlines() if line[0].isdigit()]
    assert len(lines) == len(intervals)


def assert_row_is(row, part, percentiles):
    """A row of CSV has the figures of a result or of an interval of JSON."""
    for name in ("sent", "lost", "errors", "in_flight", "late", "reordered", "duplicates"):
        assert int(row[name]) == part["counts"][name], name
    assert int(row["round_trips"]) == part["round_trips"]
    length = "length_ns" if "length_ns" in part else "duration_ns"
    assert int(row["length_ns"]) == part[length]
    if part["round_trips_per_s"] is not None:
        rate = float(row["round_trips_per_s"])
        assert rate == pytest.approx(part["round_trips_per_s"], abs=0.00051)
    for which in ("rtt", "response"):
        latency = part[which] or {}
        for name in ("min", "mean", "max"):
            assert row[f"{which}_{name}_ns"] == as_cell(latency.get(f"{name}_ns"))
        for percentile, entry in zip(percentiles, latency.get("percentiles", [])):
            assert row[f"{which}_p{percentile}_ns"] == as_cell(entry["ns"])


def as_cell(value):
    return "" if value is None else str(value)


@pytest.mark.parametrize("dgram", [(), ("-u",)], ids=["stream", "datagrams"])
def test_json_of_a_unix_socket_fits_the_schema(pingpong, short, dgram):
    path = short / "socket"
    run = pingpong("-J", "-n", "1k", "-H", f"unix:{path}", *dgram, free_port=False)
    assert run.status == 0, str(run)
    result = checked(run.out)
    assert result["server"]["address"] == f"unix:{path}"
    assert result["server"]["transport"] == ("unix-datagram" if dgram else "unix-stream")
    assert result["tcp"] is None and result["route"] is None


def client_json(pingpong, target, *args, status=0):
    run = pingpong("client", target, "-J", *args, free_port=False)
    assert run.status == status, str(run)
    return checked(run.out)


def test_json_says_whether_the_server_was_asked_who_it_is(pingpong):
    def asks(result):
        return result["options"]["exchange"]["hello"]

    assert not asks(checked(pingpong("-J", "-n", "50").out))
    with peers.Server() as server:
        assert asks(client_json(pingpong, server.target, "-n", "50"))
        assert not asks(client_json(pingpong, server.target, "-n", "50", "--no-hello"))
        for expect in (("--expect", "x"), ("--expect-bytes", "1"), ("--expect-until", "x")):
            told = ("--send", "x", *expect)
            assert not asks(client_json(pingpong, server.target, "-n", "50", *told))


def test_json_of_a_client_of_another_pingpong_fits_the_schema(pingpong):
    with peers.serve(pingpong) as server:
        result = client_json(pingpong, server.target, "-n", "1k")
    assert result["server"]["kind"] == "pingpong"
    assert result["server"]["version"] and result["server"]["host"] and result["server"]["wait"]
    assert result["costs"]["server"]["system_calls"] > 0
    assert result["options"]["command"] == "client"
    assert result["options"]["placement"]["server_cpus"] == []


def test_json_of_a_client_of_an_unknown_server_fits_the_schema(pingpong):
    with peers.Server() as server:
        result = client_json(pingpong, server.target, "-n", "200")
    assert result["server"]["kind"] == "unknown"
    assert result["server"]["engine"] is None and result["costs"]["server"] is None


# A server is asked who it is, what it has cost before, and what it has cost after.
UNKNOWN_COSTS = {
    "never again": lambda number: number < 1,
    "not after": lambda number: number < 2,
    "with less than before": lambda number: True,
    "with more system calls than can be": lambda number: True,
    "with more CPU time than can be": lambda number: True,
    "with other threads than before": lambda number: True,
}


def with_costs(how):
    def introduce(number):
        values = {
            "with less than before": {"syscalls": 1000 - number},
            "with more system calls than can be": {"syscalls": number << 60},
            "with more CPU time than can be": {"user_ns": number * 3600 * 10**9},
            "with other threads than before": {"threads": 1 + number},
        }.get(how, {"syscalls": 1000 + number})
        return peers.introduction(**values) if UNKNOWN_COSTS[how](number) else None

    return introduce


@pytest.mark.parametrize("transport", ["TCP", "UDP"])
@pytest.mark.parametrize("how", UNKNOWN_COSTS)
def test_the_costs_of_a_server_that_answers_so_are_unknown_in_all_formats(
    pingpong, tmp_path, how, transport
):
    udp = transport == "UDP"
    script = (peers.introducing_datagrams if udp else peers.introducing)(with_costs(how))
    args = ("-n", "50", "--json", tmp_path / "a.json", "--csv", tmp_path / "a.csv", "-v")
    with (peers.DatagramServer if udp else peers.Server)(script) as server:
        run = pingpong("client", server.target, *args, *(["-u"] * udp), free_port=False).ok()
    assert set(run.table("cost a round trip", "server").values()) == {None}
    run.find(r"^  server n/a: it did not answer again, has begun anew, or says what cannot be$")
    assert "server  CPU" not in run.out
    result = checked((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert result["server"]["kind"] == "pingpong" and result["costs"]["server"] is None
    assert result["costs"]["client"]["system_calls"] > 0
    (total,) = rows_of((tmp_path / "a.csv").read_bytes().decode())
    assert {total[name] for name in total if re.match(r"server_(cpu|system|context)", name)} == {""}


@pytest.mark.parametrize("what", ["user_ns", "system_ns", "context_switches", "syscalls"])
def test_a_server_whose_counters_are_beyond_all_bounds_is_not_believed(pingpong, what):
    introduction = peers.introduction(**{what: 2**64 - 1})
    with peers.Server(peers.introducing(lambda number: introduction)) as server:
        result = client_json(pingpong, server.target, "-n", "50")
    assert result["server"]["kind"] == "unknown" and result["costs"]["server"] is None


def test_a_reply_that_comes_twice_is_not_taken_for_the_next_one(pingpong):
    """Its counters rise by more each time. On a busy machine a hello may be repeated."""

    def introduce(number):
        said.append(1 << number)
        return peers.introduction(syscalls=said[-1])

    said = []
    with peers.DatagramServer(peers.introducing_datagrams(introduce, copies=2)) as server:
        result = client_json(pingpong, server.target, "-u", "-n", "50")
    calls = result["costs"]["server"]["system_calls"]
    assert calls in {after - before for after in said for before in said[1:] if after > before}
    assert len(said) > 3 or calls == said[2] - said[1]


def test_json_of_a_service_has_what_was_sent_and_what_was_expected(pingpong):
    with peers.Server(peers.altered(6, lambda number, message: b"+P\x01NG\r\n")) as server:
        args = ("-n", "50", "--send", r"PING\r\n", "--expect", r"+P\x01NG\r\n")
        result = client_json(pingpong, server.target, *args)
    exchange = result["options"]["exchange"]
    assert exchange["answer"] == "text"
    assert exchange["send"] == r"PING\r\n" and exchange["expect"] == r"+P\x01NG\r\n"


def test_all_options_in_effect_are_in_the_json(pingpong):
    args = "-J -n 300 -w 20 -c 3 -D 2 -m 32,64 --seed 7 --engine epoll --wait yield:20 --strict"
    options = checked(pingpong(*args.split(), "--placement", "same").out)["options"]
    load = options["load"]
    assert (load["count"], load["time_ns"], load["warmup_count"]) == (300, 0, 20)
    assert (load["connections"], load["depth"], load["seed"]) == (3, 2, 7)
    assert (load["request"]["sizes"], load["response"]["sizes"]) == ("32", "64")
    assert (options["engine"], options["server_engine"]) == ("epoll", "epoll")
    waiting = {"how": "yield", "chosen_by_itself": False, "block_after_ns": 20_000}
    assert options["wait"] == waiting and options["strict"] is True
    assert options["placement"]["how"] == "same"
    assert options["placement"]["chosen_by_itself"] is False


# ---- runs that end badly --------------------------------------------------------------------


def test_an_interrupted_run_leaves_a_whole_partial_result_in_all_formats(pingpong, tmp_path):
    names = [tmp_path / name for name in ("out.json", "out.csv", "out.hlog")]
    args = ("--json", names[0], "--csv", names[1], "--hlog", names[2])
    with pingpong.spawn("--json-stream", "-n", "1000G", "-i", "50ms", *args) as running:
        after_intervals(running, 3)
        run = running.interrupt()
    assert run.status == 130, str(run)
    _, intervals, last = checked_lines(run.out)
    result = checked(names[0].read_text())
    assert last["signal"] == result["signal"] == 2
    assert last["partial"] is result["partial"] is True
    assert result["round_trips"] == last["round_trips"] > 0
    assert "partial" in [reason["id"] for reason in result["verdict"]["reasons"]]
    *rows, total = rows_of(names[1].read_bytes().decode())
    assert total["partial"] == "1" and len(rows) == len(intervals) >= 3
    assert sorted(os.listdir(tmp_path)) == sorted(name.name for name in names)


def test_a_run_that_fails_while_it_measures_has_a_result_with_the_error(pingpong):
    def script(connection):
        for number, message in enumerate(connection.messages(5)):
            if number == 100:
                return
            connection.send(message)

    with peers.Server(script) as server:
        run = pingpong("client", server.target, "--no-hello", "-J", "-w", "0", free_port=False)
    assert run.status == 1, str(run)
    result = checked(run.out)
    assert result["partial"] is True and result["round_trips"] == 100
    assert result["error"]["kind"] == "run" and result["error"]["text"] in run.err
    assert result["verdict"]["level"] == "INVALID"
    assert "errors" in [reason["id"] for reason in result["verdict"]["reasons"]]


def test_a_wrong_answer_is_an_error_of_its_own_kind_in_the_result(pingpong):
    wrong = peers.altered(5, lambda number, message: message if number < 50 else b"PONG\n")
    with peers.Server(wrong) as server:
        run = pingpong("client", server.target, "--no-hello", "-J", "-w", "0", free_port=False)
    assert run.status == 5, str(run)
    result = checked(run.out)
    assert result["error"]["kind"] == "wrong_answer" and result["round_trips"] == 50


def test_a_run_that_is_interrupted_before_it_measures_has_no_figures_and_is_invalid(
    pingpong, tmp_path
):
    names = [tmp_path / "out.json", tmp_path / "out.csv"]
    args = ("--json-stream", "-w", "1000s", "--json", names[0], "--csv", names[1], "-i", "1")
    with pingpong.spawn(*args) as running:
        read_until(running, lambda text: "\n" in text, "the first line")
        run = running.interrupt()
    assert run.status == 130, str(run)
    _, intervals, last = checked_lines(run.out)
    result = checked(names[0].read_text())
    assert intervals == [] and last["started"] is None and result["started_unix_ns"] is None
    assert result["costs"] is None and result["disturbance"] is None
    assert result["verdict"]["level"] == "INVALID"
    (total,) = rows_of(names[1].read_bytes().decode())
    assert (total["round_trips"], total["verdict"]) == ("0", "INVALID")
    assert total["client_cpu_user_ns"] == total["started_unix_ns"] == ""


def test_a_result_that_strict_refuses_says_so_in_its_json(pingpong):
    def three_answers(connection):
        for number, message in enumerate(connection.messages(5)):
            if number < 3:
                connection.send(message)

    with peers.Server(three_answers) as server:
        args = ("--no-hello", "-t", "300ms", "-w", "0", "-R", "100", "-D", "64", "--strict")
        result = client_json(pingpong, server.target, *args, status=3)
    assert result["verdict"]["level"] == "INVALID"
    assert result["error"]["kind"] == "gate" and "--strict" in result["error"]["text"]


def is_connecting(port):
    """A SYN is on its way there."""
    return f":{port:04X} 02 " in Path("/proc/net/tcp").read_text(encoding="ascii")


def test_a_run_that_is_interrupted_while_it_connects_has_whole_outputs(pingpong, deaf, tmp_path):
    names = {name: tmp_path / f"out.{name}" for name in ("json", "jsonl", "csv", "hlog", "txt")}
    files = [f"--{option}={names[name]}" for option, name in zip(
        ("json", "json-stream", "csv", "hlog", "output"), names
    )]
    before_s = int(time.time())
    args = ("client", f"127.0.0.1:{deaf}", "--no-hello", "--connect-timeout", "1000s")
    with pingpong.spawn(*args, *files, "--strict", free_port=False) as running:
        wait_until(lambda: is_connecting(deaf), "nothing connects")
        run = running.interrupt()
    assert run.status == 130, str(run)
    result = checked(names["json"].read_text())
    assert result["signal"] == signal.SIGINT and result["error"] is None
    assert result["verdict"]["level"] == "INVALID"
    checked_lines(names["jsonl"].read_text())
    (total,) = rows_of(names["csv"].read_bytes().decode())
    assert total["record"] == "total"
    assert names["txt"].read_text().startswith(f"pingpong {result['pingpong']['version']} · TCP ")
    log = names["hlog"].read_text()
    assert before_s - 1 <= float(re.search(r"StartTime: ([\d.]+) ", log)[1]) <= time.time() + 1


def test_a_run_without_one_answer_has_null_for_its_latencies(pingpong):
    with peers.DatagramServer(lambda number, message: []) as server:
        args = ("-u", "--no-hello", "-t", "300ms", "-R", "100")
        result = client_json(pingpong, server.target, *args, status=1)
    assert result["round_trips"] == 0 and result["worst"] is None
    assert result["rtt"]["mean_ns"] is result["response"]["max_ns"] is None
    assert all(p["ns"] is None for p in result["rtt"]["percentiles"])


# ---- intervals ------------------------------------------------------------------------------


def test_each_line_of_a_stream_comes_when_its_interval_is_over(pingpong):
    with pingpong.spawn("--json-stream", "-t", "1000s", "-w", "0", "-i", "50ms") as running:
        for count in (1, 2, 5):
            text = after_intervals(running, count)
            assert text.startswith('{"type":"begin"') and '{"type":"result"' not in text
        run = running.interrupt()
    assert run.status == 130 and run.out.splitlines()[-1].startswith('{"type":"result"')
    checked_lines(run.out)


def test_a_stream_without_an_interval_has_one_a_second(pingpong):
    run = pingpong("--json-stream", "-n", "1k")
    begin, intervals, _ = checked_lines(run.out)
    assert begin["options"]["interval_ns"] == 1_000_000_000 and len(intervals) == 1


def test_an_answer_that_comes_after_all_takes_its_loss_back(pingpong, tmp_path):
    """The first 16 answers are held back until their messages are given up, which takes a second, and
    then for two pauses more."""
    held = []

    def script(number, message):
        if number < 16:
            held.append(peers.turned(message))
            return []
        answers = [peers.turned(message)]
        if number == 48:
            answers += held
        return answers

    table = tmp_path / "out.csv"
    args = ("-u", "--no-hello", "-w", "0", "-D", "16", "-n", "100", "--think", "60ms")
    with peers.DatagramServer(script) as server:
        run = pingpong(
            *("client", server.target, *args, "-i", "20ms", "-J", "--csv", table), free_port=False
        )
    assert run.status == 0, str(run)
    result = checked(run.out)
    lost = [interval["counts"]["lost"] for interval in result["intervals"]]
    assert max(lost) > 0 and min(lost) < 0 and result["counts"]["late"] >= 16
    *rows, _ = rows_of(table.read_bytes().decode())
    assert [int(row["lost"]) for row in rows] == lost


def test_rows_of_intervals_add_up_to_the_total(pingpong):
    *rows, total = rows_of(pingpong("--csv", "-t", "300ms", "-i", "30ms", "-c", "4").out)
    assert len(rows) >= 2 and total["record"] == "total"
    for name in ("round_trips", "sent", "lost", "errors", "late", "reordered", "duplicates"):
        assert sum(int(row[name]) for row in rows) == int(total[name]), name
    assert rows[-1]["in_flight"] == total["in_flight"]


# ---- standard output belongs to one format --------------------------------------------------


def test_jq_reads_the_json_while_the_bar_and_warnings_are_on_a_terminal(pingpong):
    if not shutil.which("jq"):
        pytest.skip("no jq here")
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    args = ("-J", "-", "-t", "600ms", "--percentiles", "99.9999")
    with pingpong.spawn(*args, stderr=slave, env={"TERM": "xterm"}) as running:
        os.close(slave)
        jq = subprocess.run(
            ["jq", "-c", "."], stdin=running.process.stdout, capture_output=True, check=False
        )
        status = running.process.wait(running.timeout_s)
    shown = read_terminal(master)
    assert (status, jq.returncode, jq.stderr) == (0, 0, b"")
    checked(jq.stdout)
    assert "pingpong: SUSPECT: too few samples" in shown and re.search(r"\[=* *\] +\d+ %", shown)


def read_terminal(master):
    got = b""
    try:
        while data := os.read(master, 65536):
            got += data
    except OSError:
        pass  # nobody has it open any more
    os.close(master)
    return got.decode()


@pytest.mark.parametrize("option", ["-J", "--json", "--json=-", "--json-stream", "--csv", "--hlog=-"])
def test_a_format_on_standard_output_is_alone_there(pingpong, option):
    out = pingpong(option, "-n", "2k", "-i", "100ms", "-v").out
    assert "roundtrips/s" not in out and "\033" not in out


def test_verdicts_go_to_standard_error_where_no_text_is_shown(pingpong):
    run = pingpong("-J", "-n", "15", "--percentiles", "99")
    reasons = checked(run.out)["verdict"]["reasons"]
    told = [f"pingpong: {r['level']}: {r['text']}; {r['cure']}" for r in reasons if r["level"] != "VALID"]
    assert run.status == 0 and told and run.err.splitlines() == told


# ---- strange names --------------------------------------------------------------------------

STRANGE = b'a"b,c\nd\xff=\xc3\xa9;\x1b[31m'


def test_a_strange_path_breaks_no_format(pingpong, short):
    path = os.fsdecode(os.fsencode(short) + b"/" + STRANGE)
    shown = f"unix:{short}/" + STRANGE.replace(b"\xff", b"?").decode()
    names = [short / name for name in ("out.json", "out.csv", "out.jsonl")]
    args = ("--json", names[0], "--csv", names[1], "--json-stream", names[2])
    run = pingpong("-n", "100", "-H", f"unix:{path}", *args, free_port=False)
    assert run.status == 0, str(run)
    assert checked(names[0].read_text(encoding="utf-8"))["server"]["address"] == shown
    (total,) = rows_of(names[1].read_bytes().decode())
    assert total["address"] == shown
    checked_lines(names[2].read_text(encoding="utf-8"))
    assert "\033" not in run.out and '/a"b,c?d?=é;?[31m · 1 connection' in run.lines[0]


EVIL = ['=cmd|"/c calc"!A1', "+1+1", "-2", "@SUM(A1)", '","', "\xff\x1b[31m\xe9", "</script>"]


@pytest.mark.parametrize("name", EVIL)
def test_what_a_server_says_of_itself_is_no_formula_and_breaks_no_format(pingpong, tmp_path, name):
    table = tmp_path / "out.csv"
    reply = peers.introduction(host=name, engine=name, version=name, wait=name)
    with peers.Server(peers.introducing(lambda number: reply)) as server:
        run = pingpong("client", server.target, "-J", "-n", "50", "--csv", table, free_port=False)
        text = pingpong("client", server.target, "-n", "50", free_port=False)
    assert run.status == text.status == 0, str(run)
    shown = "".join(c if " " <= c <= "~" else "?" for c in name)
    says = checked(run.out)["server"]
    assert says["kind"] == "pingpong"
    assert says["host"] == says["version"] == says["engine"] == says["wait"] == shown
    (total,) = rows_of(table.read_bytes().decode())
    assert total["server_engine"].removeprefix("'") == shown.split(":")[0]
    assert "\033" not in text.out and shown in text.out


# ---- the document ---------------------------------------------------------------------------


def objects_of(schema, path="$"):
    if isinstance(schema, dict):
        if "properties" in schema and isinstance(schema["properties"], dict):
            yield path, schema
        for key, value in schema.items():
            yield from objects_of(value, f"{path}.{key}")


ASKED_FOR = {"histogram"}  # keys that are there only where an option asks for them


def test_the_schema_is_one_and_leaves_no_key_open():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    found = list(objects_of(SCHEMA))
    assert len(found) > 20
    for path, schema in found:
        assert schema["additionalProperties"] is False, path
        assert set(schema["required"]) == set(schema["properties"]) - ASKED_FOR, path


def test_the_schema_describes_each_key():
    for path, schema in objects_of(SCHEMA):
        for key, value in schema["properties"].items():
            where = value if "description" in value else resolve(value["$ref"])
            assert where["description"], f"{path}.{key}"


def resolve(reference):
    value = SCHEMA
    for key in reference.removeprefix("#/").split("/"):
        value = value[key]
    return value


def test_the_schema_wants_integers_of_nanoseconds():
    for path, schema in objects_of(SCHEMA):
        for key, value in schema["properties"].items():
            if key.endswith("_ns") and "type" in value:
                kinds = value["type"] if isinstance(value["type"], list) else [value["type"]]
                assert set(kinds) <= {"integer", "null"}, f"{path}.{key}"


def test_the_schema_refuses_what_a_result_must_not_be(pingpong):
    result = checked(pingpong("-J", "-n", "100").out)
    broken = [
        {**result, "new_key": 1},
        {key: value for key, value in result.items() if key != "verdict"},
        {**result, "duration_ns": 1.5},
        {**result, "verdict": {**result["verdict"], "level": "GOOD"}},
        {**result, "counts": {**result["counts"], "lost": -1}},
        {**result, "format_version": 3},
    ]
    for number, value in enumerate(broken):
        with pytest.raises(AssertionError):
            assert_fits(value)
            pytest.fail(f"number {number} is taken", pytrace=False)


def test_the_document_names_each_reason_of_the_program(pingpong):
    """They come from one list of the source, which the schema repeats."""
    source = (Path(__file__).parents[2] / "src" / "result" / "verdict.c").read_text()
    names = re.findall(r'\[PP_REASON_\w+\] = \{ "(\w+)"', source)
    assert sorted(names) == sorted(SCHEMA["$defs"]["reason"]["enum"])


def test_a_column_of_the_document_is_a_column_of_the_table(pingpong):
    assert len(set(documented_columns(["50"]))) == len(documented_columns(["50"])) > 40
    rows_of(pingpong("--csv", "-n", "100", "--percentiles", "50,99.99").out, ["50", "99.99"])


# ---- golden files ---------------------------------------------------------------------------

GOLDEN = Path(__file__).parents[1] / "report" / "golden"


def test_golden_json_fits_the_schema():
    names = sorted(GOLDEN.glob("*.json"))
    assert len(names) >= 2
    for name in names:
        checked(name.read_text(encoding="utf-8"))


def test_golden_lines_of_json_fit_the_schema():
    names = sorted(GOLDEN.glob("*.jsonl"))
    assert names
    for name in names:
        checked_lines(name.read_text(encoding="utf-8"))


def test_golden_tables_have_the_documented_columns():
    names = sorted(GOLDEN.glob("*.csv"))
    assert names
    for name in names:
        rows_of(name.read_bytes().decode())


# ---- histogram logs -------------------------------------------------------------------------

HLOG_RUNS = {
    "a closed loop": ("-t", "300ms", "-i", "50ms"),
    "an open loop": ("-R", "10k", "-t", "300ms", "-i", "50ms"),
}
JAVA_QS = (0.5, 0.9, 0.99, 0.999)


@pytest.fixture(params=HLOG_RUNS.values(), ids=HLOG_RUNS.keys())
def logged(request, pingpong, tmp_path):
    """A log, and the JSON of the same run."""
    log = tmp_path / "out.hlog"
    run = pingpong("-J", "--hlog", log, *request.param)
    assert run.status == 0, str(run)
    return log, checked(run.out)


def assert_reads(histogram, latency):
    """A reader's histogram is that of the JSON."""
    assert histogram.count == latency["samples"]
    if latency["samples"]:
        assert histogram.quantiles_ns[1] == bucket_top_ns(latency["max_ns"])
    for percentile in latency["percentiles"]:
        q = round(percentile["percentile"] / 100, 9)
        if percentile["ns"] is not None and q in histogram.quantiles_ns:
            assert min(histogram.quantiles_ns[q], latency["max_ns"]) == percentile["ns"]


def test_java_reads_from_the_log_of_a_run_what_its_json_says(logged, java_reader):
    log, result = logged
    intervals, whole = java_reader.read(log)
    assert len(intervals) == len(result["intervals"])
    assert_reads(whole, main_latency(result))
    for histogram, interval in zip(intervals, result["intervals"]):
        assert_reads(histogram, main_latency(interval))
    if result["response"]:
        _, actual = java_reader.read(log, "actual")
        assert_reads(actual, result["rtt"])


def test_javascript_reads_from_the_log_of_a_run_what_its_json_says(logged, js_reader):
    log, result = logged
    histograms = js_reader.read(log, JAVA_QS)
    main = [histogram for histogram in histograms if not histogram.tag]
    actual = [histogram for histogram in histograms if histogram.tag == "actual"]
    assert len(main) == len(result["intervals"])
    for histogram, interval in zip(main, result["intervals"]):
        assert_reads(histogram, main_latency(interval))
        start_ms = (result["started_unix_ns"] + interval["start_ns"]) / 1e6
        assert histogram.start_ms == pytest.approx(start_ms, abs=1.6)
    assert len(actual) == (len(main) if result["response"] else 0)
    for histogram, interval in zip(actual, result["intervals"]):
        assert_reads(histogram, interval["rtt"])
