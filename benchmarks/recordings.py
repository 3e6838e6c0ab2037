"""Long recordings against raw whisper.cpp: ``python -m benchmarks.recordings``.

A ten-minute talk, and the same length with a third of it silent, sent to a running server; the same samples given to
``pywhispercpp.Model.transcribe`` on the same cores. Ratios of medians; the runs alternate. Target: at most 1.0, and less
with silence.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import soundfile

from app.engines.cpu import usable_cores
from benchmarks.harness import Server, expanded_model, median, read_clip, running_server, save

Pcm = np.ndarray[Any, np.dtype[np.float32]]
SENTENCES = ("sentences-10s", "dialogue-two-speakers", "phone-number", "damn-uh-um")
TEXTS = {
    "sentences-10s": "Good morning John. How are you today? Please open the red door. The window is blue.",
    "dialogue-two-speakers": (
        "Hello Mary how are you? Good morning John. Where is the red door? "
        "The door is open. Thank you good night. Call me tomorrow."
    ),
    "phone-number": "My phone number is five five five one two three four.",
    "damn-uh-um": "Uh my name is John. Damn the light is off. Um call me tomorrow.",
    "late-start": "Please call me today.",
}
"""What is said in the clips that talks are made of."""

_RAW = """
import sys, time, numpy as np
from pywhispercpp.model import Model
pcm = np.load(sys.argv[2])
model = Model(sys.argv[1], n_threads=int(sys.argv[3]), print_progress=False, redirect_whispercpp_logs_to=None)
started = time.perf_counter()
segments = model.transcribe(pcm, language="en", n_max_text_ctx=0)
print(time.perf_counter() - started, sum(len(s.text.split()) for s in segments))
"""


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="base", choices=["tiny", "base", "small"])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    model = expanded_model(arguments.size)
    table: dict[str, Any] = {}
    with running_server(model) as server:
        for name, pcm in (
            ("talk", talk(arguments.seconds, 0.0).pcm),
            ("talk, one third silence", talk(arguments.seconds, 1 / 3).pcm),
        ):
            ours: list[float] = []
            raw: list[float] = []
            words = (0, 0)
            for _ in range(arguments.repeat):
                our_s, our_words = _ours(server, pcm)
                raw_s, raw_words = _raw(model, pcm)
                ours.append(our_s)
                raw.append(raw_s)
                words = (our_words, raw_words)
            table[name] = {
                "audio_s": round(pcm.size / 16_000, 1),
                "ours_s": median(ours),
                "raw_s": median(raw),
                "ratio": round(median(ours) / median(raw), 3),
                "rtf": round(median(ours) / (pcm.size / 16_000), 4),
                "words_ours": words[0],
                "words_raw": words[1],
            }
    save(f"recordings-{arguments.size}", table)


@dataclass(frozen=True)
class Talk:
    """Samples, and the names of the clips that they are made of, in order."""

    pcm: Pcm
    clips: list[str]


def talk(seconds: float, silence: float) -> Talk:
    """Clips one after the other; ``silence`` is the share of the length that is pauses of ten seconds between them."""
    clips = {name: read_clip(f"{name}.wav") for name in SENTENCES}
    pieces: list[Pcm] = []
    names: list[str] = []
    spoken = silent = 0
    while spoken + silent < seconds * 16_000:
        if silent < silence * (spoken + silent):
            pieces.append(np.zeros(160_000, np.float32))
            silent += 160_000
        else:
            names.append(SENTENCES[len(names) % len(SENTENCES)])
            pieces.append(clips[names[-1]])
            spoken += pieces[-1].size
    return Talk(np.concatenate(pieces), names)


def said(clips: Sequence[str]) -> str:
    """What is said in these clips, one after the other."""
    return " ".join(TEXTS[name] for name in clips)


def _ours(server: Server, pcm: Pcm) -> tuple[float, int]:
    file = io.BytesIO()
    soundfile.write(file, pcm, 16_000, format="WAV", subtype="PCM_16")
    started = perf_counter()
    response = server.client.post("/v1/listen?filler_words=true", content=file.getvalue())
    elapsed_s = perf_counter() - started
    response.raise_for_status()
    return elapsed_s, len(response.json()["results"]["channels"][0]["alternatives"][0]["words"])


def _raw(model: Path, pcm: Pcm) -> tuple[float, int]:
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "pcm.npy"
        np.save(samples, pcm)
        command = [sys.executable, "-c", _RAW, str(model), str(samples), str(usable_cores())]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(output[-2]), int(output[-1])


if __name__ == "__main__":
    main()
