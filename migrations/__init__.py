"""Database migrations, run by Alembic when the server or the command line starts (``app/storage/migrate.py``)."""

HEAD = "0003"
"""The newest revision, known here so that a database that has it needs no Alembic at start. A test compares the two."""
