from __future__ import annotations

import io

from app.audio.source import ByteView


def view(prefix: bytes = b"") -> ByteView:
    return ByteView(io.BytesIO(b"0123456789"), offset=2, length=5, prefix=prefix)


def test_a_view_shows_its_part_and_no_more() -> None:
    assert view().read() == b"23456"
    assert view().seek(0, io.SEEK_END) == 5


def test_the_prefix_comes_first() -> None:
    both = view(b"ab")
    assert both.seek(0, io.SEEK_END) == 7
    both.seek(1)
    assert both.read(1) + both.read() == b"b23456"


def test_positions_relative_to_the_end_and_past_it() -> None:
    part = view()
    part.seek(-2, io.SEEK_END)
    assert part.read() == b"56"
    part.seek(100)
    assert part.read() == b""
    assert part.seek(-200, io.SEEK_CUR) == 0


def test_a_view_has_no_name_and_leaves_its_source_open(tmp_path) -> None:
    path = tmp_path / "call.raw"
    path.write_bytes(b"abc")
    with path.open("rb") as source:
        part = ByteView(source, 0, 3)
        assert not hasattr(part, "name")
        part.close()
        assert not source.closed
