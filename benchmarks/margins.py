"""Words and time against the encoder's margin and the length of chunks: ``python -m benchmarks.margins``.

Every recording goes through the server's own detector, chunker and engine, in this process. Words: all clips of a folder
with a manifest, and fresh synthetic sentences, alone and in talks. Time: the clips, at the dimensions of a real model. The
first row is raw whisper.cpp: whole file, full context. Clips and the self-test model's synthesiser (which needs SciPy and
libespeak-ng) are kept beside the repository, in ``../shared``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from app.audio.decode import Decoder
from app.audio.vad import load_vad
from app.domain.audio import AudioLimits, Pcm16k
from app.domain.chunking import FITTED, Chunker, ChunkingOptions, mix_to_mono
from app.domain.options import DecodeOptions
from app.domain.packing import Packing
from app.engines import whisper_cpp
from app.engines.audio_ctx import FRAMES_PER_SECOND, MARGIN_FRAMES, fitted_frames
from app.engines.cpu import usable_cores
from benchmarks.harness import ROOT, SHARED, expanded_model, needed, save

MARGINS = (0, 32, 64, 128)
LENGTHS_S = (28.0,)
"""Longest chunks tried beside the packed ones."""

TALK_SENTENCES = 8
Recogniser = Callable[[Pcm16k, str], tuple[str, int]]


@dataclass(frozen=True)
class Recording:
    """What was said, in which language, and its samples."""

    text: str
    language: str
    pcm: Pcm16k


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="base", choices=["tiny", "base", "small"])
    parser.add_argument("--clips", type=Path, default=SHARED / "audio", help="folder with clips and their manifest.json")
    parser.add_argument("--speech", type=Path, default=SHARED / "models", help="folder with selftest_synth.py")
    parser.add_argument("--sentences", type=int, default=200, help="fresh synthetic sentences; 0: the clips alone")
    parser.add_argument("--seed", type=int, default=20261120, help="another one makes other sentences")
    parser.add_argument("--timed", action="store_true", help="measure time too; wants a quiet machine")
    arguments = parser.parse_args()
    clips = read_clips(needed(arguments.clips, "manifest.json", "--clips"))
    sets = {"clips": clips}
    if arguments.sentences:
        folder = needed(arguments.speech, "selftest_synth.py", "--speech")
        sentences = synthesise(folder, arguments.sentences, arguments.seed)
        sets |= {"sentences": sentences, "talks": talks(sentences)}
    engine = whisper_cpp.WhisperCppEngine.load(ROOT / "models" / "ggml-selftest.bin", usable_cores())
    timed = whisper_cpp.WhisperCppEngine.load(expanded_model(arguments.size), usable_cores()) if arguments.timed else None
    table: dict[str, Any] = {}
    for name, recogniser in ways():
        row: dict[str, Any] = {}
        for kind, recordings in sets.items():
            row[kind] = word_errors(partial(recogniser, engine), recordings)
        if timed is not None:
            started = perf_counter()
            for clip in clips:
                recogniser(timed, clip.pcm, clip.language)
            row["clips_s"] = round(perf_counter() - started, 2)
        table[name] = row
        print(name, row, flush=True)
    save("margins" if arguments.timed else "margins-words", table)


def ways() -> list[tuple[str, Callable[[whisper_cpp.WhisperCppEngine, Pcm16k, str], tuple[str, int]]]]:
    """What is compared: a name, and a function from engine, samples and language to text and second decodes."""
    found: list[tuple[str, Callable[[whisper_cpp.WhisperCppEngine, Pcm16k, str], tuple[str, int]]]] = [
        ("raw, whole file, full context", _raw),
        ("chunks of 28 s, full context", partial(_chunked, ChunkingOptions(), None)),
    ]
    for margin in MARGINS:
        packing = replace(FITTED.packing or Packing(), margin_s=margin / FRAMES_PER_SECOND)
        found.append((f"packed, margin {margin}", partial(_chunked, replace(FITTED, packing=packing), margin)))
    found.append((f"packed, margin {MARGIN_FRAMES}, beam of 5", partial(_chunked, FITTED, MARGIN_FRAMES, beam_size=5)))
    for length_s in LENGTHS_S:
        found += [
            (
                f"chunks of {length_s:.0f} s, margin {margin}",
                partial(_chunked, ChunkingOptions(max_chunk_s=length_s), margin),
            )
            for margin in (0, 64, 128)
        ]
    return found


def _raw(engine: whisper_cpp.WhisperCppEngine, pcm: Pcm16k, language: str) -> tuple[str, int]:
    options = DecodeOptions(language=language, fit_context=False)
    return " ".join(segment.text for segment in engine.transcribe(pcm, options, lambda: False).segments), 0


def _chunked(
    chunking: ChunkingOptions,
    margin: int | None,
    engine: whisper_cpp.WhisperCppEngine,
    pcm: Pcm16k,
    language: str,
    beam_size: int = 1,
) -> tuple[str, int]:
    whisper_cpp.fitted_frames = partial(fitted_frames, margin_frames=margin or 0)
    chunker = Chunker(chunking)
    options = DecodeOptions(language=language, fit_context=margin is not None, beam_size=beam_size)
    chunks = [*chunker.feed(pcm, VAD.stream().feed(pcm)), *chunker.flush()]
    decoded = [engine.transcribe(chunk.pcm, options, lambda: False) for chunk in chunks]
    texts = [segment.text for hypothesis in decoded for segment in hypothesis.segments]
    return " ".join(texts), sum(hypothesis.retries for hypothesis in decoded)


VAD = load_vad()


def word_errors(recognise: Recogniser, recordings: Sequence[Recording]) -> dict[str, Any]:
    """Word error rate in percent, recordings with any error, and second decodes."""
    errors = words = wrong = retries = 0
    for recording in recordings:
        text, again = recognise(recording.pcm, recording.language)
        said, heard = plain(recording.text), plain(text)
        distance = edits(said, heard)
        errors, words, wrong, retries = errors + distance, words + len(said), wrong + bool(distance), retries + again
    rate = round(100 * errors / max(1, words), 2)
    return {"wer": rate, "errors": errors, "words": words, "wrong": wrong, "of": len(recordings), "retries": retries}


def plain(text: str) -> list[str]:
    """Words without case and marks."""
    return re.findall(r"[\w']+", text.lower())


def edits(said: Sequence[str], heard: Sequence[str]) -> int:
    """Words to put in, take out or change."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]


