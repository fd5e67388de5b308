#!/usr/bin/env python3
"""Checks the rules of the source tree that no compiler knows.

usage: tidy.py [--graph] [ROOT]

Prints one line, file:line: message, for each place that breaks a rule, and exits 1 if there is any.
With --graph it prints the rooms and what each includes instead.
"""

import argparse
import re
import sys
from pathlib import Path

# The rooms, lowest first, and what each stands on: it includes itself, those, and what they stand
# on. main is src/main.c.
ROOMS = {
    "base": [],
    "io": ["base"],
    "measure": ["io"],
    "wire": ["measure"],
    "plan": ["wire"],
    "result": ["plan"],
    "client": ["result"],
    "server": ["result"],
    "report": ["result"],
    "job": ["client", "server"],
    "experiment": ["job"],
    "cli": ["experiment", "report"],
    "main": ["cli"],
}

# A room whose headers are private, but for those named.
PUBLIC_HEADERS = {"io": {"io/io.h"}}

# A header of another project, and the one file that may know of it.
ONLY_IN = {
    "liburing.h": "src/io/engines/uring.h",
    "zlib.h": "src/measure/hist_wire.c",
    "sys/epoll.h": "src/io/engines/engine_epoll.c",
}

# Calls of these functions, and the files that may make them.
CALLS = [
    (
        "exit _exit _Exit quick_exit",
        {"src/main.c", "src/experiment/guard.c"},
        "the exit status is chosen in src/main.c",
    ),
    ("abort", {"src/main.c", "src/base/assert.h"}, "use pp_assert()"),
    (
        "malloc calloc realloc reallocarray aligned_alloc posix_memalign free strdup strndup",
        {"src/base/memory.c"},
        "use base/memory.h",
    ),
]

# What a loop and its world do, so that a world without a kernel is possible: nobody calls these but
# the kernel's world and its engines, and the exceptions.
ON_KERNEL = ("src/io/kernel/", "src/io/engines/")
SOCKET_CALLS = """
    accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmsg send
    sendmsg sendto setsockopt shutdown socket socketpair
"""
WORLD_CALLS = "clock_gettime close eventfd getaddrinfo poll ppoll pthread_create" + SOCKET_CALLS
ON_LOOPS = {"client", "server", "job"}  # rooms that have no other clock than pp_io_now_ns()
WORLD_EXCEPTIONS = [
    ("src/base/clock.h", "clock_gettime", "it is the kernel's clock"),
    ("src/base/outfile.c", "close poll", "files, and a pipe that is waited for"),
    ("src/cli/serve.c", "poll", "whether standard error would make the server wait"),
    (
        "src/experiment/floor.c",
        "accept4 bind close connect getsockname listen pthread_create recv send setsockopt shutdown "
        "socket socketpair",
        "round trips without a loop are what it is for",
    ),
    ("src/experiment/process.c", "close ppoll", "waits for programs, which no loop does"),
    ("src/experiment/trial.c", "bind close connect getsockname socket", "whether a server listens"),
    ("src/measure/file.c", "close", "files below /proc and /sys"),
    ("src/measure/route.c", "close recv sendto setsockopt socket", "asks the kernel for its routes"),
    ("src/measure/usage.c", "bind close connect getsockname socket", "tries out the kernel's books"),
]

# The event loop's tests get their sockets, and all that happens at their far ends, from one file.
LOOP_TESTS = "tests/io/"
LOOP_TESTS_SOCKETS = "tests/io/sockets.c"
LOOP_TESTS_EXCEPTIONS = {
    "tests/io/support.c": "close",  # of what a test has left open
    "tests/io/test_ops.c": "close",  # of a pipe
    "tests/io/test_workers.c": "poll",  # a job that blocks is what it is about
}

COLUMNS = 100
FUNCTION_LINES = 60
FILE_LINES = 700
MAP_LINES = 300

TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def without_comments(text, strings=True):
    """text with its comments, and on request its strings, blanked out: the lines stay."""

    def blank(match):
        token = match.group()
        if token[0] != "/" and strings:
            return token
        return re.sub(r"[^\n]", " ", token)

    return TOKEN.sub(blank, text)


class Include:
    def __init__(self, line, quoted, name):
        self.line = line
        self.quoted = quoted
        self.name = name
        room, slash, _ = name.partition("/")
        self.room = room if quoted and slash else None


class Source:
    """One .c or .h file. name is its path from the root; room is None outside src/."""

    def __init__(self, root, path):
        self.path = path
        self.name = path.relative_to(root).as_posix()
        self.text = path.read_text(encoding="utf-8")
        self.lines = self.text.split("\n")
        self.code = without_comments(self.text, strings=False).split("\n")
        self.room = self._room()
        self.blocks = list(self._include_blocks())

    def _room(self):
        parts = self.name.split("/")
        if parts[0] != "src":
            return None
        return parts[1] if len(parts) > 2 else "main"

    def _include_blocks(self):
        """The includes, in lists that end at any line that is not an include."""
        block = []
        for number, line in enumerate(without_comments(self.text).split("\n"), 1):
            match = INCLUDE.match(line)
            if match:
                block.append(Include(number, match[1] == '"', match[2]))
            elif block:
                yield block
                block = []

    def includes(self):
        return [include for block in self.blocks for include in block]


