"""``python -m cli.engine_trial``: load the engine that comes first on the path, decode a clip, say what and how fast."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from app.domain.options import DecodeOptions
from app.engines.workers import THREAD_WAITING

ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Trial:
    """What one engine build did. ``text`` of a clip, seconds for a full window, devices that decode ("CUDA0")."""

    text: str
    full_window_s: float
    devices: tuple[str, ...]


def run_trial(model: Path, threads: int, first: Path | None = None, *, use_gpu: bool = True) -> Trial | None:
    """Try a build in a process of its own: the one unpacked in ``first``, or the installed one. None if it fails."""
    path = [str(first)] if first else []
    path += [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    environment = {**os.environ, **THREAD_WAITING, "PYTHONPATH": os.pathsep.join(path)}
    command = [sys.executable, "-m", "cli.engine_trial", str(model), str(threads), "gpu" if use_gpu else "cpu"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        answer = json.loads(done.stdout)
    except (subprocess.CalledProcessError, OSError, ValueError):
        return None
    return Trial(answer["text"], answer["full_window_s"], tuple(answer["devices"]))


def main(model: Path, threads: int, *, use_gpu: bool) -> Trial:
    """Decode in this process."""
    from app.engines.gpu import load_devices
    from app.engines.whisper_cpp import WhisperCppEngine
    from cli.bench_run import read_clips

    clips = read_clips()
    devices = load_devices(model, use_gpu=use_gpu)
    engine = WhisperCppEngine.load(model, threads, use_gpu=use_gpu)
    spoken = engine.transcribe(clips.long, DecodeOptions(language="en"), lambda: False)
    few = np.zeros_like(clips.long)
    few[: clips.short.size] = clips.short
    whole = DecodeOptions(language="en", fit_context=False)
    taken_s = min(engine.transcribe(few, whole, lambda: False).decode_s for _ in range(ROUNDS))
    return Trial(" ".join(segment.text for segment in spoken.segments), taken_s, devices)


if __name__ == "__main__":
    print(json.dumps(asdict(main(Path(sys.argv[1]), int(sys.argv[2]), use_gpu=sys.argv[3] == "gpu"))))
