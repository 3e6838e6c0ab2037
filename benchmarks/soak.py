"""Hours of sound through one running server, as fast as it takes it: ``python -m benchmarks.soak --hours 1``.

One stream each of silence, of noise and of speech, all with interims. Reported: words, the engine's seconds, whether the
finals tile the sound, and the memory of the server with its workers after every tenth of the stream. Targets: silence and
noise have no words and cost no engine time; memory is flat; the speech has the words its clips have one by one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.harness import API_KEY, AUDIO, ROOT, Server, expanded_model, read_clip, running_server, save
from benchmarks.live import linear16

CLIPS = ("sentences-10s.wav", "dialogue-two-speakers.wav", "phone-number.wav")
QUERY = "encoding=linear16&sample_rate=16000&interim_results=true&vad_events=true&utterance_end_ms=1000"
BYTES_PER_S = 32_000
MESSAGE_BYTES = BYTES_PER_S // 2
SAMPLES = 10
"""How often memory is looked at in each stream."""

PAUSE_S = 1.024
"""Silence after each clip: whole windows of the detector, to which the clips are padded, so that all rounds sound alike."""

WINDOW_BYTES = 1024


@dataclass
class Record:
    """What one stream told, and what it cost."""

    kinds: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    covered_s: float = 0.0
    gaps: int = 0
    sent_bytes: int = 0
    memory_mb: list[float] = field(default_factory=list)


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0, help="of each kind of sound")
    parser.add_argument("--size", default="selftest", choices=["selftest", "tiny", "base", "small"])
    parser.add_argument("--only", nargs="+", choices=list(SOUNDS), default=list(SOUNDS))
    arguments = parser.parse_args()
    selftest = arguments.size == "selftest"
    model = ROOT / "models" / "ggml-selftest.bin" if selftest else expanded_model(arguments.size)
    table: dict[str, Any] = {"hours": arguments.hours, "size": arguments.size}
    with running_server(model) as server:
        clips = [clip for name in CLIPS for clip in _recording(server, name)]
        for name in arguments.only:
            table[name] = _soaked(server, name, round(arguments.hours * 3600 * BYTES_PER_S), clips)
    save("soak", table)


def _silence() -> Iterator[bytes]:
    while True:
        yield bytes(MESSAGE_BYTES)


def _noise() -> Iterator[bytes]:
    """White noise as loud as that of the clip, never twice the same."""
    level = float(np.sqrt(np.mean(np.square(read_clip("noise-5s.wav")))))
    chance = np.random.default_rng(1)
    while True:
        yield linear16(chance.normal(0.0, level, MESSAGE_BYTES // 2).astype(np.float32))


def _speech() -> Iterator[bytes]:
    sound = b"".join(_whole_windows(linear16(read_clip(name))) + bytes(round(PAUSE_S * BYTES_PER_S)) for name in CLIPS)
    while True:
        yield sound


def _whole_windows(sound: bytes) -> bytes:
    return sound + bytes(-len(sound) % WINDOW_BYTES)


SOUNDS: dict[str, Callable[[], Iterator[bytes]]] = {"silence": _silence, "noise": _noise, "speech": _speech}


def _recording(server: Server, name: str) -> list[str]:
    """The words that a clip has over REST."""
    answer = server.client.post("/v1/listen", content=(AUDIO / name).read_bytes()).raise_for_status().json()
    return str(answer["results"]["channels"][0]["alternatives"][0]["transcript"]).split()


def _soaked(server: Server, name: str, total_bytes: int, clips: list[str]) -> dict[str, Any]:
    """One stream from its first byte to its close. ``clips``: the words of the clips that speech is made of."""
    record = Record()
    engine_s = _engine_seconds(server)
    began = perf_counter()
    asyncio.run(_stream(server, SOUNDS[name](), total_bytes, record))
    wall_s = perf_counter() - began
    after = _memory_mb(server.pid)
    table = {
        "sound_s": record.sent_bytes / BYTES_PER_S,
        "wall_s": round(wall_s, 1),
        "words": record.words.total(),
        "engine_s": round(_engine_seconds(server) - engine_s, 3),
        "messages": dict(record.kinds),
        "covered_by_finals_s": round(record.covered_s, 3),
        "gaps_between_finals": record.gaps,
        "memory_mb": record.memory_mb,
        "memory_after_mb": after,
        "memory_grown_mb": round(record.memory_mb[-1] - record.memory_mb[len(record.memory_mb) // 2], 1),
    }
    if name == "speech":
        rounds = record.sent_bytes // len(next(_speech()))
        expected = Counter({word: count * rounds for word, count in Counter(clips).items()})
        table |= {
            "rounds": rounds,
            "words_of_the_recordings": expected.total(),
            "words_missing": (expected - record.words).total(),
            "words_too_many": (record.words - expected).total(),
        }
    return table


async def _stream(server: Server, sound: Iterator[bytes], total_bytes: int, record: Record) -> None:
    """Send and listen to the end."""
    url = f"{server.url.replace('http', 'ws')}/v1/listen?{QUERY}"
    headers = {"Authorization": f"Token {API_KEY}"}
    # a server that holds its client back does not read its pings
    async with connect(
        url, additional_headers=headers, max_size=None, proxy=None, compression=None, ping_timeout=None
    ) as socket:
        sender = asyncio.create_task(_send(socket, server.pid, sound, total_bytes, record))
        async for message in socket:
            _note(json.loads(message), record)
        if socket.close_code != 1000:
            raise RuntimeError(f"the stream ended with {socket.close_code} {socket.close_reason}")
        await sender


async def _send(socket: ClientConnection, pid: int, sound: Iterator[bytes], total_bytes: int, record: Record) -> None:
    """Whole pieces only, so that every clip that was begun is heard to its end."""
    for piece in sound:
        if record.sent_bytes + len(piece) > total_bytes:
            break
        for begin in range(0, len(piece), MESSAGE_BYTES):
            message = piece[begin : begin + MESSAGE_BYTES]
            await socket.send(message)
            record.sent_bytes += len(message)
            if record.sent_bytes * SAMPLES // total_bytes > len(record.memory_mb):
                record.memory_mb.append(_memory_mb(pid))
    await socket.send('{"type":"CloseStream"}')


def _note(message: dict[str, Any], record: Record) -> None:
    kind = str(message["type"])
    if kind == "Results":
        kind = "final" if message["is_final"] else "interim"
        words = message["channel"]["alternatives"][0]["words"]
        if message["is_final"]:
            record.words.update(word["word"] for word in words)
            record.gaps += abs(message["start"] - record.covered_s) > 1e-6
            record.covered_s = message["start"] + message["duration"]
        elif words:
            kind = "interim with words"
    record.kinds[kind] += 1


def _engine_seconds(server: Server) -> float:
    shown = server.client.get("/metrics").text.splitlines()
    return float(next(line for line in shown if line.startswith("whisperapi_decode_seconds_sum")).split()[-1])


def _memory_mb(pid: int) -> float:
    """PSS of the server and all its descendants, in megabytes."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has just ended
        parents.setdefault(parent, []).append(int(stat.parent.name))
    family = [pid]
    for member in family:
        family += parents.get(member, [])
    return round(sum(_pss_kb(member) for member in family) / 1024, 1)


def _pss_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    main()
