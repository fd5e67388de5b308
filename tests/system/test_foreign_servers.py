"""The client against servers that know nothing of pingpong: services with a protocol of their own,
and plain echoes."""

import re
import socket
import threading

import peers
import pytest
import services
from peers import Counts, exactly

# What a client finds out when it greets none of these, and when it does.
ANOTHER_SERVICE = r"^server: of another service$"
PLAIN_ECHO = r"^server: a plain echo, as far as can be told$"

FEW, MANY = ("-n", "300"), ("-n", "2000", "-c", "10", "-D", "4")


def measure(pingpong, service, *args, **options):
    return pingpong("client", service.target, "-v", *args, free_port=False, **options)


def wrong(result, expected, received):
    """It ended with 5, and the beginnings of both texts in hexadecimal digits."""
    shown, got = (re.escape(text.encode().hex(" ")) for text in (expected, received))
    return result.failed(5, rf"wrong answer.* {shown}\b.* expected and {got}\b.* received")


def broke(result, received):
    """The server hung up after so many round trips: whether that is seen as its end of the stream
    or as a reset depends on what was on the way."""
    told = rf"broke after {received} round trip{'' if received == 1 else 's'} with"
    result.failed(1, told, "closed|reset|Broken pipe", "--crr makes one for each")
    counts = Counts(result)
    assert (counts.received, counts.errors) == (received, 1), str(result)


# ---- services -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    with services.redis(tmp_path_factory.mktemp("redis")) as service:
        yield service


@pytest.fixture(scope="module")
def memcached():
    with services.memcached() as service:
        yield service


PAGE = "0123456789abcdef" * 64
GET = "GET /page HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n"
GET_ONCE = "GET /page HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n"


def as_bytes(request):
    return request.encode().decode("unicode_escape").encode()


