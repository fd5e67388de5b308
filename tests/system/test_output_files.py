"""Outputs go where they are wanted, whole or not at all, and what cannot be is said in one line."""

import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import threading

import peers
import pytest
from driver import wait_until
from outputs import after_intervals, checked, checked_lines, rows_of

OLD = "what was there before\n"
SHORT = ("-n", "500")
OPTIONS = ["--json", "--json-stream", "--csv", "--hlog", "--output"]


def names_in(folder):
    return sorted(os.listdir(folder))


def one_line(run, *patterns):
    """The error, apart from what is said of the result itself."""
    lines = [line for line in run.err.splitlines() if not re.match("pingpong: (SUSP|INVAL)", line)]
    assert len(lines) == 1 and lines[0].startswith("pingpong: "), str(run)
    for pattern in patterns:
        assert re.search(pattern, lines[0]), str(run)


# ---- where they go --------------------------------------------------------------------------


def test_a_file_of_json_leaves_the_text_on_standard_output(pingpong, tmp_path):
    run = pingpong("-J", tmp_path / "out.json", *SHORT)
    assert run.status == 0 and run.rate > 0
    checked((tmp_path / "out.json").read_text())
    assert names_in(tmp_path) == ["out.json"]


def test_all_formats_at_once_have_a_file_each(pingpong, tmp_path):
    args = ("-J", "out.json", "--json-stream", "out.jsonl", "--csv", "out.csv")
    run = pingpong(*args, "--hlog", "out.hlog", "-o", "out.txt", *SHORT, cwd=tmp_path)
    assert run.status == 0 and run.out == "", str(run)
    assert names_in(tmp_path) == ["out.csv", "out.hlog", "out.json", "out.jsonl", "out.txt"]
    result = checked((tmp_path / "out.json").read_text())
    checked_lines((tmp_path / "out.jsonl").read_text())
    rows_of((tmp_path / "out.csv").read_bytes().decode())
    assert f"{result['round_trips']:,} round trips" in (tmp_path / "out.txt").read_text()
    assert "HISTFAAA" in (tmp_path / "out.hlog").read_text()


@pytest.mark.parametrize("option", ["-J", "--json", "--csv", "--json-stream"])
def test_output_names_the_file_of_a_format_without_one(pingpong, tmp_path, option):
    run = pingpong(option, "-o", tmp_path / "result", *SHORT)
    assert run.status == 0 and run.rate > 0, str(run)
    text = (tmp_path / "result").read_bytes().decode()
    assert text.startswith(("{", "record,")) and names_in(tmp_path) == ["result"]


def test_output_alone_is_for_the_text(pingpong, tmp_path):
    run = pingpong("-o", tmp_path / "result", *SHORT)
    assert run.status == 0 and run.out == "", str(run)
    assert re.search(r"^[\d,.]+ roundtrips/s$", (tmp_path / "result").read_text(), re.MULTILINE)


def test_output_is_for_the_text_where_all_formats_have_files(pingpong, tmp_path):
    run = pingpong("--json=a", "--csv=b", "-o", "c", *SHORT, cwd=tmp_path)
    assert run.status == 0 and run.out == "", str(run)
    assert names_in(tmp_path) == ["a", "b", "c"]
    assert "roundtrips/s" in (tmp_path / "c").read_text()


def test_a_dash_is_standard_output(pingpong):
    for args in (("-J", "-"), ("--json=-",), ("-J", "-o", "-"), ("-J-",)):
        checked(pingpong(*args, *SHORT).out)
    assert "roundtrips/s" in pingpong("-o", "-", *SHORT).out


def test_text_in_a_file_is_neither_folded_nor_coloured(pingpong, tmp_path):
    pingpong("-o", tmp_path / "out.txt", *SHORT, env={"COLUMNS": "40", "TERM": "xterm"})
    text = (tmp_path / "out.txt").read_text()
    assert "\033" not in text and "\n  placement" not in text


def test_the_last_of_two_files_of_a_format_is_the_one(pingpong, tmp_path):
    run = pingpong("-J", "a.json", "-J", "b.json", *SHORT, cwd=tmp_path)
    assert run.status == 0 and names_in(tmp_path) == ["b.json"]


def test_an_address_after_an_option_is_no_file(pingpong):
    with peers.Server() as server:
        run = pingpong("client", "-J", server.target, "-n", "50", free_port=False)
    assert run.status == 0, str(run)
    assert checked(run.out)["server"]["address"] == server.target


