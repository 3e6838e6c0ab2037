"""``whisperapi serve``: migrate, make a first key, find a model, start, and say how to try it."""

from __future__ import annotations

import asyncio
import ipaddress
import math
import shlex
import signal
import sys
from contextlib import closing, suppress
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Annotated, Any

import typer
import uvicorn
from fastapi import FastAPI
from rich.console import Console

import models
from app import __version__
from app.main import create_app
from app.settings import Settings
from app.telemetry import configure_logging
from app.wiring import build_accounts, build_catalog, build_diarizer, start_services
from cli.bench import auto_tune as tune
from cli.failures import plain_failures
from cli.garbage import keep_collections_short
from cli.models import ensure_default_model
from cli.websocket_protocol import WebSocketProtocol

SAMPLE = Path(models.__file__).parent / "hello-world.wav"
"""A clip that comes with the program, so that the first request needs nothing else."""

TEST_TOKENS = (
    "test tokens are on: every program on this machine can get itself a key. WHISPERAPI_TEST_TOKENS is for development only."
)

_REACHED_AT = {"0.0.0.0": "127.0.0.1", "localhost": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked up, not bound
_FAREWELL_S = 3
"""Seconds in which requests that were broken off are told so."""

_KEEP_ALIVE_S = 75
"""Seconds an idle connection stays open: longer than the pause between two requests of most clients' pools."""


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0: any free one.")] = None,
    model: Annotated[str | None, typer.Option(help="Default model; pulled when it is not here.")] = None,
    workers: Annotated[int | None, typer.Option(help="Decode workers per model.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads per worker.")] = None,
    auto_tune: Annotated[bool, typer.Option("--auto-tune", help="Choose workers and threads by measuring.")] = False,
    no_auth: Annotated[bool, typer.Option("--no-auth", help="Answer without keys (loopback only).")] = False,
    insecure: Annotated[bool, typer.Option("--insecure", help="Allow --no-auth on any address.")] = False,
) -> None:
    """Start the server."""
    given: dict[str, Any] = {
        "host": host,
        "port": port,
        "default_model": model,
        "workers": workers,
        "threads": threads,
        "auto_tune": True if auto_tune else None,
        "auth": False if no_auth else None,
        "insecure": True if insecure else None,
    }
    with plain_failures():
        _serve(Settings(**{name: value for name, value in given.items() if value is not None}))


def _serve(settings: Settings) -> None:
    console = Console(stderr=True)
    if not settings.auth and not settings.insecure and not _is_loopback(settings.host):
        console.print(f"Refusing to serve {settings.host} without keys: others could use it. Add --insecure if you mean it.")
        raise typer.Exit(2)
    configure_logging(settings.log_level, settings.log_format)
    first_key = _ensure_first_key(settings) if settings.auth else None
    found, notice = ensure_default_model(settings, build_catalog(settings), console)
    serving = settings.model_copy(update={"default_model": found.info.name})
    build_diarizer(serving, build_catalog(serving))  # says in a sentence, before anything starts, what is missing for it
    if serving.auto_tune:
        serving = tune(serving, found, console)
    # uvicorn raises the signal again once it has shut down in order; ending on request is no failure
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with suppress(KeyboardInterrupt):
        notices = (*(() if notice is None else (notice,)), *((TEST_TOKENS,) if serving.test_tokens else ()))
        _Server(serving, notices, first_key).run()


class _Server(uvicorn.Server):
    """uvicorn, which says how to try the server once its socket is open."""

    def __init__(self, settings: Settings, notices: tuple[str, ...], first_key: str | None) -> None:
        self._settings = settings
        self._notices = notices
        self._first_key = first_key
        self._loop: asyncio.AbstractEventLoop | None = None
        self._app = create_app(settings, start_services, notices)
        super().__init__(server_config(self._app, settings))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._loop is not None and not self.started:
            self._loop.call_soon_threadsafe(self._give_up_start)

    def _give_up_start(self) -> None:
        """Stop loading models: gigabytes from a slow disk may take longer than a service manager waits."""
        starting: asyncio.Future[Any] | None = getattr(self._app.state, "starting", None)
        if starting is not None and not starting.done():
            starting.cancel()
            self.lifespan.should_exit = True  # uvicorn then opens no socket

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        for server in self.servers:
            server.close()
        # before uvicorn closes the connections: live clients get their last finals first (contract 3.6)
        began = monotonic()
        await self._app.state.services.drain(self._settings.shutdown_timeout_s)
        left_s = max(0.0, self._settings.shutdown_timeout_s - (monotonic() - began))
        self.config.timeout_graceful_shutdown = math.ceil(left_s) + _FAREWELL_S
        giving_up = asyncio.ensure_future(self._give_up_requests(left_s))
        try:
            await super().shutdown(sockets)
        finally:
            giving_up.cancel()

    async def _give_up_requests(self, after_s: float) -> None:
        """Break off what then still runs, so that it is answered: uvicorn would drop it without a word of ours."""
        await asyncio.sleep(after_s)
        await self._app.state.services.give_up()

    async def startup(self, sockets: list[Any] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await super().startup(sockets)
        except SystemExit:
            if not self.should_exit:
                raise
            await self.lifespan.shutdown()  # nobody else ends what the lifespan has begun
        if self.started:
            keep_collections_short()
            port = self.servers[0].sockets[0].getsockname()[1]
            print(welcome(self._settings, port, self._notices, self._first_key), flush=True)


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves ``app``."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http="httptools",
        ws=WebSocketProtocol,
        ws_per_message_deflate=False,  # sound does not get smaller by it, and each message would be unpacked in vain
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )


def welcome(settings: Settings, port: int, notices: tuple[str, ...], first_key: str | None) -> str:
    """What is printed once the server listens: where it is, what to know, and a line that can be pasted to try it."""
    host = _REACHED_AT.get(settings.host, settings.host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    lines = ["", f"Whisper API {__version__} is listening on {url}", f"Documentation: {url}/docs", ""]
    for notice in notices:
        lines += [f"NOTE: {notice}", ""]
    if first_key is not None:
        lines += ["Your API key, shown this once and stored only as a hash:", "", f"    {first_key}", ""]
    header = ""
    if settings.auth:
        header = f' -H "Authorization: Token {first_key or "$WHISPERAPI_KEY"}"'
        if first_key is None:
            lines += ["Set WHISPERAPI_KEY to your key; `whisperapi keys create` makes another one.", ""]
    lines += [
        "Try it:",
        "",
        f'    curl{header} --data-binary {shlex.quote(f"@{SAMPLE}")} "{url}/v1/listen?punctuate=true"',
        "",
    ]
    return "\n".join(lines)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _ensure_first_key(settings: Settings) -> str | None:
    with closing(build_accounts(settings)) as accounts:
        return accounts.ensure_first_key()