@pytest.fixture(scope="module")
def nginx(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nginx")
    (folder / "page").write_text(PAGE, encoding="ascii")
    with services.nginx(folder) as service:
        yield service


PING = ("--send", "PING\\r\\n", "--expect", "+PONG\\r\\n")


@pytest.mark.parametrize("load", [FEW, MANY], ids=["one", "many"])
def test_redis_is_measured_and_every_byte_checked(pingpong, redis, engine, load):
    result = exactly(measure(pingpong, redis, *PING, *load, "--engine", engine), int(load[1]))
    result.find(r" · 6 B · 7 B back · ")
    result.find(rf"^{int(load[1]):,} round trips, every byte checked · [A-Z]+$")
    result.find(ANOTHER_SERVICE)
    assert set(result.table("cost a round trip", "server").values()) == {None}


def test_redis_is_measured_with_a_connection_for_each_round_trip(pingpong, redis, engine):
    exactly(measure(pingpong, redis, *PING, "--crr", "-n", "100", "--engine", engine), 100)


def test_redis_is_measured_at_a_rate(pingpong, redis):
    exactly(measure(pingpong, redis, *PING, "-R", "2000", "-c", "4", *FEW), 300)


def test_a_value_in_redis_is_measured(pingpong, redis):
    value = "x" * 1000
    redis.ask(f"SET key {value}\r\n".encode(), b"\r\n")
    answer = ("--expect", f"$1000\\r\\n{value}\\r\\n")
    exactly(measure(pingpong, redis, "--send", "GET key\\r\\n", *answer, *FEW), 300)


@pytest.mark.parametrize("load", [FEW, MANY], ids=["one", "many"])
def test_the_version_of_memcached_is_measured_up_to_its_line_end(
    pingpong, memcached, engine, load
):
    args = ("--send", "version\\r\\n", "--expect-until", "\\r\\n", *load, "--engine", engine)
    result = exactly(measure(pingpong, memcached, *args), int(load[1]))
    result.find(r" · 9 B · answers end with a text · ")
    result.find(r" round trips, only endings checked · [A-Z]+$")


@pytest.fixture(scope="module")
def stored(memcached):
    """The length of what memcached answers to "get key"."""
    value = b"x" * 5000
    assert memcached.ask(b"set key 0 0 5000\r\n" + value + b"\r\n", b"\r\n") == b"STORED\r\n"
    return len(memcached.ask(b"get key\r\n", b"END\r\n"))


@pytest.mark.parametrize("load", [FEW, MANY], ids=["one", "many"])
def test_a_value_in_memcached_is_measured_by_its_length(
    pingpong, memcached, stored, engine, load
):
    args = ("--send", "get key\\r\\n", "--expect-bytes", stored, *load, "--engine", engine)
    result = exactly(measure(pingpong, memcached, *args), int(load[1]))
    result.find(rf" · 9 B · {stored:,} B back · ")


def test_a_byte_more_than_expected_is_a_wrong_answer(pingpong, memcached, stored):
    args = ("--send", "get key\\r\\n", "--expect-bytes", stored - 1, "--wait", "block")
    result = measure(pingpong, memcached, *args, *FEW)
    result.failed(5, r"wrong answer: 1 more bytes? came back than were asked for: 0a\b")
    assert Counts(result).received <= 1


@pytest.mark.parametrize("load", [FEW, MANY], ids=["one", "many"])
def test_a_file_of_nginx_is_measured_on_connections_kept_alive(pingpong, nginx, engine, load):
    length = len(nginx.ask(as_bytes(GET), PAGE.encode()))
    args = ("--send", GET, "--expect-bytes", length, *load, "--engine", engine)
    exactly(measure(pingpong, nginx, *args), int(load[1]))


@pytest.mark.parametrize("connections", [1, 5])
def test_a_file_of_nginx_is_measured_with_a_connection_for_each_round_trip(
    pingpong, nginx, engine, connections
):
    length = len(nginx.ask(as_bytes(GET_ONCE), PAGE.encode()))
    args = ("--send", GET_ONCE, "--expect-bytes", length, "--crr", "-n", "100")
    exactly(measure(pingpong, nginx, *args, "-c", connections, "--engine", engine), 100)


# ---- wrong answers, and none ----------------------------------------------------------------


def test_another_answer_than_expected_is_shown_beside_what_was_expected(pingpong, redis):
    result = measure(pingpong, redis, "--send", "PING\\r\\n", "--expect", "+PING\\r\\n", *FEW)
    wrong(result, "ING\r\n", "ONG\r\n")
    assert Counts(result).received == 0


def test_an_error_of_the_service_is_a_wrong_answer(pingpong, memcached):
    result = measure(pingpong, memcached, "--send", "PING\\r\\n", "--expect", "PONG\\r\\n", *FEW)
    wrong(result, "PONG\r\n", "ERROR\r\n")


@pytest.mark.parametrize("name, said", [("redis", "+PONG"), ("memcached", "ERROR")])
def test_a_service_that_is_no_echo_is_a_wrong_answer(pingpong, engine, request, name, said):
    service = request.getfixturevalue(name)
    wrong(measure(pingpong, service, *FEW, "--engine", engine), "PING\n", said)


def test_a_web_server_that_is_sent_a_ping_is_a_wrong_answer(pingpong, nginx, engine):
    wrong(measure(pingpong, nginx, *FEW, "--engine", engine), "PING\n", "HTTP/1.1")


@pytest.mark.parametrize("connections", [1, 5])
def test_a_server_that_hangs_up_is_an_error_that_says_so(pingpong, engine, connections):
    args = ("-c", connections, "--engine", engine, *FEW)
    with services.ncat("false") as service:
        result = measure(pingpong, service, *args)
        result.failed(1, "connect", "closed|reset|Broken pipe")


def test_a_server_that_hangs_up_after_its_answer_is_an_error_after_one_round_trip(
    pingpong, redis, engine
):
    args = ("--send", "QUIT\\r\\n", "--expect", "+OK\\r\\n", "--engine", engine)
    broke(measure(pingpong, redis, *args, *FEW), 1)


def test_a_web_server_that_ends_its_connections_is_an_error_after_what_it_answered(
    pingpong, tmp_path, engine
):
    (tmp_path / "page").write_text(PAGE, encoding="ascii")
    head = GET.replace("GET", "HEAD")
    args = ("--send", head, "--expect-until", "\\r\\n\\r\\n", "--engine", engine)
    with services.nginx(tmp_path, keepalive=20) as service:
        broke(measure(pingpong, service, *args, *FEW), 20)
        exactly(measure(pingpong, service, *args, "-n", "20"), 20)
        measure(pingpong, service, *args, "-w", "20", "-n", "20").failed(1, "connection broke")


# ---- echoes ---------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=services.ECHOES)
def echo(request):
    with services.ECHOES[request.param]() as service:
        yield service


def test_a_plain_echo_is_known_for_one_and_every_byte_checked(pingpong, echo, engine):
    result = exactly(measure(pingpong, echo, *FEW, "--engine", engine), 300)
    result.find(PLAIN_ECHO)
    result.find(r"^300 round trips, every byte checked · [A-Z]+$")
    assert set(result.table("cost a round trip", "server").values()) == {None}


def test_a_plain_echo_is_measured_over_many_connections_at_depth(pingpong, echo, engine):
    args = ("-c", "5", "-D", "8", "-m", "uniform:1-1400", "-n", "1000", "--engine", engine)
    exactly(measure(pingpong, echo, *args), 1000).find(PLAIN_ECHO)


def test_a_plain_echo_is_measured_with_a_connection_for_each_round_trip(pingpong, echo, engine):
    exactly(measure(pingpong, echo, "--crr", "-n", "20", "--engine", engine), 20)


def test_a_plain_echo_is_measured_without_a_greeting(pingpong, echo):
    result = exactly(measure(pingpong, echo, "--no-hello", *FEW), 300)
    result.find(r"^server: not asked who it is \(--no-hello\)$")
    assert "plain echo" not in result.out, str(result)


def test_of_a_plain_echo_responses_of_another_size_are_refused(pingpong, echo, engine):
    result = measure(pingpong, echo, "-m", "100,200", *FEW, "--engine", engine)
    result.failed(1, "only pingpong can give responses of another size", "--size")
    assert result.out == "", str(result)


def test_an_echo_where_another_answer_is_expected_is_a_wrong_answer(pingpong, echo, engine):
    args = ("--send", "PING\\r\\n", "--expect", "+PONG\\r\\n", "--engine", engine)
    wrong(measure(pingpong, echo, *args, *FEW), "+PONG\r\n", "PING\r\n")


def test_an_echo_over_a_unix_socket_is_measured(pingpong, tmp_path, engine):
    with services.socat_unix_echo(tmp_path) as service:
        args = ("-c", "3", "-D", "2", *FEW, "--engine", engine)
        exactly(measure(pingpong, service, *args), 300).find(PLAIN_ECHO)


@pytest.mark.parametrize("how", services.ECHOES)
def test_an_echo_over_udp_is_measured(pingpong, how, engine):
    """Its answers are requests by their header, and answer nothing else than what was sent. An
    echo that passes datagrams on as a stream may make one of two, where the first is late."""
    with services.ECHOES[how](udp=True) as service:
        args = ("-u", "--no-hello", "-n", "100", "--engine", engine)
        result = measure(pingpong, service, *args)
        for _ in range(5):
            if "a datagram of 32 B came back" not in result.err:
                break
            result = measure(pingpong, service, *args)
        result.ok()
    counts = Counts(result)
    assert counts.sent == 100 and counts.received + counts.lost == 100, str(result)
    assert "plain echo" not in result.out, str(result)


def test_what_has_not_answered_is_not_called_an_echo(pingpong):
    with peers.DatagramServer(lambda number, message: []) as silent:
        result = measure(pingpong, silent, "-u", "-n", "1")
    result.find(r"^server: does not answer as pingpong does$")
    assert "plain echo" not in result.out, str(result)


# ---- greeting -------------------------------------------------------------------------------


def test_an_echo_that_serves_one_connection_alone_needs_no_greeting(pingpong):
    """Whoever greets it uses the one connection up."""
    ncat, cat = services.program("ncat"), services.program("cat")
    with services.on_a_port(lambda port: (ncat, "-l", "127.0.0.1", str(port), "-e", cat)) as once:
        exactly(measure(pingpong, once, "--no-hello", *FEW), 300)


def test_an_echo_whose_only_connection_the_greeting_took_is_an_error_that_says_so(pingpong):
    listener = socket.create_server(("127.0.0.1", 0))
    target = peers.target(listener)

    def serve():
        with listener:
            sock, _ = listener.accept()
        with sock:
            peers.echo(peers.Connection(sock))

    thread = threading.Thread(target=serve)
    thread.start()
    result = pingpong("client", target, *FEW, free_port=False)
    thread.join()
    result.failed(1, "refused", "one connection only", "--no-hello")
    assert "pingpong serve" not in result.err, str(result)


def greeting(pingpong, strace, log, service):
    """The calls of a client that greets, and the result."""
    prefix = (strace, "-f", "-qq", "-o", log, "-e", "trace=poll,ppoll,sendto")
    result = measure(pingpong, service, "-n", "10", "--engine", "epoll", prefix=prefix)
    calls = log.read_text(errors="replace")
    assert "pingpong hello" in calls, calls
    return calls, result


@pytest.mark.parametrize("name", ["redis", "memcached", "nginx"])
def test_a_service_that_does_not_understand_the_greeting_ends_it_with_its_first_answer(
    pingpong, strace, tmp_path, request, name
):
    service = request.getfixturevalue(name)
    calls, result = greeting(pingpong, strace, tmp_path / "calls", service)
    assert "(Timeout)" not in calls, calls
    result.failed(5, "wrong answer")


def test_an_echo_of_the_greeting_ends_it_and_is_measured(pingpong, strace, tmp_path, echo):
    calls, result = greeting(pingpong, strace, tmp_path / "calls", echo)
    assert "(Timeout)" not in calls, calls
    exactly(result, 10).find(PLAIN_ECHO)


ANOTHER_VERSION = peers.introduction().replace(b"pingpong here 1", b"pingpong here 2")


@pytest.mark.parametrize(
    "hello", ["hang up", "say nothing", "say the half", "lie", "another version"]
)
def test_whatever_a_server_makes_of_the_greeting_it_is_measured(pingpong, engine, hello):
    def script(connection):
        if len(server.connections) > 1:
            return peers.echo(connection)
        data = connection.receive()
        assert data.startswith(b"\x9dpingpong hello 1\n")
        if hello == "say the half":
            connection.send(b"\x9dpingpong here 1\nversion=")
        elif hello == "lie":
            connection.send(b"\x9dpingpong here 1\nversion=1\n".ljust(len(data), b"\0"))
        elif hello == "another version":
            connection.send(ANOTHER_VERSION)
        if hello != "hang up":
            assert connection.receive() == b""
        return None

    with peers.Server(script) as server:
        exactly(measure(pingpong, server, *FEW, "--engine", engine), 300).find(PLAIN_ECHO)


def test_sizes_are_not_agreed_on_with_another_version(pingpong, engine):
    def script(connection):
        for _ in connection.messages(peers.HELLO_BYTES):
            connection.send(ANOTHER_VERSION)

    with peers.Server(script) as server:
        args = ("-m", "100,200", "--no-hello", *FEW, "--engine", engine)
        result = measure(pingpong, server, *args)
    result.failed(1, "does not answer as pingpong does", "--size")


# What another server, or another version, makes of a request: who is it for, and what is in it.
NOT_OURS = {
    "another magic": (lambda message: b"pq" + peers.turned(message)[2:], 1),
    "another version": (lambda message: message[:3] + b"\2" + peers.turned(message)[4:], 1),
    "a kind that is none": (lambda message: peers.turned(message, 9), 1),
    "a hello's answer": (lambda message: peers.turned(message, peers.HELLO_REPLY), 1),
    "another number": (lambda message: peers.turned(message[:8] + bytes(8)) + message[16:], 1),
    "text": (lambda message: b"ERROR\r\n", 1),
    "nothing": (lambda message: b"", 1),
    "another text behind the header": (lambda message: peers.turned(message)[:-1] + b"?", 5),
    "a longer one": (lambda message: peers.turned(message) + b"?", 5),
    "a shorter one": (lambda message: peers.turned(message)[:-1], 5),
}


@pytest.mark.parametrize("what", NOT_OURS)
def test_a_datagram_that_is_not_ours_is_never_an_answer(pingpong, engine, what):
    change, status = NOT_OURS[what]
    with peers.DatagramServer(lambda number, message: [change(message)]) as server:
        args = ("-u", "--no-hello", "-m", 64, "-t", "0.2", "-w", "0", "--engine", engine)
        result = measure(pingpong, server, *args)
    words = "message(s was| was not) answered" if status == 1 else "wrong answer"
    result.failed(status, words)
    assert Counts(result).received == 0, str(result)
