from __future__ import annotations

import json
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from app.domain.ports import InstalledModel
from app.domain.transcript import ModelInfo
from app.services.tuning import Combination
from app.settings import Settings
from cli import bench_store
from cli.bench_store import KEPT, Fingerprint, Measurements, take_fingerprint
from cli.main import app

bench = sys.modules["cli.bench"]

FINGERPRINT = Fingerprint("Some CPU", 4, "base", 100, "1.5.1", gpu=True, flash_attention=True, workers=0, threads=0)
MODEL = InstalledModel(
    ModelInfo("base", "1", "whisper"), Path("base.bin"), 100, ("en",), multilingual=False, translates=False
)


def window(seconds: float) -> dict[str, object]:
    return {"threads": [{"full_window_s": 2 * seconds}, {"full_window_s": seconds}]}


def test_a_measurement_is_found_under_the_same_conditions_only(tmp_path: Path) -> None:
    store = Measurements(tmp_path)
    store.remember(FINGERPRINT, Combination(2, 2), window(1.0))
    found = store.find(FINGERPRINT)
    assert found is not None
    assert found.best == Combination(2, 2)
    assert found.full_window_s == 1.0
    for changed in (replace(FINGERPRINT, cores=3), replace(FINGERPRINT, engine="1.5.2"), replace(FINGERPRINT, workers=1)):
        assert store.find(changed) is None


def test_a_newer_measurement_takes_the_place_of_the_older(tmp_path: Path) -> None:
    store = Measurements(tmp_path)
    for workers in (1, 2):
        store.remember(FINGERPRINT, Combination(workers, 1), {})
    [kept] = store.all()
    assert kept.workers == 2


def test_the_file_does_not_grow_without_end(tmp_path: Path) -> None:
    store = Measurements(tmp_path)
    for cores in range(KEPT + 5):
        store.remember(replace(FINGERPRINT, cores=cores), Combination(1, 1), {})
    assert [each.fingerprint.cores for each in store.all()] == list(range(5, KEPT + 5))


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"fingerprint": {}}]', '[{"workers": 1}]'])
def test_a_file_that_means_nothing_counts_as_empty(content: str, tmp_path: Path) -> None:
    store = Measurements(tmp_path)
    store.remember(FINGERPRINT, Combination(1, 1), {})
    next(tmp_path.iterdir()).write_text(content)
    assert store.all() == ()
    assert store.remember(FINGERPRINT, Combination(2, 1), {}).workers == 2


def test_the_gain_of_a_build_is_against_the_wheel_on_the_same_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Measurements(tmp_path)
    store.remember(FINGERPRINT, Combination(1, 1), window(1.2))
    store.remember(replace(FINGERPRINT, cpu="Another"), Combination(1, 1), window(9.0))
    store.remember(replace(FINGERPRINT, engine="1.5.1+native"), Combination(1, 1), window(0.9))
    monkeypatch.setattr(bench, "engine_build", lambda: "1.5.1+native")
    assert bench.gain_of_build(store, "base", "Some CPU") == pytest.approx(0.75)
    assert bench.gain_of_build(store, "base", "Another") is None
    monkeypatch.setattr(bench, "engine_build", lambda: "1.5.1")
    assert bench.gain_of_build(store, "base", "Some CPU") is None


def test_bench_counts_what_it_has_just_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run_bench(*_: object) -> tuple[Combination, dict[str, object]]:
        return Combination(1, 1), window(0.9 if "+" in build else 1.2)

    monkeypatch.setenv("WHISPERAPI_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(bench, "run_bench", run_bench)
    for build, gain in (("1.5.1", None), ("1.5.1+native", 0.75)):
        for module in (bench, bench_store):
            monkeypatch.setattr(module, "engine_build", lambda build=build: build)
        printed = json.loads(CliRunner().invoke(app, ["bench", "--json"]).stdout)
        assert printed["gain"] == (None if gain is None else pytest.approx(gain))


class TestAutoTune:
    def tune(self, settings: Settings) -> tuple[Settings, str]:
        told = StringIO()
        return bench.auto_tune(settings, MODEL, Console(file=told, width=200)), told.getvalue()

    def test_what_was_measured_before_is_applied_without_measuring(self, tmp_path: Path) -> None:
        settings = Settings(_env_file=None, data_dir=tmp_path)
        Measurements(tmp_path).remember(take_fingerprint(settings, MODEL), Combination(3, 2), {})
        tuned, told = self.tune(settings)
        assert (tuned.workers, tuned.threads) == (3, 2)
        assert "3 workers x 2 threads" in told

    def test_an_unknown_machine_is_measured_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        measured = []

        async def run_short(settings: Settings, *_: object) -> tuple[Combination, dict[str, object]]:
            measured.append(settings)
            return Combination(2, 1), {}

        monkeypatch.setattr(bench, "run_short", run_short)
        settings = Settings(_env_file=None, data_dir=tmp_path)
        for _ in range(2):
            tuned, told = self.tune(settings)
            assert tuned.workers == 2
            assert "2 workers x 1 threads" in told
        assert len(measured) == 1

    def test_threads_that_the_cores_come_to_stay_open_so_that_idle_workers_lend_theirs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bench_store, "usable_cores", lambda: 4)
        settings = Settings(_env_file=None, data_dir=tmp_path)
        for best, expected in ((Combination(2, 2), (2, 0)), (Combination(2, 1), (2, 1))):
            Measurements(tmp_path).remember(take_fingerprint(settings, MODEL), best, {})
            tuned, _ = self.tune(settings)
            assert (tuned.workers, tuned.threads) == expected

    def test_choices_of_the_operator_are_not_overruled(self, tmp_path: Path) -> None:
        settings = Settings(_env_file=None, data_dir=tmp_path, workers=1, threads=1)
        assert self.tune(settings) == (settings, "")


def test_what_cannot_be_kept_still_holds(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    store = Measurements(in_the_way)
    measured = store.remember(FINGERPRINT, Combination(2, 1), window(1.0))
    assert measured.best == Combination(2, 1)
    assert not store.has(measured)
    kept = Measurements(tmp_path)
    assert kept.has(kept.remember(FINGERPRINT, Combination(2, 1), window(1.0)))
