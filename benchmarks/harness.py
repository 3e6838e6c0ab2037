"""What every benchmark needs: weights of real size, a server of its own, medians, and a record of the machine."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import soundfile

from app.engines.cpu import usable_cores
from benchmarks.expand_selftest import expand

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
AUDIO = ROOT / "tests" / "audio"
SHARED = ROOT.parent / "shared"
"""What is kept beside the checkout: more clips, with their words and times, and the self-test model's synthesiser. No
benchmark needs it to be imported, and most do without it."""

API_KEY = "benchmark"


def expanded_model(size: str) -> Path:
    """The self-test model at the dimensions of whisper ``size``: the same words at the real model's cost."""
    folder = Path(tempfile.gettempdir()) / "whisperapi-benchmarks"
    folder.mkdir(exist_ok=True)
    target = folder / f"ggml-bench-{size}.bin"
    if not target.exists():
        partial = target.with_suffix(".partial")
        expand(ROOT / "models" / "ggml-selftest.bin", partial, size)
        partial.replace(target)
    return target


def needed(folder: Path, file: str, option: str) -> Path:
    """``folder`` if ``file`` is in it; else the program ends with a sentence that names ``option``."""
    if not (folder / file).is_file():
        raise SystemExit(
            f"{folder / file} is missing: it is kept beside the repository, not in it. Say where with {option}."
        )
    return folder


@dataclass(frozen=True)
class Server:
    """A running server: its address, its process id, and a client that holds its key."""

    url: str
    pid: int
    client: httpx.Client


@contextmanager
def running_server(model: Path, *, python: Path | None = None, **environment: str) -> Iterator[Server]:
    """Start ``whisperapi serve`` on a free port with ``model`` as its default; stop it at the end.

    ``python`` is that of another environment with what this project needs, for another build of the engine.
    """
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        models.mkdir()
        shutil.copy(model, models / model.name)
        port = _free_port()
        given = {
            "WHISPERAPI_DATA_DIR": folder,
            "WHISPERAPI_DEFAULT_MODEL": model.stem.removeprefix("ggml-"),
            "WHISPERAPI_PORT": str(port),
            "WHISPERAPI_API_KEY": API_KEY,
            "WHISPERAPI_LOG_LEVEL": "error",
        }
        command = [str(python or sys.executable), "-m", "cli", "serve"]
        process = subprocess.Popen(command, env=os.environ | given | environment, stdout=subprocess.PIPE, cwd=ROOT)
        try:
            assert process.stdout is not None  # noqa: S101 - it was asked for
            while b"Try it" not in (line := process.stdout.readline()):
                if not line:
                    raise RuntimeError("the server did not start")
            url = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=url, headers={"Authorization": f"Token {API_KEY}"}, timeout=600) as client:
                yield Server(url, process.pid, client)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def server_timing(response: httpx.Response) -> dict[str, float]:
    """The ``Server-Timing`` header, in seconds."""
    parts = (part.strip().partition(";dur=") for part in response.headers["server-timing"].split(","))
    return {name: float(value) / 1000 for name, _, value in parts}


def read_clip(name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """One of the test clips, as it is (16 kHz mono float32)."""
    pcm, rate = soundfile.read(AUDIO / name, dtype="float32")
    if rate != 16_000:
        raise ValueError(f"{name} is not at 16 kHz")
    return np.asarray(pcm, np.float32)


def median(values: list[float]) -> float:
    """The median, rounded to a tenth of a millisecond."""
    return round(statistics.median(values), 4)


def save(name: str, table: dict[str, Any]) -> None:
    """Print the table and write it to ``benchmarks/results`` with machine, versions and commit."""
    record = {
        "benchmark": name,
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": {"cpu": _cpu_name(), "cores": usable_cores(), "system": platform.platform()},
        "python": platform.python_version(),
        "versions": {package: version(package) for package in ("pywhispercpp", "numpy", "fastapi")},
        "commit": _commit(),
        "results": table,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=2))


def measured(name: str) -> dict[str, Any]:
    """The table that was saved by that name at the commit checked out now; empty if there is none."""
    try:
        record = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    except OSError:
        return {}
    return dict(record["results"]) if record["commit"] == _commit() else {}


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())
