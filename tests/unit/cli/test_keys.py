from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from app.domain.errors import InvalidCredentials
from app.services.accounts import Accounts
from app.storage.database import open_database
from app.storage.stores import SqlKeyStore
from cli.keys import keys_app, parse_duration, parse_moment
from tests.support.racing import ROOT

SECRET = re.compile(r"^[0-9a-f]{40}$", re.MULTILINE)


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # no .env of the checkout
    for name in list(os.environ):
        if name.startswith("WHISPERAPI_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WHISPERAPI_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data" / "whisperapi.db"


def keys(*arguments: str, answer: str | None = None, status: int = 0) -> Result:
    result = CliRunner().invoke(keys_app, list(arguments), input=answer)
    assert result.exit_code == status, result.output
    return result


def keys_json(*arguments: str) -> Any:
    result = keys(*arguments, "--json")
    assert result.stderr == ""
    return json.loads(result.stdout)


def works(database: Path, secret: str) -> bool:
    accounts = Accounts(SqlKeyStore(open_database(f"sqlite:///{database}")), lambda: datetime.now(timezone.utc))
    try:
        accounts.verify(secret)
    except InvalidCredentials:
        return False
    else:
        return True
    finally:
        accounts.close()


class TestCreate:
    def test_prints_the_secret_alone_on_the_output_and_says_it_is_shown_once(self, database: Path) -> None:
        result = keys("create", "laptop")
        assert SECRET.fullmatch(result.stdout.strip())
        assert "shown once" in result.stderr
        assert works(database, result.stdout.strip())

    def test_json_holds_the_secret_and_everything_about_the_key(self, database: Path) -> None:
        made = keys_json("create", "laptop", "--scope", "usage:write", "--scope", "project:read", "--expires-in", "30d")
        assert works(database, made.pop("key"))
        lifetime = datetime.fromisoformat(made["expires"][:-1]) - datetime.fromisoformat(made["created"][:-1])
        assert lifetime == timedelta(days=30)
        assert {name: made[name] for name in ("name", "scopes", "status", "revoked", "last_used")} == {
            "name": "laptop",
            "scopes": ["usage:write", "project:read"],
            "status": "active",
            "revoked": None,
            "last_used": None,
        }

    def test_a_key_needs_no_name_and_is_a_members(self) -> None:
        made = keys_json("create")
        assert (made["name"], made["scopes"], made["expires"]) == ("", ["member"], None)

    def test_an_end_may_be_a_date_and_is_taken_as_utc(self) -> None:
        assert keys_json("create", "x", "--expires-at", "2999-01-31")["expires"] == "2999-01-31T00:00:00Z"

    @pytest.mark.parametrize(
        "arguments",
        [
            ("--expires-in", "soon"),
            ("--expires-at", "tomorrow"),
            ("--expires-in", "1d", "--expires-at", "2999-01-01"),
            ("--nonsense",),
        ],
    )
    def test_wrong_arguments_end_with_status_2_and_make_no_key(self, arguments: tuple[str, ...]) -> None:
        keys("create", "x", *arguments, status=2)
        assert keys_json("list", "--all") == []

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--scope", "usage:wirte"), "unknown: 'usage:wirte'"),
            (("--expires-at", "2001-01-01"), "must lie in the future"),
            (("--expires-in", "0s"), "must lie in the future"),
            (("--expires-in", "999999999d"), "too long"),
        ],
    )
    def test_a_refusal_ends_with_status_1_and_a_sentence(self, arguments: tuple[str, ...], message: str) -> None:
        result = keys("create", "x", *arguments, status=1)
        assert message in result.stderr
        assert result.stdout == ""
        assert keys_json("list", "--all") == []


class TestList:
    def test_shows_live_keys_and_never_a_secret(self) -> None:
        made = keys_json("create", "laptop")
        keys_json("create", "gone")
        keys("revoke", "gone", "--yes")
        output = keys("list").stdout
        assert made["prefix"] in output
        assert "laptop" in output
        assert "gone" not in output
        assert made["key"] not in output
        assert made["key"] not in keys("list", "--json", "--all").stdout

    def test_all_includes_what_no_longer_works(self) -> None:
        keys_json("create", "laptop")
        keys_json("create", "gone")
        keys("revoke", "gone", "--yes")
        assert {key["name"]: key["status"] for key in keys_json("list", "--all")} == {"laptop": "active", "gone": "revoked"}
        assert "revoked" in keys("list", "--all").stdout

    def test_a_key_in_its_grace_period_shows_when_it_ends(self) -> None:
        keys_json("create", "laptop")
        rotated = keys_json("rotate", "laptop", "--grace", "12h")
        end = rotated["replaced_until"][:16].replace("T", " ")
        assert end in keys("list").stdout

    def test_a_name_in_brackets_is_not_markup(self) -> None:
        keys_json("create", "[red]x[/nope]")
        assert "[red]x[/nope]" in keys("list").stdout

    def test_no_keys_are_an_empty_list_or_a_hint(self) -> None:
        assert keys_json("list") == []
        result = keys("list")
        assert result.stdout == ""
        assert "keys create" in result.stderr


