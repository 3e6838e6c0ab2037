"""The composition root: the only module that names adapters. Settings in, services out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from app.audio.decode import Decoder
from app.audio.live import LiveDecoders
from app.audio.vad import load_vad
from app.diarization.basic import BasicDiarizer
from app.diarization.sherpa import SherpaDiarizer, is_installed
from app.domain.audio import AudioLimits
from app.domain.errors import Unavailable
from app.domain.intelligence.chat import ChatModel
from app.domain.jobs import JobLimits
from app.domain.languages import WHISPER_V3_LANGUAGES
from app.domain.ports import Diarizer, EnginePool, InstalledModel
from app.domain.project import PROJECT_ID
from app.domain.transcript import ModelInfo
from app.engines.cpu import plan_workers, usable_cores
from app.engines.memory import expected_bytes, pool_bytes
from app.engines.pool import ProcessPool
from app.engines.remote import RemotePool
from app.engines.remote_backend import Backend
from app.hub import Hub, HubError, present_bytes, verify
from app.intelligence.chat import OpenAiChat
from app.outbound import HttpFetcher
from app.outbound_callbacks import HttpDeliverer
from app.outbound_live import LiveCallbackClient
from app.services.accounts import Accounts
from app.services.bundle import Services
from app.services.catalog import Catalog, PullFailed
from app.services.catalog_entries import CatalogEntry
from app.services.installed_models import model_uuid
from app.services.intelligence import Analyst
from app.services.job_recognition import Recognition
from app.services.job_runner import JobRules, JobRunner
from app.services.jobs import Jobs
from app.services.live import LiveStreams, StreamLimits
from app.services.pulls import Fetch, Present, Pulls
from app.services.residency import ResidentModels, StartPool
from app.services.resident import ResidencyRules
from app.services.tokens import Tokens
from app.services.transcribe import DecodingDefaults, Transcriber
from app.services.usage import Usage
from app.services.usage_log import UsageLog
from app.settings import Settings
from app.storage.database import open_database
from app.storage.jobs import SqlJobStore
from app.storage.migrate import upgrade
from app.storage.secrets import SqlSecretStore
from app.storage.spool import FolderSpool
from app.storage.stores import SqlKeyStore
from app.storage.usage import SqlUsageStore

DIARIZER_THREADS = 2
"""Threads that telling speakers apart gets at least where there are as many."""

REMOTE_VERSION = "remote"
"""What responses give as version and architecture of models that other servers have: they say neither."""


def build_accounts(settings: Settings) -> Accounts:
    """Keys in the configured database, migrated to the newest schema first, and the secret that tokens are signed with."""
    upgrade(settings.resolved_database_url)
    engine = open_database(settings.resolved_database_url)
    tokens = Tokens(SqlSecretStore(engine), _now, PROJECT_ID)
    tokens.prepare()
    return Accounts(SqlKeyStore(engine), _now, settings.api_key, tokens)


def build_usage(settings: Settings) -> tuple[UsageLog, Usage]:
    """The record of requests in the configured database, migrated first: the one who writes and the one who reads it."""
    upgrade(settings.resolved_database_url)
    store = SqlUsageStore(open_database(settings.resolved_database_url))
    return UsageLog(store, _now, settings.usage_keep_days * 86_400.0), Usage(store)


def build_jobs(settings: Settings) -> Jobs:
    """Jobs in the configured database, migrated first, and their audio in the data folder."""
    upgrade(settings.resolved_database_url)
    store = SqlJobStore(open_database(settings.resolved_database_url, durable=True))
    limits = JobLimits(settings.max_jobs, settings.max_job_bytes, settings.max_pending_requests)
    return Jobs(store, FolderSpool(settings.data_dir / "jobs"), limits, _now)


def build_catalog(settings: Settings) -> Catalog:
    """The catalogue over the configured folder of weights."""
    return Catalog.open(
        settings.resolved_models_dir,
        settings.resolved_default_model,
        settings.unknown_model,
        [remote_model(backend) for backend in build_backends(settings)],
    )


async def start_services(settings: Settings) -> Services:
    """Everything, with the default model and the preloaded ones up and ready."""
    catalog = build_catalog(settings)
    models = ResidentModels(pool_starter(settings), residency_rules(settings))
    services = build_services(settings, build_accounts(settings), catalog, models)
    try:
        for remote in catalog.remote:  # kept: they take no memory, and are watched only while they are there
            await models.pool(remote, pinned=True)
        await models.pool(catalog.default(), pinned=settings.keep_default_model)
        for name in settings.preload_models:
            await models.pool(catalog.resolve(name).model, pinned=True)
    except BaseException:
        await models.close()
        raise
    return services


def build_services(settings: Settings, accounts: Accounts, catalog: Catalog, models: ResidentModels) -> Services:
    """Join the services to their adapters; nothing is started."""
    vad = load_vad()
    diarizer = build_diarizer(settings, catalog)
    limits = AudioLimits(settings.max_audio_seconds, settings.max_channels)
    defaults = DecodingDefaults(
        temperature=settings.temperature,
        beam_size=settings.beam_size,
        best_of=settings.best_of,
        fit_context=settings.fit_context,
    )
    analyst = Analyst(build_chat(settings), settings.intelligence_timeout_s)
    transcriber = Transcriber(
        Decoder(),
        vad,
        catalog,
        models,
        limits,
        settings.request_timeout_s,
        defaults,
        analyst,
        diarizer,
    )
    live = LiveStreams(
        LiveDecoders(),
        vad,
        catalog,
        models,
        limits,
        StreamLimits(settings.max_streams, settings.stream_idle_timeout_s),
        defaults,
        None if settings.diarizer == "off" else BasicDiarizer(),
    )
    fetcher = HttpFetcher(
        connect_timeout_s=settings.fetch_connect_timeout_s,
        total_timeout_s=settings.fetch_timeout_s,
        max_redirects=settings.fetch_max_redirects,
        allow=settings.fetch_allow,
    )
    deliverer = HttpDeliverer(
        connect_timeout_s=settings.callback_connect_timeout_s,
        total_timeout_s=settings.callback_timeout_s,
        allow=settings.callback_allow,
    )
    jobs = build_jobs(settings)
    usage_log, usage = build_usage(settings)
    recognition = Recognition(jobs, transcriber, fetcher, settings.max_body_bytes, settings.job_timeout_s)
    return Services(
        accounts=accounts,
        catalog=catalog,
        models=models,
        transcriber=transcriber,
        live=live,
        fetcher=fetcher,
        jobs=jobs,
        job_runner=JobRunner(jobs, recognition, deliverer, job_rules(settings), _now),
        deliverer=deliverer,
        live_callbacks=LiveCallbackClient(deliverer),
        usage_log=usage_log,
        usage=usage,
        pulls=Pulls(catalog, fetch_weights(settings), present_weights(settings)),
        adapters=(vad, diarizer),
    )


def build_diarizer(settings: Settings, catalog: Catalog) -> Diarizer | None:
    """What tells the speakers of recordings apart; None: nothing may. Raises ``Unavailable`` for one that is not there."""
    if settings.diarizer == "off":
        return None
    missing = missing_for_sherpa(catalog)
    if settings.diarizer == "basic" or (missing and settings.diarizer == "auto"):
        return BasicDiarizer()
    if missing:
        raise Unavailable(f"The diarizer `sherpa` cannot be used. {missing}")
    paths = {file.role: catalog.models_dir / file.file_name for file in catalog.data.speaker_files}
    plan = plan_workers(usable_cores(), settings.workers, settings.threads)
    threads = max(plan.threads, min(DIARIZER_THREADS, plan.workers))  # it has its turn while chunks are decoded
    return SherpaDiarizer(paths["segmentation"], paths["embedding"], threads)


def missing_for_sherpa(catalog: Catalog) -> str:
    """What has to be done before sherpa-onnx can tell speakers apart; empty: nothing. Reads the networks: 0.1 s."""
    if not is_installed():
        return "Install the extra: pip install 'whisperapi[diarize]'"
    try:
        for file in catalog.data.speaker_files:
            verify(file, catalog.models_dir)  # sherpa-onnx ends the process for a file that it cannot read
    except HubError as error:
        return str(error)
    return ""


def job_rules(settings: Settings) -> JobRules:
    """How recordings with a callback are run."""
    return JobRules(
        parallel=settings.parallel_jobs,
        attempts=settings.job_attempts,
        retries=settings.callback_retries,
        retry_s=settings.callback_retry_s,
        lease_s=settings.job_lease_s,
        keep_s=settings.job_keep_days * 86_400.0,
        orphan_s=2 * settings.upload_timeout_s,
    )


def build_chat(settings: Settings) -> ChatModel | None:
    """The language model that the operator named, or None."""
    if not settings.intelligence_url:
        return None
    return OpenAiChat(
        settings.intelligence_url,
        settings.intelligence_model,
        settings.intelligence_api_key,
        settings.intelligence_timeout_s,
    )


def build_backends(settings: Settings) -> tuple[Backend, ...]:
    """The other servers that recognise for this one."""
    return tuple(
        Backend(
            name=name,
            url=described.url,
            model=described.model or None,
            needs_wav=described.needs_wav,
            authorization=described.auth,
            timeout_s=described.timeout_s,
            parallel=described.parallel,
            languages=described.languages or WHISPER_V3_LANGUAGES,
            translates=described.translates,
        )
        for name, described in settings.resolved_backends.items()
    )


def remote_model(backend: Backend) -> InstalledModel:
    """The model that stands for another server."""
    can = backend.capabilities
    info = ModelInfo(backend.name, model_uuid(backend.name), version=REMOTE_VERSION, architecture=REMOTE_VERSION)
    return InstalledModel(info, Path(), 0, can.languages, can.multilingual, can.translates, is_remote=True)


def pool_starter(settings: Settings) -> StartPool:
    """How a model's workers are started."""

    backends = {backend.name: backend for backend in build_backends(settings)}

    async def start(model: InstalledModel) -> EnginePool:
        if model.is_remote:
            return await RemotePool.start(backends[model.info.name], settings.max_pending_requests)
        return await ProcessPool.start(
            model.path,
            workers=settings.workers,
            threads=settings.threads,
            use_gpu=settings.gpu,
            flash_attention=settings.flash_attention,
            max_pending=settings.max_pending_requests,
        )

    return start


def residency_rules(settings: Settings) -> ResidencyRules:
    """How long models stay, and what they may take. Models without weights here take nothing."""

    def estimate(model: InstalledModel) -> int:
        if not model.size_bytes:
            return 0
        return expected_bytes(
            model.size_bytes, settings.workers, settings.threads, flash_attention=settings.flash_attention is True
        )

    return ResidencyRules(
        ttl_s=settings.model_ttl_s,
        budget_bytes=settings.memory_budget_mb * 1_000_000 or None,
        estimate=estimate,
        measure=pool_bytes,
    )


def fetch_weights(settings: Settings) -> Fetch:
    """How a model of the catalogue is fetched into the models folder."""

    def fetch(entry: CatalogEntry, on_progress: Callable[[int, int], None]) -> None:
        try:
            Hub().pull(entry, settings.resolved_models_dir, on_progress)
        except HubError as error:
            raise PullFailed(str(error)) from error

    return fetch


def present_weights(settings: Settings) -> Present:
    """How much of a model an interrupted pull has left."""
    return lambda entry: present_bytes(entry, settings.resolved_models_dir)


def _now() -> datetime:
    return datetime.now(timezone.utc)
