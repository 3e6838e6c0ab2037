"""Is a file a whole GGML Whisper model? Read from its headers alone, before the engine sees it.

whisper.cpp does not notice a file that ends early: it loads one cut off in its last tensor and decodes nonsense.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_MAGIC = 0x67676D6C
_HPARAMS = 11
_BLOCKS = {
    0: (1, 4), 1: (1, 2),  # f32, f16: values per block, bytes per block
    2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),  # q4_0, q4_1, q5_0, q5_1, q8_0
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),  # q2_K to q6_K
}  # fmt: skip


def weights_problem(path: Path) -> str | None:
    """A sentence, without the path, when the file cannot be loaded whole; None when its tensors end where it ends."""
    try:
        with path.open("rb") as file:
            _skip_header(file)
            _skip_tensors(file, path.stat().st_size)
    except OSError:
        return "The model's weights cannot be read."
    except (ValueError, struct.error):
        return "The model's weights are damaged or incomplete; pull the model again."
    return None


def _read(file: BinaryIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _skip_header(file: BinaryIO) -> None:
    (magic,) = _read(file, "<I")
    if magic != _MAGIC:
        raise ValueError(magic)
    file.seek(4 * _HPARAMS, 1)
    mels, bins = _read(file, "<2i")
    file.seek(4 * mels * bins, 1)
    (tokens,) = _read(file, "<i")
    for _ in range(tokens):
        (length,) = _read(file, "<I")
        file.seek(length, 1)


def _skip_tensors(file: BinaryIO, size: int) -> None:
    if file.tell() >= size:
        raise ValueError(size)
    while file.tell() < size:
        dimensions, name_length, kind = _read(file, "<3i")
        if not 1 <= dimensions <= 4 or kind not in _BLOCKS:
            raise ValueError(kind)
        values = 1
        for extent in _read(file, f"<{dimensions}i"):
            values *= extent
        per_block, block_bytes = _BLOCKS[kind]
        file.seek(name_length + values // per_block * block_bytes, 1)
    if file.tell() != size:
        raise ValueError(size)
