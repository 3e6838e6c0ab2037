"""Checks of ``whisperapi doctor`` that concern the engine: its threads, its build, its GPU."""

from __future__ import annotations

from pathlib import Path

from app.domain.ports import InstalledModel
from app.engines.cpu import plan_workers, usable_cores
from app.engines.gpu import probe_devices, probe_gpu_backends
from app.services.catalog_entries import BUNDLED_DIR
from app.settings import Settings
from app.wiring import build_catalog
from cli.bench import gain_of_build
from cli.bench_store import Measurements, engine_build, take_fingerprint
from cli.doctor_finding import Finding, Outcome

SELFTEST = BUNDLED_DIR / "ggml-selftest.bin"
"""What is loaded to see where models go."""


def check_threads(settings: Settings) -> Finding:
    """Do the workers fit the cores, and are they what was measured best?"""
    cores = usable_cores()
    plan = plan_workers(cores, settings.workers, settings.threads)
    detail = f"{cores} usable cores, {plan.workers} workers x {plan.threads} threads per model"
    if plan.workers * plan.threads > cores:
        remedy = "Lower WHISPERAPI_WORKERS or WHISPERAPI_THREADS: more threads than cores slow each other down."
        return Finding("threads", Outcome.WARNING, detail, remedy)
    measured = Measurements(settings.data_dir).find(take_fingerprint(settings, _model(settings)))
    told = (
        "not measured (whisperapi bench)" if measured is None else f"measured best: {measured.workers} x {measured.threads}"
    )
    return Finding("threads", Outcome.OK, f"{detail}; {told}")


def check_engine(settings: Settings) -> Finding:
    """Which build is it, and what does it gain?"""
    base, _, flavours = engine_build().partition("+")
    if not flavours:
        detail = f"the published pywhispercpp {base}; `whisperapi engine build` may make a faster one for this machine"
        return Finding("engine", Outcome.OK, detail)
    of = take_fingerprint(settings, _model(settings))
    gain = gain_of_build(Measurements(settings.data_dir), of.model, of.cpu)
    told = "gain unknown (whisperapi bench)" if gain is None else f"{gain:.2f} x the published one's time"
    return Finding("engine", Outcome.OK, f"pywhispercpp {base} built here ({flavours.replace('.', ', ')}), {told}")


def check_gpu(settings: Settings) -> Finding:
    """Has the build a GPU backend, and do models really go there?"""
    backends = probe_gpu_backends()
    if backends is None:
        remedy = "Run `whisperapi engine restore`, or check the driver of the GPU that the engine was built for."
        return Finding("gpu", Outcome.FAILURE, "the engine could not be loaded to ask it", remedy)
    if not backends:
        remedy = "For a GPU, build the engine for it: docs/gpu.md." if settings.gpu and _has_nvidia_driver() else ""
        return Finding("gpu", Outcome.OK, "none in this engine build; the processor does the work", remedy)
    names = ", ".join(backends)
    if not settings.gpu:
        return Finding("gpu", Outcome.OK, f"the engine build has {names}; WHISPERAPI_GPU=false leaves it unused")
    devices = probe_devices(SELFTEST, use_gpu=True)
    if not devices:
        remedy = "Check the driver (nvidia-smi), and that the container is given the GPU: docs/gpu.md."
        return Finding("gpu", Outcome.WARNING, f"the engine build has {names}, but finds no device", remedy)
    return Finding("gpu", Outcome.OK, f"the engine build has {names}; models are loaded onto {', '.join(devices)}")


def _model(settings: Settings) -> InstalledModel:
    return build_catalog(settings).default()


def _has_nvidia_driver() -> bool:
    return Path("/proc/driver/nvidia/version").exists()
