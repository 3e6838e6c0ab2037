"""A server whose engine is scripted, for what the protocol costs by itself: ``python -m benchmarks.scripted_server PORT``.

Served as ``whisperapi serve`` does it, without keys.
"""

from __future__ import annotations

import argparse
from tempfile import TemporaryDirectory

import uvicorn

from app import wiring
from app.domain.ports import EnginePool, InstalledModel
from app.engines.scripted import ScriptedEngine, ScriptedPool, ScriptedVad, say
from app.main import create_app
from app.services.bundle import Services
from app.services.residency import ResidentModels
from app.settings import Settings
from app.telemetry import configure_logging
from cli.garbage import keep_collections_short
from cli.serve import server_config

TEXT = "the quick brown fox jumps over the lazy dog and runs away into the dark wood where nobody will ever find it again"
WORD_S = 0.4
TALK_S = 4.0
PAUSE_S = 1.0


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--vad", choices=["silero", "scripted"], default="silero")
    arguments = parser.parse_args()
    if arguments.vad == "scripted":
        talk = tuple((start, start + TALK_S) for start in (0.3 + index * (TALK_S + PAUSE_S) for index in range(60)))
        wiring.load_vad = lambda: ScriptedVad(*talk)
    configure_logging("error", "json")
    with TemporaryDirectory() as folder:
        given = {"data_dir": folder, "default_model": "selftest", "auth": False, "max_streams": 2000, "port": arguments.port}
        settings = Settings(_env_file=None, **given)
        uvicorn.Server(server_config(create_app(settings, _start), settings)).run()


async def _start(settings: Settings) -> Services:
    async def start_pool(_: InstalledModel) -> EnginePool:
        return ScriptedPool(ScriptedEngine(say(TEXT, word_s=WORD_S)))

    catalog = wiring.build_catalog(settings)
    models = ResidentModels(start_pool)
    await models.pool(catalog.default())
    services = wiring.build_services(settings, wiring.build_accounts(settings), catalog, models)
    keep_collections_short()
    return services


if __name__ == "__main__":
    main()
