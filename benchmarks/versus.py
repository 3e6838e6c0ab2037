"""This server against its peers on the same weights: ``python -m benchmarks.versus --peers PYTHON``.

The self-test model at real dimensions, converted for each peer; same samples, same cores; the runs alternate, so that a slow
minute of the machine meets everybody; medians and their ratios. ``--peers`` is the Python of an environment with
faster-whisper, openai-whisper, torch and tiktoken; without it only raw whisper.cpp is compared. A peer that was not asked
for an item of work has no figure there.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import soundfile

from app.domain.audio import Pcm16k
from app.engines.cpu import usable_cores
from benchmarks.harness import ROOT, Server, expanded_model, median, read_clip, running_server, save
from benchmarks.margins import edits, plain
from benchmarks.recordings import talk

OURS = {"ours": {}, "ours, workers of one thread": {"WHISPERAPI_WORKERS": str(usable_cores()), "WHISPERAPI_THREADS": "1"}}
PEERS = {"raw": "ggml", "faster": "ctranslate2", "faster-int8": "ctranslate2", "openai": "openai.pt"}
BATCHED = {"faster-batched": "ctranslate2", "faster-int8-batched": "ctranslate2"}
LIMITS = [
    ("3 s clip", "raw", 0.20),
    ("11 s clip", "raw", 0.50),
    ("talk, one third silence", "raw", 0.40),
    ("talk", "faster-batched", 0.80),
    ("3 s clip", "faster-int8", 0.60),
    ("11 s clip", "faster-int8", 0.60),
    ("8 clips at once", "raw", 0.40),
]
"""Work, against whom, and the ratio that is wanted at most."""

LONG_S = 200.0
Way = Callable[[list[Pcm16k]], tuple[float, list[str]]]


@dataclass(frozen=True)
class Work:
    """Samples to recognise, at once by those who can, and who is asked to."""

    pieces: list[Pcm16k]
    asked: tuple[str, ...]


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="base", choices=["tiny", "base", "small"])
    parser.add_argument("--peers", type=Path, help="python of the competitors' environment")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=600.0, help="length of the talks")
    parser.add_argument("--only", nargs="*", default=[], help="names of items of work")
    arguments = parser.parse_args()
    model = expanded_model(arguments.size)
    works = {name: work for name, work in _works(arguments.seconds).items() if not arguments.only or name in arguments.only}
    with ExitStack() as open_:
        ways: dict[str, Way] = {}
        for name, environment in OURS.items():
            ways[name] = _server_way(open_.enter_context(running_server(model, **environment)))
        ways["raw"] = open_.enter_context(_peer(Path(sys.executable), "raw", model))
        if arguments.peers:
            folder = _converted(arguments.peers, model)
            for kind, file in (PEERS | BATCHED).items():
                if kind != "raw" and any(kind in work.asked for work in works.values()):
                    ways[kind] = open_.enter_context(_peer(arguments.peers, kind, folder / file))
        table = {name: measure(work, ways, arguments.repeat) for name, work in works.items()}
    for name, row in table.items():
        for other in row["seconds"]:
            limit = next((limit for work, peer, limit in LIMITS if (work, peer) == (name, other)), None)
            ratio = row["best_s"] / row["seconds"][other]
            print(f"{name:26} {other:28} {row['seconds'][other]:8.3f} s  ours/theirs {ratio:5.2f}  wanted {limit or ''}")
    versions = _versions(arguments.peers) if arguments.peers else []
    save(f"versus-{arguments.size}", {"works": table, "peers": versions, "limits": LIMITS})


def measure(work: Work, ways: dict[str, Way], repeat: int) -> dict[str, Any]:
    """Median seconds of everybody asked, one after the other in every round, and how far their words differ from raw's."""
    asked = [name for name in ways if name in OURS or name in work.asked]
    times: dict[str, list[float]] = {name: [] for name in asked}
    heard: dict[str, list[str]] = {}
    short = sum(pcm.size for pcm in work.pieces) < LONG_S * 16_000
    for turn in range(repeat + short):  # of short work the first round fills caches and is not counted
        for name, (elapsed_s, heard[name]) in one_round({name: ways[name] for name in asked}, work.pieces):
            if turn or not short:
                times[name].append(elapsed_s)
    seconds = {name: median(values) for name, values in times.items()}
    words = {name: plain(" ".join(texts)) for name, texts in heard.items()}
    return {
        "audio_s": round(sum(pcm.size for pcm in work.pieces) / 16_000, 2),
        "best_s": min(seconds[name] for name in OURS),
        "seconds": seconds,
        "words": {name: len(said) for name, said in words.items()},
        "words_unlike_raw": {name: edits(words["raw"], said) for name, said in words.items()},
    }


