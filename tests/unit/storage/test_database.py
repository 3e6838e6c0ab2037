from __future__ import annotations

import os
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError

from app.domain.errors import Unavailable
from app.storage import database
from app.storage.database import DatabaseUnusable, open_database, reading, writing
from app.storage.stores import SqlKeyStore
from tests.support.racing import race

posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")


@pytest.fixture
def opened() -> Iterator[Callable[[Path], Engine]]:
    engines: list[Engine] = []

    def open_file(path: Path) -> Engine:
        engines.append(open_database(f"sqlite:///{path}"))
        return engines[-1]

    yield open_file
    for engine in engines:
        engine.dispose()


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix_only
def test_a_new_database_and_its_folder_are_readable_by_their_owner_alone(
    tmp_path: Path, opened: Callable[[Path], Engine]
) -> None:
    path = tmp_path / "new" / "keys.db"
    engine = opened(path)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
        assert permissions(path.parent) == 0o700
        files = {each.name: permissions(each) for each in path.parent.iterdir()}
    assert files == {"keys.db": 0o600, "keys.db-wal": 0o600, "keys.db-shm": 0o600}


@posix_only
def test_what_exists_keeps_its_permissions(tmp_path: Path, opened: Callable[[Path], Engine]) -> None:
    path = tmp_path / "keys.db"
    path.touch()
    path.chmod(0o640)
    tmp_path.chmod(0o750)
    opened(path)
    assert (permissions(path), permissions(tmp_path)) == (0o640, 0o750)


def test_every_connection_has_the_pragmas(tmp_path: Path, opened: Callable[[Path], Engine]) -> None:
    engine = opened(tmp_path / "keys.db")
    with engine.connect() as one, engine.connect() as two:
        for connection in (one, two):
            values = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
            assert values == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 10_000}


def test_a_reader_sees_the_last_commit_while_a_writer_is_busy(tmp_path: Path, opened: Callable[[Path], Engine]) -> None:
    engine = opened(tmp_path / "keys.db")
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
    with writing(engine) as writer:
        writer.execute(text("INSERT INTO t VALUES (1)"))
        with reading(engine) as reader:
            assert reader.execute(text("SELECT count(*) FROM t")).scalar() == 0
    with reading(engine) as reader:
        assert reader.execute(text("SELECT count(*) FROM t")).scalar() == 1


def test_writers_that_read_first_take_turns_and_lose_nothing(tmp_path: Path, opened: Callable[[Path], Engine]) -> None:
    engine = opened(tmp_path / "keys.db")
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
        connection.execute(text("INSERT INTO t VALUES (0)"))

    def count_up() -> None:
        for _ in range(20):
            with writing(engine) as connection:
                value = connection.execute(text("SELECT x FROM t")).scalar_one()
                connection.execute(text("UPDATE t SET x = :x"), {"x": value + 1})

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(count_up) for _ in range(4)]:
            done.result()
    with reading(engine) as connection:
        assert connection.execute(text("SELECT x FROM t")).scalar_one() == 80


def test_a_failed_transaction_leaves_nothing(tmp_path: Path, opened: Callable[[Path], Engine]) -> None:
    engine = opened(tmp_path / "keys.db")

    def fail_after_writing() -> None:
        with writing(engine) as connection:
            connection.execute(text("CREATE TABLE t (x INTEGER)"))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail_after_writing()
    with reading(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM sqlite_master")).scalar() == 0


def test_processes_that_meet_a_new_file_together_all_open_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'keys.db'}"
    action = "with reading(open_database(sys.argv[1])) as c: print(c.exec_driver_sql('PRAGMA journal_mode').scalar())"
    assert race("from app.storage.database import open_database, reading", action, url, 4) == ["wal"] * 4


class BusyAtFirst(sqlite3.Cursor):
    """Refuses the first ``refusals`` switches to WAL as SQLite does when two connections attempt it at once."""

    refusals = 0
    reason = "database is locked"

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if "journal_mode = " in sql and BusyAtFirst.refusals > 0:
            BusyAtFirst.refusals -= 1
            raise sqlite3.OperationalError(BusyAtFirst.reason)
        return super().execute(sql, *parameters)


