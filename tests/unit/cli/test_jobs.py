"""``whisperapi jobs``: what it prints, and what it changes in the database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from app.domain.jobs import UNDELIVERABLE, Callback, Job, JobLimits, JobState, Outcome
from app.services.jobs import Jobs
from app.settings import Settings
from app.wiring import build_jobs
from cli.main import app

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=timezone.utc)
URL = "https://user:hunter2@hooks.example/path?token=hunter2"
FIRST, SECOND = "aaaa1111-0000-4000-8000-000000000001", "aaaa2222-0000-4000-8000-000000000002"


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WHISPERAPI_DATA_DIR", str(tmp_path))
    with closing(build_jobs(Settings())) as made:
        yield made


def keep(jobs: Jobs, job_id: str, **changes: Any) -> None:
    given = {"state": JobState.QUEUED, "due": NOW} | changes
    job = Job(job_id, "key-1", NOW, "prompt=hunter2", Callback(URL), "", 5, **given)
    assert jobs.store.add(job, JobLimits(100, 10**9))
    with jobs.spool.create(job_id) as file:
        file.write(BytesIO(b"sound").read())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["jobs", *arguments], env={"COLUMNS": "200"})


def shown(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    assert "hunter2" not in result.output
    return json.loads(result.stdout)


class TestList:
    def test_shows_unfinished_and_failed_jobs_oldest_first(self, jobs: Jobs) -> None:
        keep(jobs, FIRST)
        keep(jobs, SECOND, state=JobState.FAILED, problem="bad_audio", finished=NOW)
        keep(jobs, "done", state=JobState.DONE, finished=NOW)
        assert [(job["id"], job["state"]) for job in shown("list")] == [(FIRST, "queued"), (SECOND, "failed")]
        assert len(shown("list", "--all")) == 3
        assert [job["id"] for job in shown("list", "--state", "done")] == ["done"]

    def test_prints_a_table_without_secrets(self, jobs: Jobs) -> None:
        keep(jobs, FIRST)
        result = run("list")
        assert FIRST in result.stdout
        assert "https://hooks.example" in result.stdout
        assert "hunter2" not in result.output

    def test_says_so_where_there_are_none(self, jobs: Jobs) -> None:
        result = run("list")
        assert result.exit_code == 0
        assert "No such jobs" in result.stderr


class TestShow:
    def test_finds_a_job_by_the_beginning_of_its_id(self, jobs: Jobs) -> None:
        keep(jobs, FIRST)
        keep(jobs, SECOND)
        assert shown("show", FIRST)["callback"] == "https://hooks.example"
        assert shown("show", "aaaa1")["id"] == FIRST
        assert f"{FIRST}" in run("show", "aaaa1").stdout

    @pytest.mark.parametrize(("reference", "words"), [("aaaa", "Several jobs"), ("bbbb", "No job"), ("a", "No job")])
    def test_says_what_is_wrong_with_a_reference(self, jobs: Jobs, reference: str, words: str) -> None:
        keep(jobs, FIRST)
        keep(jobs, SECOND)
        result = run("show", reference)
        assert result.exit_code == 1
        assert words in result.stderr


class TestCancel:
    def test_ends_a_job_and_deletes_its_audio(self, jobs: Jobs, tmp_path: Path) -> None:
        keep(jobs, FIRST)
        assert shown("cancel", FIRST, "--yes")["state"] == "cancelled"
        assert list((tmp_path / "jobs").iterdir()) == []
        again = run("cancel", FIRST, "--yes")
        assert again.exit_code == 1
        assert "cancelled already" in again.stderr

    def test_asks_first(self, jobs: Jobs) -> None:
        keep(jobs, FIRST)
        assert CliRunner().invoke(app, ["jobs", "cancel", FIRST], input="n\n").exit_code == 1
        assert jobs.find(FIRST).state is JobState.QUEUED


class TestRetry:
    def test_delivers_again_what_could_not_be_delivered(self, jobs: Jobs) -> None:
        keep(jobs, FIRST)
        soon = NOW + timedelta(seconds=9)
        assert jobs.store.claim_recognition("w", NOW, soon)
        assert jobs.store.conclude("w", FIRST, Outcome(b"{}", "application/json"), NOW)
        assert jobs.store.claim_delivery("w", NOW, soon)
        assert jobs.store.finish("w", FIRST, NOW, UNDELIVERABLE)
        assert shown("retry", FIRST)["state"] == "delivering"

    def test_runs_a_failed_job_again(self, jobs: Jobs) -> None:
        keep(jobs, FIRST, state=JobState.FAILED, problem="engine_failed", finished=NOW, attempts=1)
        record = shown("retry", FIRST)
        assert (record["state"], record["attempts"], record["problem"]) == ("queued", 0, None)

    def test_refuses_others(self, jobs: Jobs) -> None:
        keep(jobs, FIRST)
        result = run("retry", FIRST)
        assert result.exit_code == 1
        assert "queued; there is nothing to try again" in result.stderr
