"""What the machine offers: CPU features the engine needs, cores it may use, and how to share them out among workers."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

NEEDED_FEATURES = ("avx2", "fma", "f16c", "bmi2")
"""The published engine wheel is compiled for these (x86-64) and dies of SIGILL without them."""

MAX_WORKERS = 4
"""Default ceiling: each further worker costs about 140 MB of buffers; more is a decision of the operator."""

MAX_THREADS = 8
"""Default ceiling: whisper.cpp's gain per thread flattens between 4 and 8."""

SLOW_CORE = 0.75
"""Cores below this share of the fastest one's speed are left to other programs: the engine's threads wait for each other
at every step of a decode, so a slow core among them slows the fast ones down."""

FORKS = sys.platform == "linux"
"""Whether workers without a GPU are forked, so that they share the weights."""

GPU_THREADS = 4
"""Threads that prepare spectrograms and sample tokens while the device does the rest."""


def missing_features(cpuinfo: str) -> tuple[str, ...]:
    """Which of ``NEEDED_FEATURES`` no ``flags`` line of ``cpuinfo`` (the text of /proc/cpuinfo) has.

    Empty when all are there, and when the text has no such line: then there is nothing to judge by.
    """
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            flags = set(value.split())
            return tuple(feature for feature in NEEDED_FEATURES if feature not in flags)
    return ()


def lacking_features(root: Path = Path("/")) -> tuple[str, ...]:
    """What this machine's processor lacks of ``NEEDED_FEATURES``; empty where it does not say."""
    try:
        return missing_features((root / "proc/cpuinfo").read_text(errors="replace"))
    except OSError:
        return ()


def cpu_problem(root: Path = Path("/")) -> str | None:
    """A sentence for the operator when this CPU cannot run the engine, else None.

    Judges x86-64 Linux only, and no engine that was built for this machine.
    """
    if sys.platform != "linux" or platform.machine().lower() not in ("x86_64", "amd64") or _is_native_build():
        return None
    missing = lacking_features(root)
    if not missing:
        return None
    names = ", ".join(feature.upper() for feature in missing)
    return f"This CPU lacks {names}, which the published speech engine needs: `whisperapi engine build` makes one for it."


def _is_native_build() -> bool:
    try:
        return "native" in version("pywhispercpp").partition("+")[2].split(".")
    except PackageNotFoundError:
        return False


def usable_cores(root: Path = Path("/")) -> int:
    """Cores this process may really use, at least 1.

    Its affinity, which holds its control group's cpuset, without the slow cores of a mixed processor, cut down to the
    control group's quota.
    """
    if sys.platform == "linux":
        cores = len(fast_cores(os.sched_getaffinity(0), root))
    else:
        cores = _performance_cores() or os.cpu_count() or 1
    quota = cgroup_quota(root)
    return max(1, cores if quota is None else min(cores, int(quota)))


def fast_cores(cores: Iterable[int], root: Path = Path("/")) -> frozenset[int]:
    """Those of ``cores`` (Linux numbers) that are not slow (``SLOW_CORE``); all of them where the kernel does not say.

    Intel's mixed processors list the cores of each kind, ARM's have a capacity per core, others at least a highest clock.
    """
    allowed = frozenset(cores)
    intel = _core_list(root / "sys/devices/cpu_core/cpus")
    if intel & allowed and _core_list(root / "sys/devices/cpu_atom/cpus"):
        return intel & allowed
    for name in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        speeds = {core: _number(root / f"sys/devices/system/cpu/cpu{core}" / name) for core in allowed}
        known = [speed for speed in speeds.values() if speed is not None]
        if known and len(known) == len(allowed):
            fastest = max(known)
            return frozenset(core for core, speed in speeds.items() if (speed or 0) >= SLOW_CORE * fastest)
    return allowed


def _core_list(file: Path) -> frozenset[int]:
    """A kernel list such as ``0-7,16``; empty if the file is not there."""
    try:
        parts = [part.partition("-") for part in file.read_text().strip().split(",")]
        return frozenset(core for first, _, last in parts for core in range(int(first), int(last or first) + 1))
    except (OSError, ValueError):
        return frozenset()


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _performance_cores() -> int | None:
    """Cores of the fastest kind on macOS; None where the system does not tell kinds apart."""
    command = ["/usr/sbin/sysctl", "-n", "hw.perflevel0.logicalcpu"]
    try:
        return int(subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def cpu_name(root: Path = Path("/")) -> str:
    """What the processor calls itself."""
    try:
        lines = (root / "proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())


def cgroup_quota(root: Path = Path("/")) -> float | None:
    """The smallest CPU quota, in cores, on the way from this process's control group up to the root; None if unlimited.

    Whatever does not look as the kernel writes it (other systems imitate these files) is no quota.
    """
    try:
        memberships = (root / "proc/self/cgroup").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    quotas = []
    for line in memberships:
        hierarchy, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if not colon:
            continue
        if hierarchy == "0":
            names = [""]
        elif "cpu" in controllers.split(","):
            names = ["cpu", controllers]  # the second is the mount itself, the first a link to it that containers may lack
        else:
            continue
        quotas += [quota for name in names for quota in _quotas_up(root / "sys/fs/cgroup" / name, path)]
    return min(quotas, default=None)


def _quotas_up(base: Path, path: str) -> list[float]:
    """The quotas of a control group below the mount ``base`` and of all above it.

    Inside a container the path may name a group that is not mounted here: the mount point then is the group.
    """
    found = []
    group = base / path.lstrip("/")
    for folder in (group, *group.parents):
        quota = _folder_quota(folder)
        if quota is not None:
            found.append(quota)
        if folder == base:
            break
    return found


def _folder_quota(folder: Path) -> float | None:
    """The quota set on one control group folder, in either version of the interface."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        return int(quota) / int(period) if quota not in ("max", "-1") and int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """How many workers, and threads in each."""

    workers: int
    threads: int


def plan_workers(cores: int, workers: int = 0, threads: int = 0, *, gpu: bool = False, shared: bool = FORKS) -> WorkerPlan:
    """Fill in what the operator left open (0), so that workers x threads stay within ``cores``.

    As many workers as cores up to ``MAX_WORKERS``, the cores divided among them: decodes side by side do more than one with
    many threads, and a worker that is alone uses the threads of those that are idle (``domain/core_shares.py``). One per two
    cores where they do not share their weights (``shared``). One on a GPU, which decodes one job at a time anyway. What the
    operator sets is taken as it is.
    """
    if not workers:
        workers = 1 if gpu else min(MAX_WORKERS, max(1, cores // max(1 if shared else 2, threads)))
    if not threads:
        threads = min(GPU_THREADS if gpu else MAX_THREADS, max(1, cores // workers))
    return WorkerPlan(workers, threads)
