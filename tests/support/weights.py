"""Files that look like GGML weights from outside: a true header, and the right length without the content."""

from __future__ import annotations

import struct
from pathlib import Path

from app.services.catalog_entries import CatalogEntry, load_catalog
from app.services.ggml_header import parse_header

_SHAPES = {
    "tiny": (384, 4, 4),
    "base": (512, 6, 6),
    "small": (768, 12, 12),
    "medium": (1024, 24, 24),
    "large": (1280, 32, 32),
}
_FTYPES = {"q8_0": 2007, "q5_0": 2008, "q5_1": 2009}


def header_bytes(
    vocabulary: int = 51_865, width: int = 512, audio_layers: int = 6, text_layers: int = 6, mels: int = 80, ftype: int = 1
) -> bytes:
    """The start of a model file with these dimensions."""
    heads = max(1, width // 64)
    numbers = (vocabulary, 1500, width, heads, audio_layers, 448, width, heads, text_layers, mels, ftype)
    return struct.pack("<I11i", 0x67676D6C, *numbers)


def header_of(entry: CatalogEntry) -> bytes:
    """The header that the real file of a catalogue entry has."""
    name = entry.name.removeprefix("distil-")
    width, audio_layers, text_layers = _SHAPES[name.replace(".", "-").split("-")[0]]
    if entry.name.startswith("distil-"):
        text_layers = 4 if "small" in name else 2
    elif "turbo" in name:
        text_layers = 4
    vocabulary = 51_864 if ".en" in name else 51_866 if "v3" in name else 51_865
    ftype = _FTYPES.get(name.rsplit("-", 1)[-1], 1)
    return header_bytes(vocabulary, width, audio_layers, text_layers, 128 if "v3" in name else 80, ftype)


def put_model(folder: Path, name: str, share: float = 1.0) -> Path:
    """Pretend that a model of the catalogue is installed, or only the first ``share`` of its bytes."""
    entry = load_catalog().find(name)
    assert entry is not None
    return put_file(folder / entry.file_name, header_of(entry), int(entry.size_bytes * share))


def put_own_model(folder: Path, name: str, start: bytes, share: float = 1.0) -> Path:
    """Pretend that somebody put weights of their own into the folder, or only the first ``share`` of them."""
    header = parse_header(start)
    assert header is not None
    return put_file(folder / f"ggml-{name}.bin", start, int(header.least_bytes * share) + len(start))


def put_file(path: Path, start: bytes, size_bytes: int) -> Path:
    """A file of that length with that beginning; it takes no room on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(start)
        file.truncate(size_bytes)
    return path
