"""``whisperapi bench``: what this machine does with the engine, and which workers and threads suit it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from app.domain.errors import UnsupportedModel
from app.domain.ports import InstalledModel
from app.services.tuning import Combination
from app.settings import Settings
from app.wiring import build_catalog
from cli.bench_run import run_bench, run_short
from cli.bench_store import Measurement, Measurements, engine_build, take_fingerprint
from cli.failures import plain_failures


def bench(
    model: Annotated[str | None, typer.Option(help="Installed model to measure; else the default one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure this machine in about a minute: encoder, tokens, workers x threads, live streams; propose settings.

    Leave the machine alone meanwhile. The proposal is what `serve --auto-tune` applies from then on.
    """
    console = Console(stderr=True)
    with plain_failures():
        settings = Settings()
        measured = _installed(settings, model)
        with console.status("Measuring") as status:
            best, figures = asyncio.run(run_bench(settings, measured, lambda what: status.update(f"Measuring {what}")))
        fingerprint = take_fingerprint(settings, measured)
        store = Measurements(settings.data_dir)
        measurement = store.remember(fingerprint, best, figures)
        gain = gain_of_build(store, fingerprint.model, fingerprint.cpu)
    _tell_if_lost(store, measurement, console)
    if as_json:
        print(json.dumps({**asdict(measurement), "gain": gain}, indent=2))
        return
    show(measurement, gain)
    if measured.is_selftest:
        console.print("These are figures of the tiny self-test model: pull a real one and measure again.")


def auto_tune(settings: Settings, model: InstalledModel, console: Console) -> Settings:
    """The settings with workers and threads that suit the machine: measured now (seconds), or remembered."""
    if settings.workers and settings.threads:
        return settings
    store = Measurements(settings.data_dir)
    fingerprint = take_fingerprint(settings, model)
    known = store.find(fingerprint)
    if known is None:
        with console.status("Tuning") as status:
            best, figures = asyncio.run(run_short(settings, model, lambda what: status.update(f"Tuning: {what}")))
        known = store.remember(fingerprint, best, figures)
        _tell_if_lost(store, known, console)
    console.print(f"Tuned: {known.workers} workers x {known.threads} threads (measured {known.when}).")
    return settings.model_copy(update={"workers": known.workers, "threads": known.threads_to_set})


def _tell_if_lost(store: Measurements, measurement: Measurement, console: Console) -> None:
    if not store.has(measurement):
        console.print("The measurement is not kept: the data folder cannot be written.")


def gain_of_build(store: Measurements, model: str, cpu: str) -> float | None:
    """Seconds for a full window with the installed engine build over those with the published wheel, as last measured."""
    last: dict[str, float] = {}
    for each in store.all():
        window_s = each.full_window_s
        if (each.fingerprint.model, each.fingerprint.cpu) == (model, cpu) and window_s is not None:
            last[each.fingerprint.engine] = window_s
    build = engine_build()
    wheel = build.partition("+")[0]
    if build == wheel or build not in last or wheel not in last:
        return None
    return last[build] / last[wheel]


def _installed(settings: Settings, name: str | None) -> InstalledModel:
    catalog = build_catalog(settings)
    if name is None:
        return catalog.default()
    found = catalog.find_installed(name)
    if found is None:
        raise UnsupportedModel(f"No model named {name!r} is installed: whisperapi models list")
    return found


def show(measurement: Measurement, gain: float | None) -> None:
    """Tables for people."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 120
    figures = measurement.figures
    of = measurement.fingerprint
    console.print(f"{of.cpu}, {of.cores} usable cores; model {of.model}; engine {of.engine} on {_devices(figures)}")
    if gain is not None:
        console.print(f"This engine build takes {gain:.2f} x the published wheel's time for a full window.")
    console.print(_thread_table(figures["threads"]))
    console.print(_combination_table(figures["combinations"], measurement.best))
    console.print(f"Voice detection: {figures['vad_ms_per_audio_s']:.1f} ms per second of audio")
    console.print(f"Live streams within Deepgram's latencies: {figures['streams_within_marks']} (decoding alone)")
    threads = measurement.threads_to_set
    console.print(f"Proposal: WHISPERAPI_WORKERS={measurement.workers} WHISPERAPI_THREADS={threads}")
    if not threads:
        console.print("Threads of 0: the cores divided by the workers, and idle workers lend theirs.")
    console.print("`whisperapi serve --auto-tune` applies it.")


def _devices(figures: Any) -> str:
    devices = figures["devices"]
    return "no device that could be asked" if devices is None else ", ".join(devices) or "CPU"


def _thread_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="One worker")
    for heading in ("threads", "encode 30 s window", "encode fitted window", "per token"):
        table.add_column(heading, justify="right")
    for row in rows:
        fitted = f"{1000 * row['fitted_window_s']:.0f} ms for {row['fitted_audio_s']:.0f} s"
        full = f"{1000 * row['full_window_s']:.0f} ms"
        table.add_row(str(row["threads"]), full, fitted, f"{1000 * row['token_s']:.1f} ms")
    return table


def _combination_table(rows: list[dict[str, Any]], best: Combination) -> Table:
    table = Table(title="Workers x threads")
    for heading in ("", "batch, audio s/s", "final among others", "worst"):
        table.add_column(heading, justify="right")
    for row in rows:
        chosen = (row["workers"], row["threads"]) == (best.workers, best.threads)
        final, worst = (f"{1000 * row[name]:.0f} ms" for name in ("final_s", "worst_final_s"))
        name = f"{row['workers']} x {row['threads']}"
        table.add_row(name, f"{row['batch_speed']:.1f}", final, worst, style="bold green" if chosen else "")
    return table
