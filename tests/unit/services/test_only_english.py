from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.errors import UnsupportedModel
from app.domain.options import LiveOptions, TranscribeOptions
from app.services.catalog import Catalog
from app.services.only_english import settled_recording, settled_stream
from tests.support.weights import put_model

DETECT = TranscribeOptions(detect_language=True, detect_among=("en", "de"))
SWITCH = LiveOptions(code_switching=True, language_hints=("en", "de"))


def catalog_of(folder: Path, name: str) -> Catalog:
    put_model(folder, name)
    return Catalog.open(folder, name)


def test_a_model_that_knows_english_alone_is_asked_for_english(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, "base.en")
    assert settled_recording(DETECT, catalog) == TranscribeOptions()
    assert settled_stream(SWITCH, catalog) == LiveOptions()


def test_any_other_model_is_left_to_detect(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, "base")
    assert settled_recording(DETECT, catalog) is DETECT
    assert settled_stream(SWITCH, catalog) is SWITCH


def test_a_language_that_was_named_stays(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, "base.en")
    named = TranscribeOptions(language="de")
    assert settled_recording(named, catalog) is named


def test_a_model_that_is_not_there_is_not_about_language(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, "base.en")
    with pytest.raises(UnsupportedModel) as raised:
        settled_recording(TranscribeOptions(model="nonsense", detect_language=True), catalog)
    assert raised.value.parameter == "model"
