"""Other servers in the settings, by either set of names, and the models that stand for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings
from app.wiring import build_backends, build_catalog

URL = "http://127.0.0.1:9/v1"


def settings(folder: Path, **given: object) -> Settings:
    return Settings(_env_file=None, **({"data_dir": folder} | given))


@pytest.mark.parametrize("prefix", ["WHISPERAPI_BACKEND", "CUSTOM_BACKEND"])
def test_both_sets_of_names_are_read(prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"URL": URL, "MODEL": "large", "NEEDS_WAV": "true", "AUTH": "Bearer squirrel"}.items():
        monkeypatch.setenv(f"{prefix}_{name}", value)
    [backend] = build_backends(settings(tmp_path))
    assert (backend.name, backend.url, backend.model, backend.needs_wav) == ("remote", URL, "large", True)
    assert backend.authorization == "Bearer squirrel"


def test_our_own_names_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHISPERAPI_BACKEND_URL", URL)
    monkeypatch.setenv("CUSTOM_BACKEND_URL", "http://elsewhere/v1")
    assert settings(tmp_path).backend_url == URL


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    backends = {"hosted": {"url": URL, "auth": "Bearer hedgehog"}}
    made = settings(tmp_path, backend_url=URL, backend_auth="Bearer squirrel", backends=backends)
    shown = repr(made) + repr(made.resolved_backends) + repr(build_backends(made))
    assert "squirrel" not in shown
    assert "hedgehog" not in shown


def test_a_backend_is_the_default_model_unless_another_is_named(tmp_path: Path) -> None:
    assert build_catalog(settings(tmp_path, backend_url=URL)).resolve(None).model.info.name == "remote"
    named = build_catalog(settings(tmp_path, backend_url=URL, default_model="selftest"))
    assert named.resolve(None).model.info.name == "selftest"
    assert named.resolve("remote").model.is_remote


def test_a_model_that_stands_in_is_the_default_of_the_settings_that_say_so(tmp_path: Path) -> None:
    made = settings(tmp_path)
    assert made.resolved_default_model == "base"
    assert made.model_copy(update={"default_model": "selftest"}).resolved_default_model == "selftest"


def test_named_backends_stand_beside_local_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "WHISPERAPI_BACKENDS", json.dumps({"fast": {"url": URL}, "german": {"url": URL, "languages": ["de"]}})
    )
    catalog = build_catalog(settings(tmp_path, default_model="selftest"))
    assert [model.info.name for model in catalog.installed()] == ["fast", "german", "selftest"]
    assert catalog.resolve("german", "de").model.languages == ("de",)


def test_nothing_but_its_own_name_sends_speech_to_a_named_backend(tmp_path: Path) -> None:
    catalog = build_catalog(settings(tmp_path, backends={"fast": {"url": URL}}))
    for name in (None, "nova-3", "whisper"):
        assert not catalog.resolve(name).model.is_remote


@pytest.mark.parametrize(
    "wrong",
    [
        {"backend_url": "ftp://a"},
        {"backend_parallel": 0},
        {"backend_timeout_s": 0},
        {"backends": {"a": {"url": "nonsense"}}},
        {"backends": {"a": {"url": URL, "wav": True}}},
        {"backends": {"a": {"url": URL, "auth": "Bearer a\r\nX: y"}}},
    ],
)
def test_what_cannot_be_meant_is_refused_at_the_start(wrong: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        settings(tmp_path, **wrong)
