"""``python -m cli``: the same as ``whisperapi``."""

from cli.main import app

app()