def below(room):
    """The room, and all that it stands on."""
    return {room}.union(*(below(other) for other in ROOMS[room]))


def check_rooms(source):
    """A room includes only itself and what it stands on, and only the public headers of that. What
    is in a folder of a room is for that folder alone."""
    if source.room is None:
        return
    if source.room not in ROOMS:
        yield 1, f"src/{source.room} is not a room"
        return
    for include in source.includes():
        if include.quoted and include.name.endswith(".h") and include.room is None:
            yield include.line, f'"{include.name}" has no room: write "room/name.h"'
        if include.room is None:
            continue
        if include.room not in ROOMS:
            yield include.line, f'"{include.name}" is of no room'
        elif include.room not in below(source.room):
            yield include.line, f'{source.room} may not include "{include.name}", which is not below it'
        elif include.room != source.room:
            public = PUBLIC_HEADERS.get(include.room)
            if public and include.name not in public:
                yield include.line, f'"{include.name}" is private to src/{include.room}'
        else:
            folder = include.name.rpartition("/")[0]
            if folder != include.room and not source.name.startswith(f"src/{folder}/"):
                yield include.line, f'"{include.name}" is private to src/{folder}'


def check_foreign_headers(source):
    """What another project's header brings in stays in one file."""
    for include in source.includes():
        owner = ONLY_IN.get(include.name)
        if source.room and owner and source.name != owner:
            yield include.line, f"<{include.name}> may be included in {owner} only"


def calls_of(source, names):
    """The calls of these functions: (line, name)."""
    call = re.compile(rf"(?<![\w.>])({'|'.join(names)})\s*\(")
    for number, line in enumerate(source.code, 1):
        for match in call.finditer(line):
            yield number, match[1]


def check_calls(source):
    """Ending the program and taking memory have one place each."""
    if source.room is None:
        return
    for names, allowed, advice in CALLS:
        if source.name in allowed:
            continue
        for number, name in calls_of(source, names.split()):
            yield number, f"{name}() does not belong here: {advice}"


def check_world(source):
    """What a loop's world does goes through it."""
    if source.room is None or source.name.startswith(ON_KERNEL):
        return
    names = WORLD_CALLS.split() + ["pp_clock_now_ns"] * (source.room in ON_LOOPS)
    excused = set()
    for file, excuse, _ in WORLD_EXCEPTIONS:
        if file == source.name:
            excused.update(excuse.split())
    for number, name in calls_of(source, names):
        if name not in excused:
            yield number, f"{name}() does not belong here: go through the loop or its world"


def check_loop_tests(source):
    """A test of the loop makes no system call about a socket itself."""
    if not source.name.startswith(LOOP_TESTS) or source.name == LOOP_TESTS_SOCKETS:
        return
    for number, name in calls_of(source, SOCKET_CALLS.split() + ["close", "poll"]):
        if name not in LOOP_TESTS_EXCEPTIONS.get(source.name, "").split():
            yield number, f"{name}() does not belong here: use {LOOP_TESTS_SOCKETS}"


def check_text(source):
    """Lines fit, and hold nothing that an editor would hide."""
    for number, line in enumerate(source.lines, 1):
        if len(line) > COLUMNS:
            yield number, f"{len(line)} columns; {COLUMNS} at most"
        if "\t" in line:
            yield number, "a tab: indent with spaces"
        if line != line.rstrip():
            yield number, "blanks at the end of the line"
        if UNFINISHED.search(line):
            yield number, "unfinished work belongs in an issue, not in a comment"
    if source.lines[-1] != "":
        yield len(source.lines), "the file does not end in a newline"


def check_include_order(source):
    """Its own header alone, the project's, then others'; each block in alphabetical order."""
    includes = source.includes()
    if source.path.suffix != ".c" or not includes:
        return
    own = source.path.with_suffix(".h").name
    if source.path.with_name(own).exists():
        first = source.blocks[0]
        if Path(first[0].name).name != own:
            yield first[0].line, f'its own header, "{own}", comes first'
        elif len(first) > 1:
            yield first[1].line, "an empty line belongs after the own header"
    for block in source.blocks:
        for before, after in zip(block, block[1:]):
            if before.quoted == after.quoted and before.name > after.name:
                yield after.line, f"{after.name} belongs before {before.name}"
    for before, after in zip(includes, includes[1:]):
        if after.quoted and after.name.endswith(".h") and not before.quoted:
            yield after.line, f'"{after.name}" belongs before <{before.name}>'


