from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.doctor import _show
from cli.doctor_finding import Finding, Outcome
from cli.main import app
from tests.support.http_servers import file_server

RUNNER = CliRunner()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WHISPERAPI_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WHISPERAPI_PORT", str(free_port()))


def findings(status: int = 0) -> dict[str, dict[str, str]]:
    result = RUNNER.invoke(app, ["doctor", "--json"])
    assert result.exit_code == status, result.output
    return {finding["check"]: finding for finding in json.loads(result.output)}


def test_every_part_is_checked_and_a_fresh_machine_can_run() -> None:
    found = findings()
    parts = {
        "processor",
        "threads",
        "memory",
        "models",
        "backends",
        "database",
        "voice detection",
        "speakers",
        "engine",
        "gpu",
        "key terms",
        "port",
    }
    assert set(found) == parts
    assert found["processor"]["outcome"] == "ok"
    assert found["voice detection"]["detail"] == "Silero"


def test_a_missing_model_names_the_command_that_brings_it() -> None:
    found = findings()["models"]
    assert (found["outcome"], found["remedy"]) == ("warning", "whisperapi models pull base")


def test_a_server_that_recognises_elsewhere_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert findings()["backends"]["outcome"] == "ok"
    with file_server({"/v1/models": b"{}"}) as url:
        monkeypatch.setenv("CUSTOM_BACKEND_URL", url)
        found = findings()
    assert (found["backends"]["detail"], found["models"]["outcome"]) == ("remote: there", "ok")
    monkeypatch.setenv("CUSTOM_BACKEND_URL", f"http://127.0.0.1:{free_port()}")
    assert findings()["backends"]["detail"] == "nobody answers for remote"


def test_a_port_in_use_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("WHISPERAPI_PORT", str(taken.getsockname()[1]))
        assert findings()["port"]["outcome"] == "warning"


def test_too_many_threads_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHISPERAPI_WORKERS", "500")
    assert findings()["threads"]["outcome"] == "warning"


def test_an_unusable_database_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "not-a-database"
    file.write_text("something else entirely " * 100)
    monkeypatch.setenv("WHISPERAPI_DATABASE_URL", f"sqlite:///{file}")
    found = findings(status=1)["database"]
    assert found["outcome"] == "failure"
    assert found["remedy"]


def test_people_read_lines() -> None:
    output = RUNNER.invoke(app, ["doctor"]).output
    assert "ok       processor: has the instructions the engine needs" in output
    assert "-> whisperapi models pull base" in output


def test_version_is_printed() -> None:
    from app import __version__

    assert RUNNER.invoke(app, ["version"]).output.strip() == __version__


def test_what_stands_in_brackets_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    _show([Finding("speakers", Outcome.OK, "told apart [basic]", "pip install 'whisperapi[diarize]'")])
    shown = capsys.readouterr().out
    assert "told apart [basic]" in shown
    assert "pip install 'whisperapi[diarize]'" in shown
