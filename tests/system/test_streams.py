"""Standard streams that cannot be written to, or are not there."""

import os

import pytest

CASES = {
    "full": ">/dev/full",
    "closed": ">&-",
    "read-only": "1</dev/null",
}


@pytest.mark.parametrize("options", [(), ("-q",), ("-v",)], ids=["", "-q", "-v"])
@pytest.mark.parametrize("how", CASES.values(), ids=CASES.keys())
def test_output_that_cannot_be_written_is_an_error_in_one_line(pingpong, how, options):
    shell = ("sh", "-c", f'exec "$@" {how}', "sh")
    pingpong("-n", "100", *options, prefix=shell).failed(1, "standard output|write")


@pytest.mark.parametrize("option", ["--help", "--version"])
@pytest.mark.parametrize("how", CASES.values(), ids=CASES.keys())
def test_help_that_cannot_be_written_is_an_error_in_one_line(pingpong, how, option):
    shell = ("sh", "-c", f'exec "$@" {how}', "sh")
    pingpong(option, prefix=shell).failed(1, "standard output|write")


def test_a_run_with_all_standard_streams_closed_ends_with_its_status(pingpong, engine):
    shell = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    args = ("--engine", engine)
    assert pingpong("-n", "100", *args, prefix=shell).status == 1
    assert pingpong("-n", "0", *args, prefix=shell).status == 2


def test_a_closed_stderr_does_not_harm_a_run(pingpong, engine):
    shell = ("sh", "-c", 'exec "$@" 2>&-', "sh")
    assert pingpong("-n", "100", "--engine", engine, prefix=shell).ok().done == 100


def test_a_closed_stdin_does_not_harm_a_run(pingpong, engine):
    shell = ("sh", "-c", 'exec "$@" <&-', "sh")
    assert pingpong("-n", "100", "--engine", engine, prefix=shell).ok().done == 100


def test_output_to_a_file_is_the_same_as_to_a_pipe(pingpong, tmp_path):
    path = tmp_path / "out"
    with open(path, "wb") as file:
        pingpong("-n", "100", stdout=file).ok()
    text = path.read_text(encoding="utf-8")
    assert "\033" not in text and "\r" not in text
    first, *_, last = text.splitlines()
    assert first.startswith("pingpong ") and last.startswith("TCP  ")


def test_without_an_environment_a_run_works(pingpong):
    """No LANG, no TERM, no PATH."""
    env = {name: "" for name in os.environ if name not in ("PATH", "LD_LIBRARY_PATH")}
    assert pingpong("-n", "100", env=env).ok().done == 100
