"""``POST /v1/listen``: one recording in, its words out (contract 2)."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.answers import log_work, render_answer, server_timing
from app.api.body import BodyLimits, receive_audio
from app.api.callbacks import accept_job
from app.api.dependencies import CurrentMetrics, CurrentServices, CurrentSettings, Listener, RequestId
from app.api.openapi import LISTEN_OPENAPI
from app.api.presence import while_connected
from app.dialects.deepgram_options import ListenRequest, parse_listen
from app.dialects.deepgram_rest import RequestFacts
from app.domain.transcript import Transcript

router = APIRouter()


@router.post("/v1/listen", openapi_extra=LISTEN_OPENAPI, summary="Transcribe a recording", tags=["listen"])
async def listen(
    request: Request,
    request_id: RequestId,
    key: Listener,
    services: CurrentServices,
    settings: CurrentSettings,
    metrics: CurrentMetrics,
) -> Response:
    """Send audio as the body, or ``{"url": "..."}`` as JSON. With ``callback`` the answer goes there."""
    created = datetime.now(timezone.utc)
    asked = parse_listen(request.scope["query_string"], settings.max_channels)
    limits = BodyLimits(settings.max_body_bytes, settings.upload_idle_timeout_s, settings.upload_timeout_s)
    if asked.callback is not None:
        return await accept_job(request, asked.callback, asked, services, limits, key, created)
    with metrics.active_requests.labels("batch").track_inprogress():
        async with (
            services.transcriber.admit(asked.options) as job,
            receive_audio(request, limits, services.fetcher) as body,
        ):
            transcript = await while_connected(request, job.run(body.file))
    metrics.count_recording(transcript)
    log_work(transcript)
    facts = RequestFacts(request_id, created, body.sha256, asked.tags, asked.extra)
    # an hour of words takes 0.2 s to divide into captions, and live streams must not wait for that
    return await asyncio.to_thread(_render, transcript, asked, facts)


def _render(transcript: Transcript, asked: ListenRequest, facts: RequestFacts) -> Response:
    headers = {
        "dg-model-name": transcript.model.name,
        "dg-model-uuid": transcript.model.uuid,
        "Server-Timing": server_timing(transcript.timing),
    }
    body, media_type = render_answer(transcript, asked, facts)
    return Response(body, headers=headers, media_type=media_type)
