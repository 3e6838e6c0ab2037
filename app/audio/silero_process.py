"""Silero's network in a process of its own, for moments when one event loop has more streams than it can rate itself.

Arrays in memory that both processes see, and one short message each way. The process remembers nothing between two rounds:
the states travel, a kilobyte each. So a round can be rated here or there, and one that gets lost is simply rated again.

A thread instead was measured: it takes and returns the interpreter sixty times a round, and three hundred streams that the
event loop alone had carried 0.2 s late at p99 were 8.8 s late.

    python -m app.audio.silero_process SOCKET_FD MEMORY_FD    (started by ``SileroProcess``)
"""

from __future__ import annotations

import asyncio
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from tempfile import TemporaryFile

import numpy as np

from app.audio.silero import CONTEXT_SAMPLES, HIDDEN, WINDOW_SAMPLES, Floats, SileroNetwork, SileroState

MOST_WINDOWS = 1024
MOST_STREAMS = 512
"""Bounds of one round; 3.4 MB of memory."""

ANSWER_S = 2.0
"""Seconds after which a round is given up and the process with it. It takes milliseconds."""

_SPAN = CONTEXT_SAMPLES + WINDOW_SAMPLES
_COUNT = struct.Struct("<i")
_READY = 0
_MEMORY_BYTES = 4 * (MOST_WINDOWS * (_SPAN + 1) + MOST_STREAMS * (2 * HIDDEN + 1))

Rated = tuple[list[Floats], list[SileroState]]


def rated_together(network: SileroNetwork, windows: Sequence[Floats], states: Sequence[SileroState]) -> Rated:
    """Step all streams at the same time: probabilities of each one's windows, shape ``(k, 64 + 512)``, k > 0, and the states
    after them."""
    counts = np.array([len(found) for found in windows])
    rated, after = network.joint_probabilities(np.concatenate(windows), counts, _joined(states))
    ends = np.cumsum(counts).tolist()
    return [rated[end - len(found) : end] for end, found in zip(ends, windows, strict=True)], _parted(after)


class SileroProcess:
    """Starts the process and talks to it. One round at a time, all from one event loop."""

    def __init__(self) -> None:
        self._shared: _Shared | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tell: Callable[[Rated | None], None] | None = None
        self._counts: list[int] = []
        self._deadline: asyncio.TimerHandle | None = None
        self._is_ready = False
        self.has_failed = False
        """It could not be started or did not answer; it is not tried again."""

    @property
    def process_id(self) -> int | None:
        """None while there is no process."""
        return None if self._process is None else self._process.pid

    def takes(self, streams: int, windows: int) -> bool:
        """Whether it can take a round of this size now. Asked for the first time, it starts, and is ready a moment later."""
        if self._socket is None and not self.has_failed:
            self._start()
        return self._is_ready and self._tell is None and streams <= MOST_STREAMS and windows <= MOST_WINDOWS

    def rate(self, windows: Sequence[Floats], states: Sequence[SileroState], tell: Callable[[Rated | None], None]) -> None:
        """``rated_together`` there, if it takes that much; ``tell`` is called later, with None if it was in vain."""
        if self._socket is None or self._shared is None or self._loop is None:
            raise RuntimeError("nobody asked whether it takes a round")
        self._counts, self._tell = [len(found) for found in windows], tell
        self._shared.put(windows, self._counts, _joined(states))
        self._deadline = self._loop.call_later(ANSWER_S, self._fail)
        try:
            self._socket.send(_COUNT.pack(len(self._counts)))
        except OSError:
            self._loop.call_soon(self._fail)

    def close(self) -> None:
        """End the process."""
        if self._loop is not None and self._socket is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._socket)
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._socket = self._process = None
        self._is_ready = False

    def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with TemporaryFile() as file, theirs:
            file.truncate(_MEMORY_BYTES)
            self._shared = _Shared(file.fileno())
            descriptors = (theirs.fileno(), file.fileno())
            command = [sys.executable, "-m", __name__, *map(str, descriptors)]
            environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            ours.setblocking(False)
            try:
                self._process = subprocess.Popen(command, pass_fds=descriptors, env=environment, stdin=subprocess.DEVNULL)
                self._loop.add_reader(ours, self._answered)
            except (OSError, ValueError, NotImplementedError):  # Windows passes no descriptors
                self.has_failed = True
                ours.close()
                self.close()
                return
        self._socket = ours

    def _answered(self) -> None:
        if self._socket is None or self._shared is None:
            return
        try:
            message = self._socket.recv(_COUNT.size)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if len(message) < _COUNT.size:
            self._fail()
        elif _COUNT.unpack(message)[0] == _READY:
            self._is_ready = True
        elif self._tell is not None:
            self._finish(self._shared.answer(self._counts))

    def _fail(self) -> None:
        self.has_failed = True
        self.close()
        self._finish(None)

    def _finish(self, rated: Rated | None) -> None:
        tell, self._tell = self._tell, None
        if self._deadline is not None:
            self._deadline.cancel()
        if tell is not None:
            tell(rated)


