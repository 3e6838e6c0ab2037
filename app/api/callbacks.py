"""``POST /v1/listen`` with a callback: kept at once, answered with its id, delivered later (contract 2.8)."""

from __future__ import annotations

from datetime import datetime

import orjson
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.api.answers import log_work, render_answer
from app.api.body import BodyLimits, receive_body
from app.dialects.deepgram_callback import without_callback
from app.dialects.deepgram_options import ListenRequest, parse_listen
from app.dialects.deepgram_rest import RequestFacts, render_error
from app.dialects.deepgram_usage_path import shown_path, usage_tags
from app.dialects.statuses import STATUS
from app.domain.errors import ErrorKind, SttError
from app.domain.jobs import Callback, Job, Outcome
from app.domain.options import TranscribeOptions
from app.domain.ports import ApiKey
from app.domain.transcript import Transcript
from app.domain.usage import Method
from app.services.bundle import Services
from app.services.jobs import JobRequest
from app.services.usage_entry import UsageEntry, current_usage
from app.services.usage_log import UsageLog
from app.telemetry import Metrics, logger

_log = logger(__name__)


async def accept_job(
    request: Request,
    callback: Callback,
    asked: ListenRequest,
    services: Services,
    limits: BodyLimits,
    key: ApiKey | None,
    created: datetime,
) -> Response:
    """Check everything, store the audio, promise the answer."""
    if (usage := current_usage()) is not None:
        usage.method, usage.answers_later = Method.ASYNC, True
    request_id = request.state.request_id
    model = services.transcriber.resolve(asked.options).model.info
    await services.deliverer.check(callback.url)
    await run_in_threadpool(services.jobs.check_room)
    async with services.jobs.receiving(request_id) as file:
        url = await receive_body(request, limits, file)
        size = file.seek(0, 2)
    question = without_callback(request.scope["query_string"])
    job = JobRequest(request_id, "" if key is None else key.key_id, created, question, callback)
    await run_in_threadpool(services.jobs.accept, job, audio_bytes=0 if url else size, audio_url=url or "")
    services.job_runner.wake()
    _log.info("job accepted", audio_bytes=size)
    headers = {"dg-model-name": model.name, "dg-model-uuid": model.uuid}
    return Response(orjson.dumps({"request_id": request_id}), headers=headers, media_type="application/json")


class CallbackEdge:
    """Fulfils ``JobEdge`` in Deepgram's dialect. A job's ``request`` is its query string without the callback."""

    def __init__(self, max_channels: int, metrics: Metrics, usage_log: UsageLog) -> None:
        self._max_channels = max_channels
        self._metrics = metrics
        self._usage_log = usage_log

    def options(self, job: Job) -> TranscribeOptions:
        return self._asked(job).options

    def answer(self, job: Job, transcript: Transcript, sha256: str) -> Outcome:
        asked = self._asked(job)
        self._metrics.count_recording(transcript)
        log_work(transcript)
        facts = RequestFacts(job.job_id, job.created, sha256, asked.tags, asked.extra)
        return Outcome(*render_answer(transcript, asked, facts))

    def refusal(self, job: Job, error: SttError) -> Outcome:
        return Outcome(render_error(error, job.job_id), "application/json", error.kind.value)

    def headers(self, job: Job, outcome: Outcome) -> dict[str, str]:
        return {"Content-Type": outcome.media_type, **callback_headers(job.job_id, job.key_id)}

    def usage(self, job: Job) -> UsageEntry:
        query = job.request.encode("latin-1")
        path = shown_path("/v1/listen", query)
        return UsageEntry(job.job_id, job.created, path, Method.ASYNC, usage_tags(query), job.key_id, is_wanted=True)

    async def keep_usage(self, entry: UsageEntry, outcome: Outcome) -> None:
        code = STATUS[ErrorKind(outcome.problem)] if outcome.problem else 200
        await self._usage_log.finish(entry, code)

    def count_delivery(self, result: str) -> None:
        self._metrics.deliveries.labels(result).inc()

    def _asked(self, job: Job) -> ListenRequest:
        return parse_listen(job.request.encode("latin-1"), self._max_channels)


def callback_headers(request_id: str, key_id: str) -> dict[str, str]:
    """What tells a receiver whose answer this is: the id of the request, and the id (never the secret) of the key."""
    return {"dg-request-id": request_id} | ({"dg-token": key_id} if key_id else {})
