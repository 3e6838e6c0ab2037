"""The checks of the other servers that recognise speech for this one."""

from __future__ import annotations

import asyncio

from app.engines.remote_client import BackendClient
from app.settings import Settings
from app.wiring import build_backends
from cli.doctor_finding import Finding, Outcome

PATIENCE_S = 5.0


def check_backends(settings: Settings) -> Finding:
    """Whether each of them is there. Whether it takes our credentials shows only when it is asked for words."""
    names = list(settings.resolved_backends)
    if not names:
        return Finding("backends", Outcome.OK, "none: speech is recognised on this machine")
    away = asyncio.run(_away(settings))
    if away:
        remedy = "Start it, or mend its address: WHISPERAPI_BACKEND_URL, WHISPERAPI_BACKENDS."
        return Finding("backends", Outcome.WARNING, f"nobody answers for {', '.join(away)}", remedy)
    return Finding("backends", Outcome.OK, f"{', '.join(names)}: there")


async def _away(settings: Settings) -> list[str]:
    """The names of those that do not answer."""
    clients = {backend.name: BackendClient(backend) for backend in build_backends(settings)}
    try:
        answers = await asyncio.gather(*(client.probe(PATIENCE_S) for client in clients.values()))
    finally:
        await asyncio.gather(*(client.close() for client in clients.values()))
    return [name for name, is_there in zip(clients, answers, strict=True) if not is_there]
