"""What all system tests share. PINGPONG names the program: an absolute path."""

import contextlib
import functools
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import services  # noqa: E402
from driver import ENGINES, Program  # noqa: E402
from hlog_readers import JavaReader, JsReader  # noqa: E402

HELPERS = Path(__file__).parent / "helpers"


def pytest_configure(config):
    """Hundreds of sockets are opened here, too. And a shell that runs the tests in the background
    makes them ignore some signals, and so every program that they start, until it knows better."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    config.addinivalue_line("markers", "alone: of our own work and that of others; no other test runs")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def pytest_collection_modifyitems(items):
    """Those that take long go first, so that none of them runs alone in the end."""
    slow = ("test_soak", "test_silence", "test_verdict", "test_junk")
    items.sort(key=lambda item: item.module.__name__ not in slow)


@pytest.fixture(scope="session")
def pingpong():
    path = os.environ.get("PINGPONG", "")
    if not os.path.isabs(path) or not os.access(path, os.X_OK):
        pytest.exit("set PINGPONG to the absolute path of the program", 4)
    return Program(path)


@pytest.fixture(scope="session")
def build_folder(pingpong):
    """Where the program was built, and the tests' own programs with it."""
    return Path(pingpong.path).parent


@pytest.fixture(scope="session")
def java_reader():
    return JavaReader()


@pytest.fixture(scope="session")
def js_reader(build_folder):
    return JsReader(build_folder / "hlog_reader")


@pytest.fixture
def deaf():
    """The port of a listener whose queue is full: it answers to no more."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), 20):
            yield port


@pytest.fixture(scope="session")
def cpus():
    """The CPUs that may be used here."""
    return sorted(os.sched_getaffinity(0))


@pytest.fixture(scope="session")
def two_cpus(cpus):
    if len(cpus) < 2:
        pytest.skip("only one CPU may be used here")
    return cpus[:2]


@pytest.fixture(scope="session")
def works(pingpong):
    """Whether the engine of a name can run here."""
    return functools.cache(lambda name: pingpong("-q", "-n", "1", "--engine", name).status != 4)


@pytest.fixture(params=ENGINES)
def engine(request, works):
    """Each engine in turn."""
    if not works(request.param):
        pytest.skip(f"no {request.param} here")
    return request.param


@pytest.fixture
def io_uring(works):
    if not works("io_uring"):
        pytest.skip("no io_uring here")


def _compile(folder, source, *flags):
    cc = os.environ.get("CC") or shutil.which("cc")
    if not cc:
        pytest.skip("no C compiler here")
    out = folder / Path(source).stem
    done = subprocess.run(
        [*cc.split(), "-O1", "-Wall", "-Wextra", HELPERS / source, "-o", out, *flags],
        capture_output=True,
        text=True,
        check=False,
    )
    return out, done


@pytest.fixture(scope="session")
def deny(tmp_path_factory, pingpong):
    """deny(errno, call, ...): the command in front of a run for which these calls fail so."""
    out, done = _compile(tmp_path_factory.mktemp("deny"), "deny.c", "-lseccomp")
    if done.returncode != 0:
        pytest.skip(f"cannot build the seccomp launcher: {done.stderr.splitlines()[:1]}")
    if subprocess.run([out, "1", "acct", "true"], check=False).returncode != 0:
        pytest.skip("seccomp filters are not permitted here")
    return lambda errno, *calls: (out, str(errno), ",".join(calls))


def _quota_open(folder, us):
    """A new group with so many of each 100,000 us; either version of control groups."""
    folder.mkdir()
    if (folder / "cpu.cfs_quota_us").exists():
        (folder / "cpu.cfs_quota_us").write_text(str(us), encoding="ascii")
    else:
        (folder / "cpu.max").write_text(f"{us} 100000", encoding="ascii")


@pytest.fixture
def quota():
    """quota(cpus): the command in front of a run that may use so much CPU time."""
    folders = []

    def prefix(cpus):
        top = Path("/sys/fs/cgroup")
        folder = (top / "cpu" if (top / "cpu").is_dir() else top) / f"pingpong-{os.getpid()}"
        try:
            folders.append(folder)
            _quota_open(folder, int(100_000 * cpus))
        except OSError as error:
            pytest.skip(f"no control group can be made here: {error}")
        return ("sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(folder))

    yield prefix
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


@pytest.fixture(scope="session")
def shim(tmp_path_factory, pingpong):
    """shim(WHAT=value): the environment in which the program's C library behaves so."""
    if pingpong.sanitizer:
        pytest.skip("a program with a sanitizer takes no LD_PRELOAD")
    if not pingpong.dynamic:
        pytest.skip("a static program takes no LD_PRELOAD")
    out, done = _compile(tmp_path_factory.mktemp("shim"), "shim.c", "-shared", "-fPIC", "-ldl")
    assert done.returncode == 0, done.stderr

    def environment(**what):
        names = {f"SHIM_{name.upper()}": str(value) for name, value in what.items()}
        return {"LD_PRELOAD": str(out), **names}

    return environment


def _strace_works():
    strace = shutil.which("strace")
    if not strace:
        return None
    command = [strace, "-f", "-o", "/dev/null", "true"]
    done = subprocess.run(command, capture_output=True, check=False)
    return strace if done.returncode == 0 else None


@pytest.fixture(scope="session")
def strace():
    path = _strace_works()
    if not path:
        pytest.skip("no strace here, or it may not trace")
    return path


@pytest.fixture
def hidden_proc(pingpong):
    """The command in front of a run that sees no /proc."""
    if pingpong.sanitizer:
        pytest.skip("a program with a sanitizer needs /proc")
    mount = 'mount -t tmpfs -o size=4k none /proc && exec "$@"'
    start = ("unshare", "-m") if os.geteuid() == 0 else ("unshare", "-Urm")
    command = (*start, "sh", "-c", mount, "sh")
    try:
        done = subprocess.run([*command, "true"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if done.returncode != 0:
        pytest.skip("no mount namespaces here")
    return command


@pytest.fixture
def free_port():
    """A TCP port that nobody has right now."""
    return services.free_port()


@pytest.fixture(scope="session")
def own_network():
    """The command in front of a run in a network of its own, where every port is free."""
    command = ("unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
    try:
        done = subprocess.run([*command, "true"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if done.returncode != 0:
        pytest.skip("no network namespaces here, or no ip command")
    return command


@pytest.fixture(scope="session")
def ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
