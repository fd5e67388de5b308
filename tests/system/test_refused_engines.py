"""Where io_uring is not to be had. An engine asked for by name is never replaced; auto takes the
next one, and says why."""

import errno
import os
import re
import signal
import subprocess

import pytest
from driver import wait_until

REFUSED = [errno.EPERM, errno.ENOSYS, errno.ENOMEM, errno.EACCES, errno.EINVAL, errno.EMFILE]
NAMED = {errno.EPERM: "EPERM", errno.ENOSYS: "ENOSYS", errno.ENOMEM: "ENOMEM"}
CALLS = ("io_uring_setup", "io_uring_enter", "io_uring_register")

ids = errno.errorcode.get


@pytest.mark.parametrize("option", ["--engine", "--server-engine"])
@pytest.mark.parametrize("connections", [1, 50])
@pytest.mark.parametrize("error", REFUSED, ids=ids)
def test_io_uring_asked_for_by_name_is_never_replaced(pingpong, deny, error, connections, option):
    args = ("-n", "100", option, "io_uring", "-c", connections)
    result = pingpong(*args, prefix=deny(error, *CALLS))
    assert result.failed(4, "io_uring", NAMED.get(error, "")).out == "", str(result)


@pytest.mark.parametrize("option", [None, "-q", "-v"])
@pytest.mark.parametrize("error", REFUSED, ids=ids)
def test_auto_runs_on_epoll_and_says_why_in_one_line(pingpong, deny, error, option):
    args = ("-n", "500", "-c", "50", *([option] if option else []))
    result = pingpong(*args, prefix=deny(error, *CALLS))
    assert result.status == 0, str(result)
    assert re.fullmatch(r"pingpong: io_uring .*engine epoll\n", result.err), str(result)
    assert NAMED.get(error, "") in result.err
    if option != "-q":
        assert result.engines == ("epoll", "epoll") and result.done == 500
        assert NAMED.get(error, "io_uring") in result.find(r"^not used: (io_uring .*)$")[1]


def test_auto_says_nothing_when_it_prefers_epoll_anyway(pingpong, deny):
    result = pingpong("-n", "500", prefix=deny(errno.EPERM, *CALLS)).ok()
    assert result.engines == ("epoll", "epoll") and "not used" not in result.out


def test_the_server_alone_can_fall_back(pingpong, deny):
    args = ("-n", "500", "-c", "50", "--engine", "epoll", "--server-engine", "auto")
    result = pingpong(*args, prefix=deny(errno.ENOSYS, *CALLS))
    assert result.status == 0 and result.engines == ("epoll", "epoll"), str(result)
    assert result.err.count("\n") == 1 and "ENOSYS" in result.err, str(result)
    result.find(r"^not used: io_uring is missing \(ENOSYS\)[^;]* \(the server alone\)$")


@pytest.mark.parametrize("connections", [1, 50])
@pytest.mark.parametrize("wait", ["block", "yield"])
@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EPERM, errno.EACCES], ids=ids)
def test_io_uring_that_can_be_set_up_but_not_entered_is_not_available(
    pingpong, deny, io_uring, error, wait, connections
):
    args = ("-n", "100", "--engine", "io_uring", "--wait", wait, "-c", connections)
    result = pingpong(*args, prefix=deny(error, "io_uring_enter"))
    assert result.failed(4, "io_uring").out == "", str(result)


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EPERM, errno.EACCES], ids=ids)
def test_auto_runs_on_epoll_where_io_uring_can_be_set_up_but_not_entered(
    pingpong, deny, io_uring, error
):
    result = pingpong("-n", "500", "-c", "50", prefix=deny(error, "io_uring_enter"))
    assert result.status == 0 and result.done == 500, str(result)
    assert result.engines == ("epoll", "epoll") and result.err.count("\n") == 1, str(result)
    result.find(r"^not used: io_uring ")


@pytest.mark.parametrize("connections", [1, 50])
def test_io_uring_that_may_not_register_anything_is_not_available_or_works(
    pingpong, deny, io_uring, connections
):
    args = ("-n", "100", "--engine", "io_uring", "-c", connections)
    result = pingpong(*args, prefix=deny(errno.EPERM, "io_uring_register"))
    if result.status != 0:
        assert result.failed(4, "io_uring").out == "", str(result)


@pytest.mark.parametrize("error", [*NAMED, errno.EACCES, errno.EINVAL], ids=ids)
def test_the_reason_is_the_kernel_s_when_the_ring_may_not_say_what_it_can_do(
    pingpong, deny, io_uring, error
):
    args = ("-n", "100", "--engine", "io_uring")
    result = pingpong(*args, prefix=deny(error, "io_uring_register"))
    reason = "Invalid argument" if error == errno.EINVAL else f"({errno.errorcode[error]})"
    assert reason in result.failed(4, "io_uring").err, str(result)


def test_without_any_engine_the_reason_is_given(pingpong, deny):
    prefix = deny(errno.ENOSYS, *CALLS, "epoll_create1", "epoll_create")
    for connections in 1, 50:
        result = pingpong("-n", "100", "-c", connections, prefix=prefix)
        assert result.failed(4, "engine").out == "", str(result)


def rings(run):
    """How many of its descriptors are io_uring's."""
    return sum("io_uring" in link for link in run.links())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who has limits")
@pytest.mark.parametrize("limit_kib", [16, 64, 128, *range(160, 184, 4), 192, 256])
def test_where_memory_is_short_all_threads_of_a_side_are_on_one_engine(pingpong, limit_kib):
    """What io_uring locks counts for those who may not lock what they like: a ring, and then the
    buffers that it is lent. Where those are refused to some, all are on epoll."""
    limit = limit_kib * 1024
    become = ("setpriv", "--reuid", "65534", "--clear-groups")
    prefix = ("prlimit", f"--memlock={limit}:{limit}", *become)
    if subprocess.run([*become, "test", "-x", pingpong.path], check=False).returncode != 0:
        pytest.skip("the program lies where others may not reach it")
    args = ("-n", "1000G", "-c", "64", "-T", "4", "--server-engine", "epoll", "--wait", "block")
    with pingpong.spawn(*args, prefix=prefix) as run:
        run.learn_port()
        wait_until(lambda: run.threads() >= 5, "the threads do not run")
        assert rings(run) in (0, 4), str(run)
        run.send(signal.SIGINT)
        result = run.finish()
    assert result.status == 130, str(result)
    assert result.err.count("\n") <= 1, str(result)
