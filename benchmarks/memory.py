"""Memory of the decode workers, and how soon a killed one is replaced: ``python -m benchmarks.memory``.

PSS (every shared page divided among those who share it) of all processes of a pool, nursery included, after every worker has
decoded a full window. Targets on Linux: four workers within 1.25 x of one plus the decode buffers of three more; a killed
worker is ready again within 100 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from app.domain.options import DecodeOptions
from app.domain.ports import JobClass
from app.engines.launchers import NurseryLauncher
from app.engines.pool import ProcessPool
from app.engines.workers import WorkerSpec
from benchmarks.harness import expanded_model, median, read_clip, save

COUNTS = (1, 2, 4)
KILLS = 20


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="base", choices=["tiny", "base", "small"])
    parser.add_argument("--spawn", action="store_true", help="also measure workers with weights of their own")
    arguments = parser.parse_args()
    model = expanded_model(arguments.size)
    table: dict[str, Any] = {"weights_mb": round(model.stat().st_size / 1e6, 1)}
    ways = {"forked": True} | ({"spawned": False} if arguments.spawn else {})
    for name, fork in ways.items():
        table[name] = {str(count): asyncio.run(_pool(model, count, fork=fork)) for count in COUNTS}
    one, four = (table["forked"][str(count)] for count in (1, 4))
    buffers_mb = one["worker_private_mb"]
    table["four_over_one_and_buffers"] = round(four["all_mb"] / (one["all_mb"] + 3 * buffers_mb), 3)
    table["replacement"] = asyncio.run(_replacement(model))
    save(f"memory-{arguments.size}", table)


async def _pool(model: Path, workers: int, *, fork: bool) -> dict[str, float]:
    """PSS in megabytes of the pool's processes, after decodes on each of them."""
    pool = await ProcessPool.start(model, workers=workers, threads=1, fork=fork)
    try:
        await _warm(pool, rounds=3)
        pids = pool.worker_pids()
        nursery = {_parent(pid) for pid in pids} - {os.getpid()}
        sizes = [_memory_mb(pid) for pid in pids]
        parents = [_memory_mb(pid) for pid in nursery]
        return {
            "processes": len(sizes) + len(parents),
            "all_mb": round(sum(pss for pss, _ in sizes + parents), 1),
            "nursery_mb": round(sum(pss for pss, _ in parents), 1),
            "worker_private_mb": round(max(private for _, private in sizes), 1),
        }
    finally:
        await pool.close()


async def _warm(pool: ProcessPool, rounds: int) -> None:
    clip = read_clip("sentences-10s.wav")
    options = DecodeOptions(fit_context=False)
    async with pool.admit(live=True) as session:
        for _ in range(rounds):
            jobs = (session.transcribe(clip, options, JobClass.SHORT_RECORDING) for _ in range(pool.workers))
            await asyncio.gather(*jobs)


async def _replacement(model: Path) -> dict[str, float]:
    """Milliseconds from ``kill -9`` of a worker to a ready one, with and without its first decode."""
    launcher = NurseryLauncher(WorkerSpec(model, threads=1))
    await launcher.start()
    ready_s = []
    try:
        worker = await launcher.launch()
        for _ in range(KILLS):
            began = perf_counter()
            os.kill(worker.pid, signal.SIGKILL)
            await asyncio.shield(worker.link.lost)
            await worker.link.close()
            worker = await launcher.launch()
            ready_s.append(perf_counter() - began)
        await worker.link.close()
    finally:
        await launcher.close()
    return {
        "killed_to_ready_ms": round(1000 * median(ready_s), 1),
        "worst_ms": round(1000 * max(ready_s), 1),
        **await _first_decodes(model),
    }


async def _first_decodes(model: Path) -> dict[str, float]:
    """What the first decode of a fresh worker takes longer than its later ones: it sets up its buffers."""
    clip: np.ndarray[Any, np.dtype[np.float32]] = read_clip("hello-world.wav")
    extra_s = []
    for _ in range(5):
        pool = await ProcessPool.start(model, workers=1, threads=1)
        try:
            async with pool.admit(live=True) as session:
                decodes = [(await session.transcribe(clip, DecodeOptions(), JobClass.FINAL)).decode_s for _ in range(4)]
            extra_s.append(decodes[0] - min(decodes[1:]))
        finally:
            await pool.close()
    return {"buffer_set_up_ms": round(1000 * median(extra_s), 1)}


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[1])


def _memory_mb(pid: int) -> tuple[float, float]:
    """(PSS, private) of a process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    values = {line.partition(":")[0]: int(line.split()[1]) / 1024 for line in lines}
    return values["Pss"], values["Private_Dirty"] + values["Private_Clean"]


if __name__ == "__main__":
    main()
