"""``whisperapi wyoming``: speech-to-text for Home Assistant."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
from typing import Annotated, Any

import typer
from rich.console import Console

from app import __version__
from app.dialects.openai_names import wanted_language
from app.settings import Settings
from app.telemetry import configure_logging
from app.wiring import build_catalog, start_services
from app.wyoming.server import DEFAULT_PORT, Address, WyomingServer
from cli.failures import failed, plain_failures
from cli.models import ensure_default_model

OPEN_TO_ALL = "Wyoming knows no keys: whoever reaches this address can use it."


def wyoming(
    uri: Annotated[
        str, typer.Option(help="Where to listen: tcp://HOST:PORT (port 0: any free one) or unix:///PATH.")
    ] = f"tcp://127.0.0.1:{DEFAULT_PORT}",
    model: Annotated[str | None, typer.Option(help="Default model; pulled when it is not here.")] = None,
    language: Annotated[
        str, typer.Option(help="Language of commands that name none, or `auto` to detect it each time.")
    ] = "auto",
    workers: Annotated[int | None, typer.Option(help="Decode workers per model.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads per worker.")] = None,
) -> None:
    """Serve the Wyoming protocol of Home Assistant."""
    given: dict[str, Any] = {"default_model": model, "workers": workers, "threads": threads}
    with plain_failures():
        address, spoken = Address.parse(uri), wanted_language(language)
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
        configure_logging(settings.log_level, settings.log_format)
        console = Console(stderr=True)
        found, notice = ensure_default_model(settings, build_catalog(settings), console)
        settings = settings.model_copy(update={"default_model": found.info.name})
        notices = [text for text in (notice, None if is_private(address) else OPEN_TO_ALL) if text is not None]
        try:
            asyncio.run(_serve(settings, address, spoken, notices))
        except OSError as error:
            raise failed(f"Cannot listen on {address}: {error.strerror or 'the address cannot be used'}") from error


def is_private(address: Address) -> bool:
    """Whether only this machine can reach it."""
    if address.path or address.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return False


async def _serve(settings: Settings, address: Address, language: str | None, notices: list[str]) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    services = await start_services(settings)
    try:
        server = WyomingServer(services.live, services.catalog, language, 2 * settings.max_streams, services.usage_log)
        try:
            print(welcome(await server.start(address), notices), flush=True)
            await stopped.wait()
        finally:
            await server.close(settings.shutdown_timeout_s)
    finally:
        await services.close()


def welcome(address: Address, notices: list[str]) -> str:
    """What is printed once the server listens."""
    lines = ["", f"Whisper API {__version__} speaks Wyoming on {address}", ""]
    for notice in notices:
        lines += [f"NOTE: {notice}", ""]
    lines += ["Home Assistant: Settings, Devices & services, Add integration, Wyoming Protocol; then host and port.", ""]
    return "\n".join(lines)
