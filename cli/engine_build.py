"""How the engine is built from its source package: what is needed, which options, which commands."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import Enum
from importlib.util import find_spec
from pathlib import Path

from app.engines.cpu import lacking_features
from cli.engine_wheel import PACKAGE

Which = Callable[[str], str | None]


class Flavour(str, Enum):
    """What a build is made for. They can be combined."""

    NATIVE = "native"
    BLAS = "blas"
    CUDA = "cuda"
    VULKAN = "vulkan"


OPTIONS: dict[Flavour, dict[str, str]] = {
    Flavour.NATIVE: {"GGML_LLAMAFILE": "ON"},
    Flavour.BLAS: {"GGML_BLAS": "ON", "GGML_BLAS_VENDOR": "OpenBLAS"},
    Flavour.CUDA: {"GGML_CUDA": "ON", "GGML_CUDA_NCCL": "OFF"},
    Flavour.VULKAN: {"GGML_VULKAN": "ON"},
}
"""CMake's options. The matrix kernels from llamafile, which whisper.cpp leaves out by default, take a third off every
decode; all instructions of the processor, AVX-512 among them, make it slower with and without them (docs/performance.md). So
on x86-64 that can run the wheel the build keeps to the wheel's instructions; elsewhere it takes the processor's own."""

TUNED_X86 = "-mtune=native -fno-math-errno -fno-trapping-math -fno-signed-zeros -fassociative-math"
"""For the compilers of x86-64 but Microsoft's: scheduling for this processor takes a tenth off the encoder, and sums in any
order let them use vectors in spectrograms (docs/performance.md). Infinity and NaN keep their meaning, which whisper.cpp's
choice of tokens rests on; none of it decides what a build can run on."""

WHEEL_INSTRUCTIONS = "-mavx2 -mfma -mf16c -mbmi2"
"""What GGML gives its kernels without GGML_NATIVE, for the rest of whisper.cpp."""

COMMON = {"BUILD_SHARED_LIBS": "OFF", "CMAKE_POSITION_INDEPENDENT_CODE": "ON", "NO_REPAIR": "1"}
"""One extension module with everything inside: separate libraries would be looked for where they were built. Libraries of
the system (CUDA's, OpenBLAS) are found where they are now, since CMake writes their folders into the module."""

_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LANG", "CC", "CXX", "CUDACXX", "CUDA_PATH", "VULKAN_SDK", "SSL_CERT_FILE")
_PASSED_ON_PREFIXES = ("PIP_", "CMAKE_", "GGML_", "WHISPER_")
_COMPILERS = ("c++", "g++", "clang++")


def version_of(base: str, flavours: Iterable[Flavour]) -> str:
    """``base`` with the flavours as its local part: "1.5.1+blas.native"."""
    return f"{base.partition('+')[0]}+{'.'.join(sorted(each.value for each in flavours))}"


def missing_tools(flavours: Iterable[Flavour], environment: Mapping[str, str], which: Which = shutil.which) -> list[str]:
    """A sentence for each thing that a build needs and this machine lacks. CMake and Ninja come with the build."""
    problems = []
    if find_spec("pip") is None:
        problems.append("This environment has no pip: python -m ensurepip")
    if os.name != "nt" and not any(which(name) for name in (environment.get("CXX", ""), *_COMPILERS) if name):
        problems.append("No C++ compiler was found (Debian, Ubuntu: apt install g++; macOS: xcode-select --install).")
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").is_file():
        problems.append("Python's header files are missing (Debian, Ubuntu: apt install python3-dev).")
    return problems + [sentence for each in flavours if (sentence := _missing_for(each, environment, which)) is not None]


def _missing_for(flavour: Flavour, environment: Mapping[str, str], which: Which) -> str | None:
    if flavour is Flavour.CUDA and not which(environment.get("CUDACXX", "nvcc")):
        return "CUDA's compiler nvcc was not found: install the CUDA toolkit and put its bin folder into PATH."
    if flavour is Flavour.VULKAN and not which("glslc"):
        return "Vulkan's compiler glslc was not found (Debian, Ubuntu: apt install glslc libvulkan-dev)."
    if flavour is Flavour.BLAS and not which("pkg-config"):
        return "pkg-config was not found, which finds OpenBLAS (Debian, Ubuntu: apt install pkg-config libopenblas-dev)."
    return None


def build_environment(flavours: Collection[Flavour], version: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What the build gets to see. Its script hands every variable on to CMake, so only what belongs there is passed."""
    if os.name == "nt":
        kept = dict(environment)
    else:
        kept = {
            name: value
            for name, value in environment.items()
            if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES) or name.lower().endswith("_proxy")
        }
    for flavour in flavours:
        kept |= OPTIONS[flavour]
        if flavour is Flavour.NATIVE:
            # with CUDA the same option says which cards to compile for: the one that is here
            kept["GGML_NATIVE"] = "OFF" if runs_the_wheel() and Flavour.CUDA not in flavours else "ON"
            if flags := compiler_flags():
                kept["CMAKE_CXX_FLAGS"] = " ".join([*flags, kept.get("CMAKE_CXX_FLAGS", "")]).rstrip()
    return {**kept, **COMMON, "PYWHISPERCPP_VERSION": version, "SETUPTOOLS_SCM_PRETEND_VERSION": version}


def compiler_flags() -> list[str]:
    """What a native build is compiled with on this machine; the operator's own CMAKE_CXX_FLAGS come after it."""
    if os.name == "nt" or not _is_x86_64():
        return []
    return [TUNED_X86, WHEEL_INSTRUCTIONS] if runs_the_wheel() else [TUNED_X86]


def runs_the_wheel() -> bool:
    """Whether this is an x86-64 processor with the instructions that the published wheel is compiled for."""
    return _is_x86_64() and not lacking_features()


def _is_x86_64() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64")


def build_wheel(base: str, flavours: frozenset[Flavour], folder: Path) -> Path:
    """Fetch the source package of version ``base`` and build a wheel of it in ``folder``.

    Raises ``subprocess.CalledProcessError``, or ``ValueError`` if the wheel does not carry the build's name; what the tools
    print goes to the error stream.
    """
    version = version_of(base, flavours)
    environment = build_environment(flavours, version, os.environ)
    with tempfile.TemporaryDirectory() as fetched:
        # in two steps: pip refuses a package whose version is not the one it asked an index for
        run_pip("download", "--no-deps", "--no-binary", PACKAGE, "--dest", fetched, f"{PACKAGE}=={base.partition('+')[0]}")
        [source] = Path(fetched).glob(f"{PACKAGE}-*.tar.gz")
        run_pip("wheel", "--no-deps", "--no-cache-dir", "--wheel-dir", str(folder), str(source), environment=environment)
    [wheel] = folder.glob(f"{PACKAGE}-{version}-*.whl")
    return wheel


def install_wheel(wheel: Path) -> None:
    """Put it in place of what is installed. Raises ``subprocess.CalledProcessError``."""
    run_pip("install", "--no-deps", "--no-index", "--force-reinstall", str(wheel))


def run_pip(*arguments: str, environment: Mapping[str, str] | None = None) -> None:
    """Run this environment's pip, its output on the error stream."""
    subprocess.run([sys.executable, "-m", "pip", *arguments], check=True, stdout=sys.stderr, env=environment)
