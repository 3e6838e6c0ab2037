"""What ``whisperapi ps`` prints about a running server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.support.http_servers import file_server

MODEL: dict[str, Any] = {
    "name": "base", "uuid": "u", "state": "loaded", "workers": 2, "users": 0, "memory_mb": 418, "memory_measured": True,
    "kept": False, "idle_seconds": 75.0, "expires_in_seconds": 225.0,
}  # fmt: skip


def ask(body: object, *arguments: str) -> tuple[int, str]:
    with file_server({"/v1/models/resident": json.dumps(body).encode()}) as url:
        done = CliRunner().invoke(app, ["ps", "--url", url, *arguments])
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ["base", "loaded", "2", "418 MB", "1 min ago", "in 3 min"]),
        ({"kept": True, "expires_in_seconds": None, "memory_measured": False}, ["~418 MB", "kept"]),
        ({"users": 3, "state": "leaving", "expires_in_seconds": None}, ["now", "after its last user"]),
        ({"expires_in_seconds": None}, ["not by time"]),
    ],
)
def test_a_model_is_a_line(changes: dict[str, Any], words: list[str]) -> None:
    code, output = ask({"models": [MODEL | changes], "memory_mb": 418, "memory_budget_mb": 1000})
    assert code == 0
    assert all(word in output for word in words)
    assert "418 of 1000 MB" in output


def test_json_is_what_the_server_said() -> None:
    body = {"models": [MODEL], "memory_mb": 418, "memory_budget_mb": None}
    code, output = ask(body, "--json")
    assert (code, json.loads(output)) == (0, body)


def test_nothing_loaded() -> None:
    code, output = ask({"models": [], "memory_mb": 0, "memory_budget_mb": None})
    assert (code, "No model is loaded" in output) == (0, True)


def test_something_else_listens_there() -> None:
    code, output = ask(["not ours"])
    assert (code, "no Whisper API" in output) == (1, True)


def test_nobody_answers() -> None:
    done = CliRunner().invoke(app, ["ps", "--url", "http://127.0.0.1:1"])
    assert (done.exit_code, "No server answers" in done.output) == (1, True)
