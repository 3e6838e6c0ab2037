"""Which diarizer a server has: what is set, what is installed, and what is said where something is missing."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from app.diarization.basic import BasicDiarizer
from app.diarization.sherpa import SherpaDiarizer
from app.domain.errors import Unavailable
from app.services.catalog import Catalog
from app.services.catalog_entries import load_catalog
from app.wiring import build_diarizer, missing_for_sherpa
from tests.support.app import settings_for

CONTENT = b"a network"


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """Over an empty folder; its networks are nine bytes long."""
    data = load_catalog()
    digest = hashlib.sha256(CONTENT).hexdigest()
    files = tuple(replace(file, size_bytes=len(CONTENT), sha256=digest) for file in data.speaker_files)
    return Catalog(replace(data, speaker_files=files), tmp_path)


@pytest.fixture
def extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.wiring.is_installed", lambda: True)


def install(catalog: Catalog, content: bytes = CONTENT) -> None:
    for file in catalog.data.speaker_files:
        (catalog.models_dir / file.file_name).write_bytes(content)


def test_the_catalogue_knows_both_networks() -> None:
    files = load_catalog().speaker_files
    assert [file.role for file in files] == ["segmentation", "embedding"]
    assert len({file.file_name for file in files}) == 2
    assert {file.name for file in files} == {"diarization"}


@pytest.mark.usefixtures("extra")
class TestWithTheExtra:
    def test_networks_that_are_there_are_used(self, catalog: Catalog, tmp_path: Path) -> None:
        install(catalog)
        assert missing_for_sherpa(catalog) == ""
        assert isinstance(build_diarizer(settings_for(tmp_path), catalog), SherpaDiarizer)
        assert isinstance(build_diarizer(settings_for(tmp_path, diarizer="sherpa"), catalog), SherpaDiarizer)

    def test_without_them_the_basic_one_serves_and_the_way_to_them_is_said(self, catalog: Catalog, tmp_path: Path) -> None:
        assert isinstance(build_diarizer(settings_for(tmp_path), catalog), BasicDiarizer)
        assert "whisperapi models pull diarization" in missing_for_sherpa(catalog)

    def test_a_damaged_network_is_never_given_to_sherpa(self, catalog: Catalog, tmp_path: Path) -> None:
        install(catalog, b"damaged!!")
        assert isinstance(build_diarizer(settings_for(tmp_path), catalog), BasicDiarizer)
        assert "damaged" in missing_for_sherpa(catalog)

    def test_sherpa_without_its_networks_is_refused_at_the_start(self, catalog: Catalog, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match="whisperapi models pull diarization"):
            build_diarizer(settings_for(tmp_path, diarizer="sherpa"), catalog)

    def test_basic_stays_basic(self, catalog: Catalog, tmp_path: Path) -> None:
        install(catalog)
        assert isinstance(build_diarizer(settings_for(tmp_path, diarizer="basic"), catalog), BasicDiarizer)


def test_without_the_extra_its_installation_is_named(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.wiring.is_installed", lambda: False)
    install(catalog)
    assert "whisperapi[diarize]" in missing_for_sherpa(catalog)
    assert isinstance(build_diarizer(settings_for(tmp_path), catalog), BasicDiarizer)


def test_it_can_be_switched_off(catalog: Catalog, tmp_path: Path) -> None:
    assert build_diarizer(settings_for(tmp_path, diarizer="off"), catalog) is None
