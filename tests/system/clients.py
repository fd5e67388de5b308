"""Clients that are not ours, and do what they like."""

import select
import socket
import struct
import time

import pytest

PATIENCE_S = 60


def connect(run, receive_buffer=None):
    """receive_buffer: its size in bytes; small if the server is to wait for this client soon."""
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(PATIENCE_S)
    sock.connect(("127.0.0.1", run.port))
    return sock


def reset(sock):
    """Closes it with an RST instead of a FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def receive(sock, count):
    data = bytearray()
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            break
        data += part
    return bytes(data)


def pump(sock, data):
    """Sends data, then the end of the stream; returns all that comes back until the server's."""
    deadline = time.monotonic() + PATIENCE_S
    sock.setblocking(False)
    view, echo, sending = memoryview(data), bytearray(), True
    while True:
        if time.monotonic() > deadline:
            pytest.fail(f"{len(view)} bytes left to send, {len(echo)} of {len(data)} came back")
        reads, writes, _ = select.select([sock], [sock] if sending else [], [], 1)
        if writes:
            view = view[sock.send(view[:65536]) :] if view else view
            if not view:
                sock.shutdown(socket.SHUT_WR)
                sending = False
        if reads:
            part = sock.recv(65536)
            if not part:
                return bytes(echo)
            echo += part


def stuff(socks, enough=256 << 20):
    """Sends and never reads, until the server takes no more, or drops the connection. Returns how
    much it took."""
    taken, quiet = 0, 0
    socks = list(socks)
    for sock in socks:
        sock.setblocking(False)
    while quiet < 3 and taken < enough:
        _, writes, _ = select.select([], socks, [], 0.1)
        moved = 0
        for sock in writes:
            try:
                moved += sock.send(b"x" * 65536)
            except BlockingIOError:
                pass
            except (ConnectionResetError, BrokenPipeError):
                socks.remove(sock)
        quiet = 0 if moved else quiet + 1
        taken += moved
    return taken
