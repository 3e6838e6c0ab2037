"""Which GPU backends the installed engine build has: from its own description and from the libraries it brought in."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

KNOWN_BACKENDS = ("CUDA", "ROCm", "MUSA", "Metal", "Vulkan", "SYCL", "OpenCL", "CANN")
"""ggml's names; the CPU and BLAS are backends too, but no GPU."""

_LIBRARIES = {"hip": "ROCm"}
_LIBRARY = re.compile(r"libggml-([a-z]+)[-.\d]")
_DEVICE = re.compile(r"\busing (\S+) backend")
_SECTION = re.compile(r"(\w+) : ")


def parse_backends(system_info: str, libraries: Iterable[str] = ()) -> tuple[str, ...]:
    """Names from ``KNOWN_BACKENDS``, in that order.

    ``system_info`` is the library's line ("WHISPER : COREML = 0 | CUDA : ARCHS = 800 | CPU : ..."), ``libraries`` names of
    loaded files: a backend without features of its own (Vulkan) appears only there.
    """
    named = {name.lower() for name in _SECTION.findall(system_info)}
    for library in libraries:
        if match := _LIBRARY.match(library):
            named.add(_LIBRARIES.get(match[1], match[1]).lower())
    return tuple(name for name in KNOWN_BACKENDS if name.lower() in named)


def gpu_backends() -> tuple[str, ...]:
    """GPU backends of the installed build. Imports the engine: call it in a worker, or use ``probe_gpu_backends``."""
    from app.engines.whisper_cpp import system_info

    maps = Path("/proc/self/maps")
    loaded = {line.rsplit("/", 1)[-1] for line in maps.read_text().splitlines() if "/" in line} if maps.exists() else set()
    return parse_backends(system_info(), loaded)


def probe_gpu_backends(timeout_s: float = 30.0) -> tuple[str, ...] | None:
    """The same, asked of a subprocess, since loading a broken driver can end a process; None if it ended badly."""
    program = "from app.engines.gpu import gpu_backends; print(*gpu_backends())"
    try:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=timeout_s, check=True)
    except (subprocess.SubprocessError, OSError):
        return None
    return tuple(done.stdout.split())


def parse_devices(log: Iterable[str]) -> tuple[str, ...]:
    """Devices that a model was loaded onto ("CUDA0", "Metal", "BLAS"), from the lines the library logs while it loads.

    Empty: the processor alone.
    """
    return tuple(dict.fromkeys(match[1] for line in log if (match := _DEVICE.search(line))))


def load_devices(model: Path, *, use_gpu: bool) -> tuple[str, ...]:
    """The devices that decode when ``model`` is loaded now. Imports the engine: use ``probe_devices`` in a server."""
    from app.engines.whisper_cpp import WhisperCppEngine

    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("whisperapi.engine")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    try:
        WhisperCppEngine.load(model, 1, use_gpu=use_gpu)
    finally:
        logger.removeHandler(handler)
    return parse_devices(lines)


def probe_devices(model: Path, *, use_gpu: bool, timeout_s: float = 120.0) -> tuple[str, ...] | None:
    """The same, asked of a subprocess; None if it ended badly."""
    program = "import sys, pathlib; from app.engines.gpu import load_devices; "
    program += "print(*load_devices(pathlib.Path(sys.argv[1]), use_gpu=sys.argv[2] == 'gpu'))"
    command = [sys.executable, "-c", program, str(model), "gpu" if use_gpu else "cpu"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=True)
    except (subprocess.SubprocessError, OSError):
        return None
    return tuple(done.stdout.split())
