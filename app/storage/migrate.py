"""Bring a database to the schema this code expects. Server and command line do it at every start."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DBAPIError

import migrations
from app.storage.database import DatabaseUnusable, open_database, reading, writing


def upgrade(url: str) -> None:
    """Migrate the database at ``url`` to ``migrations.HEAD``, creating a SQLite file that is missing.

    Safe when several processes start together: one migrates, the others wait for it and find nothing to do. At HEAD already
    it reads one row and does not import Alembic, which alone takes 0.1 s and 12 MB. Raises ``DatabaseUnusable``.
    """
    _migrate(url, migrations.HEAD)


def downgrade(url: str, revision: str) -> None:
    """Take migrations back until ``revision`` ("base": all of them). Data of dropped tables is lost."""
    _migrate(url, revision, back=True)


def _migrate(url: str, revision: str, *, back: bool = False) -> None:
    engine = open_database(url)
    try:
        if back or _current_revision(engine) != revision:
            _run(engine, revision, back=back)
    except DBAPIError as error:
        raise DatabaseUnusable(f"The database cannot be used: {error.orig}.") from error
    finally:
        engine.dispose()


def _current_revision(engine: Engine) -> str | None:
    with reading(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _run(engine: Engine, revision: str, *, back: bool) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    folder = Path(migrations.__file__).parent
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    with writing(engine) as connection:  # holds the write lock: who comes second reads the version after we committed
        config.attributes["connection"] = connection
        try:
            (command.downgrade if back else command.upgrade)(config, revision)
        except CommandError as error:
            raise DatabaseUnusable(
                "The database was last used by another version of this program, which knows more migrations than this one: "
                "update the program, or name another database."
            ) from error
