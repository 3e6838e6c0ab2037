"""One competitor in a process of its own: ``python -m benchmarks.versus_peer KIND MODEL THREADS``.

Reads a line with the name of a NumPy file (16 kHz mono float32), answers with a line of JSON: seconds and text. The model is
loaded once, before. Runs in the competitors' environment but for ``raw``; each kind imports what it needs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

Recognise = Callable[[Any], str]


def main() -> None:
    """Answer until the input ends."""
    kind, model, threads = sys.argv[1:]
    recognise = KINDS[kind](model, int(threads))
    print(json.dumps({"ready": kind}), flush=True)
    for line in sys.stdin:
        pcm = np.load(line.strip())
        started = perf_counter()
        text = recognise(pcm)
        print(json.dumps({"seconds": perf_counter() - started, "text": text}), flush=True)


def raw(model: str, threads: int) -> Recognise:
    """pywhispercpp with its defaults, the whole file in one call; only text is not carried from window to window, which
    the self-test model cannot bear."""
    from pywhispercpp.model import Model

    loaded = Model(model, n_threads=threads, print_progress=False, redirect_whispercpp_logs_to=None)

    def recognise(pcm: Any) -> str:
        return " ".join(segment.text for segment in loaded.transcribe(pcm, language="en", n_max_text_ctx=0))

    return recognise


def faster(compute: str, batched: bool) -> Callable[[str, int], Recognise]:
    """faster-whisper: greedy, as everybody here, without text carried on; batched as its README shows."""

    def load(model: str, threads: int) -> Recognise:
        from faster_whisper import BatchedInferencePipeline, WhisperModel

        loaded = WhisperModel(model, device="cpu", compute_type=compute, cpu_threads=threads)
        batches = BatchedInferencePipeline(loaded)

        def recognise(pcm: Any) -> str:
            if batched:
                segments, _ = batches.transcribe(pcm, language="en", beam_size=1, batch_size=8, without_timestamps=False)
            else:
                segments, _ = loaded.transcribe(pcm, language="en", beam_size=1, condition_on_previous_text=False)
            return " ".join(segment.text.strip() for segment in segments)

        return recognise

    return load


def openai(model: str, threads: int) -> Recognise:
    """openai-whisper on the CPU."""
    import torch
    import whisper

    torch.set_num_threads(threads)
    loaded = whisper.load_model(model, device="cpu")

    def recognise(pcm: Any) -> str:
        answer = loaded.transcribe(pcm, language="en", fp16=False, condition_on_previous_text=False)
        return str(answer["text"]).strip()

    return recognise


KINDS: dict[str, Callable[[str, int], Recognise]] = {
    "raw": raw,
    "faster": faster("float32", batched=False),
    "faster-int8": faster("int8", batched=False),
    "faster-batched": faster("float32", batched=True),
    "faster-int8-batched": faster("int8", batched=True),
    "openai": openai,
}

if __name__ == "__main__":
    main()
