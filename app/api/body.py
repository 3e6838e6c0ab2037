"""The body of a recording request in all its forms (contract 2.4) -> a seekable file of audio bytes and its digest."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from app.domain.errors import BadAudio, ClientGone, InvalidPayload, PayloadTooLarge, SlowUpload, SttError
from app.domain.ports import Fetcher

MEMORY_BYTES = 4 * 1024 * 1024
"""Bodies up to this many bytes (two minutes of 16 kHz PCM) stay in memory; larger ones go to a temporary file."""

JSON_BYTES = 64 * 1024
"""A JSON body is a URL; one longer than this is not."""

FIELD_BYTES = 64 * 1024
"""Longest text field of a form. They stay in memory, in each of the forms that may be here at a time."""

MAX_FIELDS = 128
"""Text fields of a form: a hundred keywords, which are a field each, and everything else that is read."""

_READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """``max_bytes`` of a body; seconds it may stand still (``idle_timeout_s``) and take in all (``timeout_s``)."""

    max_bytes: int
    idle_timeout_s: float
    timeout_s: float


@dataclass(frozen=True, slots=True)
class AudioBody:
    """Audio as it was submitted, or downloaded: a seekable file, and the hex SHA-256 of its bytes."""

    file: BinaryIO
    sha256: str


@asynccontextmanager
async def receive_audio(request: Request, limits: BodyLimits, fetcher: Fetcher) -> AsyncIterator[AudioBody]:
    """Read the whole body; the file is gone when the context closes.

    JSON ``{"url": ...}`` (by content type, or by its first byte) is downloaded; of a multipart form the first file counts;
    everything else is audio, whatever its content type says.
    """
    with SpooledTemporaryFile(max_size=MEMORY_BYTES) as spooled:
        file = cast("BinaryIO", spooled)
        url = await receive_body(request, limits, file)
        if url is not None:
            file.seek(0)
            file.truncate()
            await fetcher.fetch(url, file, limits.max_bytes)
        digest = await run_in_threadpool(_digest, file)
        yield AudioBody(file, digest)


async def receive_body(request: Request, limits: BodyLimits, file: BinaryIO) -> str | None:
    """Read the whole body into ``file``. The URL in it, if that is what it is; None: ``file`` holds audio."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "multipart/form-data":
        await _receive_form(request, limits, file)
    else:
        await _receive_plain(request, limits, file)
    return _url(file, declared=content_type == "application/json")


async def _receive_plain(request: Request, limits: BodyLimits, file: BinaryIO) -> None:
    async for data in _limited(request, limits):
        if file.tell() + len(data) > MEMORY_BYTES:  # from here on a write may touch the disk
            await run_in_threadpool(file.write, data)
        else:
            file.write(data)


async def parse_form(request: Request, limits: BodyLimits) -> FormData:
    """Read a multipart form; whoever asked closes it. Files above 1 MB are on the disk."""
    parser = _WholeForms(
        request.headers, _limited(request, limits), max_files=10, max_fields=MAX_FIELDS, max_part_size=FIELD_BYTES
    )
    try:
        return await parser.parse()
    except SttError:
        raise
    except MultiPartException as error:  # says which limit was passed, or what is missing, and nothing of the form's own
        raise InvalidPayload(f"The multipart form could not be read: {error.message.rstrip('.')}.") from None
    except (KeyError, ValueError):
        raise InvalidPayload("The multipart form could not be read.") from None


class _WholeForms(MultiPartParser):
    """Refuses a form that ends before its end; the parser itself takes it, and leaves the file it was in open.

    Text is UTF-8 (RFC 7578), whatever charset the client names: among Python's codecs are punycode, which takes minutes for
    60 KB while the event loop waits, and unicode_escape, which makes halves of characters.
    """

    _has_ended = False

    def on_part_begin(self) -> None:
        super().on_part_begin()
        self._charset = "utf-8"

    def on_end(self) -> None:
        self._has_ended = True

    async def parse(self) -> FormData:
        form = await super().parse()
        if not self._has_ended:
            for file in self._files_to_close_on_error:
                file.close()
            raise MultiPartException("the form is not whole")
        return form


async def _receive_form(request: Request, limits: BodyLimits, file: BinaryIO) -> None:
    form = await parse_form(request, limits)
    try:
        upload = next((value for _, value in form.multi_items() if isinstance(value, UploadFile)), None)
        if upload is None:
            raise InvalidPayload("The multipart form has no file.")
        while data := await upload.read(_READ_BYTES):
            await run_in_threadpool(file.write, data)
    finally:
        await form.close()


async def _limited(request: Request, limits: BodyLimits) -> AsyncGenerator[bytes, None]:
    """The body's pieces; ends with an error at the limit of bytes, when they stop coming, or when the client leaves."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limits.max_bytes:
        raise PayloadTooLarge
    total = 0
    stream = request.stream()
    now = asyncio.get_running_loop().time
    end = now() + limits.timeout_s
    while True:
        try:
            data = await asyncio.wait_for(stream.__anext__(), min(limits.idle_timeout_s, end - now()))
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError:
            raise SlowUpload from None
        except ClientDisconnect:
            raise ClientGone from None
        total += len(data)
        if total > limits.max_bytes:
            raise PayloadTooLarge
        if data:
            yield data


def _url(file: BinaryIO, *, declared: bool) -> str | None:
    """The URL of a JSON body; None when the body is audio. ``declared``: the content type said JSON."""
    file.seek(0)
    first = file.read(JSON_BYTES + 1)
    if not first and not declared:
        raise BadAudio("the request has no body")
    if not declared and first.lstrip()[:1] != b"{":
        return None
    try:
        body = json.loads(first) if len(first) <= JSON_BYTES else None
    except (ValueError, RecursionError):
        body = None
    url = body.get("url") if isinstance(body, dict) else None
    if isinstance(url, str) and _is_whole(url):
        return url
    if declared:
        raise InvalidPayload
    return None


def _is_whole(text: str) -> bool:
    """Whether there is no half of a character in it, which JSON can spell and no database stores."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _digest(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while data := file.read(_READ_BYTES):
        digest.update(data)
    file.seek(0)
    return digest.hexdigest()
