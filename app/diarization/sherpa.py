"""Diarization by trained networks: pyannote segmentation and a speaker embedding, through sherpa-onnx.

A recording is worked off in blocks while it is still being read, each by itself; at the end the voices of the blocks are
compared by their embeddings. So memory does not grow with the recording: a session holds two blocks at most (19 MB each for
five minutes), the worker process the networks and one block.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from app.diarization.sherpa_worker import COUNT, LENGTH
from app.domain.audio import SAMPLE_RATE, Pcm16k, seconds
from app.domain.clustering import Voices, agglomerate, cosine_distances
from app.domain.errors import EngineFailed
from app.domain.ports import SpeakerSession
from app.domain.speakers import SpeakerTurn, in_order_of_appearance
from app.domain.transcript import ModelInfo

BLOCK_S = 300.0
"""Seconds of a block: long enough for everybody to speak in several of them."""

CLUSTER_THRESHOLD = 0.8
"""Cosine distance up to which sherpa takes two stretches for one voice. Published measurements with these two networks: 0.8
separates two to four voices, 0.5 to 0.75 makes several speakers of one. Not measured here: the weights were out of reach."""

SAME_VOICE = 0.6
"""The same for voices of different blocks, whose embeddings rest on more speech and scatter less."""

_ALONE = -2.0
"""What sherpa gives as confidence where there is no other speaker to be mistaken for."""


def is_installed() -> bool:
    """Whether the ``diarize`` extra is there. Imports nothing."""
    return find_spec("sherpa_onnx") is not None


class SherpaDiarizer:
    """Fulfils ``ports.Diarizer``. All sessions share one worker process, block by block; it starts with the first one."""

    info = ModelInfo(name="sherpa", uuid="b0a4d9a6-3c57-5f0e-8f4e-5f7e3d1c2a90", version="1", architecture="v2")

    def __init__(self, segmentation: Path, embedding: Path, threads: int = 1, block_s: float = BLOCK_S) -> None:
        self._block_samples = round(block_s * SAMPLE_RATE)
        self._command = [
            sys.executable, str(Path(__file__).with_name("sherpa_worker.py")), str(segmentation), str(embedding),
            str(threads), str(CLUSTER_THRESHOLD),
        ]  # fmt: skip
        self._turns = ThreadPoolExecutor(1, "sherpa")
        self._lock = Lock()
        self._worker: subprocess.Popen[bytes] | None = None
        self._served: _SherpaSession | None = None
        self._is_closed = False

    @property
    def process_id(self) -> int | None:
        """Of the worker process, if one runs."""
        worker = self._worker
        return None if worker is None else worker.pid

    def session(self) -> SpeakerSession:
        return _SherpaSession(self._block_samples, self._submit, self._interrupt)

    def close(self) -> None:
        """End the worker process. Sessions that still run fail."""
        self._is_closed = True
        self._turns.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            worker, self._worker = self._worker, None
            if worker is not None and self._served is not None:
                worker.kill()  # the thread that talks to it does the rest
            elif worker is not None:
                _dismiss(worker)

    def _submit(self, session: _SherpaSession, pcm: Pcm16k) -> Future[_Block]:
        return self._turns.submit(self._work, session, pcm)

    def _interrupt(self, session: _SherpaSession) -> None:
        """Stop what is done for this session; the next block starts the worker anew, which takes half a second."""
        with self._lock:
            if self._served is session and self._worker is not None:
                self._worker.kill()

    def _work(self, session: _SherpaSession, pcm: Pcm16k) -> _Block:
        for _ in range(2):  # a worker that died under a block is replaced once
            with self._lock:
                if session.is_closed or self._is_closed:
                    break
                self._served = session
                worker = self._worker = self._worker or self._started()
            try:
                return _asked(worker, pcm)
            except (OSError, EOFError):
                _dismiss(worker)
                with self._lock:
                    self._worker = None
            finally:
                with self._lock:
                    self._served = None
        raise EngineFailed

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        )


def _dismiss(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    worker.wait()
    for stream in (worker.stdin, worker.stdout):
        if stream is not None:
            stream.close()


class _Block:
    """Segments as (start, end, speaker, confidence), seconds from the block's begin, and each speaker's embedding."""

    def __init__(self, answer: dict[str, object]) -> None:
        segments, voices = answer["segments"], answer["voices"]
        assert isinstance(segments, list)  # noqa: S101 - our own worker said it
        assert isinstance(voices, dict)  # noqa: S101
        self.segments: list[tuple[float, float, int, float]] = [
            (float(start), float(end), int(speaker), float(sure)) for start, end, speaker, sure in segments
        ]
        self.voices = {int(speaker): np.array(values, np.float64) for speaker, values in voices.items()}


class _SherpaSession:
    """Fulfils ``ports.SpeakerSession``."""

    def __init__(
        self,
        block_samples: int,
        submit: Callable[[_SherpaSession, Pcm16k], Future[_Block]],
        interrupt: Callable[[_SherpaSession], None],
    ) -> None:
        self.is_closed = False
        self._block_samples = block_samples
        self._submit = submit
        self._interrupt = interrupt
        self._pieces: list[Pcm16k] = []
        self._gathered = 0
        self._running: Future[_Block] | None = None
        self._blocks: list[_Block] = []

    def feed(self, pcm: Pcm16k, probabilities: NDArray[np.float32]) -> None:
        while len(pcm):
            piece, pcm = np.split(pcm, [self._block_samples - self._gathered])
            self._pieces.append(piece)
            self._gathered += len(piece)
            if self._gathered == self._block_samples:
                self._start()

    def turns(self) -> tuple[SpeakerTurn, ...]:
        if self._gathered:
            self._start()
        self._finish()
        return _joined(self._blocks, seconds(self._block_samples))

    def close(self) -> None:
        self.is_closed = True
        if self._running is not None:
            self._running.cancel()
        self._interrupt(self)

    def _start(self) -> None:
        pcm = np.concatenate(self._pieces)
        self._pieces, self._gathered = [], 0
        self._finish()
        if self.is_closed:
            raise EngineFailed
        self._running = self._submit(self, pcm)

    def _finish(self) -> None:
        """Wait for the block before: a recording is read no faster than its speakers are found."""
        running = self._running
        if running is None:
            return
        try:
            self._blocks.append(running.result())
        except CancelledError:
            raise EngineFailed from None
        self._running = None


def _asked(worker: subprocess.Popen[bytes], pcm: Pcm16k) -> _Block:
    """Send a block and wait for what comes of it. Raises ``EOFError`` or ``OSError`` when the worker is gone."""
    if worker.stdin is None or worker.stdout is None:
        raise EOFError
    sound = np.ascontiguousarray(pcm, "<f4").tobytes()
    _write(worker, COUNT.pack(len(pcm)))
    _write(worker, sound)
    while "segments" not in (answer := _answer(worker)):  # the first answer of a worker is that it is ready
        pass
    return _Block(answer)


def _write(worker: subprocess.Popen[bytes], data: bytes | memoryview) -> None:
    left = memoryview(data)
    while left:
        if worker.stdin is None:
            raise EOFError
        left = left[worker.stdin.write(left) or 0 :]


def _answer(worker: subprocess.Popen[bytes]) -> dict[str, object]:
    (length,) = LENGTH.unpack(_read(worker, LENGTH.size))
    answer: dict[str, object] = json.loads(_read(worker, length))
    return answer


def _read(worker: subprocess.Popen[bytes], size: int) -> bytes:
    data = b""
    while len(data) < size:
        got = worker.stdout.read(size - len(data)) if worker.stdout is not None else b""
        if not got:
            raise EOFError
        data += got
    return data


def _joined(blocks: list[_Block], block_s: float) -> tuple[SpeakerTurn, ...]:
    """Turns on the recording's timeline, the speakers of all blocks compared with each other."""
    names = [(number, speaker) for number, block in enumerate(blocks) for speaker in sorted(block.voices)]
    labels = dict(zip(names, _same_voices(blocks, names), strict=True))
    return in_order_of_appearance(
        [
            SpeakerTurn(number * block_s + start, number * block_s + end, labels[number, speaker], _probability(sure))
            for number, block in enumerate(blocks)
            for start, end, speaker, sure in block.segments
        ]
    )


def _same_voices(blocks: list[_Block], names: list[tuple[int, int]]) -> Iterable[int]:
    """A label for each named voice. Within a single block sherpa has decided."""
    if len(blocks) <= 1:
        return range(len(names))
    spoken = np.array([_spoken_s(blocks[number], speaker) for number, speaker in names])
    embeddings = np.array([blocks[number].voices[speaker] for number, speaker in names]).reshape(len(names), -1)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True) + 1e-12
    found = agglomerate(Voices(spoken, embeddings * spoken[:, np.newaxis]), SAME_VOICE, cosine_distances)
    return [int(label) for label in found]


def _spoken_s(block: _Block, speaker: int) -> float:
    return sum(end - start for start, end, who, _ in block.segments if who == speaker)


def _probability(sure: float) -> float:
    """Sherpa's confidence compares the distances to the own and to the next voice, -1 to 1."""
    return 1.0 if sure == _ALONE else float(np.clip((1 + sure) / 2, 0.0, 1.0))
