"""Two hosts joined by a cable: network namespaces of the test's own with a veth between them. What
happens on the way is up to nft there."""

import contextlib
import re
import shutil
import subprocess

import pytest
from services import program

DEVICE = "cable"


def skip_unless(done, what):
    if done.returncode != 0:
        pytest.skip(f"{what}: {done.stderr.strip()}")


class Host:
    """One of two. prefix: the command in front of what is to run there."""

    def __init__(self, holder, number, enter):
        self.holder = holder
        self.number = number
        self.prefix = (*enter, "-t", str(holder.pid), "-n")
        self.v4 = f"192.0.2.{number}"
        self.v6 = f"2001:db8::{number}"
        self.link_local = f"fe80::{number}%{DEVICE}"

    def run(self, *command, text=None):
        """Runs it here to its end."""
        return subprocess.run(
            [*self.prefix, *command], input=text, capture_output=True, text=True, check=False
        )

    def must(self, *command, text=None):
        done = self.run(*command, text=text)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    # ---- the cable ----

    def add_address(self, address):
        nodad = ("nodad",) if ":" in address else ()
        self.must(program("ip"), "address", "add", address, "dev", DEVICE, *nodad)

    def link(self, state):
        self.must(program("ip"), "link", "set", DEVICE, state)

    # ---- nft ----

    def filter(self, *rules, hook="input", family="inet"):
        """Each rule is checked on every packet that comes in, or with another hook goes out."""
        chain = f"add chain {family} test {hook} {{ type filter hook {hook} priority 0; }}"
        lines = [f"add table {family} test", chain]
        lines += [f"add rule {family} test {hook} {rule}" for rule in rules]
        done = self.run(program("nft"), "-f", "-", text="\n".join(lines))
        skip_unless(done, f"no {' or '.join(rules)} in this kernel")

    def packets(self):
        """The count of each rule that has a counter, in their order."""
        listing = self.must(program("nft"), "list", "ruleset")
        return [int(count) for count in re.findall(r"counter packets (\d+)", listing)]


def way_in():
    """The commands that make a namespace and enter it: as root, or as a user in one of his own."""
    if not shutil.which("unshare") or not shutil.which("nsenter"):
        pytest.skip("no unshare and nsenter here")
    if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode == 0:
        return ("unshare", "-n"), ("nsenter",)
    make = ("unshare", "-Urn")
    done = subprocess.run([*make, "true"], capture_output=True, text=True, check=False)
    skip_unless(done, "no network namespaces here")
    return make, ("nsenter", "-U", "--preserve-credentials")


def hold(stack, *make):
    """A process that does nothing but to be in a namespace, until its standard input ends."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = stack.enter_context(subprocess.Popen([*make, "sh", "-c", "echo && exec cat"], **pipes))
    stack.callback(process.stdin.close)
    if process.stdout.read(1) != b"\n":
        pytest.skip(f"no network namespaces here: {make}")
    return process


@contextlib.contextmanager
def two():
    """near and far, joined, without any rule."""
    make, enter = way_in()
    with contextlib.ExitStack() as stack:
        near = Host(hold(stack, *make), 1, enter)
        far = Host(hold(stack, *near.prefix, "unshare", "-n"), 2, enter)
        join(near, far)
        yield near, far


def join(near, far):
    ip = program("ip")
    ends = ("name", DEVICE, "type", "veth", "peer", "name", DEVICE, "netns", str(far.holder.pid))
    skip_unless(near.run(ip, "link", "add", *ends), "no veth here")
    for host in near, far:
        lines = (
            "link set lo up",
            f"link set {DEVICE} addrgenmode none",
            f"link set {DEVICE} up",
            f"address add {host.v4}/24 dev {DEVICE}",
            f"address add {host.v6}/64 dev {DEVICE} nodad",
            f"address add fe80::{host.number}/64 dev {DEVICE} nodad",
        )
        host.must(ip, "-batch", "-", text="\n".join(lines))