# ---- what contradicts itself ----------------------------------------------------------------

SAME_PLACES = {
    "a pipe": (("--json=/dev/stdout",), None),
    "a pipe and csv": (("--csv=/dev/fd/1", "-i", "1"), None),
    "a file": (("--json=/dev/stdout",), "x"),
    "a file by its name": (("--json=x",), "x"),
    "a file by its name, and no text": (("--json=x", "--csv"), "x"),
    "the text": (("-J", "-o", "/dev/stdout"), "x"),
}


@pytest.mark.parametrize("args, name", SAME_PLACES.values(), ids=SAME_PLACES)
def test_what_is_behind_standard_output_is_no_second_output(pingpong, tmp_path, args, name):
    with open(tmp_path / (name or "unused"), "wb") as file:
        stdout = {"stdout": file} if name else {}
        run = pingpong(*args, *SHORT, cwd=tmp_path, **stdout)
    run.failed(2, "standard output", "--(json|csv|output)$")
    assert run.out == "" and (tmp_path / (name or "unused")).read_bytes() == b""
    assert names_in(tmp_path) == [name or "unused"]


def test_a_pipe_with_a_name_takes_one_output(pingpong, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with open(os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK), "rb"):
        run = pingpong("--json=pipe", "--csv=./pipe", *SHORT, cwd=tmp_path)
    run.failed(2, "same file", "--csv$")


def test_what_standard_output_throws_away_may_be_thrown_away_twice(pingpong):
    with open("/dev/null", "wb") as nothing:
        run = pingpong("--json=/dev/null", "--csv=/dev/../dev/null", *SHORT, stdout=nothing)
    assert run.status == 0, str(run)


CONTRADICTIONS = [
    ("-J", "--csv"),
    ("-J", "--json-stream", "-o", "x"),
    ("-J", "-", "--csv", "-"),
    ("-J", "--hlog=-"),
    ("-J", "--hlog", "x", "-o", "x"),
    ("--json=x", "--csv=x"),
    ("--json=x", "--csv=./x"),
    ("--json=x", "--csv=folder/../x"),
    ("--json=x", "--csv=link"),
    ("--json=old", "--csv=folder/../old"),
    ("--json=",),
    ("-o", ""),
    ("--hlog",),
]


@pytest.mark.parametrize("args", CONTRADICTIONS, ids=" ".join)
def test_two_outputs_in_one_place_are_refused_before_anything_happens(pingpong, tmp_path, args):
    (tmp_path / "folder").mkdir()
    (tmp_path / "old").write_text(OLD)
    (tmp_path / "x").write_text(OLD)
    (tmp_path / "link").symlink_to("x")
    run = pingpong("-q", *args, cwd=tmp_path)
    run.failed(2)
    assert run.out == "" and names_in(tmp_path) == ["folder", "link", "old", "x"]
    assert (tmp_path / "x").read_text() == (tmp_path / "old").read_text() == OLD


# ---- what cannot be written -----------------------------------------------------------------


def fails_before_measuring(pingpong, path, *patterns, prefix=(), option="--json"):
    """Nobody has connected when the error comes."""
    with peers.Server() as server:
        args = ("client", server.target, "--no-hello", f"{option}={path}", "-n", "10")
        run = pingpong(*args, free_port=False, prefix=prefix)
        assert server.connections == []
    run.failed(1, re.escape(str(path)[:100]), *patterns)
    assert run.out == ""


@pytest.mark.parametrize("option", OPTIONS)
def test_a_folder_that_does_not_exist_is_an_error_before_measuring(pingpong, tmp_path, option):
    fails_before_measuring(pingpong, tmp_path / "no" / "x", "No such file", option=option)
    assert names_in(tmp_path) == []


def test_a_folder_is_no_file(pingpong, tmp_path):
    fails_before_measuring(pingpong, tmp_path, "Is a directory")


def test_a_file_is_no_folder(pingpong, tmp_path):
    (tmp_path / "file").write_text(OLD)
    fails_before_measuring(pingpong, tmp_path / "file" / "x", "Not a directory")


