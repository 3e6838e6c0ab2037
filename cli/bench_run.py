"""What ``bench`` and ``serve --auto-tune`` do: start a pool for each combination in turn and measure it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import soundfile

import models
from app.audio.vad import load_vad
from app.domain.ports import EnginePool, InstalledModel
from app.engines.cpu import usable_cores
from app.engines.gpu import probe_devices
from app.engines.pool import ProcessPool
from app.services.stream_capacity import find_capacity
from app.services.tuning import (
    Clips,
    Combination,
    CombinationFigures,
    ThreadFigures,
    combinations,
    measure_combination,
    measure_threads,
    propose,
)
from app.settings import Settings
from cli.bench_store import threads_to_set

Say = Callable[[str], None]

_FOLDER = Path(models.__file__).parent
_VAD_ROUNDS = 3


def read_clips() -> Clips:
    """The clips that come with the program."""
    return Clips(_read("hello-world.wav"), _read("sentences.wav"))


def _read(name: str) -> Any:
    pcm, _ = soundfile.read(_FOLDER / name, dtype="float32")
    return pcm


async def run_bench(settings: Settings, model: InstalledModel, say: Say) -> tuple[Combination, dict[str, Any]]:
    """Everything, in about a minute at base size. Returns the proposal and the figures."""
    clips = read_clips()
    say("the engine's devices")
    devices = probe_devices(model.path, use_gpu=settings.gpu)
    threads: list[ThreadFigures] = []
    rows: list[CombinationFigures] = []
    for combination in _combinations(settings, devices):
        say(_name(combination))
        if combination.threads not in [each.threads for each in threads]:
            # by itself: beside idle workers it would decode with their threads too
            pool = await _start(settings, model, 1, combination.threads)
            try:
                threads.append(await measure_threads(pool, combination.threads, clips))
            finally:
                await pool.close()
        pool = await _start_combination(settings, model, combination)
        try:
            rows.append(await measure_combination(pool, combination, clips))
        finally:
            await pool.close()
    best = propose(rows)
    say(f"live streams with {_name(best)}")
    pool = await _start_combination(settings, model, best)
    try:
        final_s = next(row.final_s for row in rows if (row.workers, row.threads) == (best.workers, best.threads))
        streams, probes = await find_capacity(pool, clips.long, final_s)
    finally:
        await pool.close()
    return best, {
        "devices": devices,
        "threads": [asdict(each) for each in threads],
        "combinations": [asdict(row) for row in rows],
        "vad_ms_per_audio_s": _measure_vad(clips),
        "streams_within_marks": streams,
        "probes": [asdict(each) for each in probes],
    }


async def run_short(settings: Settings, model: InstalledModel, say: Say) -> tuple[Combination, dict[str, Any]]:
    """The combinations alone, one round each: a few seconds at base size. A single one is taken unmeasured."""
    devices = probe_devices(model.path, use_gpu=settings.gpu) if settings.gpu else ()
    candidates = _combinations(settings, devices)
    rows: list[CombinationFigures] = []
    if len(candidates) > 1:
        clips = read_clips()
        for combination in candidates:
            say(_name(combination))
            pool = await _start_combination(settings, model, combination)
            try:
                rows.append(await measure_combination(pool, combination, clips, rounds=1, finals=3))
            finally:
                await pool.close()
    best = propose(rows) if rows else candidates[0]
    return best, {"devices": devices, "combinations": [asdict(row) for row in rows]}


def _combinations(settings: Settings, devices: tuple[str, ...] | None) -> tuple[Combination, ...]:
    gpu = any(name not in ("BLAS", "CPU") for name in devices or ())
    return combinations(usable_cores(), settings.workers, settings.threads, gpu=gpu)


async def _start_combination(settings: Settings, model: InstalledModel, combination: Combination) -> EnginePool:
    threads = threads_to_set(combination, usable_cores(), settings.threads)
    return await _start(settings, model, combination.workers, threads)


async def _start(settings: Settings, model: InstalledModel, workers: int, threads: int) -> EnginePool:
    return await ProcessPool.start(
        model.path,
        workers=workers,
        threads=threads,
        use_gpu=settings.gpu,
        flash_attention=settings.flash_attention,
    )


def _measure_vad(clips: Clips) -> float:
    vad = load_vad()
    vad.score(clips.short)
    began_s = time.perf_counter()
    for _ in range(_VAD_ROUNDS):
        vad.score(clips.long)
    return 1000 * (time.perf_counter() - began_s) / (_VAD_ROUNDS * clips.long.size / 16_000)


def _name(combination: Combination) -> str:
    return f"{combination.workers} x {combination.threads}"
