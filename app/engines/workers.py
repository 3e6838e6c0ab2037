"""Decode workers seen from the server: how they are started, spoken to, stopped. See decision 0002."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from app.domain.audio import Pcm16k
from app.domain.errors import Unavailable
from app.engines import wire

STOP_S = 2.0
"""Seconds a process gets to end by itself once its socket is closed; it needs milliseconds."""

FORK_S = 30.0
"""Seconds a forked worker may take to report: it takes milliseconds, unless the machine is out of memory."""

FORKED_ABORT_S = 0.05
"""Patience with an abort that is not answered, in seconds. whisper.cpp asks only between its steps, and encoding a full
window at base dimensions is one step of 1.2 s; killing the worker and forking another takes about 20 ms. With 0.25 here the
final of a live stream waited longer for an interim in its way: p90 335 instead of 260 ms beyond endpointing."""

THREAD_WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}
"""How the engine's OpenMP threads wait for each other: asleep, after a few microseconds of spinning. Seconds for 56 s of
talk at base dimensions with two threads, 2026-11-20, while other programs kept none / one / both of the two cores busy:

    the library's default (long spinning)     4.9 / 11.8 / 27 s for 10 s of audio in an earlier measurement
    asleep at once (PASSIVE alone)            6.5 /  8.3 / 10.1
    1000 turns, then asleep                   4.9 /  9.5 / 10.2
    10000 turns                               5.3 / 18.4 / -
"""

SPAWNED_ABORT_S = 10.0
"""The same where a new worker has to load the weights again."""


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What every worker of a pool is started with."""

    model: Path
    threads: int
    use_gpu: bool = False
    flash_attention: bool | None = None
    """None: where the engine runs on a GPU."""

    def command(self, *, nursery: bool) -> list[str]:
        """The command line of the process."""
        command = [sys.executable, "-m", "app.engines.worker_process", "--model", str(self.model)]
        command += ["--threads", str(self.threads)]
        command += ["--gpu"] * self.use_gpu
        if self.flash_attention is not None:
            command.append("--flash-attention" if self.flash_attention else "--no-flash-attention")
        return command + ["--nursery"] * nursery


class Link(asyncio.Protocol):
    """One socket to a process. ``lost`` is done once the other side has gone; shield it where a task awaits it alone."""

    def __init__(self, on_frame: Callable[[wire.Header], None]) -> None:
        self._on_frame = on_frame
        self._parser = wire.FrameParser()
        self._transport: asyncio.Transport | None = None
        self._ending = False
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def connect(cls, end: socket.socket, on_frame: Callable[[wire.Header], None]) -> Link:
        """Take over ``end``, one end of a socket pair."""
        _, link = await asyncio.get_running_loop().create_unix_connection(lambda: cls(on_frame), sock=end)
        return link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        for frame in self._parser.feed(data):
            self._on_frame(frame.header)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    def send(self, header: wire.Header, pcm: Pcm16k | None = None) -> None:
        """Queue a frame; nothing happens if the other side has gone."""
        if self._transport is None or self._ending or self._transport.is_closing():
            return
        payload = b"" if pcm is None else pcm.view(np.uint8).data
        self._transport.write(wire.pack(header, len(payload)))
        if payload:
            self._transport.write(payload)

    async def close(self) -> None:
        """Let the other side see the end, wait until it has gone, and no longer than ``STOP_S``."""
        if self._transport is None:
            return
        if not self._ending and not self._transport.is_closing():
            self._ending = True
            self._transport.write_eof()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(self.lost), STOP_S)
        self._transport.abort()


class Worker:
    """A live worker process. ``ready`` holds its first message; ``on_reply`` gets every later one."""

    def __init__(self) -> None:
        self.ready: asyncio.Future[wire.Header] = asyncio.get_running_loop().create_future()
        self.on_reply: Callable[[wire.Header], None] = lambda _: None
        self._link: Link | None = None

    async def connect(self, end: socket.socket) -> None:
        """Take over the server's end of the worker's socket."""
        self._link = await Link.connect(end, self._receive)

    @property
    def pid(self) -> int:
        """Process id; only of a worker that is ready."""
        return int(self.ready.result()["pid"])

    @property
    def link(self) -> Link:
        """The socket; only after ``connect``."""
        assert self._link is not None  # noqa: S101  # narrows the type
        return self._link

    def _receive(self, header: wire.Header) -> None:
        if self.ready.done():
            self.on_reply(header)
            return
        self.ready.set_result(header)

    async def wait_ready(self, timeout_s: float | None) -> wire.Header:
        """The first message. Raises ``Unavailable`` if the process says why it cannot work, dies or is late."""
        either: set[asyncio.Future[Any]] = {self.ready, self.link.lost}
        await asyncio.wait(either, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if not self.ready.done():
            raise Unavailable("The speech engine could not be started.")
        header = self.ready.result()
        if header["op"] == "unavailable":
            raise Unavailable(header["message"])
        return header

    def kill(self) -> None:
        """End the process of a worker that is ready at once."""
        if not self.link.lost.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


class Launcher(Protocol):
    """A way to get workers. ``abort_s``: patience with an abort before the worker is killed, in seconds."""

    abort_s: float

    async def launch(self) -> Worker:
        """A worker that is ready. Raises ``Unavailable`` with a sentence."""
        ...

    def process_ids(self) -> tuple[int, ...]:
        """The launcher's own processes, without its workers."""
        ...

    async def close(self) -> None:
        """End what the launcher itself has started."""
        ...


def start_process(command: list[str]) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start a worker process in a session of its own, its standard input a socket; returns the server's end.

    NumPy's BLAS must not start threads before the nursery forks.
    """
    ours, theirs = socket.socketpair()
    environment = {**os.environ, **THREAD_WAITING, "OPENBLAS_NUM_THREADS": "1"}
    try:
        with theirs:
            process = subprocess.Popen(command, stdin=theirs.fileno(), env=environment, start_new_session=True)
    except OSError:
        ours.close()
        raise Unavailable("The speech engine's process could not be started.") from None
    return process, ours


async def reap(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process whose socket is closed; kill it if it does not end."""
    loop = asyncio.get_running_loop()
    try:
        await loop.run_in_executor(None, process.wait, STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        await loop.run_in_executor(None, process.wait)
