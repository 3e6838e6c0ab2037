"""The application with scripted engines behind it: protocol tests need no weights and no processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from app.audio.decode import Decoder
from app.audio.live import LiveDecoders
from app.diarization.basic import BasicDiarizer
from app.domain.audio import AudioLimits
from app.domain.jobs import JobLimits
from app.domain.ports import EnginePool, Fetcher, InstalledModel, Vad
from app.domain.project import PROJECT_ID
from app.engines.scripted import ScriptedEngine, ScriptedPool, ScriptedVad, say
from app.main import create_app
from app.outbound import HttpFetcher
from app.outbound_callbacks import HttpDeliverer
from app.outbound_live import LiveCallbackClient
from app.services.accounts import Accounts
from app.services.bundle import Services
from app.services.catalog import Catalog
from app.services.job_recognition import Recognition
from app.services.job_runner import JobRunner
from app.services.jobs import Jobs
from app.services.live import LiveStreams, StreamLimits
from app.services.pulls import Pulls
from app.services.residency import ResidentModels, StartPool
from app.services.tokens import Tokens
from app.services.transcribe import DecodingDefaults, Transcriber
from app.services.usage import Usage
from app.services.usage_log import UsageLog
from app.settings import Settings
from app.storage.spool import FolderSpool
from app.wiring import fetch_weights, job_rules, present_weights, residency_rules
from tests.support.memory_jobs import MemoryJobStore
from tests.support.memory_keys import MemoryKeyStore
from tests.support.memory_usage import MemorySecretStore, MemoryUsageStore

STATIC_KEY = "the-static-key"
SPEECH = "Hello world. How are you?"


def settings_for(folder: Path, **given: Any) -> Settings:
    """Settings that read nothing from the environment's files and keep everything below ``folder``."""
    defaults: dict[str, Any] = {"data_dir": folder, "default_model": "selftest", "api_key": STATIC_KEY, "log_level": "error"}
    return Settings(_env_file=None, **(defaults | given))


@dataclass(frozen=True)
class Stage:
    """A running application and what stands behind it."""

    client: TestClient
    app: FastAPI
    pool: ScriptedPool
    accounts: Accounts
    usage: MemoryUsageStore


@contextmanager
def staged(
    folder: Path,
    pool: ScriptedPool | None = None,
    vad: Vad | None = None,
    fetcher: Fetcher | None = None,
    notices: tuple[str, ...] = (),
    start: StartPool | None = None,
    **given: Any,
) -> Iterator[Stage]:
    """Run the application. Its client sends the static key unless told otherwise; the engine says ``SPEECH``."""
    settings = settings_for(folder, **given)
    engines = pool or ScriptedPool(ScriptedEngine(say(SPEECH)))
    detector = vad or ScriptedVad((0.0, 3600.0))
    accounts = Accounts(MemoryKeyStore(), _now, settings.api_key, Tokens(MemorySecretStore(), _now, PROJECT_ID))
    usage = MemoryUsageStore()

    async def start_pool(_: InstalledModel) -> EnginePool:
        return engines

    async def start_all(_: Settings) -> Services:
        catalog = Catalog.open(settings.resolved_models_dir, settings.default_model, settings.unknown_model)
        models = ResidentModels(start or start_pool, residency_rules(settings))
        await models.pool(catalog.default(), pinned=settings.keep_default_model)
        limits = AudioLimits(settings.max_audio_seconds, settings.max_channels)
        defaults = DecodingDefaults()
        diarizer = None if settings.diarizer == "off" else BasicDiarizer()
        transcriber = Transcriber(
            Decoder(), detector, catalog, models, limits, settings.request_timeout_s, defaults, diarizer=diarizer
        )
        streams = StreamLimits(settings.max_streams, settings.stream_idle_timeout_s)
        live = LiveStreams(LiveDecoders(), detector, catalog, models, limits, streams, defaults, diarizer)
        fetching = fetcher or HttpFetcher(allow=settings.fetch_allow)
        deliverer = HttpDeliverer(allow=settings.callback_allow)
        jobs = Jobs(
            MemoryJobStore(), FolderSpool(folder / "jobs"), JobLimits(settings.max_jobs, settings.max_job_bytes), _now
        )
        recognition = Recognition(jobs, transcriber, fetching, settings.max_body_bytes, settings.job_timeout_s)
        return Services(
            accounts=accounts,
            catalog=catalog,
            models=models,
            transcriber=transcriber,
            live=live,
            fetcher=fetching,
            jobs=jobs,
            job_runner=JobRunner(jobs, recognition, deliverer, replace(job_rules(settings), poll_s=0.02), _now),
            deliverer=deliverer,
            live_callbacks=LiveCallbackClient(deliverer, retry_s=0.0),
            usage_log=UsageLog(usage, _now, settings.usage_keep_days * 86_400.0),
            usage=Usage(usage),
            pulls=Pulls(catalog, fetch_weights(settings), present_weights(settings)),
        )

    app = create_app(settings, start_all, notices)
    headers = {"Authorization": f"Token {STATIC_KEY}"}
    with TestClient(app, headers=headers, raise_server_exceptions=False) as client:
        yield Stage(client, app, engines, accounts, usage)


def _now() -> datetime:
    return datetime.now(timezone.utc)
