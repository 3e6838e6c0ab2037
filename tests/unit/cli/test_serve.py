from __future__ import annotations

import pytest
from typer.testing import CliRunner

from app.settings import Settings
from cli.main import app
from cli.serve import SAMPLE, welcome

RUNNER = CliRunner()


def test_serving_others_without_keys_is_refused() -> None:
    refused = RUNNER.invoke(app, ["serve", "--no-auth", "--host", "0.0.0.0"])
    assert refused.exit_code == 2
    assert "--insecure" in refused.output


def test_a_setting_with_a_wrong_value_is_named_without_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHISPERAPI_PORT", "my-secret")
    refused = RUNNER.invoke(app, ["serve"])
    assert refused.exit_code == 1
    assert "WHISPERAPI_PORT" in refused.output
    assert "my-secret" not in refused.output


def test_an_unknown_default_model_is_refused_with_a_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("WHISPERAPI_DATA_DIR", str(tmp_path))
    refused = RUNNER.invoke(app, ["serve", "--model", "unheard-of"])
    assert refused.exit_code == 1
    assert "whisperapi models list" in refused.output


class TestWelcome:
    def test_a_new_key_is_shown_and_stands_in_the_line_to_paste(self) -> None:
        text = welcome(Settings(_env_file=None), 7860, (), "abc")
        assert "\n    abc\n" in text
        command = (
            f'curl -H "Authorization: Token abc" --data-binary @{SAMPLE} "http://127.0.0.1:7860/v1/listen?punctuate=true"'
        )
        assert command in text
        assert SAMPLE.exists()

    def test_an_old_key_is_not_known_and_not_shown(self) -> None:
        assert 'Token $WHISPERAPI_KEY"' in welcome(Settings(_env_file=None), 7860, (), None)

    def test_without_keys_none_is_asked_for(self) -> None:
        assert "Authorization" not in welcome(Settings(_env_file=None, auth=False), 7860, (), None)

    @pytest.mark.parametrize(
        ("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("10.1.2.3", "10.1.2.3")]
    )
    def test_the_address_can_be_pasted(self, host: str, shown: str) -> None:
        assert f"http://{shown}:80/" in welcome(Settings(_env_file=None, host=host), 80, (), None)

    def test_notices_are_told_loudly(self) -> None:
        assert "\nNOTE: Beware.\n" in welcome(Settings(_env_file=None), 7860, ("Beware.",), None)
