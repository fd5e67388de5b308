"""Soak: what strangers do to a server for minutes must not be seen in it afterwards.

For each engine, a server is visited by churn.c for a given time, and from another network namespace
by peers that vanish, while a real client measures it; then it is at rest, and is told to end. After
that many short-lived servers, and runs, are told to end in the midst of such a churn. Each check is
a line of figures; the exit status says whether all passed.

How a real client beside the churn is judged: it shares a CPU with the server, the churn has another
one. The churn costs CPU time whoever serves it, so what the client does in its midst is compared
with the same client on a server of its own that nobody else visits, while the same churn visits a
plain echo server (dummy.c) that runs on the same CPU as that server. The machine does the same work
in both cases: what differs is that the server under test has to do it all by itself, in the threads
that serve the client. Windows of TCP and UDP take turns, and medians over the windows are compared.

Ends: half of the churns stand still from the moment on at which the server is told to end, or at
some time in a run. Their kernel still holds their connections: whoever waits for them to read, or
to go away, waits for ever. The other half goes on.

Memory: what pools have handed out once is resident from then on. So churns that are larger than the
one to come go first, for as long as the memory grows, then a tenth of the churn itself, with clients
and all, and what is resident after that is the mark to come back to. A few seconds cannot tell a
pool that fills from a leak: memory is judged after minutes.
"""

import argparse
import contextlib
import json
import os
import random
import re
import resource
import select
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

import hosts  # noqa: E402
import pytest  # noqa: E402
from services import program  # noqa: E402

REST_S = 5  # after which a server is to be as it was
TERM_S = 2  # after which it is to have ended
GUARD_S = 30  # in place of these where the machine may be busy with something else
IDLE_S = 2  # after which a server gives up who says nothing, if it can
# Another number of peers at once than ever before may touch a few more slots of the pools: a
# hundred of the largest, 5 kB each. A descriptor leaked a second is more than that in a minute.
RSS_KIB = 512
VANISH_S = 5  # between two cuts of the cable
SATURATE = 2, 30  # how many seconds a churn, and how many churns at most
HOARDERS = "unread+half-close, unread+large+sized, little read+flood, unread+largest datagrams"


class Failed(Exception):
    """Something could not be started: there is nothing to judge."""


