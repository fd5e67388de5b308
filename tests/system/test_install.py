"""What is installed beside the program: manual pages and completions, made from its tables."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from driver import display_width

OPTION = re.compile(r"^  (?:-(\S), |    )--([\w-]+)", re.MULTILINE)


def output_of(*command, text="", env=None):
    """What it prints, when it does so without a complaint."""
    done = subprocess.run(
        [*map(str, command)],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == 0 and done.stderr == "", f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def needs(program):
    path = shutil.which(program)
    if not path:
        pytest.skip(f"no {program} here")
    return path


@pytest.fixture(scope="module")
def build(pingpong):
    return Path(pingpong.path).parent


@pytest.fixture(scope="module")
def docs(build):
    """docs(WHAT, NAME): a page or a completion as it is written."""
    program = build / "pingpong_docs"
    if not program.exists():
        pytest.skip("no pingpong_docs beside the program")
    return lambda *args: output_of(program, *args)


@pytest.fixture(scope="module")
def parts(docs):
    """All that the documentation program writes, as (what, name)."""
    return [tuple(line.split()) for line in docs("list").splitlines()]


def names_of(parts, what):
    names = [name for kind, name in parts if kind == what]
    assert names
    return names


@pytest.fixture(scope="module")
def installed(build, docs, tmp_path_factory):
    cache = build / "CMakeCache.txt"
    if not cache.exists() or "PP_DOCS:BOOL=ON" not in cache.read_text():
        pytest.skip("not built with PP_DOCS")
    prefix = tmp_path_factory.mktemp("prefix")
    output_of(needs("cmake"), "--install", build, "--prefix", prefix)
    return prefix


@pytest.fixture(scope="module")
def peers(build):
    return sorted((build / "peers").glob("pingpong-peer-*"))


# ---- what is installed


def test_the_program_every_page_and_every_completion_are_installed_and_nothing_else(
    installed, peers, parts
):
    pages = {f"share/man/man1/{name}.1" for name in names_of(parts, "man")}
    completions = {
        "bash": "share/bash-completion/completions/pingpong",
        "zsh": "share/zsh/site-functions/_pingpong",
        "fish": "share/fish/vendor_completions.d/pingpong.fish",
    }
    assert names_of(parts, "completion") == list(completions)
    files = {str(p.relative_to(installed)) for p in installed.rglob("*") if p.is_file()}
    programs = {"bin/pingpong", *(f"libexec/pingpong/{peer.name}" for peer in peers)}
    assert files == programs | pages | set(completions.values())
    assert all((installed / file).stat().st_size for file in files)


def test_the_installed_program_runs(installed):
    assert output_of(installed / "bin/pingpong", "version").startswith("pingpong ")


def test_the_installed_program_finds_the_installed_peers(installed, peers):
    engines = json.loads(output_of(installed / "bin/pingpong", "engines", "--json"))
    assert [f"pingpong-peer-{peer['name']}" for peer in engines["peers"]] == [p.name for p in peers]
    compare = ("compare", "threads", "epoll", "--rounds", "8", "-n", "100", "--json")
    experiment = json.loads(output_of(installed / "bin/pingpong", *compare))
    program = experiment["candidates"][0]["argv"][0]
    assert Path(program).resolve() == (installed / "libexec/pingpong/pingpong-peer-threads").resolve()


# ---- manual pages


@pytest.fixture(scope="module")
def rendered(installed, parts):
    """The pages, as a terminal of 80 columns shows them."""
    groff = needs("groff")
    command = (groff, "-K", "utf8", "-man", "-Tutf8", "-P-c", "-P-bou", "-rLL=78n", "-ww")
    folder = installed / "share/man/man1"
    return {name: output_of(*command, folder / f"{name}.1") for name in names_of(parts, "man")}


def test_scdoc_reads_every_page_without_a_complaint(docs, parts):
    scdoc = needs("scdoc")
    for name in names_of(parts, "man"):
        assert output_of(scdoc, text=docs("man", name)).startswith('.\\"')


def test_every_page_fits_a_terminal_of_80_columns(rendered):
    for name, page in rendered.items():
        wide = [line for line in page.splitlines() if display_width(line) > 80]
        assert not wide, f"{name}: {wide}"


def test_no_word_of_a_page_is_hyphenated(rendered):
    for name, page in rendered.items():
        assert not re.findall(r"\S*[‐­]$", page, re.MULTILINE), name


def test_what_is_special_to_scdoc_or_roff_is_shown_as_it_is(rendered):
    page = rendered["pingpong-client"]
    assert "--send 'PING\\r\\n' --expect '+PONG\\r\\n'" in page
    assert '"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"' in page
    assert "\\n, \\r, \\t, \\0, \\\\ and \\xHH" in page
    assert "-m, --size=REQ[,RESP]\n" in page
    assert "-w, --warmup=TIME|COUNT\n" in page
    assert "in µs or" in page


def test_every_option_of_a_commands_help_is_in_its_page(pingpong, rendered):
    for command in ("run", "serve", "client"):
        options = OPTION.findall(pingpong("help", command).ok().out)
        assert len(options) > 20
        for letter, name in options:
            head = f"-{letter}, --{name}" if letter else f"--{name}"
            assert re.search(rf"^ +{head}\b", rendered[f"pingpong-{command}"], re.MULTILINE), head


# ---- completions


class Bash:
    CODE = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pingpong'

    def __init__(self, file):
        self.file = file

    def __call__(self, line):
        """Readline makes words of their own of = and :."""
        words = re.findall(r"[=:]+|[^ =:]+|(?<= )$", line)
        code = self.CODE + "; printf '%s\\n' \"${COMPREPLY[@]}\""
        return output_of(needs("bash"), "--norc", "-c", code, self.file, *words).split()


class Fish:
    def __init__(self, file, home):
        self.file = file
        self.env = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home)}

    def __call__(self, line):
        code = "source $argv[1]; complete -C $argv[2]"
        out = output_of(
            needs("fish"), "--no-config", "-c", code, self.file, line, env=self.env
        )
        found = [offer.partition("\t")[0] for offer in out.splitlines()]
        return [re.sub(r"^--[\w-]+=", "", offer) for offer in found]


class Zsh:
    """What the function asks _arguments for, which does the rest."""

    CODE = """
        file=$1; shift
        _arguments() { print -l -- "${(@)@[4,-1]}" }
        words=("$@"); CURRENT=$#
        set --
        source $file
    """

    def __init__(self, file):
        self.file = file

    def __call__(self, line):
        words = line.split(" ")
        return output_of(needs("zsh"), "-f", "-c", self.CODE, "zsh", self.file, *words).splitlines()

    def options(self, line):
        specs = (re.fullmatch(r"(?:\(.*?\))?(--?[\w-]+?)[+=-]*\[.*", spec) for spec in self(line))
        return [spec[1] for spec in specs if spec]


@pytest.fixture(scope="module")
def completion(docs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("completion")

    def write(shell):
        file = folder / shell
        file.write_text(docs("completion", shell))
        return file

    return write


@pytest.fixture(scope="module")
def bash(completion):
    needs("bash")
    return Bash(completion("bash"))


@pytest.fixture(scope="module")
def zsh(completion):
    needs("zsh")
    return Zsh(completion("zsh"))


@pytest.fixture(scope="module")
def fish(completion, tmp_path_factory):
    needs("fish")
    return Fish(completion("fish"), tmp_path_factory.mktemp("home"))


@pytest.fixture(params=["bash", "fish"])
def complete(request):
    """complete(LINE): what is offered at its end, in each shell that is asked for it as a whole."""
    return request.getfixturevalue(request.param)


COMMANDS = ["client", "compare", "engines", "explain", "help", "run", "serve", "sweep", "version"]


@pytest.mark.parametrize(
    "line, offered",
    [
        ("pingpong s", ["serve", "sweep"]),
        ("pingpong help ", COMMANDS),
        ("pingpong -c 5 -q ver", ["version"]),
        ("pingpong --pl", ["--placement"]),
        ("pingpong --placement ", ["auto", "none", "pairs", "same", "split"]),
        ("pingpong --placement=s", ["same", "split"]),
        ("pingpong --engine ", ["auto", "epoll", "io_uring"]),
        ("pingpong serve --server-engine e", ["epoll"]),
        ("pingpong --wait=", ["auto", "block", "spin", "yield"]),
        ("pingpong --arrivals ", ["fixed", "poisson"]),
        ("pingpong serve --se", ["--server-engine", "--server-threads"]),
        ("pingpong client --se", ["--seed", "--send", "--server-pid"]),
        ("pingpong 10.0.0.1 --server", ["--server-pid"]),
        ("pingpong --seed serve --server-t", ["--server-threads"]),
        ("pingpong -q -D serve client --server-t", []),
        ("pingpong run --flo", ["--flows"]),
        ("pingpong serve --flo", []),
        ("pingpong -n ", []),
        ("pingpong version x", []),
    ],
)
def test_what_fits_is_offered_and_nothing_else(complete, line, offered):
    assert sorted(complete(line)) == offered


def test_the_first_word_is_a_command_among_others(complete):
    assert set(COMMANDS) <= set(complete("pingpong "))


def test_a_path_is_offered_behind_unix(complete, tmp_path):
    (tmp_path / "echo.sock").touch()
    offered = complete(f"pingpong client unix:{tmp_path}/e")
    assert [offer.removeprefix("unix:") for offer in offered] == [f"{tmp_path}/echo.sock"]


@pytest.mark.parametrize("command", ["run", "serve", "client"])
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_option_of_a_commands_help_is_offered_and_no_other(
    request, pingpong, shell, command
):
    options = OPTION.findall(pingpong("help", command).ok().out)
    expected = {f"--{name}" for _, name in options} | {f"-{letter}" for letter, _ in options} - {"-"}
    complete = request.getfixturevalue(shell)
    if shell == "zsh":
        offered = complete.options(f"pingpong {command} ")
    else:
        offered = complete(f"pingpong {command} -") + complete(f"pingpong {command} --")
    aliases = set(re.findall(r"--[\w-]+", " ".join(re.findall("also .*", pingpong("help").out))))
    assert set(offered) - aliases - {""} == expected  # "": what may follow "--json="


def test_zsh_takes_the_command_from_the_line(zsh):
    assert "--send" in zsh.options("pingpong ")
    assert "--send" in zsh.options("pingpong -c 5 10.0.0.1:31 -")
    assert "--send" not in zsh.options("pingpong -D 4 serve -")
    assert "2:command:_pingpong_commands" in zsh("pingpong help ")
    assert "2:address:_pingpong_addresses" in zsh("pingpong client ")
    assert "1: :_pingpong_words" in zsh("pingpong --seed serve ")


def test_zsh_knows_the_words_that_a_value_may_be(zsh):
    specs = [spec for spec in zsh("pingpong run -") if spec.startswith("--placement=")]
    assert [spec.rpartition(":")[2] for spec in specs] == ["(auto same split pairs none)"]
