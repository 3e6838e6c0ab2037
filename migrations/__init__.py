"""Database migrations, run by Alembic when the server or the command line starts."""