class BusyConnection(sqlite3.Connection):
    def cursor(self, *_: Any) -> sqlite3.Cursor:  # type: ignore[override]
        return super().cursor(BusyAtFirst)


@pytest.fixture
def busy_engine(tmp_path: Path, opened: Callable[[Path], Engine], monkeypatch: pytest.MonkeyPatch) -> Engine:
    path = tmp_path / "keys.db"
    engine = opened(path)
    event.listen(engine, "do_connect", lambda *_: sqlite3.connect(path, check_same_thread=False, factory=BusyConnection))
    monkeypatch.setattr(BusyAtFirst, "refusals", 3)
    return engine


def test_a_locked_switch_to_wal_is_tried_again(busy_engine: Engine) -> None:
    with reading(busy_engine) as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    assert BusyAtFirst.refusals == 0


def test_a_switch_to_wal_that_fails_otherwise_is_not(busy_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BusyAtFirst, "reason", "disk I/O error")
    with pytest.raises(OperationalError, match="disk I/O error"), reading(busy_engine):
        pass
    assert BusyAtFirst.refusals == 2


def test_a_switch_to_wal_is_given_up_after_the_timeout(busy_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", -1.0)
    with pytest.raises(OperationalError, match="database is locked"), reading(busy_engine):
        pass
    assert BusyAtFirst.refusals == 2


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "name a file"),
        ("sqlite:///:memory:", "name a file"),
        ("sqlite:///file::memory:?uri=true", "name a file"),
        ("sqlite:///file:x?mode=memory&uri=true", "name a file"),
        ("nonsense", "not one that SQLAlchemy understands"),
        ("postgresql://user:s3cret@host:port/db", "not one that SQLAlchemy understands"),
        ("nosuchdb://user:s3cret@host/db", "no database called 'nosuchdb'"),
        ("oracle+cx_oracle://user:s3cret@host/db", "No driver for oracle"),
    ],
)
def test_an_unusable_url_is_refused_in_a_sentence_without_its_password(url: str, message: str) -> None:
    with pytest.raises(DatabaseUnusable, match=message) as caught:
        open_database(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_missing_postgresql_driver_names_the_extra(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DatabaseUnusable, match=r"whisperapi\[postgres\]"):
        open_database(f"{scheme}://user:s3cret@localhost/keys")


def test_an_asynchronous_driver_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = ModuleType("aiosqlite")
    vars(driver).update({name: value for name, value in vars(sqlite3).items() if not name.startswith("__")})
    monkeypatch.setitem(sys.modules, "aiosqlite", driver)
    with pytest.raises(DatabaseUnusable, match="needs a synchronous one"):
        open_database(f"sqlite+aiosqlite:///{tmp_path / 'keys.db'}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", ["file", "file/deeper"])
def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseUnusable, match=r"is not a folder|cannot be created: Not a directory"):
        open_database(f"sqlite:///{tmp_path / folder / 'keys.db'}")


def test_a_store_whose_tables_are_gone_says_unavailable_and_quotes_no_hash(
    tmp_path: Path, opened: Callable[[Path], Engine]
) -> None:
    store = SqlKeyStore(opened(tmp_path / "keys.db"))
    with pytest.raises(Unavailable, match="cannot be reached") as caught:
        store.find("a1" * 32)
    assert "a1" * 32 not in str(caught.value.__cause__)


@pytest.mark.parametrize(("durable", "synchronous", "overwrites"), [(False, 1, False), (True, 2, True)])
def test_a_durable_database_waits_for_the_disk_and_overwrites_what_it_deletes(
    tmp_path: Path, durable: bool, synchronous: int, overwrites: bool
) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'a.db'}", durable=durable)
    with reading(engine) as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == synchronous
        assert connection.exec_driver_sql("PRAGMA secure_delete").scalar() == 1 or not overwrites
    engine.dispose()
