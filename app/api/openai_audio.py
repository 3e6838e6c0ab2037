"""``POST /v1/audio/transcriptions`` and ``/v1/audio/translations``: a recording in, its words out, in OpenAI's forms."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import BinaryIO

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.api.answers import log_work, server_timing
from app.api.body import BodyLimits
from app.api.dependencies import CurrentMetrics, CurrentServices, CurrentSettings, Listener
from app.api.event_stream import EventStream
from app.api.multipart import ReceivedForm, receive_form
from app.api.openapi import form_openapi
from app.api.presence import while_connected
from app.dialects.openai_events import EventRenderer, render_failure
from app.dialects.openai_options import FIELDS, SpeechRequest, parse_transcription, parse_translation
from app.dialects.openai_rest import render_transcript
from app.domain.errors import InvalidParameter, Unavailable, UnsupportedModel
from app.domain.options import TranscribeOptions
from app.domain.transcript import ModelInfo, Transcript
from app.services.bundle import Services
from app.services.catalog import Catalog
from app.services.transcribe import RecordingJob
from app.settings import Settings
from app.telemetry import Metrics

router = APIRouter(tags=["OpenAI"])

_LONGEST_NAME_SHOWN = 80

Parse = Callable[[Iterable[tuple[str, str]]], SpeechRequest]


@router.post("/v1/audio/transcriptions", openapi_extra=form_openapi(FIELDS), summary="Transcribe a recording")
async def transcriptions(
    request: Request, _: Listener, services: CurrentServices, settings: CurrentSettings, metrics: CurrentMetrics
) -> Response:
    """Send a form with the recording as ``file``. With ``stream`` the answer comes as server-sent events."""
    return await _answer(request, parse_transcription, services, settings, metrics)


@router.post(
    "/v1/audio/translations",
    openapi_extra=form_openapi([field for field in FIELDS if field.translations]),
    summary="Translate a recording into English",
)
async def translations(
    request: Request, _: Listener, services: CurrentServices, settings: CurrentSettings, metrics: CurrentMetrics
) -> Response:
    """Send a form with the recording as ``file``."""
    return await _answer(request, parse_translation, services, settings, metrics)


async def _answer(request: Request, parse: Parse, services: Services, settings: Settings, metrics: Metrics) -> Response:
    """The options are part of the body, so all of it is received before a permit can be taken."""
    if services.stopping:
        raise Unavailable
    limits = BodyLimits(settings.max_body_bytes, settings.upload_idle_timeout_s, settings.upload_timeout_s)
    async with AsyncExitStack() as stack:
        stack.enter_context(metrics.active_requests.labels("batch").track_inprogress())
        form = await stack.enter_async_context(receive_form(request, limits))
        asked = await run_in_threadpool(_settled, parse(form.fields), services)
        recording = _recording(form)
        job = await stack.enter_async_context(services.transcriber.admit(asked.options))
        answer: Response
        if asked.stream:
            answer = stream = EventStream(request, render_failure, _headers(job.model.info))
            await stream.begin(_stream(stream, job, recording, asked, metrics))
            stream.keep(stack.pop_all())
        else:
            transcript = await while_connected(request, job.run(recording))
            _account(transcript, metrics)
            answer = await run_in_threadpool(_render, transcript, asked)
    return answer


async def _stream(
    stream: EventStream, job: RecordingJob, recording: BinaryIO, asked: SpeechRequest, metrics: Metrics
) -> None:
    renderer = EventRenderer(asked)
    transcript = await job.run(recording, on_heard=lambda _, piece: stream.send(renderer.heard(piece)))
    _account(transcript, metrics)
    stream.send(await run_in_threadpool(lambda: list(renderer.done(transcript))))


def _recording(form: ReceivedForm) -> BinaryIO:
    upload = form.upload("file")
    if upload is None:
        raise InvalidParameter("The form has no 'file' with a recording.", parameter="file")
    return upload.file


def _settled(asked: SpeechRequest, services: Services) -> SpeechRequest:
    """What depends on this server: English where a model knows nothing else, and errors with what would help."""
    if asked.options.diarize and services.transcriber.diarizer is None:
        raise InvalidParameter("Telling speakers apart is switched off on this server.", parameter="response_format")
    try:
        return replace(asked, options=_with_language(asked.options, services.catalog))
    except UnsupportedModel as error:
        if error.parameter != "model":
            raise
        raise UnsupportedModel(_missing_model(asked, services.catalog), parameter="model") from None


def _with_language(options: TranscribeOptions, catalog: Catalog) -> TranscribeOptions:
    try:
        catalog.resolve(options.model, None if options.detect_language else options.language)
    except UnsupportedModel as error:
        if error.parameter != "language" or not options.detect_language:
            raise
        catalog.resolve(options.model, "en")
        return replace(options, language="en", detect_language=False, detect_among=())
    return options


def _missing_model(asked: SpeechRequest, catalog: Catalog) -> str:
    shown = asked.name[:_LONGEST_NAME_SHOWN]
    entry = catalog.data.find(asked.name)
    if entry is None:
        return f"The model `{shown}` does not exist."
    return f"The model `{shown}` is not installed on this server. `whisperapi models pull {entry.name}` installs it."


def _render(transcript: Transcript, asked: SpeechRequest) -> Response:
    """In a thread: an hour of words takes a while to divide into captions."""
    body, media_type = render_transcript(transcript, asked)
    headers = _headers(transcript.model) | {"Server-Timing": server_timing(transcript.timing)}
    return Response(body, headers=headers, media_type=media_type)


def _headers(model: ModelInfo) -> dict[str, str]:
    return {"dg-model-name": model.name, "dg-model-uuid": model.uuid}


def _account(transcript: Transcript, metrics: Metrics) -> None:
    metrics.count_recording(transcript)
    log_work(transcript)
