"""What hundreds of paced streams cost one server process: ``python -m benchmarks.protocol --streams 100 300``.

The engine is scripted and answers at once, so what is late is late by the protocol: a message's lateness is the time it
arrives minus the time at which the audio it covers was sent. Clients are as cheap as can be: frames made beforehand on bare
connections, one timer for all. Target on two cores, 300 streams: lateness p99 below 250 ms, below 2 MB per stream.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, cast

import httpx
import numpy as np
import uvloop

from benchmarks.harness import ROOT, read_clip, save
from benchmarks.live import linear16, percentiles

CLIPS = ("sentences-10s.wav", "dialogue-two-speakers.wav", "phone-number.wav")
WINDOW_MS = 32
SLOTS = 50
"""Moments within the length of a message at which streams send: real clients do not send in step."""

QUERY = "encoding=linear16&sample_rate=16000&interim_results=true&punctuate=true"
_HANDSHAKE = (
    f"GET /v1/listen?{QUERY} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
_COVERED = re.compile(rb'"duration":([0-9.]+),"start":([0-9.]+),"is_final":(true|false).*?"transcript":"([^"]*)"')


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, nargs="+", default=[100, 300])
    parser.add_argument("--vad", nargs="+", choices=["silero", "scripted"], default=["silero"])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--message-ms", type=int, default=100)
    parser.add_argument("--name", default="protocol")
    arguments = parser.parse_args()
    frames = _frames(linear16(np.concatenate([read_clip(name) for name in CLIPS])), arguments.message_ms)
    table: dict[str, Any] = {}
    for vad in arguments.vad:
        for streams in arguments.streams:
            with _scripted_server(vad) as (port, pid):
                table[f"{vad}-{streams}"] = uvloop.run(
                    _measure(port, pid, frames, streams, arguments.message_ms, arguments.seconds)
                )
    save(arguments.name, table)


def _frames(sound: bytes, message_ms: int) -> list[bytes]:
    """Whole messages of a clip as frames of a client: masked with zeros, which changes nothing for the server's work."""
    size = message_ms * 32
    head = bytes((0x82, 0x80 | 126)) + size.to_bytes(2, "big") + bytes(4)
    return [head + sound[begin : begin + size] for begin in range(0, len(sound) - size + 1, size)]


@contextmanager
def _scripted_server(vad: str) -> Iterator[tuple[int, int]]:
    port = _free_port()
    command = [sys.executable, "-m", "benchmarks.scripted_server", str(port), "--vad", vad]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            while not _is_ready(client):
                if process.poll() is not None:
                    raise RuntimeError("the server did not start")
                sleep(0.1)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(60)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/ready").is_success
    except httpx.TransportError:
        return False


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@dataclass
class Tally:
    """What all streams saw. Lateness in seconds."""

    message_ms: int
    interims: list[float] = field(default_factory=list)
    finals: list[float] = field(default_factory=list)
    lost: int = 0


class Client(asyncio.Protocol):
    """One stream: sends what it is told to, and notes how late answers are."""

    def __init__(self, tally: Tally) -> None:
        self.transport: asyncio.Transport
        self.accepted = asyncio.get_running_loop().create_future()
        self.sent_at: list[float] = []
        self._tally = tally
        self._head = self._said = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are no subclasses
        self.transport.write(_HANDSHAKE.encode())

    def data_received(self, data: bytes) -> None:
        """Look for what is covered; a message divided between two reads is not counted."""
        now = perf_counter()
        if not self.accepted.done():
            self._head += data
            if b"\r\n\r\n" in self._head:
                self.accepted.set_result(self._head.startswith(b"HTTP/1.1 101"))
            return
        for duration, start, is_final, text in _COVERED.findall(data):
            end_ms = round(1000 * (float(start) + float(duration)))
            if is_final == b"true":
                self._tally.finals.append(now - self._sent_at(WINDOW_MS * ceil(end_ms / WINDOW_MS)))
            elif text and text != self._said:  # one that only restates came when a second was over, not when a message was
                self._tally.interims.append(now - self._sent_at(end_ms))
            self._said = text

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it if the server ended it."""
        self._tally.lost += 1

    def send(self, frame: bytes) -> None:
        """Send one message of sound."""
        self.sent_at.append(perf_counter())
        self.transport.write(frame)

    def _sent_at(self, end_ms: int) -> float:
        """When the message was sent that brought the audio up to ``end_ms``."""
        return self.sent_at[min(ceil(end_ms / self._tally.message_ms), len(self.sent_at)) - 1]


async def _measure(
    port: int, pid: int, frames: list[bytes], streams: int, message_ms: int, seconds: float
) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    tally = Tally(message_ms)
    idle_mb = _resident_mb(pid)
    clients = []
    for _ in range(streams):
        _, client = await loop.create_connection(lambda: Client(tally), "127.0.0.1", port)
        if not await asyncio.wait_for(client.accepted, 10):
            raise RuntimeError("the server refused a stream")
        clients.append(client)
    busy_s, before_s = _cpu_seconds(pid), _cpu_seconds_with_helpers(pid)
    sender_lateness = await _talk(clients, frames, message_ms / 1000, seconds)
    busy_s, all_s = _cpu_seconds(pid) - busy_s, _cpu_seconds_with_helpers(pid) - before_s
    loaded_mb = _resident_mb(pid)
    lost = tally.lost
    for client in clients:
        client.transport.abort()
    return {
        "seconds": seconds,
        "message_ms": message_ms,
        "interim_lateness_ms": percentiles(tally.interims),
        "final_lateness_ms": percentiles(tally.finals),
        "sender_lateness_ms": percentiles(sender_lateness),
        "lost_streams": lost,
        "server_cpu_ms_per_stream_second": round(1000 * all_s / (streams * seconds), 2),
        "event_loop_cpu_ms_per_stream_second": round(1000 * busy_s / (streams * seconds), 2),
        "event_loop_share_of_one_core": round(busy_s / seconds, 2),
        "memory_mb_per_stream": round((loaded_mb - idle_mb) / streams, 3),
        "server_mb": loaded_mb,
        "helpers_mb": round(sum(map(_resident_mb, _helpers(pid))), 1),
    }


async def _talk(clients: list[Client], frames: list[bytes], message_s: float, seconds: float) -> list[float]:
    """Send at the speed of speech, each stream from another place of the clip on; returns how late the sending was."""
    loop = asyncio.get_running_loop()
    lateness = []
    began = loop.time()
    for turn in range(round(seconds / message_s) * SLOTS):
        due = began + turn * message_s / SLOTS
        await asyncio.sleep(max(0.0, due - loop.time()))
        lateness.append(loop.time() - due)
        message, slot = divmod(turn, SLOTS)
        for index in range(slot, len(clients), SLOTS):
            clients[index].send(frames[(message + 37 * index) % len(frames)])
    await asyncio.sleep(0.5)
    return lateness


def _helpers(pid: int) -> list[int]:
    """The processes that the server has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def _cpu_seconds_with_helpers(pid: int) -> float:
    return sum(map(_cpu_seconds, [pid, *_helpers(pid)]))


def _cpu_seconds(pid: int) -> float:
    """Processor time of one process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith("VmRSS:"))


if __name__ == "__main__":
    main()
