"""What a person at a terminal sees."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

import pytest
from driver import ESTIMATE, display_width

BAR = re.compile(r"\[=* *\] +\d+ %  [\d,]+ roundtrips/s")


class Screen:
    """A terminal of a given width: text, CR, LF, erasing, and lines that wrap."""

    def __init__(self, columns):
        self.columns = columns
        self.rows = [""]
        self.column = 0

    def write(self, text):
        for token in re.findall(r"\033\[[\d;]*[A-Za-z]|[^\033]", text):
            if token == "\r":
                self.column = 0
            elif token == "\n":
                self.rows.append("")
                self.column = 0
            elif token == "\033[K":
                self.rows[-1] = self.rows[-1][: self.column]
            elif re.fullmatch(r"\033\[\d*m", token):
                pass  # a colour
            else:
                assert token.isprintable(), f"the terminal cannot show {token!r}"
                self._put(token)
        return self

    def _put(self, char):
        if self.column >= self.columns:
            self.rows.append("")
            self.column = 0
        row = self.rows[-1].ljust(self.column)
        self.rows[-1] = row[: self.column] + char + row[self.column + 1 :]
        self.column += 1

    @property
    def lines(self):
        return [row.rstrip() for row in self.rows]


def on_terminal(
    pingpong, *args, columns=80, streams=(1, 2), env=None, prefix=(), until=None, free_port=True,
    narrowed=None
):
    """Runs the program with these of its streams on a terminal. until: sends SIGINT when this is on
    it. narrowed: when the first of these is on it, it gets the second for its width. Returns the result, whose out is what the terminal got."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {"TERM": "xterm-256color", **(env or {})}
    options = {"env": env, "prefix": prefix, "free_port": free_port}
    for stream, name in ((1, "stdout"), (2, "stderr")):
        if stream in streams:
            options[name] = slave
    with pingpong.spawn(*args, **options) as run:
        os.close(slave)
        steps = [(until, lambda: run.send(signal.SIGINT))] if until else []
        if narrowed:
            size = struct.pack("HHHH", 24, narrowed[1], 0, 0)
            steps.insert(0, (narrowed[0], lambda: fcntl.ioctl(master, termios.TIOCSWINSZ, size)))
        got = read_all(master, pingpong.timeout_s, steps)
        os.close(master)
        result = run.finish()
    result.terminal = got.replace("\r\n", "\n")
    return result


