"""Text messages of plain live streams."""

from __future__ import annotations

from app.dialects.plain_stream import parse_message
from app.domain.stream.events import CloseStream


def test_what_is_too_long_to_say_anything_is_not_read() -> None:
    assert parse_message('{"action":"done"}'.ljust(4096)) == CloseStream()
    assert parse_message('{"action":"done"}'.ljust(4097)) is None
