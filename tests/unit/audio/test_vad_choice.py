from __future__ import annotations

import pytest

from app.audio import vad


def test_silero_is_used_where_its_weights_are() -> None:
    assert vad.load_vad().name == "silero"


def test_loudness_takes_over_where_they_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vad, "find_spec", lambda _name: None)
    assert vad.load_vad().name == "energy"


def test_loudness_takes_over_where_the_file_holds_another_network(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "silero_vad.onnx").write_bytes(b"another")

    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(vad, "find_spec", lambda _name: Spec)
    assert vad.load_vad().name == "energy"
