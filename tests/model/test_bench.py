"""Measuring with the real engine, on the self-test model."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.domain.ports import EnginePool, InstalledModel
from app.engines.gpu import probe_devices
from app.engines.pool import ProcessPool
from app.services.tuning import Clips, ThreadFigures
from app.settings import Settings
from app.wiring import build_catalog
from cli import bench_run
from cli.bench_run import run_bench, run_short
from cli.engine_trial import run_trial
from cli.main import app

pytestmark = pytest.mark.model


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("WHISPERAPI_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WHISPERAPI_DEFAULT_MODEL", "selftest")
    monkeypatch.setattr(bench_run, "usable_cores", lambda: 2)
    return Settings(_env_file=None)


@pytest.fixture
def model(settings: Settings) -> InstalledModel:
    return build_catalog(settings).default()


def test_the_short_form_tries_every_combination(settings: Settings, model: InstalledModel) -> None:
    said: list[str] = []
    best, figures = asyncio.run(run_short(settings, model, said.append))
    assert said == ["1 x 2", "2 x 1"]
    assert [(row["workers"], row["threads"]) for row in figures["combinations"]] == [(1, 2), (2, 1)]
    assert (best.workers, best.threads) in [(1, 2), (2, 1)]
    assert all(row["batch_speed"] > 0 and row["final_s"] > 0 for row in figures["combinations"])


def test_one_combination_needs_no_measuring(
    settings: Settings, model: InstalledModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_run, "usable_cores", lambda: 1)
    best, figures = asyncio.run(run_short(settings, model, lambda _: None))
    assert (best.workers, best.threads, figures["combinations"]) == (1, 1, [])


def test_the_devices_in_use_can_be_asked(model: InstalledModel) -> None:
    assert probe_devices(model.path, use_gpu=False) is not None
    assert probe_devices(Path("missing.bin"), use_gpu=False) is None


def test_bench_prints_figures_and_a_proposal(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def few_streams(*_: object) -> tuple[int, tuple[()]]:
        return 7, ()

    monkeypatch.setattr(bench_run, "find_capacity", few_streams)
    result = CliRunner().invoke(app, ["bench", "--json"])
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert printed["figures"]["streams_within_marks"] == 7
    assert {row["threads"] for row in printed["figures"]["threads"]} == {1, 2}
    assert all(row["full_window_s"] > row["fitted_window_s"] > 0 for row in printed["figures"]["threads"])
    lines = CliRunner().invoke(app, ["bench"]).stdout
    assert "Proposal: WHISPERAPI_WORKERS=" in lines
    assert "Live streams within Deepgram's latencies: 7" in lines


def test_threads_are_measured_without_those_of_idle_workers(
    settings: Settings, model: InstalledModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[int, int]] = []
    measured: list[tuple[tuple[int, int], int]] = []

    class Pools(ProcessPool):
        @classmethod
        async def start(cls, path: Path, *, workers: int = 0, threads: int = 0, **options: Any) -> ProcessPool:
            started.append((workers, threads))
            return await ProcessPool.start(path, workers=workers, threads=threads, **options)

    async def measure_threads(pool: EnginePool, threads: int, clips: Clips) -> ThreadFigures:
        measured.append((started[-1], threads))
        return ThreadFigures(threads, 1.0, 0.5, 10.0, 0.01)

    async def no_streams(*_: object) -> tuple[int, tuple[()]]:
        return 0, ()

    monkeypatch.setattr(bench_run, "ProcessPool", Pools)
    monkeypatch.setattr(bench_run, "measure_threads", measure_threads)
    monkeypatch.setattr(bench_run, "find_capacity", no_streams)
    asyncio.run(run_bench(settings, model, lambda _: None))
    assert measured == [((1, 2), 2), ((1, 1), 1)]


def test_a_model_that_is_not_installed_is_refused_with_a_sentence(settings: Settings) -> None:
    result = CliRunner().invoke(app, ["bench", "--model", "large-v3"])
    assert result.exit_code == 1
    assert "whisperapi models list" in result.output


def test_a_trial_says_what_the_installed_engine_does(model: InstalledModel, tmp_path: Path) -> None:
    trial = run_trial(model.path, 1, use_gpu=False)
    assert trial is not None
    assert trial.text.startswith("Good morning John.")
    assert trial.full_window_s > 0
    (tmp_path / "_pywhispercpp.py").write_text("raise ImportError('no library')")
    assert run_trial(model.path, 1, tmp_path, use_gpu=False) is None
