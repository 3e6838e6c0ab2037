from __future__ import annotations

from pathlib import Path

import pytest

from app.services.catalog_entries import BUNDLED_DIR, CatalogEntry, load_catalog
from app.services.ggml_header import HEADER_BYTES, parse_header
from tests.support.weights import header_bytes, header_of

PUBLISHED = [entry for entry in load_catalog().entries if not entry.bundled]


def test_the_bundled_models_header_is_read() -> None:
    path: Path = BUNDLED_DIR / "ggml-selftest.bin"
    with path.open("rb") as file:
        header = parse_header(file.read(HEADER_BYTES))

    assert header is not None
    assert (header.n_vocab, header.n_audio_state, header.n_audio_layer, header.n_text_layer) == (51_865, 128, 4, 3)
    assert (header.n_mels, header.n_audio_ctx, header.ftype) == (80, 1500, 1)
    assert header.multilingual
    assert not header.has_cantonese
    assert 0.95 * path.stat().st_size < header.least_bytes < path.stat().st_size


@pytest.mark.parametrize("entry", PUBLISHED, ids=lambda entry: entry.name)
def test_the_least_length_is_just_below_the_true_one_for_every_published_model(entry: CatalogEntry) -> None:
    header = parse_header(header_of(entry))

    assert header is not None
    assert 0.95 * entry.size_bytes < header.least_bytes < entry.size_bytes


@pytest.mark.parametrize(
    ("vocabulary", "multilingual", "cantonese"), [(51_864, False, False), (51_865, True, False), (51_866, True, True)]
)
def test_the_vocabulary_tells_what_a_model_knows(vocabulary: int, multilingual: bool, cantonese: bool) -> None:
    header = parse_header(header_bytes(vocabulary, mels=128))

    assert header is not None
    assert (header.multilingual, header.has_cantonese) == (multilingual, cantonese)


def test_an_unknown_weight_format_is_taken_for_the_smallest_known_one() -> None:
    unknown, smallest = parse_header(header_bytes(ftype=99)), parse_header(header_bytes(ftype=10))

    assert unknown is not None
    assert smallest is not None
    assert unknown.least_bytes == smallest.least_bytes


@pytest.mark.parametrize(
    "start",
    [
        b"",
        header_bytes()[:-1],
        b"GGUF" + header_bytes()[4:],
        b"<!DOCTYPE html>" * 4,
        header_bytes(vocabulary=0),
        header_bytes(width=-1),
    ],
    ids=["empty", "short", "another format", "an error page", "no vocabulary", "negative width"],
)
def test_what_is_no_model_is_told_apart(start: bytes) -> None:
    assert parse_header(start) is None
