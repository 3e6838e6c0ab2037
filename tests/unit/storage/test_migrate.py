from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

import migrations
from app.domain.ports import ApiKey
from app.storage.database import DatabaseUnusable, open_database, reading, writing
from app.storage.migrate import downgrade, upgrade
from app.storage.stores import SqlKeyStore
from app.storage.tables import Base
from tests.support.racing import ROOT, race

TABLES = {"api_keys", "jobs", "signing_secrets", "usage_records", "alembic_version"}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'per%cent and space' / 'keys.db'}"


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_database(url)
    yield engine
    engine.dispose()


def tables(engine: Engine) -> set[str]:
    with reading(engine) as connection:
        return set(inspect(connection).get_table_names())


def version(engine: Engine) -> str:
    with reading(engine) as connection:
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def some_key(key_id: str) -> ApiKey:
    return ApiKey(key_id, "0123abcd", "laptop", ("member",), datetime(2026, 11, 20, tzinfo=timezone.utc))


def test_head_is_the_newest_migration() -> None:
    assert ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head() == migrations.HEAD


def test_every_migration_file_carries_date_revision_and_slug() -> None:
    folder = ScriptDirectory(str(Path(migrations.__file__).parent))
    for script in folder.walk_revisions():
        date, revision = Path(script.path).stem[:10], Path(script.path).stem[11:15]
        assert datetime.strptime(date, "%Y_%m_%d").replace(tzinfo=timezone.utc)
        assert revision == script.revision


def test_the_migrated_schema_is_the_declared_one(url: str, engine: Engine) -> None:
    upgrade(url)
    with reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_constraints_bear_the_names_of_the_convention(url: str, engine: Engine) -> None:
    upgrade(url)
    with reading(engine) as connection:
        inspector = inspect(connection)
        assert inspector.get_pk_constraint("api_keys")["name"] == "pk_api_keys"
        assert [each["name"] for each in inspector.get_unique_constraints("api_keys")] == ["uq_api_keys_secret_hash"]


def test_up_down_and_up_again_on_an_empty_database(url: str, engine: Engine) -> None:
    upgrade(url)
    assert tables(engine) == TABLES
    downgrade(url, "base")
    assert tables(engine) == {"alembic_version"}
    upgrade(url)
    assert tables(engine) == TABLES
    assert version(engine) == migrations.HEAD


def test_up_down_and_up_again_with_rows(url: str, engine: Engine) -> None:
    upgrade(url)
    store = SqlKeyStore(engine)
    store.add(some_key("id-1"), "a1" * 32)
    downgrade(url, "base")
    upgrade(url)
    assert list(store.all()) == []
    store.add(some_key("id-1"), "a1" * 32)
    assert list(store.all()) == [some_key("id-1")]


def test_migrating_again_changes_nothing(url: str, engine: Engine) -> None:
    upgrade(url)
    SqlKeyStore(engine).add(some_key("id-1"), "a1" * 32)
    upgrade(url)
    assert list(SqlKeyStore(engine).all()) == [some_key("id-1")]


def test_a_database_at_head_needs_no_alembic(url: str) -> None:
    upgrade(url)
    code = "import sys; from app.storage.migrate import upgrade; upgrade(sys.argv[1]); sys.exit('alembic' in sys.modules)"
    subprocess.run([sys.executable, "-c", code, url], cwd=ROOT, check=True)


def test_processes_that_start_together_migrate_once(url: str, engine: Engine) -> None:
    race("import alembic.command; from app.storage.migrate import upgrade", "upgrade(sys.argv[1])", url, 3)
    assert tables(engine) == TABLES
    with reading(engine) as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).all() == [(migrations.HEAD,)]


def test_a_migration_that_fails_leaves_nothing_behind(url: str, engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE api_keys (x INTEGER)"))
    with pytest.raises(DatabaseUnusable, match="api_keys already exists"):
        upgrade(url)
    assert tables(engine) == {"api_keys"}


def test_a_database_of_a_newer_version_is_refused(url: str, engine: Engine) -> None:
    upgrade(url)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseUnusable, match="another version of this program"):
        upgrade(url)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("this is a text of more than sixteen bytes, but it is no database at all\n" * 20)
    with pytest.raises(DatabaseUnusable, match="not a database"):
        upgrade(f"sqlite:///{path}")
