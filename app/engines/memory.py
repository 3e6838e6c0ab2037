"""Memory of a pool's processes: what they have, from the kernel, and what a pool that has not run yet will need."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from app.engines.cpu import FORKS, plan_workers, usable_cores
from app.engines.pool import RELIEFS, ProcessPool

BUFFERS_BYTES = 60_000_000
BUFFERS_PER_WEIGHT = 0.2
"""What a worker has beside the weights once it has decoded: interpreter and libraries, and buffers that grow with the model.
Measured on two cores, 2026-11-20, f16 weights of tiny and base dimensions, nursery and two workers after full windows:
278 MB and 418 MB in all, where this rule says 304 and 417."""

PLAIN_BYTES = 60_000_000
PLAIN_PER_WEIGHT = 0.08
"""What a worker has besides without flash attention: a matrix of 1500 x 1500 figures for each head, of which larger models
have more. Two workers of base dimensions had 592 MB, 175 MB more than with flash attention, where this rule says 216."""


def expected_bytes(
    weights_bytes: int, workers: int = 0, threads: int = 0, *, use_gpu: bool = False, flash_attention: bool = False
) -> int:
    """What a pool will take of the machine's memory. The settings mean what they mean to ``ProcessPool.start``."""
    plan = plan_workers(usable_cores(), workers, threads, gpu=use_gpu)
    per_worker = BUFFERS_BYTES + round(BUFFERS_PER_WEIGHT * weights_bytes)
    if not flash_attention:
        per_worker += PLAIN_BYTES + round(PLAIN_PER_WEIGHT * weights_bytes)
    if FORKS and not use_gpu:
        return weights_bytes + (plan.workers + RELIEFS) * per_worker
    return plan.workers * (weights_bytes + per_worker)


def resident_bytes(pids: Iterable[int]) -> int | None:
    """Physical memory of the processes, pages that several share counted once (PSS); None where the system does not tell.

    Takes about 10 ms for each. Processes that have ended count nothing.
    """
    if sys.platform != "linux":
        return None
    sizes = [_pss_bytes(Path(f"/proc/{pid}/smaps_rollup")) for pid in pids]
    return sum(sizes) or None


def pool_bytes(pool: object) -> int | None:
    """The same of a pool; None for one without processes."""
    return resident_bytes(pool.process_ids()) if isinstance(pool, ProcessPool) else None


def _pss_bytes(rollup: Path) -> int:
    try:
        lines = rollup.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
