from __future__ import annotations

import pytest
from typer.testing import CliRunner

from app.wyoming.server import Address
from cli.main import app
from cli.wyoming import is_private, welcome

RUNNER = CliRunner()


@pytest.mark.parametrize(
    ("uri", "private"),
    [
        ("tcp://127.0.0.1:1", True),
        ("tcp://localhost:1", True),
        ("tcp://[::1]:1", True),
        ("unix:///run/s", True),
        ("tcp://0.0.0.0:1", False),
        ("tcp://[::]:1", False),
        ("tcp://10.1.2.3:1", False),
        ("tcp://home.example:1", False),
    ],
)
def test_who_can_reach_an_address(uri: str, private: bool) -> None:
    assert is_private(Address.parse(uri)) is private


def test_notices_are_told_loudly() -> None:
    assert "\nNOTE: Beware.\n" in welcome(Address("0.0.0.0", 10300), ["Beware."])


@pytest.mark.parametrize(("option", "word"), [("--uri=http://x", "tcp://HOST:PORT"), ("--language=xx", "language")])
def test_wrong_arguments_are_refused_with_a_sentence(option: str, word: str) -> None:
    refused = RUNNER.invoke(app, ["wyoming", option])
    assert refused.exit_code == 1
    assert word in refused.output