def one_round(ways: dict[str, Way], pieces: list[Pcm16k]) -> list[tuple[str, tuple[float, list[str]]]]:
    """Everybody's seconds and texts, one after the other."""
    return [(name, way(pieces)) for name, way in ways.items()]


def _works(seconds: float) -> dict[str, Work]:
    names = ("sentences-10s", "dialogue-two-speakers", "phone-number", "damn-uh-um", "late-start")
    sentences, dialogue, phone, um, late = (read_clip(f"{name}.wav") for name in names)
    longer = [np.concatenate(pair) for pair in ((phone, um), (late, phone), (um, late))]
    eight = [sentences, dialogue, phone, um, late, *longer]
    everybody = tuple(PEERS)
    return {
        "3 s clip": Work([sentences[: 3 * 16_000]], everybody),
        "11 s clip": Work([dialogue], everybody),
        "8 clips at once": Work(eight, ("raw", "faster-int8")),
        "talk": Work([talk(seconds, 0.0)], ("raw", "faster-batched")),
        "talk, one third silence": Work([talk(seconds, 1 / 3)], ("raw", "faster-batched")),
    }


def _server_way(server: Server) -> Way:
    def recognise(pieces: list[Pcm16k]) -> tuple[float, list[str]]:
        files = [_wav(pcm) for pcm in pieces]
        started = perf_counter()
        with ThreadPoolExecutor(len(files)) as clients:
            texts = list(clients.map(lambda file: _listen(server, file), files))
        return perf_counter() - started, texts

    return recognise


def _listen(server: Server, file: bytes) -> str:
    response = server.client.post("/v1/listen?filler_words=true", content=file)
    response.raise_for_status()
    return str(response.json()["results"]["channels"][0]["alternatives"][0]["transcript"])


def _wav(pcm: Pcm16k) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, pcm, 16_000, format="WAV", subtype="PCM_16")
    return file.getvalue()


@contextmanager
def _peer(python: Path, kind: str, model: Path) -> Iterator[Way]:
    """A competitor that has loaded its model; it takes pieces one after the other."""
    command = [str(python), "-m", "benchmarks.versus_peer", kind, str(model), str(usable_cores())]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        given, answers = process.stdin, process.stdout
        if given is None or answers is None or not answers.readline():
            raise RuntimeError(f"{kind} did not start")

        def recognise(pieces: list[Pcm16k]) -> tuple[float, list[str]]:
            total_s, texts = 0.0, []
            for number, pcm in enumerate(pieces):
                path = Path(folder) / f"{number}.npy"
                np.save(path, pcm)
                given.write(f"{path}\n")
                given.flush()
                answer = json.loads(answers.readline())
                total_s += answer["seconds"]
                texts.append(answer["text"])
            return total_s, texts

        yield recognise
        given.close()


def _converted(python: Path, model: Path) -> Path:
    folder = model.with_suffix(".peers")
    if not (folder / "ctranslate2" / "tokenizer.json").exists():
        command = [str(python), "-m", "benchmarks.versus_models", str(model), str(folder)]
        subprocess.run(command, cwd=ROOT, check=True, env=os.environ)
    return folder


def _versions(python: Path) -> list[str]:
    names = ("faster-whisper", "ctranslate2", "openai-whisper", "torch")
    code = f"from importlib.metadata import version\nfor n in {names!r}: print(n, version(n))"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()


if __name__ == "__main__":
    main()
