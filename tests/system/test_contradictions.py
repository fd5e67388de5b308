"""Options that cannot go together: each pair is refused before anything is opened, with a line that
says which and why."""

import socket

import pytest
from peers import Counts

TO = "client 127.0.0.1:9 "

BAD = [
    # transports
    ("-u --mptcp", "--mptcp is a kind of TCP", "--udp"),
    ("-H unix:/x --mptcp", "--mptcp is a kind of TCP", "unix:"),
    ("serve -u --mptcp", "--mptcp is a kind of TCP", "--udp"),
    ("serve unix:/x --mptcp", "--mptcp is a kind of TCP", "unix:"),
    ("-u --cc reno", "--cc", "not TCP"),
    ("serve unix:/x --cc reno", "--cc", "not TCP"),
    (TO + "-u --nodelay off", "--nodelay", "not TCP"),
    ("serve unix:/x --nodelay off", "--nodelay", "not TCP"),
    ("-H unix:/x --tos 8", "--tos", "Unix socket"),
    ("client unix:/x --busy-poll 50", "--busy-poll", "Unix socket"),
    ("serve unix:/x -4", "-4", "Unix socket has a path"),
    ("client unix:/x -6", "-6", "Unix socket has a path"),
    ("client unix:/x -B 127.0.0.2", "--bind", "Unix socket has a path"),
    (TO + "-B 127.0.0.2:99 -c 2", "--bind with a port", "one connection"),
    (TO + "-B 127.0.0.2:99 --crr", "--bind with a port", "--crr"),
    ("-H unix:/x -p 99", "unix:/x is a Unix socket, which has no port", "--port"),
    ("serve unix:/x -p 99", "unix:/x is a Unix socket, which has no port", "--port"),
    ("-4 -6", "--ipv4 and --ipv6 exclude each other"),
    # datagrams
    ("-u --crr", "--crr connects for each round trip", "--udp knows no connections"),
    (TO + "-u --send x", "--send", "--udp", "header"),
    (TO + "-u --expect x", "--expect", "--udp", "header"),
    (TO + "-u --expect-bytes 5", "--expect", "--udp", "header"),
    (TO + "-u --expect-until x", "--expect", "--udp", "header"),
    ("-u -m 15", "--size", "16 B is the least with --udp"),
    ("-u -m 64,15", "--size", "16 B is the least with --udp"),
    ("-u -m uniform:1-100", "--size", "16 B is the least with --udp"),
    ("-u -m 65508", "--size", "datagram holds at most 65,507 B"),
    ("-u -m 64,65", "--size", "--udp", "longer than its request"),
    ("-u -m uniform:64-200,100", "--size", "--udp", "longer than its request"),
    # the load
    ("-T 2", "--threads", "--connections must be at least as many"),
    (TO + "-T 5 -c 4", "--threads", "--connections must be at least as many"),
    (TO + "-m 5 --send x", "--size", "--send", "one or the other"),
    (TO + "-m 5 --expect x", "--size", "--expect", "one or the other"),
    (TO + "-m 5 --expect-bytes 5", "--size", "--expect", "one or the other"),
    (TO + "--expect x --expect-bytes 5", "--expect, --expect-bytes and --expect-until exclude"),
    (TO + "--expect x --expect-until x", "--expect, --expect-bytes and --expect-until exclude"),
    (TO + "--expect-bytes 5 --expect-until x",
     "--expect, --expect-bytes and --expect-until exclude"),
    ("--crr -m 5,6", "--crr", "responses of another size", "--size"),
    ("--crr -D 2", "--crr has one message on a connection", "--depth"),
    ("-R 100 --think 5", "--rate", "--think", "one of them"),
    ("--arrivals poisson", "--arrivals needs a --rate"),
    ("-t 10ms -w 1s", "--warmup", "a hundred times"),
    ("-c 100000 -D 65536", "--connections times --depth"),
    # placement
    ("--placement pairs -T 2 -c 2", "--placement pairs", "--server-threads", "--threads"),
    ("--placement pairs -H unix:/x", "--placement pairs", "Unix socket has none"),
    ("serve unix:/x --placement pairs", "--placement pairs", "Unix socket has none"),
    ("serve -A 0 --placement split", "--cpus", "--placement cannot"),
    (TO + "-A 0 --placement none", "--cpus", "--placement cannot"),
    ("-A 0,0 --placement same", "--cpus", "--placement cannot"),
    # where the server is
    ("client", "client takes the ADDRESS of a server"),
    ("client localhost -H localhost", "named twice", "ADDRESS", "--host"),
    ("serve localhost -H localhost", "named twice", "ADDRESS", "--host"),
    ("client localhost:9 -p 9", "named twice", "localhost:9", "--port"),
    ("serve [::1]:9 -p 9", "named twice", r"\[::1\]:9", "--port"),
    ("client localhost -p 0", "client has to know the port"),
    ("client localhost:0", "client has to know the port"),
    ("client here there", "one ADDRESS is enough", "here", "there"),
    ("run here", "run takes no ADDRESS", "--host", "pingpong client here"),
    ("client http://here/", "without http://"),
    # what is of no use to a job
    ("serve -B 127.0.0.2", "--bind is for run and client, not for serve"),
    ("serve -c 5", "--connections", "serve"),
    ("serve -D 5", "--depth", "serve"),
    ("serve -n 5", "--count", "serve"),
    ("serve -R 5", "--rate", "serve"),
    ("serve --verify off", "--verify", "serve"),
    (TO + "-S 2", "--server-threads", "client"),
    (TO + "--server-engine epoll", "--server-engine", "client"),
    ("--send x", "--send", "client"),
    ("run --expect-until x", "--expect-until", "client"),
    ("--no-hello", "--no-hello", "client"),
    # the output
    ("-q -v", "--quiet and --verbose exclude each other"),
    ("serve -q -v", "--quiet and --verbose exclude each other"),
]


