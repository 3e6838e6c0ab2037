"""In which characters the text of a form is read, whatever its sender claims."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request
from starlette.types import Message

from app.api.body import FIELD_BYTES, BodyLimits, parse_form
from app.domain.errors import InvalidPayload

LIMITS = BodyLimits(1_000_000, 5.0, 5.0)


def text_of(charset: str, sent: bytes) -> object:
    body = b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n' + sent + b"\r\n--x--\r\n"
    headers = [(b"content-type", f"multipart/form-data; boundary=x; charset={charset}".encode())]

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def parsed() -> object:
        form = await parse_form(Request({"type": "http", "method": "POST", "headers": headers}, receive), LIMITS)
        return form["prompt"]

    return asyncio.run(parsed())


@pytest.mark.parametrize(
    ("charset", "sent"),
    [
        ("utf-8", "Grüße".encode()),
        ("punycode", b"Gre-kva8i"),  # 60 KB of it would hold the event loop for minutes
        ("unicode_escape", b"\\ud800"),
        ("utf-16", b"no"),
        ("no-such-thing", "Grüße".encode()),
    ],
)
def test_text_is_utf_8(charset: str, sent: bytes) -> None:
    assert text_of(charset, sent) == sent.decode()


def test_what_is_no_utf_8_is_read_as_latin_1() -> None:
    assert text_of("utf-8", "Grüße".encode("latin-1")) == "Grüße"


def test_a_field_longer_than_any_text_is_refused() -> None:
    assert text_of("utf-8", b"x" * FIELD_BYTES) == "x" * FIELD_BYTES
    with pytest.raises(InvalidPayload, match=r"could not be read: Part exceeded maximum size of 64KB\."):
        text_of("utf-8", b"x" * (FIELD_BYTES + 1))
