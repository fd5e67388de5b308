"""The command line: what it takes, what it refuses, and how it says so."""

import re
import subprocess
from pathlib import Path

import pytest
from driver import display_width
from peers import serve

JOBS = ("run", "client", "serve")


@pytest.fixture(scope="module")
def help_text(pingpong):
    return pingpong("--help", free_port=False).ok().out


@pytest.fixture(scope="module")
def table(pingpong):
    """(letter or None, name, takes a value: True, False or None for "may") of every option that the
    parser knows, in the order of its table."""
    program = Path(pingpong.path).parent / "pingpong_docs"
    if not program.exists():
        pytest.skip("no pingpong_docs beside the program")
    text = subprocess.run(
        [program, "completion", "bash"], capture_output=True, text=True, check=True
    ).stdout
    rows = re.findall(r"^(?:__pingpong_options=')?[a-z ]+\|(?:-(\w) )?--([\w-]+)\|[^|]*\|(.?)",
                      text, re.MULTILINE)
    assert len(rows) >= 40
    takes = {"": False, "'": False, "?": None}
    return [(letter or None, name, takes.get(how, True)) for letter, name, how in rows]


@pytest.fixture(scope="module")
def has_option(pingpong):
    """Whether a command's own help has an option."""
    helps = {job: pingpong("help", job, free_port=False).ok().out for job in JOBS}
    return lambda job, name: re.search(rf"--{name}[=\n \[]", helps[job])


@pytest.mark.parametrize("job", ["", *JOBS])
def test_help_fits_80_columns(pingpong, job):
    for line in pingpong("help", *job.split(), free_port=False).ok().lines:
        assert display_width(line) <= 80, line


@pytest.mark.parametrize("job", JOBS)
def test_a_command_has_a_help_of_its_own(pingpong, help_text, job):
    text = pingpong("help", job, free_port=False).ok().out
    assert text != help_text and text.startswith("usage: pingpong ")
    assert pingpong(job, "--help", free_port=False).ok().out == text


def test_help_names_every_option_that_the_parser_knows_and_no_other(help_text, table):
    shown = re.findall(r"^  (?:-(\w), |    )--([\w-]+)(\[?=?)", help_text, re.MULTILINE)
    takes = {"": False, "=": True, "[=": None}
    assert [(letter or None, name, takes[value]) for letter, name, value in shown] == table


def test_help_names_every_exit_status(help_text):
    status = help_text.partition("Exit status:")[2]
    for number in (0, 1, 2, 3, 4, 5, 130, 143):
        assert re.search(rf"\b{number}\b", status), number


def test_help_and_version_win_over_what_follows(pingpong, help_text):
    assert pingpong("-h", "--nonsense").ok().out == help_text
    assert pingpong("-V", "-n", "0").ok().out == pingpong("--version").ok().out


def test_version_is_one_line(pingpong):
    assert re.fullmatch(r"pingpong \d+\.\d+\.\d+\S*\n", pingpong("--version").ok().out)


@pytest.mark.parametrize("job", JOBS)
def test_every_option_with_a_value_says_so_when_none_is_given(pingpong, table, has_option, job):
    for letter, name, takes_value in table:
        answer = rf"--{name} takes " if has_option(job, name) else rf"--{name} is for "
        for spelled in (f"--{name}", *([f"-{letter}"] if letter else [])):
            if takes_value and not (job == "serve" and name == "threads"):
                pingpong(job, spelled, free_port=False).failed(2, answer)


def test_every_option_without_a_value_refuses_one(pingpong, table):
    jobs = {"no-hello": "client", "matrix": "compare", "unlike": "compare", "knee": "sweep"}
    for _, name, takes_value in table:
        if takes_value is False:
            job = jobs.get(name, "run")
            pingpong(job, f"--{name}=3", free_port=False).failed(2, rf"--{name}=3", "no value")


COUNT = r"--count takes a whole number from 1 to 1,000,000,000,000"
PORT = r"--port takes a port from 0 to 65535"
CONNECTIONS = r"--connections takes a whole number from 1 to 100,000"
ENGINE = r"--engine takes auto, io_uring or epoll"
WAIT = r"--wait takes auto, block, spin\[:MICROSECONDS\] or yield\[:MICROSECONDS\]"
PLACEMENT = r"--placement takes auto, same, split, pairs or none"
CPUS = r"--cpus takes two CPU numbers"

