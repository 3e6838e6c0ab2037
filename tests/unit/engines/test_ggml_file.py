from __future__ import annotations

import struct
from pathlib import Path

import pytest

from app.engines.ggml_file import weights_problem


def model(tensor_values: int = 8, kind: int = 1, magic: int = 0x67676D6C) -> bytes:
    """A whole, tiny file: one tensor of ``tensor_values`` values, two bytes each."""
    header = struct.pack("<12I", magic, *range(11)) + struct.pack("<2i", 2, 3) + bytes(4 * 6)
    vocabulary = struct.pack("<i", 2) + struct.pack("<I", 1) + b"a" + struct.pack("<I", 2) + b"bc"
    tensor = struct.pack("<3i", 1, 4, kind) + struct.pack("<i", tensor_values) + b"name" + bytes(2 * tensor_values)
    return header + vocabulary + tensor


def check(tmp_path: Path, raw: bytes) -> str | None:
    path = tmp_path / "weights.bin"
    path.write_bytes(raw)
    return weights_problem(path)


def test_a_whole_file_is_fine(tmp_path: Path) -> None:
    assert check(tmp_path, model()) is None


@pytest.mark.parametrize("kept", [0, 3, 60, 70, -17, -1])
def test_a_file_that_ends_early_is_damaged(kept: int, tmp_path: Path) -> None:
    problem = check(tmp_path, model()[:kept])
    assert problem is not None
    assert "damaged" in problem


def test_bytes_after_the_last_tensor_are_damage(tmp_path: Path) -> None:
    assert check(tmp_path, model() + b"x") is not None


def test_other_files_are_refused(tmp_path: Path) -> None:
    assert check(tmp_path, model(magic=0x12345678)) is not None
    assert check(tmp_path, model(kind=99)) is not None
    assert check(tmp_path, b"<html>not found</html>" * 20) is not None


def test_a_missing_file_is_told_without_its_path(tmp_path: Path) -> None:
    problem = weights_problem(tmp_path / "absent.bin")
    assert problem == "The model's weights cannot be read."
