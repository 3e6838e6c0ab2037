"""This server against its peers on the same weights: ``python -m benchmarks.versus --peers PYTHON``.

The self-test model at real dimensions, converted for each peer; same samples, same cores; the runs alternate, so that a slow
minute of the machine meets everybody; medians and their ratios. ``--peers`` is the Python of an environment with
faster-whisper, openai-whisper, torch and tiktoken; without it only raw whisper.cpp is compared. A peer that was not asked
for an item of work has no figure there. ``--ours`` is the Python of another environment of this project, one with the
engine that ``whisperapi engine build`` makes: this server runs on both engines then, raw whisper.cpp always on the one
installed here.
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
from time import perf_counter, sleep
from typing import Any

import numpy as np
import soundfile

from app.domain.audio import Pcm16k
from app.engines.cpu import usable_cores
from benchmarks.harness import ROOT, Server, expanded_model, measured, median, read_clip, running_server, save
from benchmarks.margins import edits, plain
from benchmarks.recordings import said, talk

OURS = {
    "ours": {},
    "ours, one worker": {"WHISPERAPI_WORKERS": "1"},
    "ours, flash attention": {"WHISPERAPI_FLASH_ATTENTION": "true"},
}
OTHER_ENGINE = ", other engine"
"""Ends the names of this server's ways on the engine of ``--ours``."""

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
REST_S = 1.0
PEER_PACKAGES = ("faster-whisper", "ctranslate2", "openai-whisper", "torch")
Way = Callable[[list[Pcm16k]], tuple[float, list[str]]]


@dataclass(frozen=True)
class Work:
    """Samples to recognise, at once by those who can, who is asked to, and what was said if that is known."""

    pieces: list[Pcm16k]
    asked: tuple[str, ...]
    text: str | None


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="base", choices=["tiny", "base", "small"])
    parser.add_argument("--peers", type=Path, help="python of the competitors' environment")
    parser.add_argument("--ours", type=Path, help="python of an environment of this project with another engine build")
    parser.add_argument("--skip", nargs="*", default=[], help="names of this server's ways to leave out")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=600.0, help="length of the talks")
    parser.add_argument("--only", nargs="*", default=[], help="items of work; others keep what this commit measured")
    arguments = parser.parse_args()
    model = expanded_model(arguments.size)
    works = {name: work for name, work in _works(arguments.seconds).items() if not arguments.only or name in arguments.only}
    with ExitStack() as open_:
        ways: dict[str, Way] = {}
        for name, environment in OURS.items():
            if name in arguments.skip:
                continue
            ways[name] = _server_way(open_.enter_context(running_server(model, **environment)))
            if arguments.ours:
                server = open_.enter_context(running_server(model, python=arguments.ours, **environment))
                ways[name + OTHER_ENGINE] = _server_way(server)
        ways["raw"] = open_.enter_context(_peer(Path(sys.executable), "raw", model))
        if arguments.peers:
            folder = _converted(arguments.peers, model)
            for kind, file in (PEERS | BATCHED).items():
                if kind != "raw" and any(kind in work.asked for work in works.values()):
                    ways[kind] = open_.enter_context(_peer(arguments.peers, kind, folder / file))
        peers = _versions(arguments.peers, PEER_PACKAGES) if arguments.peers else {}
        other = _versions(arguments.ours, ("pywhispercpp",)) if arguments.ours else {}
        table = measured(f"versus-{arguments.size}").get("works", {})
        for name, work in works.items():
            table[name] = measure(work, ways, arguments.repeat)
            _show(name, table[name])
            # after each: a run that is ended has not been for nothing
            save(f"versus-{arguments.size}", {"works": table, "peers": peers, "other_engine": other, "limits": LIMITS})


def measure(work: Work, ways: dict[str, Way], repeat: int) -> dict[str, Any]:
    """Median seconds of everybody asked, one after the other in every round, their words, and our shares of their time."""
    asked = [name for name in ways if _is_ours(name) or name in work.asked]
    times: dict[str, list[float]] = {name: [] for name in asked}
    heard: dict[str, list[str]] = {}
    short = sum(pcm.size for pcm in work.pieces) < LONG_S * 16_000
    for turn in range(repeat + short):  # of short work the first round fills caches and is not counted
        for name, (elapsed_s, heard[name]) in one_round({name: ways[name] for name in asked}, work.pieces):
            if turn or not short:
                times[name].append(elapsed_s)
    seconds = {name: median(values) for name, values in times.items()}
    words = {name: plain(" ".join(texts)) for name, texts in heard.items()}
    truth = None if work.text is None else plain(work.text)
    return {
        "audio_s": round(sum(pcm.size for pcm in work.pieces) / 16_000, 2),
        "runs": repeat,
        "seconds": seconds,
        "ratios": {
            name: {peer: round(seconds[name] / seconds[peer], 3) for peer in asked if not _is_ours(peer)}
            for name in asked
            if _is_ours(name)
        },
        "words": {name: len(said) for name, said in words.items()},
        "words_unlike_raw": {name: edits(words["raw"], said) for name, said in words.items()},
        "word_errors": truth and {name: edits(truth, said) for name, said in words.items()},
        "words_said": truth and len(truth),
    }


def _is_ours(name: str) -> bool:
    return name.removesuffix(OTHER_ENGINE) in OURS


def _show(name: str, row: dict[str, Any]) -> None:
    """Print one item of work while the others go on."""
    for ours, ratios in row["ratios"].items():
        for peer, ratio in ratios.items():
            limit = next((limit for work, other, limit in LIMITS if (work, other) == (name, peer)), None)
            figures = f"{row['seconds'][ours]:8.3f} s against {row['seconds'][peer]:8.3f} s = {ratio:5.2f} x"
            print(f"{name:24} {ours:42} {peer:15} {figures}  wanted {limit or ''}", flush=True)


def one_round(ways: dict[str, Way], pieces: list[Pcm16k]) -> list[tuple[str, tuple[float, list[str]]]]:
    """Everybody's seconds and texts, one after the other, with a rest between them: without it runs were slower."""
    answers = []
    for name, way in ways.items():
        sleep(REST_S)
        answers.append((name, way(pieces)))
    return answers


def _works(seconds: float) -> dict[str, Work]:
    names = ("sentences-10s", "dialogue-two-speakers", "phone-number", "damn-uh-um", "late-start")
    sentences, dialogue, phone, um, late = names
    eight = [(sentences,), (dialogue,), (phone,), (um,), (late,), (phone, um), (late, phone), (um, late)]
    clips = {name: read_clip(f"{name}.wav") for name in names}
    everybody = tuple(PEERS)
    spoken, pausing = talk(seconds, 0.0), talk(seconds, 1 / 3)
    return {
        "3 s clip": Work([clips[sentences][: 3 * 16_000]], everybody, None),
        "11 s clip": Work([clips[dialogue]], everybody, said([dialogue])),
        "8 clips at once": Work(
            [np.concatenate([clips[name] for name in group]) for group in eight],
            ("raw", "faster-int8"),
            said([name for group in eight for name in group]),
        ),
        "talk": Work([spoken.pcm], ("raw", "faster-batched"), said(spoken.clips)),
        "talk, one third silence": Work([pausing.pcm], ("raw", "faster-batched"), said(pausing.clips)),
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


def _versions(python: Path, names: tuple[str, ...]) -> dict[str, str]:
    code = f"from importlib.metadata import version\nfor n in {names!r}: print(version(n))"
    printed = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout
    return dict(zip(names, printed.split(), strict=True))


if __name__ == "__main__":
    main()
