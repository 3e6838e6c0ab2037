from __future__ import annotations

from pathlib import Path

import pytest

from app.services.tuning import Combination
from app.settings import Settings
from app.wiring import build_catalog
from cli import doctor_engine
from cli.bench_store import Measurements, take_fingerprint
from cli.doctor_engine import check_engine, check_gpu, check_threads
from cli.doctor_finding import Outcome


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path)


def test_the_published_engine_is_told_from_one_built_here(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_engine, "engine_build", lambda: "1.5.1")
    assert check_engine(settings).detail.startswith("the published pywhispercpp 1.5.1;")
    monkeypatch.setattr(doctor_engine, "engine_build", lambda: "1.5.1+blas.native")
    expected = "pywhispercpp 1.5.1 built here (blas, native), gain unknown (whisperapi bench)"
    assert check_engine(settings).detail == expected
    monkeypatch.setattr(doctor_engine, "gain_of_build", lambda *_: 0.7)
    assert check_engine(settings).detail.endswith("0.70 x the published one's time")


def test_what_was_measured_stands_beside_what_is_planned(settings: Settings) -> None:
    assert check_threads(settings).detail.endswith("not measured (whisperapi bench)")
    of = take_fingerprint(settings, build_catalog(settings).default())
    Measurements(settings.data_dir).remember(of, Combination(3, 5), {})
    assert check_threads(settings).detail.endswith("measured best: 3 x 5")


class TestGpu:
    def test_the_devices_in_use_are_named(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doctor_engine, "probe_gpu_backends", lambda: ("CUDA",))
        monkeypatch.setattr(doctor_engine, "probe_devices", lambda *_, **__: ("CUDA0",))
        assert check_gpu(settings).detail == "the engine build has CUDA; models are loaded onto CUDA0"

    @pytest.mark.parametrize("devices", [(), None])
    def test_a_backend_without_a_device_is_a_warning(
        self, devices: tuple[str, ...] | None, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(doctor_engine, "probe_gpu_backends", lambda: ("CUDA",))
        monkeypatch.setattr(doctor_engine, "probe_devices", lambda *_, **__: devices)
        found = check_gpu(settings)
        assert found.outcome is Outcome.WARNING
        assert "docs/gpu.md" in found.remedy

    def test_a_gpu_that_may_not_be_used_is_not_asked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doctor_engine, "probe_gpu_backends", lambda: ("CUDA",))
        assert "leaves it unused" in check_gpu(Settings(_env_file=None, data_dir=tmp_path, gpu=False)).detail

    def test_an_engine_that_does_not_load_is_a_failure(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doctor_engine, "probe_gpu_backends", lambda: None)
        assert check_gpu(settings).outcome is Outcome.FAILURE

    def test_who_has_a_card_but_no_build_for_it_is_told(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doctor_engine, "probe_gpu_backends", lambda: ())
        monkeypatch.setattr(doctor_engine, "_has_nvidia_driver", lambda: True)
        assert "docs/gpu.md" in check_gpu(settings).remedy
        monkeypatch.setattr(doctor_engine, "_has_nvidia_driver", lambda: False)
        assert check_gpu(settings).remedy == ""