def read_all(master, timeout_s, steps):
    deadline = time.monotonic() + timeout_s
    got = b""
    while True:
        ready, _, _ = select.select([master], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            pytest.fail(f"still running after {timeout_s} s: {got[-1000:]!r}")
        try:
            data = os.read(master, 65536)
        except OSError:  # the other side is closed
            data = b""
        if not data:
            return got.decode("utf-8")
        got += data
        if steps and re.search(steps[0][0], got.decode("utf-8", "ignore")):
            steps.pop(0)[1]()


def long_run(pingpong, *args, **options):
    """One that lasts until its progress was drawn twice."""
    until = r"(?s)roundtrips/s.*\r\x1b.*roundtrips/s"
    return on_terminal(pingpong, "-n", "1000G", *args, until=until, **options)


def without_figures(text):
    """Words alone, without what is not said of each run."""
    text = re.sub(r"^(?:note|SUSPECT|INVALID|not judged[^:]*): .*\n(?:  [^ ].*\n)*", "", text, flags=re.MULTILINE)
    text = re.sub(rf"^{ESTIMATE}.*\n|^  measured", "", text, flags=re.MULTILINE)
    text = re.sub(r"(?: · |\n  )(?:other programs|steal|of that for others) [\d.]+ %", "", text)
    text = re.sub(r" · (?:VALID|SUSPECT|INVALID)$", "", text, flags=re.MULTILINE)
    return re.sub(r" +", " ", re.sub(r"[+-]?[\d.,]+|n/a", "N", text))


def without_colours(text):
    return re.sub(r"\033\[\d*m", "", text)


def test_a_bar_shows_the_progress_and_is_gone_at_the_end(pingpong):
    result = long_run(pingpong)
    assert result.status == 130
    assert BAR.search(result.terminal), result.terminal
    screen = Screen(80).write(result.terminal)
    assert not any(BAR.search(line) for line in screen.lines), screen.lines
    assert screen.lines[-1] == "" and screen.column == 0
    assert sum("roundtrips/s" in line for line in screen.lines) == 1
    assert sum(line.startswith("PARTIAL: ") for line in screen.lines) == 1


@pytest.mark.parametrize("columns", [40, 50, 60])
def test_a_bar_on_a_narrow_terminal_leaves_nothing_behind(pingpong, columns):
    screen = Screen(columns).write(long_run(pingpong, columns=columns).terminal)
    assert not any(BAR.search(line) for line in screen.lines), screen.lines


def test_the_final_screen_is_the_same_text_as_in_a_pipe(pingpong):
    terminal = on_terminal(pingpong, "-n", "1000", columns=500).terminal
    screen = "\n".join(Screen(500).write(terminal).lines)
    pipe = pingpong("-n", "1000").out
    assert without_figures(screen) == without_figures(pipe)


def test_there_is_no_bar_when_quiet(pingpong):
    result = on_terminal(pingpong, "-q", "-n", "30k")
    assert result.status == 0 and not BAR.search(result.terminal)
    text = without_colours(result.terminal)
    assert "\033" not in text
    lines = text.splitlines()  # what makes it INVALID, on a busy machine, is said all the same
    assert len(lines) == 2 or lines[0].startswith("INVALID: "), text


@pytest.mark.parametrize("option", ["--json-stream", "--hlog=-", "--csv", "--output=-"])
@pytest.mark.parametrize("streams", [(1, 2), (2,)], ids=["terminal", "pipe"])
def test_there_is_no_bar_where_lines_come_on_standard_output(pingpong, option, streams):
    result = on_terminal(pingpong, option, "-i", "50ms", "-t", "400ms", "-w", "0", streams=streams)
    assert result.status == 0 and not BAR.search(result.terminal), result.terminal


def test_lines_that_go_to_a_file_do_not_take_the_bar_away(pingpong, tmp_path):
    files = (f"--json-stream={tmp_path}/x", f"--hlog={tmp_path}/y")
    assert BAR.search(long_run(pingpong, *files).terminal)


def test_the_bar_is_drawn_on_stderr_and_a_piped_stdout_stays_clean(pingpong):
    result = long_run(pingpong, streams=(2,))
    assert BAR.search(result.terminal)
    assert "\033" not in result.out and "\r" not in result.out
    assert result.partial[1] == 10**12


def test_there_is_no_bar_when_stderr_is_not_a_terminal(pingpong):
    result = on_terminal(pingpong, "-n", "30k", streams=(1,))
    assert result.status == 0 and result.err == ""
    text = without_colours(result.terminal)
    assert "\033" not in text and "\r" not in text


@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}], ids=["", "NO_COLOR"])
@pytest.mark.parametrize("options", [(), ("-v",), ("-i", "50ms")], ids=["", "-v", "-i"])
@pytest.mark.parametrize("columns", [60, 80])
def test_lines_are_folded_to_the_width_of_the_terminal(pingpong, columns, options, env):
    result = on_terminal(pingpong, "-n", "20k", *options, columns=columns, env=env)
    assert result.status == 0
    text = re.sub(r"[^\n]*\r\x1b\[K", "", result.terminal)
    assert ("\033" in text) == (not env), "colours are shown unless NO_COLOR says otherwise"
    text = without_colours(text)
    assert "\033" not in text
    for line in text.splitlines():
        assert display_width(line) <= columns, line


@pytest.mark.parametrize("command", [
    ("compare", "epoll", "wait=block", "--rounds", 500, "-n", 100),
    ("sweep", "-c", "1..2", "--rounds", 500, "-n", 100),
])
def test_a_terminal_that_becomes_narrower_gets_shorter_lines(pingpong, command):
    result = on_terminal(pingpong, *command, columns=100, free_port=False,
                         narrowed=(r"(?s)(?: run \d+ of.*){2}", 50),
                         until=r"(?s)(?: run \d+ of.*){12}")
    drawn = result.terminal.split("\r\033[K")
    assert result.status == 130 and len(drawn) > 6, result.terminal
    for line in "\n".join(drawn[-3:]).splitlines():
        assert display_width(without_colours(line)) <= 50, line


def test_the_reason_against_an_engine_is_folded_to_80_columns(pingpong, deny):
    result = on_terminal(
        pingpong, "-n", "100", "-c", "50", prefix=deny(1, "io_uring_setup"), streams=(1,)
    )
    assert result.status == 0 and "not used: " in result.terminal
    for line in without_colours(result.terminal).splitlines():
        assert display_width(line) <= 80, line


def test_folding_loses_not_a_word(pingpong):
    """What a busy machine does to a run is in its words, too: two that are alike are compared."""
    args = ("-n", "20k", "-v", "--engine", "epoll")
    for _ in range(10):
        narrow = on_terminal(pingpong, *args, columns=80, streams=(1,)).terminal
        wide = pingpong(*args).out
        words = [without_figures(without_colours(text)).split() for text in (narrow, wide)]
        narrow, wide = ([word for word in some if word != "·"] for some in words)
        if narrow == wide:
            return
    assert narrow == wide


def test_a_terminal_of_unknown_width_is_not_folded(pingpong):
    result = on_terminal(pingpong, "-n", "100", columns=0, streams=(1,))
    assert max(map(display_width, without_colours(result.terminal).splitlines())) > 80


def test_a_dumb_terminal_gets_no_escape_sequences(pingpong):
    result = on_terminal(pingpong, "-n", "30k", env={"TERM": "dumb"})
    assert result.status == 0 and "\033" not in result.terminal
