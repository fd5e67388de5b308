"""tidy.py is silent on a tree that keeps the rules, and names the line of each that is broken."""

import subprocess
import sys
from pathlib import Path

import pytest

TIDY = Path(__file__).with_name("tidy.py")

GOOD = {
    "src/base/assert.h": """\
#ifndef PP_BASE_ASSERT_H
#define PP_BASE_ASSERT_H

#include <stdlib.h>

static inline void pp_assert_failed(void)
{
    abort();
}

#endif
""",
    "src/base/memory.h": """\
/* The file's head may stand above the guard. */
#ifndef PP_BASE_MEMORY_H
#define PP_BASE_MEMORY_H

void *pp_memory_alloc(void);

#endif /* PP_BASE_MEMORY_H */
""",
    "src/base/memory.c": """\
#include "base/memory.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>

void *pp_memory_alloc(void)
{
    return malloc(1);
}
""",
    "src/io/io.h": """\
#ifndef PP_IO_IO_H
#define PP_IO_IO_H
#endif
""",
    "src/io/engine.h": """\
#ifndef PP_IO_ENGINE_H
#define PP_IO_ENGINE_H
#endif
""",
    "src/io/engines/engine_epoll.c": """\
#include "base/assert.h"
#include "io/engine.h"
#include "io/io.h"

#include <stddef.h>
#include <sys/epoll.h>

static const char text[] = "free(memory), exit(1) and // no comment";

/* Words about exit(1) and
 * free(memory) are no calls. */
static void pool_free(struct pool *pool)
{
    pool->free(text);
}
""",
    "src/io/engines.c": """\
#include "io/engine.h"

#include <stddef.h>
#include "io_engines.inc"
""",
    "src/job/run.c": """\
#include "base/memory.h"
#include "io/io.h"
""",
    "src/main.c": """\
#include "io/io.h"

#include <stdlib.h>

int main(void)
{
    exit(0);
}
""",
    "src/experiment/process.c": """\
void process_close(int fd)
{
    close(fd);
}
""",
    "tests/io/sockets.c": """\
int test_socket(void)
{
    return socket(1, 2, 3);
}
""",
    "tests/io/test_ops.c": """\
#include "io/engine.h"

#include <setjmp.h>

#include <cmocka.h>

int main(void)
{
    free(NULL);
    test_connect(test_socket());
    pp_io_kernel.socket(NULL, NULL, NULL, NULL);
}
""",
    "tests/kernel/test_listen.c": """\
void f(void)
{
    listen(3, 4);
}
""",
}


def function_of(lines):
    return "int f(int a,\n      int b)\n{\n" + "    a();\n" * (lines - 2) + "}\n"


def way_of(step):
    return f"## From main() to the first ping\n    {step}\n## What follows\n"


def guarded(name, text=""):
    return f"#ifndef {name}\n#define {name}\n{text}#endif\n"