def test_a_link_to_nowhere_is_refused_and_stays(pingpong, tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    fails_before_measuring(pingpong, tmp_path / "link", "No such file")
    assert names_in(tmp_path) == ["link"] and (tmp_path / "link").is_symlink()


def test_a_name_that_is_too_long_is_refused(pingpong, tmp_path):
    fails_before_measuring(pingpong, tmp_path / ("x" * 256), "too long")


def test_the_longest_name_can_be_had_and_replaced(pingpong, tmp_path):
    for _ in range(2):
        assert pingpong(f"--json={tmp_path}/{'x' * 255}", *SHORT).status == 0
    assert names_in(tmp_path) == ["x" * 255]


def test_a_ring_of_links_is_refused(pingpong, tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    fails_before_measuring(pingpong, tmp_path / "a", "Too many levels of symbolic links")


def test_what_cannot_be_looked_at_is_not_taken_for_absent(pingpong, tmp_path, ordinary):
    (tmp_path / "folder").mkdir(mode=0o600)
    fails_before_measuring(pingpong, tmp_path / "folder" / "x", "Permission", prefix=ordinary)


@pytest.fixture(scope="module")
def ordinary():
    """The command in front of a run for which permissions hold even if it is root's."""
    if os.geteuid() != 0:
        return ()
    command = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner")
    if not shutil.which("setpriv") or subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip("root may write everywhere, and there is no setpriv")
    return command


def test_a_folder_that_is_protected_is_an_error_before_measuring(pingpong, tmp_path, ordinary):
    tmp_path.chmod(0o500)
    fails_before_measuring(pingpong, tmp_path / "x", "Permission denied", prefix=ordinary)
    assert names_in(tmp_path) == []


def test_a_file_that_is_protected_is_not_replaced(pingpong, tmp_path, ordinary):
    (tmp_path / "x").write_text(OLD)
    (tmp_path / "x").chmod(0o400)
    fails_before_measuring(pingpong, tmp_path / "x", "Permission denied", prefix=ordinary)
    assert names_in(tmp_path) == ["x"] and (tmp_path / "x").read_text() == OLD


@pytest.fixture(scope="module")
def mounted():
    """mounted(folder, options, then): the command in front of a run that sees a file system of its
    own there, and looks at it with `then` in the end."""
    start = ("unshare", "-m") if os.geteuid() == 0 else ("unshare", "-Urm")

    def command(folder, options, before=":", then=":"):
        mount = f'mount -t tmpfs -o {options} none "{folder}"'
        script = f'{mount} || exit; {before}; "$@"; status=$?; {then}; exit $status'
        return (*start, "sh", "-c", script, "sh")

    probe = command("/mnt", "size=64k")
    try:
        done = subprocess.run([*probe, "true"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if done.returncode != 0:
        pytest.skip("no mount namespaces here")
    return command


def test_a_read_only_file_system_is_an_error_before_measuring(pingpong, tmp_path, mounted):
    prefix = mounted(tmp_path, "ro")
    fails_before_measuring(pingpong, tmp_path / "x", "Read-only file system", prefix=prefix)


def test_a_file_system_that_is_full_leaves_the_old_file_and_nothing_else(
    pingpong, tmp_path, mounted
):
    look = f'cd "{tmp_path}"; echo; ls -A; cat x.json'
    prefix = mounted(tmp_path, "size=16k", f'echo old >"{tmp_path}/x.json"', look)
    args = ("-q", "-t", "500ms", "-i", "10ms", f"--json={tmp_path}/x.json")
    run = pingpong(*args, prefix=prefix)
    assert run.status == 1, str(run)
    one_line(run, "x.json: No space left on device; what was there before is as it was")
    assert run.out.endswith("\nx.json\nold\n"), str(run)


def test_one_output_that_fails_does_not_take_the_others_with_it(pingpong, tmp_path):
    run = pingpong("--csv=/dev/full", "-J", tmp_path / "out.json", *SHORT)
    assert run.status == 1 and "roundtrips/s" in run.out, str(run)
    one_line(run, "/dev/full: No space left on device")
    checked((tmp_path / "out.json").read_text())


@pytest.mark.parametrize("option", OPTIONS)
def test_a_device_that_is_full_is_an_error(pingpong, option):
    run = pingpong(f"{option}=/dev/full", *SHORT)
    assert run.status == 1, str(run)
    one_line(run, "/dev/full: No space left on device")


@pytest.mark.parametrize("args", [(), ("-J",), ("--csv",), ("--json-stream",), ("--hlog=-",)])
def test_standard_output_that_is_full_is_an_error(pingpong, args):
    with open("/dev/full", "wb") as full:
        run = pingpong(*args, *SHORT, stdout=full)
    assert run.status == 1, str(run)
    one_line(run, "No space left on device")


def test_a_server_that_cannot_say_where_it_listens_ends_at_once(pingpong):
    with open("/dev/full", "wb") as full:
        run = pingpong("serve", stdout=full)
    assert run.status == 1, str(run)
    one_line(run, "No space left on device")


def test_a_reader_that_goes_away_is_an_error_and_no_crash(pingpong):
    read, write = os.pipe()
    os.close(read)
    run = pingpong("-J", *SHORT, stdout=write)
    os.close(write)
    assert run.status == 1, str(run)
    one_line(run, "Broken pipe")


@pytest.mark.parametrize("args", [("--json-stream",), ("--csv",), ()], ids=["stream", "csv", "text"])
def test_a_reader_that_goes_away_meanwhile_ends_the_run(pingpong, args):
    read, write = os.pipe()
    with pingpong.spawn(*args, "-i", "20ms", "-n", "1000G", stdout=write) as running:
        os.close(write)
        with open(read, "rb") as reader:
            assert reader.readline()
        run = running.finish()
    assert run.status == 1, str(run)
    assert "cannot write the result: Broken pipe" in run.err, str(run)


# ---- whole or not at all --------------------------------------------------------------------


def test_an_old_file_is_replaced_only_when_the_new_one_is_whole(pingpong, tmp_path):
    name = tmp_path / "out.json"
    name.write_text(OLD)
    with pingpong.spawn("--json-stream", "-i", "50ms", "-n", "1000G", "-J", name) as running:
        after_intervals(running, 2)
        assert name.read_text() == OLD
        run = running.interrupt()
    assert run.status == 130
    result = checked(name.read_text())
    assert result["partial"] is True and names_in(tmp_path) == ["out.json"]


def test_a_run_that_cannot_begin_leaves_the_old_file_and_no_other(pingpong, tmp_path, free_port):
    name = tmp_path / "out.json"
    name.write_text(OLD)
    target = f"127.0.0.1:{free_port}"
    run = pingpong("client", target, "-J", name, "--csv", tmp_path / "new.csv", free_port=False)
    run.failed(1, "refused")
    pingpong("client", target, "-J", free_port=False).failed(1, "refused")
    assert names_in(tmp_path) == ["out.json"] and name.read_text() == OLD


def test_an_engine_that_cannot_be_had_leaves_the_old_file_and_no_other(pingpong, tmp_path):
    name = tmp_path / "out.json"
    name.write_text(OLD)
    run = pingpong("-J", name, "--engine", "nonsense", *SHORT)
    assert run.status in (2, 4)
    assert names_in(tmp_path) == ["out.json"] and name.read_text() == OLD


def test_a_refused_output_takes_back_those_before_it(pingpong, tmp_path):
    run = pingpong("-J", tmp_path / "a.json", f"--csv={tmp_path}/no/b.csv", *SHORT)
    run.failed(1)
    assert names_in(tmp_path) == []


def test_a_link_goes_on_being_one(pingpong, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "real.json").write_text(OLD)
    (tmp_path / "link.json").symlink_to("there/real.json")
    assert pingpong("-J", tmp_path / "link.json", *SHORT).status == 0
    assert os.readlink(tmp_path / "link.json") == "there/real.json"
    checked((tmp_path / "there" / "real.json").read_text())
    assert names_in(tmp_path / "there") == ["real.json"]


def test_a_pipe_with_a_name_is_written_to_as_it_is(pingpong, tmp_path):
    name = tmp_path / "pipe"
    os.mkfifo(name)
    read = []
    reader = threading.Thread(target=lambda: read.append(name.read_text()), daemon=True)
    reader.start()
    assert pingpong(f"--json={name}", *SHORT).status == 0
    reader.join(pingpong.timeout_s)
    checked(read[0])
    assert stat.S_ISFIFO(name.stat().st_mode) and names_in(tmp_path) == ["pipe"]


def test_the_device_for_nothing_stays_what_it_is(pingpong):
    assert pingpong("--json=/dev/null", *SHORT).status == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("umask", ["022", "027", "077"])
def test_the_mode_of_a_new_file_follows_the_umask(pingpong, tmp_path, umask):
    prefix = ("sh", "-c", f'umask {umask} && exec "$@"', "sh")
    pingpong("-J", tmp_path / "x.json", *SHORT, prefix=prefix)
    assert stat.S_IMODE((tmp_path / "x.json").stat().st_mode) == 0o666 & ~int(umask, 8)


def test_an_old_file_keeps_its_mode(pingpong, tmp_path):
    (tmp_path / "x.json").write_text(OLD)
    (tmp_path / "x.json").chmod(0o640)
    pingpong("-J", tmp_path / "x.json", *SHORT)
    checked((tmp_path / "x.json").read_text())
    assert stat.S_IMODE((tmp_path / "x.json").stat().st_mode) == 0o640


@pytest.mark.parametrize("path", ["out.json", "./out.json", "a/../out.json", "//{}/out.json"])
def test_a_name_may_be_written_in_many_ways(pingpong, tmp_path, path):
    (tmp_path / "a").mkdir()
    run = pingpong("-J", path.format(tmp_path), *SHORT, cwd=tmp_path)
    assert run.status == 0, str(run)
    checked((tmp_path / "out.json").read_text())
    assert names_in(tmp_path) == ["a", "out.json"]


def test_a_descriptor_by_its_name_is_written_to(pingpong):
    read, write = os.pipe()
    run = pingpong(f"--json=/dev/fd/{write}", *SHORT, pass_fds=(write,))
    os.close(write)
    with open(read, encoding="utf-8") as stream:
        checked(stream.read())
    assert run.status == 0, str(run)


def test_a_mode_of_ours_gives_nobody_our_rights(pingpong, tmp_path):
    (tmp_path / "x.json").write_text(OLD)
    (tmp_path / "x.json").chmod(0o6775)
    assert pingpong("-J", tmp_path / "x.json", *SHORT).status == 0
    assert stat.S_IMODE((tmp_path / "x.json").stat().st_mode) == 0o775


def test_the_other_name_of_a_file_keeps_what_was_there(pingpong, tmp_path):
    (tmp_path / "x.json").write_text(OLD)
    os.link(tmp_path / "x.json", tmp_path / "other")
    assert pingpong("-J", tmp_path / "x.json", *SHORT).status == 0
    assert (tmp_path / "other").read_text() == OLD


# ---- what others have put there -------------------------------------------------------------

NOBODY = 65534


class Strangers:
    """Makes what belongs to another user."""

    def file(self, path, mode=0o666):
        path.write_text(OLD)
        return self.give(path, mode)

    def give(self, path, mode=None):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        if mode is not None:
            path.chmod(mode)
        return path

    def link(self, path, to):
        path.symlink_to(to)
        return self.give(path)


@pytest.fixture
def strangers():
    if os.geteuid() != 0:
        pytest.skip("only root can make files of others")
    return Strangers()


@pytest.fixture
def sticky(tmp_path):
    """A folder where anybody may make files, and only their owners take them away."""
    folder = tmp_path / "sticky"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.fixture
def as_nobody(pingpong):
    """The command in front of a run of an ordinary user, and a folder for it."""
    command = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("it takes root and setpriv to be another user")
    if subprocess.run([*command, "test", "-x", pingpong.path], check=False).returncode != 0:
        pytest.skip("another user may not run the program here")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        yield command, pathlib.Path(folder)


def test_no_mode_and_no_owner_of_a_strangers_is_taken_over(pingpong, tmp_path, strangers):
    name = strangers.file(tmp_path / "x.json", 0o6777)
    prefix = ("sh", "-c", 'umask 022 && exec "$@"', "sh")
    assert pingpong("-J", name, *SHORT, prefix=prefix).status == 0
    checked(name.read_text())
    assert name.stat().st_uid == 0 and stat.S_IMODE(name.stat().st_mode) == 0o644


@pytest.mark.parametrize("option", OPTIONS)
def test_a_strangers_file_in_a_sticky_folder_is_refused(pingpong, sticky, strangers, option):
    name = strangers.file(sticky / "x", 0o6777)
    inode = name.stat().st_ino
    fails_before_measuring(pingpong, name, "belongs to another user", option=option)
    now = name.stat()
    assert (now.st_ino, stat.S_IMODE(now.st_mode), now.st_uid) == (inode, 0o6777, NOBODY)
    assert name.read_text() == OLD and names_in(sticky) == ["x"]


def test_a_file_of_roots_in_its_sticky_folder_is_refused_before_measuring(pingpong, as_nobody):
    prefix, folder = as_nobody
    folder.chmod(0o1777)
    (folder / "x").write_text(OLD)
    (folder / "x").chmod(0o666)
    fails_before_measuring(pingpong, folder / "x", "belongs to another user", prefix=prefix)
    assert names_in(folder) == ["x"] and (folder / "x").read_text() == OLD


def test_a_file_of_our_own_in_a_sticky_folder_is_replaced(pingpong, sticky, strangers):
    strangers.give(sticky, 0o1777)
    (sticky / "x").write_text(OLD)
    for name in ("x", "new"):
        assert pingpong(f"--json={sticky}/{name}", *SHORT).status == 0
        checked((sticky / name).read_text())
    assert names_in(sticky) == ["new", "x"]


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("exists", [True, False], ids=["a file", "nowhere"])
def test_a_strangers_link_in_a_sticky_folder_is_not_followed(
    pingpong, tmp_path, sticky, strangers, option, exists
):
    if exists:
        (tmp_path / "ours").write_text(OLD)
    strangers.link(sticky / "x", "../ours")
    fails_before_measuring(pingpong, sticky / "x", "link that another user made", option=option)
    assert names_in(sticky) == ["x"] and (sticky / "x").is_symlink()
    assert names_in(tmp_path) == (["ours", "sticky"] if exists else ["sticky"])
    assert not exists or (tmp_path / "ours").read_text() == OLD


def test_a_strangers_link_in_a_folder_of_theirs_is_not_followed(pingpong, tmp_path, strangers):
    (tmp_path / "ours").write_text(OLD)
    (tmp_path / "theirs").mkdir()
    strangers.give(tmp_path / "theirs")
    strangers.link(tmp_path / "theirs" / "x", "../ours")
    fails_before_measuring(pingpong, tmp_path / "theirs" / "x", "link that another user made")
    assert (tmp_path / "ours").read_text() == OLD


def test_a_link_of_ours_to_a_strangers_is_not_followed_further(
    pingpong, tmp_path, sticky, strangers
):
    (tmp_path / "ours").write_text(OLD)
    strangers.link(sticky / "second", "../ours")
    (tmp_path / "first").symlink_to("sticky/second")
    fails_before_measuring(pingpong, tmp_path / "first", "link that another user made")
    assert (tmp_path / "ours").read_text() == OLD


def test_a_link_of_our_own_in_a_sticky_folder_is_followed(pingpong, tmp_path, sticky, strangers):
    strangers.give(sticky, 0o1777)
    (sticky / "x").symlink_to("../real")
    (tmp_path / "real").write_text(OLD)
    assert pingpong(f"--json={sticky}/x", *SHORT).status == 0
    checked((tmp_path / "real").read_text())
    assert (sticky / "x").is_symlink()


def test_the_links_of_the_system_are_followed_for_ordinary_users_too(pingpong, as_nobody):
    prefix, _ = as_nobody
    read, write = os.pipe()
    os.fchown(write, NOBODY, NOBODY)
    run = pingpong("--json=/dev/stderr", *SHORT, prefix=prefix, stderr=write)
    os.close(write)
    with open(read, encoding="utf-8") as stream:
        checked(stream.read())
    assert run.status == 0 and run.rate > 0, str(run)


@pytest.mark.parametrize("option", OPTIONS)
def test_a_strangers_pipe_in_a_sticky_folder_is_not_written_to(
    pingpong, sticky, strangers, option
):
    os.mkfifo(sticky / "x")
    strangers.give(sticky / "x", 0o666)
    with open(os.open(sticky / "x", os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
        fails_before_measuring(pingpong, sticky / "x", "belongs to another user", option=option)
        assert reader.read() == b""


def test_a_group_that_we_are_not_in_does_not_hand_its_rights_to_another(pingpong, as_nobody):
    prefix, folder = as_nobody
    os.chown(folder, NOBODY, NOBODY)
    (folder / "x").write_text(OLD)
    os.chown(folder / "x", NOBODY, 0)
    (folder / "x").chmod(0o664)
    assert pingpong(f"--json={folder}/x", *SHORT, prefix=prefix).status == 0
    now = (folder / "x").stat()
    assert (now.st_gid, stat.S_IMODE(now.st_mode)) == (NOBODY, 0o604)


# ---- what is on the disk, and what stays behind ---------------------------------------------


@pytest.fixture(params=["new", "old"])
def name(request, tmp_path):
    """A file that is not there yet, and one that is."""
    if request.param == "old":
        (tmp_path / "out.json").write_text(OLD)
    return tmp_path / "out.json"


def traced(strace, *options):
    return (strace, "-qq", "-o", "/dev/null", *(part for o in options for part in ("-e", o)))


@pytest.mark.parametrize("error, words", [("ENOSPC", "No space left"), ("EIO", "Input/output")])
def test_what_is_not_on_the_disk_does_not_take_its_name(
    pingpong, strace, tmp_path, name, error, words
):
    before = names_in(tmp_path)
    prefix = traced(strace, "trace=fsync", f"inject=fsync:error={error}")
    run = pingpong("-q", f"--json={name}", *SHORT, prefix=prefix)
    assert run.status == 1, str(run)
    one_line(run, f"out.json: {words}")
    assert names_in(tmp_path) == before
    assert not before or name.read_text() == OLD


def test_a_file_is_on_the_disk_before_it_has_its_name(pingpong, strace, tmp_path, name):
    calls = "trace=fsync,linkat,rename,renameat,renameat2"
    prefix = (strace, "-qq", "-o", tmp_path / "log", "-e", calls)
    assert pingpong("-q", f"--json={name}", *SHORT, prefix=prefix).status == 0
    done = [line.split("(")[0] for line in (tmp_path / "log").read_text().splitlines()]
    assert done[0] == "fsync" and len(done) > 1, done


def after_two_intervals(pingpong, name, prefix=()):
    args = ("--json-stream", "-i", "50ms", "-n", "1000G", "-J", name)
    running = pingpong.spawn(*args, prefix=prefix)
    after_intervals(running, 2)
    return running


@pytest.mark.parametrize("number", ["KILL", "ABRT", "USR1"])
def test_a_signal_that_nobody_catches_leaves_nothing(pingpong, tmp_path, name, number):
    before = names_in(tmp_path)
    with after_two_intervals(pingpong, name) as running:
        assert names_in(tmp_path) == before
        running.interrupt(getattr(signal, f"SIG{number}"))
    assert names_in(tmp_path) == before
    assert not before or name.read_text() == OLD


SIGNALS = [("HUP", 129), ("INT", 130), ("QUIT", 131), ("TERM", 143)]


@pytest.mark.parametrize("number, status", SIGNALS)
def test_where_files_need_names_the_first_signal_leaves_the_result(
    pingpong, hidden_proc, tmp_path, name, number, status
):
    with after_two_intervals(pingpong, name, hidden_proc) as running:
        assert len(names_in(tmp_path)) == 1 + name.exists()
        run = running.interrupt(getattr(signal, f"SIG{number}"))
    assert run.status == status, str(run)
    assert checked(name.read_text())["partial"] and names_in(tmp_path) == ["out.json"]


@pytest.mark.parametrize("first, second", [("INT", "TERM"), ("HUP", "QUIT"), ("HUP", "INT")])
def test_where_files_need_names_the_second_signal_leaves_nothing(
    pingpong, hidden_proc, tmp_path, name, first, second
):
    before = names_in(tmp_path)
    with after_two_intervals(pingpong, name, hidden_proc) as running:
        running.send(signal.SIGSTOP)
        wait_until(running.is_stopped, "not stopped")
        running.send(getattr(signal, f"SIG{first}"))
        running.send(getattr(signal, f"SIG{second}"))
        run = running.interrupt(signal.SIGCONT)
    assert -run.status in (getattr(signal, f"SIG{n}") for n in (first, second)), str(run)
    assert names_in(tmp_path) == before
    assert not before or name.read_text() == OLD


def test_no_signal_comes_between_a_name_and_the_next(pingpong, strace, tmp_path, name):
    """The second signal ends the program, when the file has a name that is not its last one."""
    prefix = traced(
        strace, "trace=fsync,linkat", "inject=fsync:signal=INT", "inject=linkat:signal=TERM"
    )
    run = pingpong("-q", f"--json={name}", *SHORT, prefix=prefix)
    assert run.status in (-signal.SIGTERM, 143), str(run)
    checked(name.read_text())
    assert names_in(tmp_path) == ["out.json"]
