"""What it costs that another server recognises: ``python -m benchmarks.gateway``.

Two measures, in milliseconds. ``stand-in``: a server that answers after exactly ``DELAY_S``, asked straight through the
pool (one live decode) and through a whole gateway (one recording); what is beyond the delay is ours. ``own server``: the
same clip to a server with real weights and to a gateway in front of it, in turn; the difference of the medians. Both share
the machine's cores, so what one does while the other works is in it. Target: below 20 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import httpx

from app.domain.audio import SAMPLE_RATE
from app.domain.options import DecodeOptions
from app.domain.ports import JobClass
from app.engines.remote import RemotePool
from app.engines.remote_backend import Backend
from benchmarks.harness import API_KEY, AUDIO, ROOT, Server, expanded_model, read_clip, running_server, save

CLIPS = ("hello-world.wav", "sentences-10s.wav")
DELAY_S = 0.1
SELFTEST = ROOT / "models" / "ggml-selftest.bin"
_ANSWER = {
    "text": "Hello world.",
    "language": "english",
    "segments": [{"start": 0.2, "end": 0.8, "text": " Hello world.", "avg_logprob": -0.2}],
    "words": [{"word": "Hello", "start": 0.2, "end": 0.5}, {"word": "world", "start": 0.5, "end": 0.8}],
}


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--size", default="tiny")
    arguments = parser.parse_args()
    with stand_in() as url:
        table: dict[str, Any] = {
            "stand-in, one decode through the pool": asyncio.run(_through_the_pool(url, arguments.rounds)),
            "stand-in, one recording through a gateway": _recording(url, arguments.rounds),
        }
    for clip in CLIPS:
        table[f"own server ({arguments.size}), {clip}"] = _own_server(arguments.size, clip, arguments.rounds)
    save("gateway", table)


@contextmanager
def stand_in() -> Iterator[str]:
    """A server on an event loop of its own that answers every form after ``DELAY_S``. Yields its address."""
    started = threading.Event()
    box: list[tuple[asyncio.AbstractEventLoop, str]] = []
    ended = asyncio.Event()
    body = json.dumps(_ANSWER).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                asked = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                size = asked.partition("content-length: ")[2].partition("\r")[0]
                await reader.readexactly(int(size or 0))
                if asked.startswith("post"):
                    await asyncio.sleep(DELAY_S)
                writer.write(head + body)
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=1 << 20)
        box.append((asyncio.get_running_loop(), f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"))
        started.set()
        await ended.wait()
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    started.wait(10)
    loop, url = box[0]
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)


async def _through_the_pool(url: str, rounds: int) -> dict[str, float]:
    pool = await RemotePool.start(Backend("remote", url))
    pcm = read_clip("sentences-10s.wav")[: 5 * SAMPLE_RATE]
    took = []
    try:
        async with pool.admit(live=True) as session:
            for _ in range(rounds):
                began = perf_counter()
                await session.transcribe(pcm, DecodeOptions(), JobClass.FINAL)
                took.append(perf_counter() - began - DELAY_S)
    finally:
        await pool.close()
    return _figures(took)


def _recording(url: str, rounds: int) -> dict[str, float]:
    with gateway(url) as front:
        ask = _asker(front, "hello-world.wav")
        ask()
        return _figures([ask() - DELAY_S for _ in range(rounds)])


def _own_server(size: str, clip: str, rounds: int) -> dict[str, Any]:
    with running_server(expanded_model(size)) as behind, gateway(f"{behind.url}/v1", f"Bearer {API_KEY}") as front:
        ways = {
            "direct": _form_asker(behind, clip),
            "direct, /v1/listen": _asker(behind, clip),
            "through": _asker(front, clip),
        }
        for ask in ways.values():
            ask()
        took: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, ask in ways.items():
                took[name].append(ask())
    figures: dict[str, Any] = {name: _figures(seconds) for name, seconds in took.items()}
    return figures | {"added_p50_ms": round(figures["through"]["p50_ms"] - figures["direct"]["p50_ms"], 1)}


@contextmanager
def gateway(url: str, authorization: str = "") -> Iterator[Server]:
    """One of our servers that recognises nothing itself."""
    environment = {"BACKEND_URL": url, "BACKEND_AUTH": authorization, "DEFAULT_MODEL": "remote"}
    with running_server(SELFTEST, **{f"WHISPERAPI_{name}": value for name, value in environment.items()}) as server:
        yield server


def _asker(server: Server, clip: str) -> Callable[[], float]:
    """Asks for the words of ``clip`` and says how long that took, in seconds."""
    sound = (AUDIO / clip).read_bytes()
    return _timed(lambda: server.client.post("/v1/listen", content=sound))


def _form_asker(server: Server, clip: str) -> Callable[[], float]:
    """The same as a gateway asks it."""
    sound = (AUDIO / clip).read_bytes()
    form = {"language": "en", "response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]}
    return _timed(lambda: server.client.post("/v1/audio/transcriptions", data=form, files={"file": ("audio.wav", sound)}))


def _timed(post: Callable[[], httpx.Response]) -> Callable[[], float]:
    def ask() -> float:
        began = perf_counter()
        answer = post()
        took_s = perf_counter() - began
        if not answer.is_success:
            raise httpx.HTTPError(answer.text)
        return took_s

    return ask


def _figures(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    p90 = ordered[min(len(ordered) - 1, len(ordered) * 9 // 10)]
    return {"p50_ms": round(1000 * statistics.median(ordered), 1), "p90_ms": round(1000 * p90, 1)}


if __name__ == "__main__":
    sys.exit(main())