def wait_for(condition, limit_s):
    """The seconds until condition was true; None if it never was."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > limit_s:
            return None
        time.sleep(0.01)
    return time.monotonic() - begin


# ---- where it all runs ----------------------------------------------------------------------


class Place:
    """Programs, CPUs, and the hosts: near has the server and the churn, far who is to vanish."""

    def __init__(self, args, near, far):
        self.pingpong = args.pingpong
        self.tools = args.tools
        self.near = near
        self.far = far
        cpus = sorted(os.sched_getaffinity(0))
        self.work_cpu, self.churn_cpu = cpus[0], cpus[-1]
        os.sched_setaffinity(0, {self.churn_cpu})
        help_text = subprocess.run(
            [self.pingpong, "serve", "--help"], capture_output=True, text=True, check=False
        ).stdout
        self.idle = ["--idle-timeout", str(IDLE_S)] if "--idle-timeout" in help_text else []

    def spawn(self, cpu, *command, host=None, **options):
        prefix = (host or self.near).prefix if self.near else ()
        return subprocess.Popen(
            [*map(str, (*prefix, *command))],
            stdin=options.get("stdin", subprocess.DEVNULL),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
        )


def read_line(process, limit_s=GUARD_S):
    """The first line that it prints."""
    fd, line, deadline = process.stdout.fileno(), b"", time.monotonic() + limit_s
    while b"\n" not in line:
        ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
        part = os.read(fd, 4096) if ready else b""
        if not part:
            process.kill()
            raise Failed(f"{process.args}: no line; stderr: {process.stderr.read().decode()}")
        line += part
    return line.decode(errors="replace")


def port_in(line):
    match = re.search(r"TCP(?: and UDP)? \S+:(\d+)", line)
    if not match:
        raise Failed(f"no port in {line!r}")
    return int(match[1])


class Process:
    """One that is killed, by its number, if it does not end by itself."""

    def __init__(self, process):
        self.process = process
        self.pid = process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def wait(self, limit_s):
        """The seconds until it ended, or None; what it prints is taken in meanwhile."""
        begin = time.monotonic()
        try:
            self.process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            return None
        return time.monotonic() - begin

    def end(self, limit_s):
        """Tells it to, as wait()."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(limit_s)

    @property
    def status(self):
        return self.process.returncode

    # ---- what the kernel knows of it

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def rss_kib(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii", errors="replace") as file:
            match = re.search(r"^VmRSS:\s*(\d+)", file.read(), re.M)
        if not match:
            raise Failed("the server is no more")
        return int(match[1])

    def cpu_s(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Server(Process):
    def __init__(self, place, engine, *args):
        address = "0.0.0.0" if place.near else "127.0.0.1"
        command = (place.pingpong, "serve", "-H", address, "-p", 0, "--engine", engine)
        super().__init__(place.spawn(place.work_cpu, *command, *place.idle, *args))
        self.port = port_in(read_line(self.process))


class Dummy(Process):
    def __init__(self, place):
        command = (place.tools / "dummy", "127.0.0.1")
        super().__init__(place.spawn(place.work_cpu, *command, stdin=subprocess.PIPE))
        self.port = int(read_line(self.process))


class Churn(Process):
    def __init__(self, place, port, seed, address="127.0.0.1", host=None, **options):
        command = [place.tools / "churn", address, port, "--seed", seed]
        for name, value in options.items():
            command += [f"--{name}", value]
        super().__init__(place.spawn(place.churn_cpu, *command, host=host, stdin=subprocess.PIPE))
        self.begun = time.monotonic()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def stop(self):
        """What it has done."""
        seconds = time.monotonic() - self.begun
        out, err = self.process.communicate(timeout=GUARD_S)
        if self.status != 0:
            raise Failed(f"{self.process.args}: status {self.status}: {err.decode()}")
        return {**json.loads(out), "seconds": seconds}


def visits(done):
    return sum(kind[0] for kind in done["kinds"].values())


def pace_text(done):
    """So that it shows whether two churns were alike."""
    sent, received = (done[way] / done["seconds"] / 1e6 for way in ("sent", "received"))
    return f"{visits(done) / done['seconds']:,.0f}/s, {sent:,.1f} MB/s there, {received:,.1f} back"


# ---- peers that vanish ----------------------------------------------------------------------


class Vanishers:
    """Peers whose host is gone from one moment to the next: the cable is cut, their address is
    taken away, and they are killed. What they leave in that kernel has no address to speak from any
    more. The next ones come from another address."""

    def __init__(self, place, port, seed):
        self.place, self.port, self.seed = place, port, seed
        self.churn = None
        self.generation = self.count = 0
        self.due = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cut()

    def tend(self, every_s):
        if self.place.far and time.monotonic() >= self.due:
            self.due = time.monotonic() + every_s
            self.cut()
            self.come()

    def come(self):
        self.generation += 1
        address = f"192.0.2.{10 + self.generation % 240}/24"
        self.place.far.add_address(address)
        self.place.far.link("up")
        self.churn = Churn(
            self.place, self.port, self.seed + self.generation,
            self.place.near.v4, self.place.far, only="vanish",
        )  # fmt: skip

    def cut(self):
        if not self.churn:
            return
        self.place.far.link("down")
        self.place.far.must(program("ip"), "-4", "address", "flush", "dev", hosts.DEVICE)
        self.count += 60
        self.churn.process.kill()
        self.churn.process.communicate()
        self.churn = None


# ---- a real client --------------------------------------------------------------------------


class Window:
    """What a real client has measured for some seconds."""

    def __init__(self, rate, p99_us, failure):
        self.rate, self.p99_us, self.failure = rate, p99_us, failure


def measure(place, port, udp, load, meanwhile=lambda: None):
    """load: how long, and how much at most."""
    command = (place.pingpong, "client", f"127.0.0.1:{port}", *load, "-w", 0, "-J")
    client = Process(place.spawn(place.work_cpu, *command, *(("-u",) if udp else ())))
    with client:
        deadline = time.monotonic() + load[1] + GUARD_S
        out = b""
        os.set_blocking(client.process.stdout.fileno(), False)
        while client.process.poll() is None and time.monotonic() < deadline:
            meanwhile()
            time.sleep(0.1)
            out += client.process.stdout.read() or b""
        if client.process.poll() is None:
            return Window(0, None, f"still running {GUARD_S} s after its time")
        out += client.process.stdout.read() or b""
        if client.status != 0:
            told = client.process.stderr.read().decode().strip().splitlines()
            return Window(0, None, told[-1] if told else f"status {client.status}")
    result = json.loads(out)
    if not result["round_trips"]:
        return Window(0, None, "not one round trip")
    p99 = [p["ns"] for p in result["rtt"]["percentiles"] if p["percentile"] == 99 and p["ns"]]
    return Window(result["round_trips_per_s"], (p99 or [result["rtt"]["max_ns"]])[0] / 1000, None)


def windows(place, port, count, load):
    """Of TCP and of UDP."""
    both = {False: [], True: []}
    for _ in range(count):
        for udp in both:
            both[udp].append(measure(place, port, udp, load))
    return both


def median_of(some, what):
    values = [getattr(window, what) for window in some if window.failure is None]
    return statistics.median(values) if values else None


# ---- checks ---------------------------------------------------------------------------------


class Table:
    def __init__(self):
        self.failed = self.lines = 0

    def add(self, good, name, figures):
        """good: None says that the figures are told, and not judged."""
        word = {True: "PASS", False: "FAIL", None: "    "}[good]
        print(f"{word}  {name:<34}  {figures}", flush=True)
        self.lines += good is not None
        self.failed += good is False


def seconds_text(seconds, limit_s):
    return f"not within {limit_s} s" if seconds is None else f"after {seconds:.2f} s"


class Soak:
    def __init__(self, place, args, table, engine):
        self.place, self.args, self.table, self.engine = place, args, table, engine
        self.random = random.Random(f"{args.seed} {engine}")
        self.judges_time = not args.short
        self.rest_s = REST_S if self.judges_time else GUARD_S
        self.term_s = TERM_S if self.judges_time else GUARD_S
        # Where time is not judged, no window ends before it has been served.
        self.load = ("-t", min(10, args.seconds / 20))
        if not self.judges_time:
            self.load = ("-t", GUARD_S, "-n", 1000)

    def check(self, good, name, figures):
        self.table.add(good, f"{self.engine}: {name}", figures)

    def seed(self):
        return self.random.randrange(1 << 32)

    # ---- the long churn

    def baseline(self):
        """A client on a server that has nothing else to do, and then with the churn elsewhere."""
        with Server(self.place, self.engine) as server, Dummy(self.place) as dummy:
            count = 3 if self.judges_time else 1
            alone = windows(self.place, server.port, 1, self.load)
            with Churn(self.place, dummy.port, self.seed()) as churn:
                beside = windows(self.place, server.port, count, self.load)
                done = churn.stop()
        return alone, beside, done

    def saturate(self, server):
        """Until the memory does not grow any more: what pools ever hand out is resident then. While
        the server stands still so much comes that what it then receives fills its buffers."""
        seconds, most = SATURATE if self.judges_time else (1, 2)
        before = 0
        for number in range(most):
            options = {"scale": 1000, "only": HOARDERS} if number % 2 else {"scale": 300}
            with Churn(self.place, server.port, self.seed(), **options) as churn:
                for _ in range(2 * seconds):
                    time.sleep(0.4)
                    server.process.send_signal(signal.SIGSTOP)
                    time.sleep(0.1)
                    server.process.send_signal(signal.SIGCONT)
                churn.stop()
            if number % 2:
                if server.rss_kib() - before < RSS_KIB / 8:
                    return
                before = server.rss_kib()

    def churn(self, server, seconds):
        """The windows of the client, what the churn has done, and the memory meanwhile."""
        both = {False: [], True: []}
        rss, most_threads = [], [0]

        def look():
            rss.append((time.monotonic(), server.rss_kib()))
            most_threads[0] = max(most_threads[0], server.threads())
            vanishers.tend(min(VANISH_S, seconds / 3))

        with Churn(self.place, server.port, self.seed()) as churn, Vanishers(
            self.place, server.port, self.seed()
        ) as vanishers:
            begin = time.monotonic()
            udp = False
            while time.monotonic() - begin < seconds:
                both[udp].append(measure(self.place, server.port, udp, self.load, look))
                udp = not udp
            done = churn.stop()
        return both, done, vanishers.count, rss, most_threads[0]

    def rest(self, server, marks):
        """Descriptors, threads and memory are where they were."""
        what = ("descriptors", "threads", "memory, KiB")
        now = (server.descriptors, server.threads, server.rss_kib)
        slack = (0, 0, RSS_KIB if self.judges_time else 1 << 40)
        took = [None] * len(what)
        begin = time.monotonic()

        def all_are_back():
            for i, mark in enumerate(marks):
                if now[i]() > mark + slack[i]:
                    took[i] = None
                elif took[i] is None:
                    took[i] = time.monotonic() - begin
            return None not in took

        wait_for(all_are_back, self.rest_s)
        for i, mark in enumerate(marks):
            back = seconds_text(took[i], self.rest_s)
            text = f"{mark:,} before, {now[i]():,} in the end, back {back}"
            judged = self.judges_time or what[i] != "memory, KiB"
            self.check(took[i] is not None if judged else None, what[i], text)

    def idle_cpu(self, server):
        before = server.cpu_s()
        time.sleep(1)
        used = server.cpu_s() - before
        good = used <= 0.05 if self.judges_time else None
        self.check(good, "CPU at rest", f"{used:.2f} s in 1 s")

    def growth(self, rss):
        """From the first minute, or tenth, to the last."""
        span = min(60, (rss[-1][0] - rss[0][0]) / 10)
        first = max(kib for at, kib in rss if at <= rss[0][0] + span)
        last = max(kib for at, kib in rss if at >= rss[-1][0] - span)
        text = f"{first:,} in the first {span:.0f} s, {last:,} in the last"
        good = last - first <= RSS_KIB if self.judges_time else None
        self.check(good, "memory meanwhile, KiB", text)

    def client(self, alone, beside, churned):
        for udp in False, True:
            name = "UDP" if udp else "TCP"
            failures = [window.failure for window in churned[udp] if window.failure]
            text = f"{len(churned[udp]) - len(failures)} of {len(churned[udp])} clients"
            self.check(not failures, f"{name} is served", ": ".join([text, *failures[:1]]))
            rates = [median_of(of[udp], "rate") or 0 for of in (alone, beside, churned)]
            p99s = [median_of(of[udp], "p99_us") or float("inf") for of in (alone, beside, churned)]
            good = rates[2] >= rates[1] / 2 if self.judges_time else None
            text = "alone {:,.0f}, churn elsewhere {:,.0f}, churn here {:,.0f}"
            self.check(good, f"{name} round trips/s", text.format(*rates))
            good = p99s[2] <= p99s[1] * 2 if self.judges_time else None
            text = "alone {:,.1f}, churn elsewhere {:,.1f}, churn here {:,.1f}"
            self.check(good, f"{name} p99, µs", text.format(*p99s))

    def long(self):
        alone, beside, elsewhere = self.baseline()
        with Server(self.place, self.engine) as server:
            measure(self.place, server.port, False, self.load)
            measure(self.place, server.port, True, self.load)
            idle = server.descriptors(), server.threads()
            self.saturate(server)
            self.churn(server, self.args.seconds / 10)
            wait_for(lambda: (server.descriptors(), server.threads()) == idle, self.rest_s)
            marks = (*idle, server.rss_kib())
            churned, done, vanished, rss, most_threads = self.churn(server, self.args.seconds)
            self.check(None, "visits elsewhere", pace_text(elsewhere))
            self.check(None, "visits", f"{pace_text(done)}, and {vanished:,} vanished")
            self.rest(server, marks)
            self.check(None, "threads meanwhile", f"at most {most_threads}")
            self.growth(rss)
            self.idle_cpu(server)
            self.client(alone, beside, churned)
            self.ends(server)

    def ends(self, server):
        took = server.end(self.term_s)
        good = took is not None and server.status == 0
        text = seconds_text(took, self.term_s)
        self.check(good, "TERM after it", f"{text}, status {server.status}")

    # ---- many that end in the midst of it

    def kill(self, number):
        """The seconds until it ended, or None, and its status."""
        with Server(self.place, self.engine, "-S", 1 + number % 2) as server, Churn(
            self.place, server.port, self.seed()
        ) as churn:
            time.sleep(self.random.uniform(0.3, 1))
            if number // 2 % 2:
                churn.freeze()
            return server.end(self.term_s), server.status

    def kills(self):
        ends = [self.kill(number) for number in range(self.args.kills)]
        self.many("TERM in its midst", ends)

    def run(self, number):
        load = (("-c", 1), ("-c", 8), ("-c", 50), ("-c", 4, "-R", 1000))[number // 2 % 4]
        command = [self.place.pingpong, "-p", 0, "-t", 1, *load]
        command += ["--engine", self.engine, "-S", 1 + number // 4 % 2]
        with Process(self.place.spawn(self.place.work_cpu, *command)) as run, Churn(
            self.place, port_in(read_line(run.process)), self.seed()
        ) as churn:
            time.sleep(self.random.uniform(0.3, 0.9))
            if number % 2:
                churn.freeze()
            return run.wait(GUARD_S), run.status

    def runs(self):
        """Each is to end by itself. It lasts a second."""
        ends = [self.run(number) for number in range(self.args.runs)]
        self.many("runs in its midst", ends)

    def many(self, name, ends):
        hung = sum(seconds is None for seconds, _ in ends)
        longest = max((seconds for seconds, _ in ends if seconds is not None), default=0)
        bad = sorted({status for seconds, status in ends if seconds is not None and status != 0})
        text = f"{len(ends) - hung} of {len(ends)} ended, the slowest after {longest:.2f} s"
        self.check(not hung and not bad, name, f"{text}, statuses other than 0: {bad or 'none'}")


# ---- the command line -----------------------------------------------------------------------


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    build = HERE.parents[1] / "build" / "release"
    parser.add_argument("--pingpong", type=Path, default=build / "pingpong", metavar="PATH")
    parser.add_argument("--tools", type=Path, default=build / "tests" / "soak", metavar="FOLDER")
    parser.add_argument("--engine", choices=["io_uring", "epoll"], help="only this one (both)")
    parser.add_argument("--minutes", type=float, default=10, help="of churn, an engine (10)")
    parser.add_argument(
        "--seconds", type=float, help="the same; times, rates and memory are told and not judged"
    )
    parser.add_argument("--kills", type=int, default=200, help="servers ended in a churn (200)")
    parser.add_argument("--runs", type=int, default=30, help="runs in a churn (30)")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn at random (1)")
    args = parser.parse_args()
    args.short = args.seconds is not None
    if not args.short:
        args.seconds = args.minutes * 60
    return args


@contextlib.contextmanager
def place_of(args):
    """In network namespaces of its own, if there can be such."""
    with contextlib.ExitStack() as stack:
        try:
            near, far = stack.enter_context(hosts.two())
        except pytest.skip.Exception as reason:
            print(f"on this host, without peers that vanish: {reason}")
            near = far = None
        yield Place(args, near, far)


def main():
    args = parse()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    table = Table()
    print(f"soak: {args.seconds:g} s of churn an engine, seed {args.seed}", flush=True)
    try:
        with place_of(args) as place:
            for engine in [args.engine] if args.engine else ["io_uring", "epoll"]:
                soak = Soak(place, args, table, engine)
                soak.long()
                if args.kills:
                    soak.kills()
                if args.runs:
                    soak.runs()
    except Failed as reason:
        print(f"soak: {reason}", file=sys.stderr)
        return 1
    print(f"{table.lines - table.failed} of {table.lines} passed")
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
