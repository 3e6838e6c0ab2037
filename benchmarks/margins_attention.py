"""Flash attention, plain attention, and plain with DTW: ``python -m benchmarks.margins_attention``.

Words and the error of word starts against the manifest of a folder of clips, and the seconds the same clips take at the
dimensions of a real model, cut and fitted as the server does it for each of them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import _pywhispercpp as binding
import numpy as np

from app.domain.audio import Pcm16k, seconds
from app.domain.chunking import Chunk, Chunker, chunking_for
from app.domain.options import DecodeOptions
from app.engines.cpu import usable_cores
from app.engines.whisper_cpp import WhisperCppEngine
from benchmarks.harness import ROOT, SHARED, expanded_model, needed, save
from benchmarks.margins import VAD, edits, plain, read_clips

MODES = ("flash attention", "plain attention", "plain attention and DTW")
Times = list[tuple[str, float]]


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="base", choices=["tiny", "base", "small"])
    parser.add_argument("--clips", type=Path, default=SHARED / "audio", help="folder with clips and their manifest.json")
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    needed(arguments.clips, "manifest.json", "--clips")
    manifest = json.loads((arguments.clips / "manifest.json").read_text(encoding="utf-8"))
    truths = [clip["words"] for clip in manifest["clips"] if (arguments.clips / clip["file"]).exists()]
    table: dict[str, Any] = {mode: {} for mode in MODES}
    engines = {mode: load(expanded_model(arguments.size), mode) for mode in MODES}
    recordings = read_clips(arguments.clips)
    cuts = {mode: [(clip, list(cut(clip.pcm, step_s(engine)))) for clip in recordings] for mode, engine in engines.items()}
    times: dict[str, list[float]] = {mode: [] for mode in MODES}
    for _ in range(arguments.repeat):
        for mode in MODES:
            started = perf_counter()
            for clip, chunks in cuts[mode]:
                for chunk in chunks:
                    engines[mode].transcribe(chunk.pcm, DecodeOptions(language=clip.language), lambda: False)
            times[mode].append(perf_counter() - started)
    for mode in MODES:
        engine = load(ROOT / "models" / "ggml-selftest.bin", mode)
        errors: list[float] = []
        wrong = words = 0
        for (clip, chunks), truth in zip(cuts[mode], truths, strict=True):
            heard = [word for chunk in chunks for word in starts(engine, chunk, clip.language, dtw="DTW" in mode)]
            said, got = plain(clip.text), [text for text, _ in heard]
            wrong, words = wrong + edits(said, got), words + len(said)
            if said == got:
                errors += [abs(at - float(true["start"])) for (_, at), true in zip(heard, truth, strict=True)]
        table[mode] = {
            "clips_s": round(median(times[mode]), 2),
            "wer": round(100 * wrong / words, 2),
            "word_starts": len(errors),
            "start_error_ms": {
                "median": round(1000 * median(errors)),
                "p90": round(1000 * float(np.percentile(errors, 90))),
            },
        }
    save("attention", table)


def load(path: Path, mode: str) -> WhisperCppEngine:
    """An engine on its own context."""
    if "DTW" not in mode:
        return WhisperCppEngine.load(path, usable_cores(), flash_attention=mode.startswith("flash"))
    parameters = binding.whisper_context_default_params()
    parameters.use_gpu = parameters.flash_attn = False
    parameters.dtw_token_timestamps = True
    parameters.dtw_aheads_preset = binding.whisper_alignment_heads_preset.WHISPER_AHEADS_N_TOP_MOST
    parameters.dtw_n_top = 1
    context = binding.whisper_init_from_file_with_params(str(path), parameters)
    return WhisperCppEngine(context, usable_cores(), flash_attention=False)


def step_s(engine: WhisperCppEngine) -> float:
    """In which steps its encoder is fitted, in seconds."""
    return engine.capabilities.context_step_s


def cut(pcm: Pcm16k, context_step_s: float) -> Iterator[Chunk]:
    """The chunks of a recording for such an engine."""
    chunker = Chunker(chunking_for(context_step_s))
    yield from chunker.feed(pcm, VAD.stream().feed(pcm))
    yield from chunker.flush()


def starts(engine: WhisperCppEngine, chunk: Chunk, language: str, *, dtw: bool) -> Times:
    """Words of a chunk and where they begin in the recording, in seconds."""
    hypothesis = engine.transcribe(chunk.pcm, DecodeOptions(language=language), lambda: False)
    begin_s = seconds(chunk.start_samples)
    if not dtw:
        return [(one, begin_s + word.start_s) for word in hypothesis.words for one in plain(word.text)]
    context = engine._context  # noqa: SLF001 - the engine reads no DTW times
    found: Times = []
    for segment in range(binding.whisper_full_n_segments(context)):
        tokens = [
            (binding.whisper_token_to_bytes(context, data.id), data.t_dtw / 100)
            for index in range(binding.whisper_full_n_tokens(context, segment))
            if (data := binding.whisper_full_get_token_data(context, segment, index)).id < binding.whisper_token_eot(context)
        ]
        firsts = [at for at, (text, _) in enumerate(tokens) if text.startswith(b" ") or at == 0]
        for first, after in pairwise([*firsts, len(tokens)]):
            text = b"".join(text for text, _ in tokens[first:after]).decode(errors="replace")
            found += [(one, begin_s + tokens[first][1]) for one in plain(text)]
    return found


if __name__ == "__main__":
    main()
