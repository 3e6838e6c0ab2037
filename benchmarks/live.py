"""Paced live streams against a running server, measured as Deepgram's published load test measures them.

Interim cursor latency: audio sent when an interim arrives, minus the end of what it covers. Endpointing latency: audio sent
when ``speech_final`` arrives, minus the end of the last word; what exceeds the endpointing time is the server's own.
"""

from __future__ import annotations

import asyncio
import json
import statistics
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
from websockets.asyncio.client import connect

from benchmarks.harness import API_KEY

CHUNK_S = 0.05
"""Seconds of audio in one message: what LiveKit sends (contract 6.1)."""
ENDPOINTING_MS = 300


@dataclass
class StreamRecord:
    """What one stream saw. Latencies in seconds; ``words`` are those of its finals."""

    interim_latencies: list[float] = field(default_factory=list)
    endpointing_latencies: list[float] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)
    sent_s: float = 0.0


async def play(url: str, pcm16: bytes, record: StreamRecord, delay_s: float = 0.0, speed: float = 1.0) -> None:
    """Send ``pcm16`` (linear16, 16 kHz mono) at the speed of speech and note when what comes back."""
    query = f"encoding=linear16&sample_rate=16000&interim_results=true&endpointing={ENDPOINTING_MS}&punctuate=true"
    headers = {"Authorization": f"Token {API_KEY}"}
    await asyncio.sleep(delay_s)
    async with connect(f"{url}/v1/listen?{query}", additional_headers=headers, max_size=None) as socket:
        started = perf_counter()
        sender = asyncio.create_task(_send(socket, pcm16, started, speed, record))
        async for text in socket:
            _note(json.loads(text), record, ended=sender.done())
        await sender


async def _send(socket: Any, pcm16: bytes, started: float, speed: float, record: StreamRecord) -> None:
    step = int(CHUNK_S * 32_000)
    for index in range(0, len(pcm16), step):
        due = started + (index / 32_000 + CHUNK_S) / speed
        await asyncio.sleep(max(0.0, due - perf_counter()))
        record.lateness.append(perf_counter() - due)
        await socket.send(pcm16[index : index + step])
        record.sent_s = (index + step) / 32_000
    await socket.send('{"type":"CloseStream"}')


def _note(message: dict[str, Any], record: StreamRecord, *, ended: bool) -> None:
    if message["type"] != "Results":
        return
    words = message["channel"]["alternatives"][0]["words"]
    if message["is_final"]:
        record.words += [word["word"] for word in words]
        if message["speech_final"] and words and not ended:
            record.endpointing_latencies.append(record.sent_s - words[-1]["end"])
    elif words:
        record.interim_latencies.append(record.sent_s - message["start"] - message["duration"])


def linear16(pcm: np.ndarray[Any, np.dtype[np.float32]]) -> bytes:
    """Float samples as 16-bit little-endian bytes."""
    return (np.clip(pcm, -1, 1) * 32767).astype("<i2").tobytes()


def percentiles(values: list[float]) -> dict[str, float | int]:
    """Count, p50, p90 and p99 in milliseconds."""
    if not values:
        return {"n": 0}
    ordered = sorted(values)
    points = {f"p{p}": round(1000 * ordered[min(len(ordered) - 1, len(ordered) * p // 100)], 1) for p in (50, 90, 99)}
    return {"n": len(values), "mean": round(1000 * statistics.fmean(values), 1), **points}
