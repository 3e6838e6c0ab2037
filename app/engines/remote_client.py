"""One decode as HTTP requests: the sound as a file, the form that the server takes, and what each failure means."""

from __future__ import annotations

import asyncio
import io
import struct
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

import httpx
import numpy as np
import soundfile

from app.domain.audio import SAMPLE_RATE, Pcm16k
from app.domain.errors import BackendFailed, DecodeTimeout, Overloaded, SttError, Unavailable
from app.domain.options import DecodeOptions
from app.engines.remote_answer import NO_TRANSCRIPT, Answer, read_answer
from app.engines.remote_backend import MODELS, TRANSCRIPTIONS, TRANSLATIONS, Backend, is_near, may_follow

MAX_ANSWER_BYTES = 4 << 20
"""Largest body that is read: a window's transcript with all its numbers has some 20 kB."""

CONNECT_TIMEOUT_S = 5.0
KEEP_ALIVE_S = 4.0
"""Seconds that an idle connection is used again: uvicorn, which most of these servers run on, closes them after 5."""

FORMS_KEPT_S = 600.0
"""How long a server is asked in the form that it took last before a richer one is tried again: it may have been updated."""

MAX_REDIRECTS = 3
UNREACHABLE = "The recognition backend cannot be reached."
SILENT = "The recognition backend did not answer in time."
BROKEN = "The recognition backend's answer broke off."
ELSEWHERE = "The recognition backend redirects to another server."
REFUSED = "The recognition backend answered with status {status}."
NO_ENTRY = "The recognition backend does not accept this server's credentials."
BUSY = "The recognition backend has no room for more work now."

USUAL_MODEL = "whisper-1"
"""What OpenAI's clients name, sent to servers that insist on a model where the operator has named none."""

_FORMS: tuple[dict[str, Any], ...] = (
    {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]},
    {"response_format": "verbose_json"},
    {"response_format": "json"},
)
_UNSUITABLE = frozenset({400, 404, 415, 422})
"""Statuses of servers that do not know a field, or lack a model."""

_WAV_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")


class BackendDown(Exception):
    """An attempt failed in a way that may pass. ``error`` is what it means if it does not.

    ``is_down``: nobody is there to recognise anything. ``wait_s``: how long the server asked to be left alone.
    """

    def __init__(self, error: SttError, *, is_down: bool = False, wait_s: float = 0.0) -> None:
        super().__init__(error.message)
        self.error = error
        self.is_down = is_down
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Sound:
    """A window as a file."""

    name: str
    body: bytes
    media_type: str


def encode(pcm: Pcm16k, *, as_wav: bool) -> Sound:
    """16 kHz mono, 16 bit. FLAC is two fifths of WAV's bytes and as exact, for 1.2 ms instead of 0.4 ms for 5 s of sound,
    and as much again for who reads it; Opus is a fifth of FLAC's and took 144 ms, which no network here costs (two cores,
    2026-11-20).
    """
    samples = np.clip(np.rint(pcm * 32767.0), -32768, 32767).astype("<i2")
    if as_wav:
        data = samples.tobytes()
        fmt = (b"fmt ", 16, 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16)
        header = _WAV_HEADER.pack(b"RIFF", 36 + len(data), b"WAVE", *fmt, b"data", len(data))
        return Sound("audio.wav", header + data, "audio/wav")
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return Sound("audio.flac", file.getvalue(), "audio/flac")