@dataclass(frozen=True, slots=True)
class _Arrays:
    windows: Floats
    probabilities: Floats
    states: Floats
    counts: np.ndarray[tuple[int], np.dtype[np.int32]]


class _Shared:
    """The memory that both processes see."""

    def __init__(self, descriptor: int) -> None:
        memory = mmap.mmap(descriptor, _MEMORY_BYTES)
        sizes = np.cumsum([0, MOST_WINDOWS * _SPAN, MOST_WINDOWS, MOST_STREAMS * 2 * HIDDEN]).tolist()
        floats = np.frombuffer(memory, np.float32, sizes[-1])
        windows, probabilities, states = (floats[begin:end] for begin, end in pairwise(sizes))
        counts = np.frombuffer(memory, np.int32, MOST_STREAMS, 4 * sizes[-1])
        self._arrays = _Arrays(
            windows.reshape(MOST_WINDOWS, _SPAN), probabilities, states.reshape(2, MOST_STREAMS, HIDDEN), counts
        )

    def put(self, windows: Sequence[Floats], counts: Sequence[int], states: SileroState) -> None:
        arrays, streams = self._arrays, len(counts)
        np.concatenate(windows, out=arrays.windows[: sum(counts)])
        arrays.counts[:streams] = counts
        arrays.states[0, :streams] = states.hidden
        arrays.states[1, :streams] = states.cell

    def answer(self, counts: Sequence[int]) -> Rated:
        arrays, streams = self._arrays, len(counts)
        rated = arrays.probabilities[: sum(counts)].copy()
        ends = np.cumsum(counts).tolist()
        hidden, cell = arrays.states[:, :streams].copy()
        return [rated[end - count : end] for end, count in zip(ends, counts, strict=True)], _parted(
            SileroState(hidden, cell)
        )

    def rate(self, network: SileroNetwork, streams: int) -> None:
        """What the process does."""
        arrays = self._arrays
        counts = arrays.counts[:streams]
        total = int(counts.sum())
        hidden, cell = arrays.states[:, :streams]
        rated, after = network.joint_probabilities(arrays.windows[:total], counts, SileroState(hidden, cell))
        arrays.probabilities[:total] = rated
        hidden[:] = after.hidden
        cell[:] = after.cell


def _joined(states: Sequence[SileroState]) -> SileroState:
    hidden = np.concatenate([state.hidden for state in states]).reshape(-1, HIDDEN)
    return SileroState(hidden, np.concatenate([state.cell for state in states]).reshape(-1, HIDDEN))


def _parted(states: SileroState) -> list[SileroState]:
    """Rows, not copies of them: a stream that falls silent keeps a round, a kilobyte for each that was in it."""
    return list(map(SileroState, states.hidden, states.cell))


def main() -> None:
    """Rate rounds until the server is gone."""
    from app.audio.vad import silero_network

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the server says when it is over
    connection = socket.socket(fileno=int(sys.argv[1]))
    shared = _Shared(int(sys.argv[2]))
    network = silero_network()
    connection.send(_COUNT.pack(_READY))
    while message := connection.recv(_COUNT.size):
        shared.rate(network, _COUNT.unpack(message)[0])
        connection.send(message)


if __name__ == "__main__":
    main()
