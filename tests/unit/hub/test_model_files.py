from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.hub import ChecksumMismatch, NotInstalled, remove, verify

CONTENT = b"weights" * 1000


@dataclass(frozen=True)
class Weights:
    name: str = "tiny"
    repo: str = "someone/models"
    file: str = "ggml-tiny.bin"
    file_name: str = "ggml-tiny.bin"
    size_bytes: int = len(CONTENT)
    sha256: str = hashlib.sha256(CONTENT).hexdigest()
    sha1: str | None = None


WEIGHTS = Weights()


def test_verify_accepts_the_right_file(tmp_path: Path) -> None:
    (tmp_path / "ggml-tiny.bin").write_bytes(CONTENT)

    assert verify(WEIGHTS, tmp_path) == tmp_path / "ggml-tiny.bin"


@pytest.mark.parametrize("content", [CONTENT[:-1], b"W" + CONTENT[1:], CONTENT + b"!"])
def test_verify_notices_a_missing_a_changed_and_an_added_byte(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "ggml-tiny.bin").write_bytes(content)

    with pytest.raises(ChecksumMismatch, match="models pull tiny"):
        verify(WEIGHTS, tmp_path)


def test_verify_and_remove_say_when_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotInstalled, match="models pull tiny"):
        verify(WEIGHTS, tmp_path)
    with pytest.raises(NotInstalled):
        remove(WEIGHTS, tmp_path)


def test_remove_deletes_the_file_and_the_rest_of_a_broken_pull_and_nothing_else(tmp_path: Path) -> None:
    work = tmp_path / ".downloads"
    work.mkdir()
    (tmp_path / "ggml-tiny.bin").write_bytes(CONTENT)
    (tmp_path / "ggml-tiny.en.bin").write_bytes(CONTENT)
    (work / "ggml-tiny.bin.0123456789abcdef.partial").write_bytes(b"123")

    assert remove(WEIGHTS, tmp_path) == len(CONTENT) + 3

    assert [path.name for path in tmp_path.rglob("*.*") if path.is_file()] == ["ggml-tiny.en.bin"]
