"""The database behind a URL: SQLite prepared for several processes at once, or whatever else SQLAlchemy can open."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.domain.errors import Unavailable

BUSY_TIMEOUT_S = 10.0
"""Seconds a writer waits for another one. A key write takes under a millisecond; the first migration about 50 of them."""

_WRITES = "whisperapi_writes"  # execution option that marks a transaction as one that will write
_WRITER_LOCK = 0x77_68_69_73  # number of the advisory lock that serialises writers on PostgreSQL: any constant will do


class DatabaseUnusable(Exception):
    """The configured database cannot be opened or migrated. The message is for the operator; it holds no password."""


def open_database(url: str, *, durable: bool = False) -> Engine:
    """Open ``url``; nothing is read yet. The caller owns the engine and disposes of it.

    A SQLite file and its folder are created readable by this user alone; what exists already keeps its permissions.
    ``durable``: what SQLite has committed survives a power cut, for one more write to the disk per transaction, and what it
    deletes is overwritten.
    Raises ``DatabaseUnusable`` for a URL that is none, a driver that is not installed, and SQLite in memory.
    """
    parsed = _parse(url)
    is_sqlite = parsed.get_backend_name() == "sqlite"
    try:
        engine = create_engine(
            parsed,
            hide_parameters=True,  # an error's text would otherwise quote hashes and names
            pool_pre_ping=not is_sqlite,  # a database server may have dropped an idle connection
            connect_args={"timeout": BUSY_TIMEOUT_S} if is_sqlite else {},
        )
    except NoSuchModuleError as error:
        raise DatabaseUnusable(f"SQLAlchemy knows no database called {parsed.drivername!r}.") from error
    except ImportError as error:
        raise DatabaseUnusable(f"No driver for {parsed.drivername} is installed: {_remedy(parsed, error)}.") from error
    if engine.dialect.is_async:
        raise DatabaseUnusable(f"{parsed.drivername} is an asynchronous driver; the key store needs a synchronous one.")
    if is_sqlite:
        _create_file(parsed)
        event.listen(engine, "connect", _prepare_connection)
        if durable:
            event.listen(engine, "connect", _make_durable)
        event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads. In WAL mode it never waits for a writer."""
    with engine.begin() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that may write, one at a time over all processes; committed at the end, rolled back by an exception.

    On SQLite it takes the write lock at once: a transaction that reads first and writes later fails instead of waiting when
    another one has written in between. On PostgreSQL an advisory lock does the same.
    """
    with engine.execution_options(**{_WRITES: True}).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _WRITER_LOCK})
        yield connection


def empty_log(engine: Engine) -> None:
    """Move everything in SQLite's write-ahead log to the file and cut the log to nothing.

    The log keeps what was deleted until something else is written over it, which on a quiet server is never. Where somebody
    reads or writes meanwhile, or the disk refuses, it stays: waiting would hold up every writer, and the next call takes it
    along.
    """
    if engine.dialect.name != "sqlite":
        return
    connection = engine.raw_connection()
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA busy_timeout = 0")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error:
        pass
    finally:
        cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
        connection.close()


@contextmanager
def translated(
    transaction: AbstractContextManager[Connection], is_there_already: str, cannot_be_reached: str
) -> Iterator[Connection]:
    """The transaction, with its failures in the words of the ports: ``ValueError`` and ``Unavailable``."""
    try:
        with transaction as connection:
            yield connection
    except IntegrityError as error:
        raise ValueError(is_there_already) from error
    except (DBAPIError, PoolTimeout) as error:
        raise Unavailable(cannot_be_reached) from error


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise DatabaseUnusable("The database URL is not one that SQLAlchemy understands.") from error
    if parsed.drivername in ("postgres", "postgresql"):
        # SQLAlchemy 2.0 would choose psycopg2; our extra installs its successor, and hosting services write "postgres".
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite" and _is_in_memory(parsed):
        raise DatabaseUnusable("SQLite in memory cannot be shared by threads and processes: name a file.")
    return parsed


def _is_in_memory(parsed: URL) -> bool:
    return parsed.database in (None, "", ":memory:", "file::memory:") or parsed.query.get("mode") == "memory"


def _remedy(parsed: URL, error: ImportError) -> str:
    if parsed.get_backend_name() == "postgresql":
        return "install the extra with pip install 'whisperapi[postgres]'"
    return f"install the Python package that provides {error.name or 'it'}"


def _create_file(parsed: URL) -> None:
    """Create folder and file before SQLite does, which would leave both readable to others."""
    if parsed.database is None or parsed.database.startswith("file:"):
        return  # a SQLite URI carries its own options, read-only ones among them
    path = Path(parsed.database)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        if not path.parent.is_dir():
            raise DatabaseUnusable(f"The database's folder {path.parent} is not a folder.") from None
    except OSError as error:
        raise DatabaseUnusable(f"The database {path} cannot be created: {error.strerror}.") from error


def _prepare_connection(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver begins no transactions of its own: _begin does
    cursor = connection.cursor()
    try:
        _enable_wal(cursor)
        cursor.execute("PRAGMA synchronous = NORMAL")  # in WAL mode a power cut can lose the last commits, never the file
        cursor.execute("PRAGMA foreign_keys = ON")
    finally:
        cursor.close()


def _make_durable(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA secure_delete = ON")
    finally:
        cursor.close()


def _enable_wal(cursor: Any) -> None:
    """Switch to write-ahead logging, which is a property of the file: only the first connection ever changes anything.

    SQLite does not always apply the busy timeout to this change: of four connections that met a new file at the same moment,
    7 in 100 times one was told "database is locked" at once (400 rounds, SQLite 3.40). Try again until the timeout is over.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while not _try_wal(cursor, is_last=time.monotonic() > deadline):
        time.sleep(0.005)


def _try_wal(cursor: Any, *, is_last: bool) -> bool:
    try:
        cursor.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if is_last or "locked" not in str(error):
            raise
        return False
    return True


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