BAD = [
    ("-n 0", COUNT),
    ("-n -1", COUNT),
    ("-n +1", COUNT),
    ("-n 1e999", COUNT),
    ("-n 1e3", COUNT),
    ("-n 10kk", COUNT),
    ("-n 10K", COUNT),
    ("-n 0x10", COUNT),
    ("-n nan", COUNT),
    ("-n 1.5", COUNT),
    ("-n .5k", COUNT),
    ("-n 1,000", COUNT),
    ("-n 18446744073709551616", COUNT),
    ("-n 18446744073709551617", COUNT),
    ("-n 1000000000001", COUNT),
    ("-n 99999999999999999999G", COUNT),
    ("-n", COUNT),
    (["-n", ""], COUNT),
    (["-n", " 5"], COUNT),
    (["-n", "5 "], COUNT),
    ("--count=", COUNT),
    ("--count=x", COUNT),
    ("-p 65536", PORT),
    ("-p -1", PORT),
    ("-p http", PORT),
    ("-p 4294967296", PORT),
    (["-p", ""], PORT),
    ("-c 0", CONNECTIONS),
    ("-c -1", CONNECTIONS),
    ("-c 100001", CONNECTIONS),
    ("-c 4294967297", CONNECTIONS),
    ("-c localhost", "--connections takes a number.*pingpong client localhost"),
    ("-c 127.0.0.1", "--connections takes a number.*pingpong client 127"),
    (["--host", ""], "--host takes a name, an address or unix:/path"),
    (["--host", "x" * 254], "--host takes a name, an address or unix:/path"),
    ("--engine nope", ENGINE),
    ("--engine epol", ENGINE),
    ("--engine epollx", ENGINE),
    ("--engine io_uring:no-nope", ENGINE),
    ("--engine io_uring:multishot", ENGINE),
    ("--engine io_uring:no-", ENGINE),
    ("--engine epoll:no-skip", ENGINE),
    ("--engine auto:no-skip", ENGINE),
    (["--engine", ""], ENGINE),
    ("--server-engine nope", "--server-engine takes auto, io_uring or epoll"),
    ("--wait foo", WAIT),
    ("--wait spin:0", WAIT),
    ("--wait spin:-1", WAIT),
    ("--wait spin:", WAIT),
    ("--wait spin:x", WAIT),
    ("--wait spin:61s", WAIT),
    ("--wait spinning", WAIT),
    ("--wait yield:0", WAIT),
    ("--wait block:5", WAIT),
    ("--wait auto:5", WAIT),
    (["--wait", ""], WAIT),
    ("--placement x", PLACEMENT),
    (["--placement", ""], PLACEMENT),
    ("-A 0", CPUS),
    ("-A x,y", CPUS),
    ("-A 0,", CPUS),
    ("-A ,0", CPUS),
    ("-A 0,0,0", CPUS),
    ("-A -1,0", CPUS),
    ("-A 0,1024", CPUS),
    ("-A 0,99999999999", CPUS),
    ("-A 0,1023", r"--cpus: this process may not use CPU 1023"),
    ("-A 1022,0", r"--cpus: this process may not use CPU 1022"),
    ("--cpus 0,0 --placement same", "--cpus.*--placement"),
    ("--placement split -A 0,0", "--cpus.*--placement"),
    ("-q -v", "--quiet and --verbose"),
    ("-vq", "--quiet and --verbose"),
    ("-x", "no option -x"),
    ("-qx", "no option -x"),
    ("--nonsense", "no option --nonsense"),
    ("--nonsense=5", "no option --nonsense"),
    ("--ver", "--ver"),
    ("one two", "one ADDRESS is enough: one or two"),
    ("-n 5 one two", "one ADDRESS is enough"),
    ("-", "-"),
    ("-- -n", "-n"),
    (["-n", "5", ""], "nothing is known to do with"),
    (["-é"], "no option of that letter"),
    (["-qé"], "no option of that letter"),
    (["-n", "1\n2"], COUNT),
    (["--non\nsense"], "no option"),
    (["-n", "9" * 5000], COUNT),
    (["--" + "x" * 5000], "no option --xxx"),
]


