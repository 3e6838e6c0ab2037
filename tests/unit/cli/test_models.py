from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
import typer
from click.testing import Result
from rich.console import Console
from typer.testing import CliRunner

from app.hub import Hub
from app.services.catalog import Catalog
from app.services.catalog_entries import CATALOG_FILE, load_catalog
from app.settings import Settings
from cli import models as commands
from cli.models import ensure_default_model, models_app
from tests.support.hub_server import HubServer, hub_server
from tests.support.weights import header_bytes, put_model, put_own_model

ROOT = Path(__file__).parents[3]
NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens there
WEIGHTS = header_bytes(width=8, audio_layers=1, text_layers=1) + bytes(2_000_000)


@pytest.fixture(autouse=True)
def models_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # no .env of the checkout
    for name in list(os.environ):
        if name.startswith("WHISPERAPI_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WHISPERAPI_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(commands, "Hub", lambda: Hub(NOBODY, pause_s=0, retries=0))
    return tmp_path / "data" / "models"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub that offers a small file as ``base``, and a catalogue that expects just that."""
    entry = load_catalog().find("base")
    assert entry is not None
    assert entry.sha1 is not None
    text = CATALOG_FILE.read_text(encoding="utf-8")
    for known, here in (
        (entry.sha256, hashlib.sha256(WEIGHTS).hexdigest()),
        (entry.sha1, hashlib.sha1(WEIGHTS, usedforsecurity=False).hexdigest()),
        ("size_bytes = 147_951_465", f"size_bytes = {len(WEIGHTS)}"),
    ):
        assert known in text
        text = text.replace(known, here)
    path = tmp_path / "catalog.toml"
    path.write_text(text, encoding="utf-8")

    def open_catalog(models_dir: Path, default_model: str, unknown_model: str = "refuse") -> Catalog:
        assert unknown_model == "refuse"
        return Catalog(load_catalog(path), models_dir, default_model=default_model)

    monkeypatch.setattr(Catalog, "open", open_catalog)
    monkeypatch.setattr(commands, "Hub", lambda: Hub(server.url, pause_s=0, retries=0))
    with hub_server() as server:
        server.add("ggerganov/whisper.cpp", "ggml-base.bin", WEIGHTS)
        yield server


def models(*arguments: str, answer: str | None = None, status: int = 0) -> Result:
    result = CliRunner().invoke(models_app, list(arguments), input=answer)
    assert result.exit_code == status, result.output
    return result


def quiet() -> Console:
    return Console(stderr=True)


class TestList:
    def test_what_is_installed_comes_first_and_the_rest_can_be_pulled(self, models_dir: Path) -> None:
        put_model(models_dir, "large-v3-turbo")
        put_own_model(models_dir, "mine", header_bytes())

        lines = [line for line in models("list").stdout.splitlines() if line.startswith("│")]

        cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
        assert cells[0] == ["selftest", "18 MB", "160 MB", "English, Spanish, French, German", "yes", "installed"]
        assert cells[1] == ["large-v3-turbo", "1625 MB", "2220 MB", "100 languages", "", "installed"]
        assert cells[2][0] == "mine"
        assert ["base", "148 MB", "390 MB", "99 languages", "yes", "default"] in cells[3:]
        assert len(cells) == len(load_catalog().entries) + 1

    def test_a_missing_default_model_comes_with_the_command_that_installs_it(self, models_dir: Path) -> None:
        assert "whisperapi models pull base" in models("list").stderr

        put_model(models_dir, "base")
        assert models("list").stderr == ""

    def test_json_is_for_programs(self, models_dir: Path) -> None:
        put_model(models_dir, "base")

        result = models("list", "--json")

        rows = {row["name"]: row for row in json.loads(result.stdout)}
        assert rows["base"]["installed"]
        assert rows["base"]["default"]
        assert rows["base"]["size_bytes"] == 147_951_465
        assert "fr" in rows["base"]["languages"]
        assert not rows["tiny"]["installed"]
        assert rows["selftest"]["selftest"]
        assert result.stderr == ""

    def test_the_configured_default_is_marked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WHISPERAPI_DEFAULT_MODEL", "openai/whisper-small")

        assert [row["name"] for row in json.loads(models("list", "--json").stdout) if row["default"]] == ["small"]


class TestPull:
    @pytest.mark.parametrize("names", [["base"], ["openai/whisper-base"], ["whisper-base"], []])
    def test_a_model_is_installed_by_any_of_its_names_and_the_default_without_one(
        self, names: list[str], hub: HubServer, models_dir: Path
    ) -> None:
        result = models("pull", *names)

        assert (models_dir / "ggml-base.bin").read_bytes() == WEIGHTS
        assert "base: installed" in result.stderr
        assert len(hub.downloads) == 1

    def test_the_networks_for_speakers_come_and_go_together(self, hub: HubServer, models_dir: Path, tmp_path: Path) -> None:
        catalog = tmp_path / "catalog.toml"
        text = catalog.read_text(encoding="utf-8")
        for file in load_catalog().speaker_files:
            content = file.role.encode()
            hub.add(file.repo, file.file, content)
            text = text.replace(file.sha256, hashlib.sha256(content).hexdigest())
            text = text.replace(f"size_bytes = {file.size_bytes:_}", f"size_bytes = {len(content)}")
        catalog.write_text(text, encoding="utf-8")
        assert "diarization (segmentation): installed" in models("pull", "diarization").output
        names = {"diarization-segmentation.onnx", "diarization-embedding.onnx"}
        assert names <= {path.name for path in models_dir.iterdir()}
        assert models("verify").output.count("intact") == 3  # the self-test model too
        models("remove", "diarization", "--yes")
        assert not names & {path.name for path in models_dir.iterdir()}

    def test_what_cannot_be_pulled_does_not_stop_the_others(self, hub: HubServer, models_dir: Path) -> None:
        result = models("pull", "tiny", "base", "selftest", status=1)

        assert (models_dir / "ggml-base.bin").is_file()
        assert not (models_dir / "ggml-tiny.bin").exists()
        assert "Error: tiny: The hub has no ggml-tiny.bin" in result.stderr
        assert "selftest: comes with the program" in result.stderr
        assert len(hub.downloads) == 1

    def test_a_wrong_checksum_installs_nothing(self, hub: HubServer, models_dir: Path) -> None:
        hub.faults.body = bytes(len(WEIGHTS))

        assert "checksum" in models("pull", "base", status=1).stderr
        assert not (models_dir / "ggml-base.bin").exists()

    def test_an_unreachable_hub_is_said_so(self) -> None:
        errors = models("pull", "base", "diarization", status=1).stderr
        for name in ("base", "diarization (segmentation)", "diarization (embedding)"):
            assert f"Error: {name}: The model hub cannot be reached" in errors

    def test_an_unknown_name_pulls_nothing_and_suggests_a_known_one(self, hub: HubServer) -> None:
        assert "Did you mean large-v3?" in models("pull", "base", "larg-v3", status=1).stderr
        assert hub.requests == []

    def test_an_unusable_setting_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WHISPERAPI_PORT", "many")

        assert "WHISPERAPI_PORT" in models("pull", "base", status=1).stderr


class TestVerify:
    def test_every_known_installed_model_is_checked(self, hub: HubServer, models_dir: Path) -> None:
        models("pull", "base")
        assert models("verify").stderr.splitlines() == ["selftest: intact", "base: intact"]

        (models_dir / "ggml-base.bin").write_bytes(WEIGHTS[:-1] + b"!")
        result = models("verify", status=1)

        assert "selftest: intact" in result.stderr
        assert "whisperapi models pull base" in result.stderr
        assert hub.downloads == [""]

    def test_a_missing_model_is_an_error_that_names_the_command(self) -> None:
        assert "whisperapi models pull tiny" in models("verify", "tiny", status=1).stderr


class TestRemove:
    def test_a_model_is_removed_after_a_yes(self, models_dir: Path) -> None:
        path = put_model(models_dir, "base")

        models("remove", "base", answer="n\n", status=1)
        assert path.is_file()

        assert "base: removed, 148 MB free" in models("remove", "base", answer="y\n").stderr
        assert not path.exists()

    def test_a_file_of_ones_own_is_removed_by_its_name(self, models_dir: Path) -> None:
        path = put_own_model(models_dir, "mine", header_bytes())

        models("remove", "mine", "--yes")

        assert not path.exists()

    @pytest.mark.parametrize(
        ("name", "reason"), [("tiny", "not installed"), ("selftest", "stays"), ("nothing", "no model named")]
    )
    def test_what_cannot_be_removed_is_said_so(self, name: str, reason: str) -> None:
        assert reason in models("remove", name, "--yes", status=1).stderr


class TestEnsureDefaultModel:
    def test_an_installed_default_needs_nothing(self, models_dir: Path) -> None:
        put_model(models_dir, "base")

        model, notice = ensure_default_model(Settings(), catalog(), quiet())

        assert (model.info.name, notice) == ("base", None)

    def test_a_missing_default_is_pulled(self, hub: HubServer) -> None:
        model, notice = ensure_default_model(Settings(), catalog(), quiet())

        assert (model.info.name, notice) == ("base", None)
        assert hub.downloads == [""]

    def test_an_unreachable_hub_leaves_the_self_test_model_and_says_so(self) -> None:
        model, notice = ensure_default_model(Settings(), catalog(), quiet())

        assert model.is_selftest
        assert notice is not None
        assert "cannot be reached" in notice
        assert "self-test model" in notice
        assert "whisperapi models pull base" in notice

    def test_a_hub_without_the_right_file_leaves_another_installed_model(self, hub: HubServer, models_dir: Path) -> None:
        hub.faults.body = bytes(len(WEIGHTS))
        put_model(models_dir, "tiny")

        model, notice = ensure_default_model(Settings(), catalog(), quiet())

        assert model.info.name == "tiny"
        assert notice is not None
        assert "checksum" in notice
        assert "tiny stands in for base" in notice

    def test_the_self_test_model_is_announced_even_if_it_was_asked_for(self) -> None:
        settings = Settings(default_model="selftest")

        model, notice = ensure_default_model(settings, catalog(settings), quiet())

        assert model.is_selftest
        assert notice is not None
        assert "no real recogniser" in notice

    def test_a_default_that_means_nothing_ends_the_program(self, capsys: pytest.CaptureFixture[str]) -> None:
        settings = Settings(default_model="bsae")

        with pytest.raises(typer.Exit) as ended:
            ensure_default_model(settings, catalog(settings), quiet())

        assert ended.value.exit_code == 1
        assert "bsae" in capsys.readouterr().err


def catalog(settings: Settings | None = None) -> Catalog:
    settings = settings or Settings()
    return Catalog.open(settings.resolved_models_dir, settings.default_model)


def test_the_whole_command_asks_the_mirror_and_installs_nothing_but_the_known_file(tmp_path: Path) -> None:
    with hub_server() as server:
        server.add("ggerganov/whisper.cpp", "ggml-tiny.bin", WEIGHTS)
        environment = {**os.environ, "HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", "from cli.models import models_app; models_app()", "pull", "tiny"]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

        assert ended.returncode == 1, ended.stderr
        assert "another file" in ended.stderr
        assert [method for method, _, _ in server.requests] == ["HEAD"]
    assert not list((tmp_path / "data").rglob("*.bin"))