@pytest.mark.parametrize("args, patterns", [(row[0], row[1:]) for row in BAD],
                         ids=[row[0].replace("127.0.0.1:9 ", "") for row in BAD])
def test_what_cannot_go_together_is_refused_with_both_named(pingpong, args, patterns):
    result = pingpong(*args.split(), free_port=False)
    assert result.failed(2, *patterns).out == ""


def test_the_order_of_options_does_not_matter(pingpong):
    for args in (["-u", "--crr"], ["--crr", "-u"]):
        pingpong(*args, free_port=False).failed(2, "--crr", "--udp")


GOOD = [
    "-R 1000 --arrivals poisson -c 2 -T 2 -D 3 -m 16,17",
    "-R 1000 --crr -c 2",
    "--crr --think 10 -m 100 -c 3 -T 2 -S 2",
    "--crr --nodelay off --tos 8 --sndbuf 8k",
    "-u -R 1000 --strict -m 64,16 -D 3",
    "-u --think 10 -m uniform:16-100 -c 3 -T 2",
    "-t 5m -w 5 --verify len --seed 0",
    "-B 127.0.0.2 --cc reno --rcvbuf 64KiB --connect-timeout 1",
    "-T 2 -S 2 -c 2 --placement pairs",
    "-T 3 -S 2 -c 4 --placement split",
    "-T 3 -S 2 -c 4 --placement same",
    "-6 -T 2 -c 4 -D 5 -m uniform:1-5000",
]


@pytest.mark.parametrize("args", GOOD)
def test_what_can_go_together_works_together(pingpong, engine, two_cpus, ipv6, args):
    result = pingpong(*args.split(), "-v", "-n", 60, "--engine", engine)
    counts = Counts(result)
    assert result.status in ((0, 3) if "--strict" in args else (0,)), str(result)
    assert (counts.sent, counts.errors, counts.in_flight) == (60, 0, 0), str(result)


def test_nothing_is_left_behind_by_what_is_refused(pingpong, tmp_path):
    path = tmp_path / "socket"
    pingpong("serve", f"unix:{path}", "--mptcp", free_port=False).failed(2)
    assert not path.exists()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        to = f"127.0.0.1:{listener.getsockname()[1]}"
        pingpong("client", to, "--arrivals", "poisson", free_port=False).failed(2)
        with pytest.raises(BlockingIOError):
            listener.accept()
