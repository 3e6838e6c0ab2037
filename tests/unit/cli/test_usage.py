from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.domain.usage import Method, UsageRecord
from app.services.accounts import Accounts
from app.storage.database import open_database
from app.storage.migrate import upgrade
from app.storage.secrets import SqlSecretStore
from app.storage.stores import SqlKeyStore
from app.storage.usage import SqlUsageStore
from cli.main import app

NOW = datetime.now(timezone.utc)


@pytest.fixture(autouse=True)
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WHISPERAPI_DATA_DIR", str(tmp_path))
    found = f"sqlite:///{tmp_path / 'whisperapi.db'}"
    upgrade(found)
    return found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def store_records(url: str, *records: UsageRecord) -> None:
    store = SqlUsageStore(open_database(url))
    store.put(records)
    store.close()


def make_record(request_id: str, key_id: str = "", **changes: object) -> UsageRecord:
    given: dict[str, object] = {
        "created": NOW,
        "path": "/v1/listen",
        "method": Method.SYNC,
        "completed": NOW,
        "code": 200,
        "model": "base",
        "audio_s": 3600.0,
    } | changes
    return UsageRecord(request_id, key_id=key_id, **given)  # type: ignore[arg-type]


def test_says_when_there_is_nothing() -> None:
    result = run("usage")
    assert result.exit_code == 0
    assert "No requests on record." in result.stderr


def test_prints_a_table_with_a_total(url: str) -> None:
    store_records(url, make_record("1"), make_record("2", channels=2, code=500, created=NOW - timedelta(days=1)))
    text = run("usage").stdout
    assert (NOW - timedelta(days=1)).date().isoformat() in text
    total = next(line for line in text.splitlines() if "total" in line)
    assert [cell.strip() for cell in total.split("│")[2:6]] == ["2", "1", "2:00:00", "3:00:00"]


def test_names_keys_and_takes_tags_as_they_are(url: str) -> None:
    accounts = Accounts(SqlKeyStore(open_database(url)), lambda: NOW)
    key, _ = accounts.create("laptop")
    accounts.close()
    store_records(url, make_record("1", key.key_id, tags=("[red]",)), make_record("2"))
    by_key = json.loads(run("usage", "--by", "key", "--json").stdout)
    assert {line["key"]: line["requests"] for line in by_key["results"]} == {key.key_id: 1, "": 1}
    assert "laptop" in run("usage", "--by", "key").stdout
    assert "[red]" in run("usage", "--by", "tag").stdout
    assert json.loads(run("usage", "--key", "laptop", "--json").stdout)["total"]["requests"] == 1


def test_chooses_by_time_model_and_tag(url: str) -> None:
    store_records(
        url,
        make_record("old", created=NOW - timedelta(days=10)),
        make_record("new", tags=("a",)),
        make_record("other", model="small", features=("diarize",)),
    )

    def requests(*arguments: str) -> int:
        return int(json.loads(run("usage", "--json", *arguments).stdout)["total"]["requests"])

    assert requests() == 3
    assert requests("--last", "24h") == 2
    assert requests("--end", (NOW - timedelta(days=1)).date().isoformat()) == 1
    assert requests("--model", "small") == 1
    assert requests("--tag", "a") == 1
    assert run("usage", "--last", "1h", "--start", "2026-01-01").exit_code == 2


def test_an_unknown_key_is_a_failure_with_a_sentence() -> None:
    result = run("usage", "--key", "nobody")
    assert result.exit_code == 1
    assert "Error: " in result.stderr


def test_the_signing_secret_is_rotated_with_a_grace_period(url: str) -> None:
    store = SqlSecretStore(open_database(url))
    assert run("keys", "list").exit_code == 0
    first = json.loads(run("keys", "rotate-secret", "--json").stdout)
    assert datetime.fromisoformat(first["replaced_until"].replace("Z", "+00:00")) > NOW + timedelta(minutes=59)
    result = run("keys", "rotate-secret", "--grace", "0s")
    assert result.exit_code == 0
    assert result.stdout == ""
    store.close()


def test_keys_carry_tags() -> None:
    made = json.loads(run("keys", "create", "laptop", "--tag", "a", "--tag", "b", "--json").stdout)
    assert made["tags"] == ["a", "b"]
    assert json.loads(run("keys", "list", "--json").stdout)[0]["tags"] == ["a", "b"]
