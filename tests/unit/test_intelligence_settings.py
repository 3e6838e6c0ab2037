from pathlib import Path

import pytest
from pydantic import ValidationError

from app.intelligence.chat import OpenAiChat
from app.wiring import build_chat
from tests.support.app import settings_for

URL = "http://127.0.0.1:11434/v1"


def test_without_an_address_there_is_no_model(tmp_path: Path) -> None:
    assert build_chat(settings_for(tmp_path)) is None
    assert build_chat(settings_for(tmp_path, intelligence_model="tiny")) is None


def test_an_address_and_a_model_make_one(tmp_path: Path) -> None:
    chat = build_chat(settings_for(tmp_path, intelligence_url=URL, intelligence_model="tiny", intelligence_api_key="secret"))
    assert isinstance(chat, OpenAiChat)
    assert chat.name == "tiny"


def test_an_address_without_a_model_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="WHISPERAPI_INTELLIGENCE_MODEL"):
        settings_for(tmp_path, intelligence_url=URL)


@pytest.mark.parametrize("url", ["127.0.0.1:11434", "ftp://host/v1", "http://a b"])
def test_what_is_no_address_is_refused_at_the_start(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValidationError):
        settings_for(tmp_path, intelligence_url=url, intelligence_model="tiny")


def test_the_key_is_not_shown_with_the_settings(tmp_path: Path) -> None:
    assert "secret-of-the-test" not in repr(settings_for(tmp_path, intelligence_api_key="secret-of-the-test"))