# What is written over GOOD, and the one line that tidy.py then prints.
BAD = {
    "a lower room includes a higher one": (
        {"src/base/pool.c": '#include "io/io.h"\n'},
        'src/base/pool.c:1: base may not include "io/io.h", which is not below it',
    ),
    "a header is bound by the rule too": (
        {"src/io/io.h": guarded("PP_IO_IO_H", '#include "measure/hist.h"\n')},
        'src/io/io.h:3: io may not include "measure/hist.h", which is not below it',
    ),
    "the two sides do not know each other": (
        {"src/client/client.c": '#include "server/server.h"\n'},
        'src/client/client.c:1: client may not include "server/server.h", which is not below it',
    ),
    "another room includes a private header of io": (
        {"src/job/run.c": '#include "base/memory.h"\n#include "io/engine.h"\n'},
        'src/job/run.c:2: "io/engine.h" is private to src/io',
    ),
    "a header of a folder of the room": (
        {"src/io/loop.c": '#include "io/kernel/kernel.h"\n'},
        'src/io/loop.c:1: "io/kernel/kernel.h" is private to src/io/kernel',
    ),
    "an include without its room": (
        {"src/io/loop.c": '#include "engine.h"\n'},
        'src/io/loop.c:1: "engine.h" has no room: write "room/name.h"',
    ),
    "an include of no room": (
        {"src/io/loop.c": '#include "util/list.h"\n'},
        'src/io/loop.c:1: "util/list.h" is of no room',
    ),
    "a folder that is no room": (
        {"src/util/list.c": "int list;\n"},
        "src/util/list.c:1: src/util is not a room",
    ),
    "liburing.h": (
        {"src/io/loop.c": "#include <liburing.h>\n"},
        "src/io/loop.c:1: <liburing.h> may be included in src/io/engines/uring.h only",
    ),
    "sys/epoll.h": (
        {"src/io/loop.c": "#include <sys/epoll.h>\n"},
        "src/io/loop.c:1: <sys/epoll.h> may be included in src/io/engines/engine_epoll.c only",
    ),
    "exit": (
        {"src/job/run.c": "void f(void)\n{\n    exit(1);\n}\n"},
        "src/job/run.c:3: exit() does not belong here: the exit status is chosen in src/main.c",
    ),
    "_exit": (
        {"src/job/run.c": "void f(void)\n{\n    _exit(1);\n}\n"},
        "src/job/run.c:3: _exit() does not belong here: the exit status is chosen in src/main.c",
    ),
    "abort": (
        {"src/job/run.c": "void f(void)\n{\n    abort();\n}\n"},
        "src/job/run.c:3: abort() does not belong here: use pp_assert()",
    ),
    "malloc": (
        {"src/job/run.c": "void *f(void)\n{\n    return malloc(1);\n}\n"},
        "src/job/run.c:3: malloc() does not belong here: use base/memory.h",
    ),
    "free": (
        {"src/main.c": "void f(void)\n{\n    free(NULL);\n}\n"},
        "src/main.c:3: free() does not belong here: use base/memory.h",
    ),
    "strdup": (
        {"src/job/run.c": 'char *f(void)\n{\n    return strdup("");\n}\n'},
        "src/job/run.c:3: strdup() does not belong here: use base/memory.h",
    ),
    "a system call that is the world's": (
        {"src/job/run.c": "int f(void)\n{\n    return socket(1, 2, 3);\n}\n"},
        "src/job/run.c:3: socket() does not belong here: go through the loop or its world",
    ),
    "a system call of the loop's": (
        {"src/io/loop.c": "int f(void)\n{\n    return poll(0, 0, 0);\n}\n"},
        "src/io/loop.c:3: poll() does not belong here: go through the loop or its world",
    ),
    "another clock than the loop's": (
        {"src/job/run.c": "long f(void)\n{\n    return pp_clock_now_ns();\n}\n"},
        "src/job/run.c:3: pp_clock_now_ns() does not belong here: go through the loop or its world",
    ),
    "another than the one that is excused": (
        {"src/experiment/process.c": "void f(void)\n{\n    close(3);\n    listen(3, 4);\n}\n"},
        "src/experiment/process.c:4: listen() does not belong here: go through the loop or its "
        "world",
    ),
    "a socket of a loop's test's own": (
        {"tests/io/test_ops.c": "int f(void)\n{\n    return socketpair(1, 2, 3, 0);\n}\n"},
        "tests/io/test_ops.c:3: socketpair() does not belong here: use tests/io/sockets.c",
    ),
    "a long line": (
        {"tests/base/test_pool.c": "/*" + "-" * 97 + "*/\n"},
        "tests/base/test_pool.c:1: 101 columns; 100 at most",
    ),
    "a tab": (
        {"bench/floor.c": "int\tfloor;\n"},
        "bench/floor.c:1: a tab: indent with spaces",
    ),
    "trailing blanks": (
        {"bench/floor.c": "int floor; \n"},
        "bench/floor.c:1: blanks at the end of the line",
    ),
    "no newline at the end": (
        {"bench/floor.c": "\nint floor;"},
        "bench/floor.c:2: the file does not end in a newline",
    ),
    "unfinished work": (
        {"bench/floor.c": "/* FIX" + "ME: later */\n"},
        "bench/floor.c:1: unfinished work belongs in an issue, not in a comment",
    ),
    "the own header is not first": (
        {"src/base/memory.c": '#include "base/assert.h"\n#include "base/memory.h"\n'},
        'src/base/memory.c:1: its own header, "memory.h", comes first',
    ),
    "the own header does not stand alone": (
        {"src/base/memory.c": '#include "base/memory.h"\n#include "base/pool.h"\n'},
        "src/base/memory.c:2: an empty line belongs after the own header",
    ),
    "the project's headers are not sorted": (
        {"src/job/run.c": '#include "io/io.h"\n#include "base/memory.h"\n'},
        "src/job/run.c:2: base/memory.h belongs before io/io.h",
    ),
    "the system's headers are not sorted": (
        {"src/job/run.c": "#include <stdio.h>\n#include <errno.h>\n"},
        "src/job/run.c:2: errno.h belongs before stdio.h",
    ),
    "the system's headers before the project's": (
        {"src/job/run.c": '#include <errno.h>\n\n#include "io/io.h"\n'},
        'src/job/run.c:3: "io/io.h" belongs before <errno.h>',
    ),
    "another file's guard": (
        {"src/io/io.h": guarded("PP_IO_ENGINE_H")},
        "src/io/io.h:1: the include guard should be PP_IO_IO_H",
    ),
    "a guard that ends early": (
        {"src/io/io.h": guarded("PP_IO_IO_H") + "int io;\n"},
        "src/io/io.h:1: the include guard should be PP_IO_IO_H",
    ),
    "no guard": (
        {"src/io/io.h": "\nint io;\n"},
        "src/io/io.h:2: the include guard should be PP_IO_IO_H",
    ),
    "a function that the design does not find": (
        {"docs/DESIGN.md": "`pp_memory_alloc()` (`base/memory.c`),\n`pp_f()` (`base/memory.c`)\n"},
        "docs/DESIGN.md:2: no pp_f() in src/base/memory.c",
    ),
    "a step that is not there": (
        {"docs/DESIGN.md": way_of("base/memory.c  pp_memory_alloc, pp_f, which goes on")},
        "docs/DESIGN.md:2: no pp_f() in src/base/memory.c",
    ),
    "a way with too many steps": (
        {"docs/DESIGN.md": way_of("base/memory.c  " + ", ".join(["pp_memory_alloc"] * 46))},
        "docs/DESIGN.md:1: more than 45 functions in 14 files to the first ping",
    ),
    "a long file without a map": (
        {"src/job/run.c": "\n" * 300},
        "src/job/run.c:1: a file of more than 300 lines begins with a comment on what is where",
    ),
    "a file that is too long": (
        {"src/job/run.c": "/* Map. */\n" + "\n" * 700},
        "src/job/run.c:700: the file has 702 lines; 700 at most",
    ),
    "a long function": (
        {"src/job/run.c": function_of(60) + "\n" + function_of(61)},
        "src/job/run.c:66: f() has 61 lines; 60 at most",
    ),
}


def run_tidy(root, files, *options):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return subprocess.run(
        [sys.executable, TIDY, *options, root], capture_output=True, text=True, check=False
    )


def test_a_good_tree_passes_in_silence(tmp_path):
    result = run_tidy(tmp_path, GOOD)
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


@pytest.mark.parametrize("files, line", BAD.values(), ids=BAD.keys())
def test_a_broken_rule_is_named_with_its_line(tmp_path, files, line):
    result = run_tidy(tmp_path, {**GOOD, **files})
    assert (result.stdout, result.stderr, result.returncode) == (line + "\n", "", 1)


def test_the_graph_shows_what_each_room_includes(tmp_path):
    result = run_tidy(tmp_path, GOOD, "--graph")
    assert result.returncode == 0
    assert result.stdout.splitlines() == [
        "base:",
        "io: base",
        "measure:",
        "wire:",
        "plan:",
        "result:",
        "client:",
        "server:",
        "report:",
        "job: base io",
        "experiment:",
        "cli:",
        "main: io",
    ]