def check_guard(source):
    """A header is guarded by the name that its path gives."""
    if source.room is None or source.path.suffix != ".h":
        return
    guard = "PP_" + re.sub(r"\W", "_", source.name.removeprefix("src/")).upper()
    code = [(n, line.split()) for n, line in enumerate(source.code, 1) if line.strip()]
    guarded = [words for _, words in code[:2]] == [["#ifndef", guard], ["#define", guard]]
    if not guarded or code[-1][1] != ["#endif"]:
        yield code[0][0] if code else 1, f"the include guard should be {guard}"


def check_function_length(source):
    """A function is one screen: the lines from its opening brace to its closing one."""
    opened = None
    for number, line in enumerate(source.code, 1):
        if line.rstrip() == "{":
            opened = number
        elif line.rstrip() == "}" and opened:
            length = number - opened + 1
            if length > FUNCTION_LINES:
                name = function_name(source.code[:opened])
                yield opened, f"{name}() has {length} lines; {FUNCTION_LINES} at most"
            opened = None


def check_map(source):
    """Whoever opens a long file is told first what is where."""
    if source.room and len(source.lines) > MAP_LINES and not source.text.startswith("/*"):
        yield 1, f"a file of more than {MAP_LINES} lines begins with a comment on what is where"


def check_file_length(source):
    if source.room and len(source.lines) > FILE_LINES:
        yield FILE_LINES, f"the file has {len(source.lines)} lines; {FILE_LINES} at most"


def function_name(code_before_body):
    """The name in the declarator that ends code_before_body, which may span several lines."""
    declarator = ""
    for line in reversed(code_before_body):
        declarator = line + " " + declarator
        if line[:1].isalpha() or line[:1] == "_":
            break
    match = re.search(r"(\w+)\s*\(", declarator)
    return match[1] if match else "a function"


# The page that says where things are, and how long the way to the first message may be.
DESIGN = "docs/DESIGN.md"
WAY = "## From main() to the first ping"
WAY_FUNCTIONS = 45
WAY_FILES = 14
STEP = re.compile(r" {4}(\S+\.c) +(\S.*)$")
PLACED = re.compile(r"`(\w+)\(\)` \(`(\w+/[\w/.]+)`")


def places_in(lines):
    """The names on the page that stand beside a file: (line, file, function)."""
    for number, line in enumerate(lines, 1):
        for function, name in PLACED.findall(line):
            yield number, name, function


def steps_in(lines):
    """The way from main() on, as above."""
    begin = lines.index(WAY) if WAY in lines else len(lines)
    for number, line in enumerate(lines[begin + 1 :], begin + 2):
        if line.startswith("## "):
            return
        match = STEP.match(line)
        for function in match[2].split(", which")[0].split(", ") if match else []:
            yield number, match[1], function


def check_design(root, sources):
    """What the page says of functions: that they are where it says, and that the way is short."""
    path = root / DESIGN
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
    code = {source.name: "\n".join(source.code) for source in sources}
    steps = list(steps_in(lines))
    for number, name, function in [*places_in(lines), *steps]:
        defined = re.compile(rf"^\w.*\b{function}\(", re.MULTILINE)
        if not defined.search(code.get(f"src/{name}", "")):
            yield number, f"no {function}() in src/{name}"
    if len(steps) > WAY_FUNCTIONS or len({name for _, name, _ in steps}) > WAY_FILES:
        yield (
            lines.index(WAY) + 1,
            f"more than {WAY_FUNCTIONS} functions in {WAY_FILES} files to the first ping",
        )


CHECKS = [
    check_rooms,
    check_foreign_headers,
    check_calls,
    check_world,
    check_loop_tests,
    check_text,
    check_include_order,
    check_guard,
    check_function_length,
    check_map,
    check_file_length,
]


def read_tree(root):
    return [
        Source(root, path)
        for folder in ("src", "peers", "tests", "bench", "tools")
        for path in sorted((root / folder).rglob("*.[ch]"))
    ]


def print_problems(root, sources):
    problems = [
        (source.name, line, message)
        for source in sources
        for check in CHECKS
        for line, message in check(source)
    ]
    problems += [(DESIGN, line, message) for line, message in check_design(root, sources)]
    for name, line, message in sorted(problems):
        print(f"{name}:{line}: {message}")
    return 1 if problems else 0


def print_graph(sources):
    edges = {room: set() for room in ROOMS}
    for source in sources:
        if source.room in edges:
            edges[source.room] |= {include.room for include in source.includes()}
    for room, others in edges.items():
        names = [name for name in ROOMS if name in others and name != room]
        print(f"{room}: {' '.join(names)}".rstrip())
    return 0


def main():
    parser = argparse.ArgumentParser(description="Checks the rules of the source tree.")
    parser.add_argument("--graph", action="store_true", help="print what each room includes")
    parser.add_argument(
        "root", nargs="?", type=Path, default=Path(__file__).resolve().parents[1], metavar="ROOT"
    )
    args = parser.parse_args()
    sources = read_tree(args.root)
    return print_graph(sources) if args.graph else print_problems(args.root, sources)


if __name__ == "__main__":
    sys.exit(main())