class TestRevoke:
    @pytest.mark.parametrize("reference", ["id", "prefix", "name", "key"])
    def test_ends_a_key_named_in_any_way(self, database: Path, reference: str) -> None:
        made = keys_json("create", "laptop")
        keys("revoke", made[reference], "--yes")
        assert not works(database, made["key"])

    def test_asks_first_and_takes_no_for_an_answer(self, database: Path) -> None:
        made = keys_json("create", "laptop")
        for answer in ("n\n", ""):
            keys("revoke", "laptop", answer=answer, status=1)
            assert works(database, made["key"])
        keys("revoke", "laptop", answer="y\n")
        assert not works(database, made["key"])

    def test_json_tells_the_key_and_its_end(self) -> None:
        made = keys_json("create", "laptop")
        ended = keys_json("revoke", "laptop", "--yes")
        assert (ended["id"], ended["status"]) == (made["id"], "revoked")
        assert ended["revoked"] is not None

    def test_an_unknown_or_ambiguous_name_ends_with_status_1(self, database: Path) -> None:
        secrets = [keys_json("create", "laptop")["key"] for _ in range(2)]
        assert "No key has" in keys("revoke", "desk", "--yes", status=1).stderr
        assert "Several keys match" in keys("revoke", "laptop", "--yes", status=1).stderr
        assert all(works(database, secret) for secret in secrets)


class TestRotate:
    def test_prints_the_new_secret_alone_and_ends_the_old_one(self, database: Path) -> None:
        old = keys_json("create", "laptop")
        result = keys("rotate", "laptop")
        assert works(database, result.stdout.strip())
        assert not works(database, old["key"])
        assert old["prefix"] in result.stderr

    def test_the_old_secret_works_through_a_grace_period(self, database: Path) -> None:
        old = keys_json("create", "laptop")
        new = keys_json("rotate", old["id"], "--grace", "1h")
        assert works(database, old["key"])
        assert works(database, new["key"])
        assert new["replaces"] == old["id"]
        until = datetime.fromisoformat(new["replaced_until"][:-1]) - datetime.fromisoformat(new["created"][:-1])
        assert timedelta(minutes=59) < until < timedelta(minutes=61)

    def test_a_revoked_key_is_refused(self) -> None:
        made = keys_json("create", "laptop")
        keys("revoke", "laptop", "--yes")
        assert "create a new one" in keys("rotate", made["id"], status=1).stderr


def test_an_unusable_database_ends_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHISPERAPI_DATABASE_URL", "nosuchdb://user:s3cret@host/db")
    result = keys("list", status=1)
    assert "no database called 'nosuchdb'" in result.stderr
    assert "s3cret" not in result.stderr


def test_an_unusable_setting_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHISPERAPI_PORT", "s3cret")
    result = keys("list", status=1)
    assert "WHISPERAPI_PORT" in result.stderr
    assert "s3cret" not in result.stderr


def test_a_real_process_creates_a_key_that_works_here(database: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-c", "from cli.keys import keys_app; keys_app()", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(program, check=False, capture_output=True, text=True, env=environment)

    made = run("create", "laptop")
    assert made.returncode == 0, made.stderr
    assert works(database, made.stdout.strip())
    refused = run("revoke", "nobody", "-y")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000), (" 1s ", 1)])
def test_durations_are_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "5", "-5s", "1.5h", "5 m", "1w", "1h30m", "٣s", "9999999999s"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_duration(text)


@pytest.mark.parametrize(
    "text", ["2027-01-31T12:00:00Z", "2027-01-31T12:00:00", "2027-01-31 13:00+01:00", "2027-01-31T12:00:00+00:00"]
)
def test_moments_are_iso_times(text: str) -> None:
    assert parse_moment(text) == datetime(2027, 1, 31, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize("text", ["", "soon", "2027-13-01", "0001-01-01T00:00+23:00", "12:00"])
def test_anything_else_is_no_moment(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_moment(text)