def read_clips(folder: Path) -> list[Recording]:
    """The clips of a manifest, at 16 kHz and in one channel."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    found = []
    for clip in manifest["clips"]:
        path = folder / clip["file"]
        if not path.exists():
            continue
        limits = AudioLimits(max_seconds=600)
        with path.open("rb") as source, Decoder().open(source, None, limits) as audio:
            pcm = np.concatenate([mix_to_mono(block) for block in audio.blocks()])
        found.append(Recording(clip["transcript"], clip["language"] or "en", pcm))
    return found


def synthesise(folder: Path, count: int, seed: int) -> list[Recording]:
    """Fresh English sentences of the self-test model's grammar, in the voices it knows."""
    sys.path.insert(0, str(folder))
    grammar: Any = importlib.import_module("selftest_grammar")
    synth: Any = importlib.import_module("selftest_synth")
    rng, espeak = np.random.default_rng(seed), synth.Espeak()
    found = []
    for _ in range(count):
        sentence = grammar.sentence(rng, "en")
        voice = synth.random_voice(rng, "en")
        pcm, _ = synth.say_words(espeak, sentence.words, sentence.punct, *voice)
        quiet = [np.zeros(int(rng.uniform(0.1, 0.6) * 16_000), np.float32) for _ in range(2)]
        loud = pcm * rng.uniform(0.2, 0.9) / max(1e-3, float(np.abs(pcm).max()))
        found.append(Recording(sentence.text(), "en", np.concatenate([quiet[0], loud, quiet[1]]).astype(np.float32)))
    return found


def talks(sentences: Sequence[Recording]) -> list[Recording]:
    """Groups of sentences, one after the other with the pauses they have."""
    groups = [sentences[at : at + TALK_SENTENCES] for at in range(0, len(sentences), TALK_SENTENCES)]
    return [
        Recording(" ".join(one.text for one in group), "en", np.concatenate([one.pcm for one in group])) for group in groups
    ]


if __name__ == "__main__":
    main()