class BackendClient:
    """Requests to one server, over connections that are kept. Belongs to one event loop.

    Servers differ in the fields they take. The richest form goes first; what worked is remembered.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._form = 0
        self._form_until_s = 0.0
        self._names_model = backend.model

    @cached_property
    def _http(self) -> httpx.AsyncClient:
        url = httpx.URL(self._backend.url)
        headers = {"Accept-Encoding": "identity"}  # what is packed may unpack to any size
        if self._backend.authorization:
            headers["Authorization"] = self._backend.authorization
        return httpx.AsyncClient(
            headers=headers,
            limits=httpx.Limits(max_keepalive_connections=self._backend.parallel + 1, keepalive_expiry=KEEP_ALIVE_S),
            verify=httpx.create_ssl_context() if url.scheme == "https" else False,
            trust_env=not is_near(url.host),  # a proxy of the environment leads out of the machine
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def probe(self, timeout_s: float) -> bool | None:
        """Whether somebody answers there, whatever the answer; None: it was reached, and said nothing in time."""
        url = self._backend.endpoint(MODELS)
        try:
            timeout = httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)
            async with self._http.stream("GET", url, timeout=timeout) as response:
                return response.status_code not in (502, 503, 504)
        except httpx.ReadTimeout:
            return None
        except (httpx.HTTPError, OSError):
            return False

    async def recognise(self, pcm: Pcm16k, sound: Sound, options: DecodeOptions, timeout_s: float) -> Answer:
        """One attempt, ``timeout_s`` seconds at most.

        Raises ``BackendDown`` for what may pass and ``BackendFailed`` for what will not.
        """
        try:
            return await asyncio.wait_for(self._negotiate(pcm, sound, options, timeout_s), timeout_s)
        except (asyncio.TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout):
            raise BackendDown(DecodeTimeout(SILENT)) from None
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            raise BackendDown(BackendFailed(BROKEN)) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError):
            raise BackendDown(Unavailable(UNREACHABLE), is_down=True) from None  # the cause names the address

    async def _negotiate(self, pcm: Pcm16k, sound: Sound, options: DecodeOptions, timeout_s: float) -> Answer:
        """The answer to the form that the server took last; if it has changed its mind, to the richest one that it takes."""
        if time.monotonic() > self._form_until_s:
            self._forget()
        while True:
            knew = (self._form, self._names_model) != (0, self._backend.model)
            found = await self._try_forms(pcm, sound, options, timeout_s)
            if isinstance(found, Answer):
                return found
            self._forget()
            if not knew:
                raise BackendFailed(REFUSED.format(status=found))

    def _forget(self) -> None:
        self._form, self._names_model, self._form_until_s = 0, self._backend.model, 0.0

    async def _try_forms(self, pcm: Pcm16k, sound: Sound, options: DecodeOptions, timeout_s: float) -> Answer | int:
        """The answer, and its form is remembered; or the status with which the last form was refused."""
        models = [self._names_model] if self._names_model else [None, USUAL_MODEL]
        status = 0
        for model in models:
            for form in range(self._form, len(_FORMS)):
                fields = self._fields(options, model) | _FORMS[form]
                response, body = await self._post(options, fields, sound, timeout_s)
                status = response.status_code
                if status in _UNSUITABLE:
                    continue
                _check(response)
                answer = read_answer(body, pcm, options.language, translated=options.translate)
                self._form, self._names_model = form, model
                self._form_until_s = time.monotonic() + FORMS_KEPT_S
                return answer
        return status

    @staticmethod
    def _fields(options: DecodeOptions, model: str | None) -> dict[str, Any]:
        given = {
            "model": model,
            "language": None if options.translate else options.language,
            "prompt": options.prompt,
            "temperature": str(options.temperature) if options.temperature else None,
        }
        return {name: value for name, value in given.items() if value}

    async def _post(
        self, options: DecodeOptions, fields: dict[str, Any], sound: Sound, timeout_s: float
    ) -> tuple[httpx.Response, bytes]:
        url = self._backend.endpoint(TRANSLATIONS if options.translate else TRANSCRIPTIONS)
        timeout = httpx.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))
        for _ in range(MAX_REDIRECTS + 1):
            files = {"file": (sound.name, sound.body, sound.media_type)}
            request = self._http.build_request("POST", url, data=fields, files=files, timeout=timeout)
            request.read()  # as one piece: else each header and each field of the form is written, and sent, by itself
            response = await self._http.send(request, stream=True)
            try:
                if not response.has_redirect_location:
                    return response, await _body(response)
                target = url.join(response.headers["Location"])
            finally:
                await response.aclose()
            if not may_follow(url, target):
                raise BackendFailed(ELSEWHERE)
            url = target
        raise BackendFailed(REFUSED.format(status=response.status_code))


async def _body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise BackendFailed(NO_TRANSCRIPT)
    return bytes(body)


def _check(response: httpx.Response) -> None:
    """Raise what a status other than 200 means."""
    status = response.status_code
    if status == 429 or status == 503:
        wait_s = _retry_after_s(response)
        error = Overloaded(BUSY, retry_after_s=wait_s or 1.0) if status == 429 else Unavailable(retry_after_s=wait_s or 2.0)
        raise BackendDown(error, is_down=status == 503 and not wait_s, wait_s=wait_s)
    if status in (401, 403):
        raise BackendFailed(NO_ENTRY)
    if status >= 500:
        raise BackendDown(BackendFailed(REFUSED.format(status=status)), is_down=status in (502, 504))
    if status != 200:
        raise BackendFailed(REFUSED.format(status=status))
    if "html" in response.headers.get("Content-Type", ""):
        raise BackendFailed(NO_TRANSCRIPT)


def _retry_after_s(response: httpx.Response) -> float:
    """Seconds that the server asks to wait; 0: it does not say."""
    told = response.headers.get("Retry-After", "").strip()
    if told.isdecimal():
        return float(min(int(told[:9]), 86_400))
    try:
        moment = parsedate_to_datetime(told)
    except (ValueError, TypeError):
        return 0.0
    if moment.tzinfo is None:
        return 0.0
    return min(86_400.0, max(0.0, (moment - datetime.now(timezone.utc)).total_seconds()))
