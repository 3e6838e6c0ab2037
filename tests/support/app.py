"""The application with scripted engines behind it: protocol tests need no weights and no processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from app.engines.scripted import ScriptedPool, ScriptedVad
from starlette.testclient import TestClient

from app.audio.decode import Decoder
from app.domain.audio import AudioLimits
from app.domain.ports import EnginePool, InstalledModel
from app.main import create_app
from app.outbound import HttpFetcher
from app.services.bundle import Services
from app.services.accounts import Accounts
from app.services.catalog import Catalog
from app.services.residency import ResidentModels
from app.services.transcribe import DecodingDefaults, Transcriber
from app.settings import Settings
from tests.support.memory_keys import MemoryKeyStore

STATIC_KEY = "the-static-key"


def settings_for(folder: Path, **given: Any) -> Settings:
    """Settings that read nothing from the environment's files and keep everything below ``folder``."""
    defaults: dict[str, Any] = {"data_dir": folder, "default_model": "selftest", "api_key": STATIC_KEY, "log_level": "error"}
    return Settings(_env_file=None, **(defaults | given))


@contextmanager
def scripted_client(folder: Path, pool: ScriptedPool | None = None, **given: Any) -> Iterator[TestClient]:
    """A client of the running application. It sends the static key unless told otherwise."""
    settings = settings_for(folder, **given)
    engines = pool or ScriptedPool()

    async def start(_: Settings) -> Services:
        catalog = Catalog.open(settings.resolved_models_dir, settings.default_model, settings.unknown_model)

        async def start_pool(_: InstalledModel) -> EnginePool:
            return engines

        models = ResidentModels(start_pool)
        await models.pool(catalog.default())
        transcriber = Transcriber(
            Decoder(),
            ScriptedVad(),
            catalog,
            models,
            AudioLimits(settings.max_audio_seconds, settings.max_channels),
            settings.request_timeout_s,
            DecodingDefaults(),
        )
        accounts = Accounts(MemoryKeyStore(), lambda: datetime.now(timezone.utc), settings.api_key)
        return Services(accounts, catalog, models, transcriber, HttpFetcher(allow=settings.fetch_allow))

    app = create_app(settings, start)
    headers = {"Authorization": f"Token {STATIC_KEY}"}
    with TestClient(app, headers=headers, raise_server_exceptions=False) as client:
        yield client
