"""What Alembic runs around the migrations: our connection, whose transaction ``app/storage/migrate.py`` owns."""

from alembic import context

from app.storage.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,  # SQLite can, and a migration that fails half-way must leave nothing behind
    render_as_batch=True,  # SQLite alters a table by copying it
)
context.run_migrations()
