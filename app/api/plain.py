"""``POST /transcribe``, ``/detect-language`` and ``/asr``: what tutorials, old clients and subtitle managers call."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, BinaryIO

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.api.answers import log_work
from app.api.body import BodyLimits
from app.api.dependencies import CurrentMetrics, CurrentServices, CurrentSettings
from app.api.multipart import ReceivedForm, Upload, receive_form
from app.api.plain_auth import PlainCaller
from app.api.presence import while_connected
from app.dialects.asr_webservice import OUTPUTS, answer_headers, parse_asr, render_asr
from app.dialects.plain_options import TASKS, parse_detection, parse_query, parse_transcribe
from app.dialects.plain_rest import render_languages, render_transcript
from app.domain.errors import InvalidPayload, Unavailable
from app.domain.options import TranscribeOptions
from app.domain.transcript import Transcript
from app.services.bundle import Services
from app.services.only_english import settled_recording
from app.settings import Settings
from app.telemetry import Metrics

FILE = "file"
ASR_FILE = "audio_file"
"""The fields that hold the recording: of the plain endpoints, and of whisper-asr-webservice."""

router = APIRouter(tags=["other clients"])


def _described(files: tuple[str, ...], fields: dict[str, Any], query: dict[str, Any] | None = None) -> dict[str, Any]:
    """OpenAPI of a route: FastAPI cannot see what is read from the request itself."""
    properties = {name: {"type": "string", "format": "binary"} for name in files} | fields
    return {
        "parameters": [{"name": name, "in": "query", "schema": schema} for name, schema in (query or {}).items()],
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": {"type": "object", "properties": properties}}},
        },
        "security": [{"key": []}],
    }


_TEXT: dict[str, Any] = {"type": "string"}
_FLAG: dict[str, Any] = {"type": "boolean", "default": False}
_TASK: dict[str, Any] = {"type": "string", "enum": list(TASKS), "default": TASKS[0]}
_OUTPUT: dict[str, Any] = {"type": "string", "enum": list(OUTPUTS), "default": OUTPUTS[0]}
_ENCODE: dict[str, Any] = {"type": "boolean", "default": True, "description": "false: bare samples, 16 kHz, 16 bits, mono"}

_TRANSCRIBE = _described(
    (FILE,),
    {"language": _TEXT, "task": _TASK, "word_timestamps": _FLAG, "diarize": _FLAG, "model": _TEXT, "prompt": _TEXT},
)
_DETECT = _described((FILE, ASR_FILE), {"model": _TEXT}, {"encode": _ENCODE})
_ASR = _described(
    (ASR_FILE,),
    {},
    {
        "output": _OUTPUT,
        "task": _TASK,
        "language": _TEXT,
        "initial_prompt": _TEXT,
        "word_timestamps": _FLAG,
        "diarize": _FLAG,
        "encode": _ENCODE,
        "model": _TEXT,
    },
)


@router.post("/transcribe", openapi_extra=_TRANSCRIBE, summary="Transcribe a recording: form in, flat JSON out")
async def transcribe(
    request: Request, _: PlainCaller, services: CurrentServices, settings: CurrentSettings, metrics: CurrentMetrics
) -> Response:
    """Options may stand in the form or in the query."""
    async with _form(request, settings, services) as form:
        asked = parse_transcribe(_fields(request, form))
        upload = _upload(form, FILE, ASR_FILE)
        transcript = await _recognised(request, services, metrics, asked.options, upload.file)
    # an hour of words takes a while to render, and live streams must not wait for that
    body = await run_in_threadpool(render_transcript, transcript, with_words=asked.with_words)
    return Response(body, media_type="application/json")


@router.post("/asr", openapi_extra=_ASR, summary="Transcribe a recording in the manner of whisper-asr-webservice")
async def asr(
    request: Request, _: PlainCaller, services: CurrentServices, settings: CurrentSettings, metrics: CurrentMetrics
) -> Response:
    """Text, captions, tab-separated values, or the JSON of OpenAI's whisper."""
    async with _form(request, settings, services) as form:
        asked = parse_asr(_fields(request, form))
        upload = _upload(form, ASR_FILE, FILE)
        transcript = await _recognised(request, services, metrics, asked.options, upload.file)
    body, media_type = await run_in_threadpool(render_asr, transcript, asked)
    return Response(body, headers=answer_headers(upload.filename, asked.output), media_type=media_type)


@router.post("/detect-language", openapi_extra=_DETECT, summary="Say which language is spoken")
async def detect_language(
    request: Request, _: PlainCaller, services: CurrentServices, settings: CurrentSettings, metrics: CurrentMetrics
) -> Response:
    """Of the first 30 s of speech. Sent as ``audio_file``, the language comes back in words, else as its code."""
    async with _form(request, settings, services) as form:
        options = parse_detection(_fields(request, form))
        upload = _upload(form, FILE, ASR_FILE)
        with metrics.active_requests.labels("batch").track_inprogress():
            async with services.transcriber.admit(options) as job:
                guesses = await while_connected(request, job.detect_language(upload.file))
    return Response(render_languages(guesses, by_name=upload.name == ASR_FILE), media_type="application/json")


def _form(request: Request, settings: Settings, services: Services) -> AbstractAsyncContextManager[ReceivedForm]:
    """The options are part of the body, so all of it is received before a permit can be taken."""
    if services.stopping:
        raise Unavailable
    return receive_form(
        request, BodyLimits(settings.max_body_bytes, settings.upload_idle_timeout_s, settings.upload_timeout_s)
    )


def _fields(request: Request, form: ReceivedForm) -> tuple[tuple[str, str], ...]:
    """Of a name that stands in both, the form's value counts: it comes last."""
    return parse_query(request.scope["query_string"]) + form.fields


def _upload(form: ReceivedForm, *names: str) -> Upload:
    upload = form.upload(*names)
    if upload is None:
        raise InvalidPayload(f"The form has no file `{names[0]}`.")
    return upload


async def _recognised(
    request: Request, services: Services, metrics: Metrics, options: TranscribeOptions, file: BinaryIO
) -> Transcript:
    options = await run_in_threadpool(settled_recording, options, services.catalog)
    with metrics.active_requests.labels("batch").track_inprogress():
        async with services.transcriber.admit(options) as job:
            transcript = await while_connected(request, job.run(file))
    metrics.count_recording(transcript)
    log_work(transcript)
    return transcript
