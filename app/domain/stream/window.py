"""The audio a channel keeps: what is still to be decoded, nothing else."""

from __future__ import annotations

from collections import deque

import numpy as np

from app.domain.audio import Pcm16k

CHUNK_SAMPLES = 8_000
"""Half a second, 32 kB. Frames of any size are packed into chunks, so one-sample frames cost no more than large ones, and
forgetting frees whole chunks without moving what stays."""


class AudioWindow:
    """A stretch of one channel that grows at its end and is forgotten from its start.

    Positions count from the start of the stream.
    """

    def __init__(self) -> None:
        self._chunks: deque[Pcm16k] = deque()
        self._first_samples = 0
        self.end_samples = 0

    def append(self, pcm: Pcm16k) -> None:
        """Copy ``pcm`` (float32, shape ``(n,)``) to the end."""
        while len(pcm):
            used = (self.end_samples - self._first_samples) % CHUNK_SAMPLES
            if used == 0:
                self._chunks.append(np.empty(CHUNK_SAMPLES, dtype=np.float32))
            piece = pcm[: CHUNK_SAMPLES - used]
            self._chunks[-1][used : used + len(piece)] = piece
            self.end_samples += len(piece)
            pcm = pcm[len(piece) :]

    def discard_before(self, position: int) -> None:
        """Forget whole chunks that end before ``position``."""
        while len(self._chunks) > 1 and self._first_samples + CHUNK_SAMPLES <= position:
            self._chunks.popleft()
            self._first_samples += CHUNK_SAMPLES

    def copy(self, start: int, end: int) -> Pcm16k:
        """The samples ``[start, end)``, as a new array. Both must be kept still: a gap would shift every word after it."""
        if not self._first_samples <= start <= end <= self.end_samples:
            raise AssertionError(f"[{start}, {end}) is not in [{self._first_samples}, {self.end_samples})")
        out = np.empty(end - start, dtype=np.float32)
        filled = 0
        while filled < len(out):
            index, offset = divmod(start + filled - self._first_samples, CHUNK_SAMPLES)
            piece = self._chunks[index][offset : offset + len(out) - filled]
            out[filled : filled + len(piece)] = piece
            filled += len(piece)
        return out

    @property
    def retained_samples(self) -> int:
        """Room taken, in samples."""
        return len(self._chunks) * CHUNK_SAMPLES