def name_of(row):
    args = row if isinstance(row, str) else " ".join(row)
    return re.sub(r"(.)\1{20,}", r"\1...", args.replace("\n", "<LF>").replace("é", "<E9>")) or "''"


@pytest.mark.parametrize("args, pattern", BAD, ids=[name_of(args) for args, _ in BAD])
def test_a_bad_option_is_named_in_one_line_that_says_what_it_takes(pingpong, args, pattern):
    args = args.split() if isinstance(args, str) else args
    result = pingpong(*args, free_port=False).failed(2, pattern)
    assert result.out == "", str(result)


@pytest.mark.parametrize("typed, meant", [
    ("--conections 5", "--connections"),
    ("--trheads=2", "--threads"),
    ("--dept4 4", "--depth"),
    ("--durration 5", "--duration"),
    ("client here --arivals poisson", "--arrivals"),
    ("serve --server-treads 2", "--server-threads"),
    ("clinet here", "client"),
    ("serv", "serve"),
    ("--placement pair", "pairs"),
])
def test_what_is_unknown_is_answered_with_the_nearest_that_is_known(pingpong, typed, meant):
    result = pingpong(*typed.split(), free_port=False)
    result.failed(2, rf"did you mean {meant}\?")


@pytest.mark.parametrize("typed, command", [
    ("-s", "pingpong serve"),
    ("-s -p 5201", "pingpong serve"),
    ("-c 10.0.0.2", "pingpong client 10.0.0.2"),
    ("-c localhost -t 5", "pingpong client localhost"),
    ("-t2 -d30s", "pingpong client -T 2 -c 2 -t 30s ADDRESS"),
    ("-t12 -c400 -d30s http://10.0.0.2/", "pingpong client -T 12 -c 400 -t 30s ADDRESS"),
])
def test_what_is_typed_to_iperf_and_wrk_is_answered_with_the_command(pingpong, typed, command):
    result = pingpong(*typed.split(), free_port=False)
    assert result.failed(2, rf" {re.escape(command)}\n").out == ""


GOOD = [
    "-n 5 -n 6",
    "-n6",
    "--count=6",
    "--count 6",
    "--cou 6",
    "-n 6.0",
    "-n 0.006k",
    "-c 2 -n 6",
    "-c2 -n6",
    "-n 6 --wait spin:1 --placement none",
    "-n 6 --wait yield:1ms",
    "-n 6 --wait yield:50us",
    "-n 6 --wait block --wait auto",
    "-n 6 --placement split --placement auto",
    "-n 6 --engine epoll --engine auto",
    "-n 6 --",
]


@pytest.mark.parametrize("args", GOOD)
def test_a_good_option_is_taken_however_it_is_spelled(pingpong, args):
    assert pingpong(*args.split()).ok().done == 6


@pytest.mark.parametrize(
    "text, count", [("1.5k", "1,500"), ("2k", "2,000"), ("0.5k", "500"), ("1000", "1,000")]
)
def test_a_count_is_what_its_suffix_says(pingpong, text, count):
    assert pingpong("-n", text).ok().find(r"^([\d,]+) round trips")[1] == count


def test_the_greatest_count_can_be_asked_for(pingpong):
    with pingpong.start("-n", "1000G") as run:
        assert run.interrupt().interrupted().partial[1] == 10**12


def test_the_server_has_the_clients_engine_unless_it_is_given_its_own(pingpong, io_uring):
    for args, engines in [
        ("--engine io_uring", ("io_uring", "io_uring")),
        ("--server-engine io_uring --engine epoll", ("epoll", "io_uring")),
        ("--engine epoll --server-engine io_uring", ("epoll", "io_uring")),
    ]:
        assert pingpong("-n", "10", *args.split()).ok().engines == engines


def test_serve_prints_as_much_as_its_help_says(pingpong):
    help_text = pingpong("help", "serve", free_port=False).ok().out
    assert "print where it listens, and no sum at the end" in help_text
    lines = {}
    for how in ([], ["-q"], ["-v"]):
        with serve(pingpong, "--engine", "epoll", *how) as server:
            lines["".join(how)] = server.interrupt().ok().lines
    assert [line.split()[0] for line in lines["-q"]] == ["listening"]
    assert [line.split()[0] for line in lines[""]] == ["listening", "served"]
    assert [line.split()[0] for line in lines["-v"]] == ["listening", "engine", "served"]
