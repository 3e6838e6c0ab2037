"""Clients that break off the handshake's rules or never read: bare sockets against a running server."""

from __future__ import annotations

import signal
import socket
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.running_server import RunningServer, running_server

pytestmark = pytest.mark.compat

UPGRADE = (
    "GET /v1/listen?encoding=linear16&sample_rate=16000 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


def connected(server: RunningServer) -> socket.socket:
    """A connection with a small buffer for what comes in."""
    address = urlsplit(server.url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(20)
    connection.connect((address.hostname, address.port))
    return connection


def text_frame(text: bytes) -> bytes:
    """A text message as a client sends it, masked with zeros."""
    return bytes((0x81, 0x80 | 126)) + len(text).to_bytes(2, "big") + bytes(4) + text


def all_that_comes(connection: socket.socket) -> bytes:
    """Everything until the server ends the connection."""
    received = b""
    while data := connection.recv(65_536):
        received += data
    return received


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("Sec-WebSocket-Version: 7", b"400"),
        ("Sec-WebSocket-Key: too-short", b"400"),
        (f"X-Long: {'x' * 1_100_000}", b"431"),
        ("\r\n".join(f"X-{number}: 1" for number in range(200)), b"431"),
    ],
)
def test_a_handshake_that_cannot_be_taken_is_answered_and_ended(server: RunningServer, line: str, status: bytes) -> None:
    name = line.partition(":")[0]
    kept = "\r\n".join(kept for kept in UPGRADE.split("\r\n") if not kept.startswith(name))
    with closing(connected(server)) as connection:
        connection.sendall(f"{kept}{line}\r\n\r\n".encode())
        assert all_that_comes(connection).startswith(b"HTTP/1.1 " + status)


def test_a_client_that_never_reads_does_not_keep_the_server_from_ending(tmp_path: Path) -> None:
    with running_server(tmp_path, SHUTDOWN_TIMEOUT_S="3") as server, closing(connected(server)) as connection:
        key = f"Authorization: Token {server.key}\r\n\r\n"
        connection.sendall(f"{UPGRADE}{key}".encode())
        assert connection.recv(12) == b"HTTP/1.1 101"
        connection.settimeout(2)
        flood = text_frame(b"x" * 4096) * 20_000
        with pytest.raises(TimeoutError):  # every message is answered by one as long, until the server takes no more
            connection.sendall(flood)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        assert "Traceback" not in (tmp_path / "server.log").read_text(encoding="utf-8")
