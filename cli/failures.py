"""What goes wrong in a command ends it with a sentence and exit code 1, never with a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from pydantic import ValidationError

from app.domain.errors import SttError
from app.storage.database import DatabaseUnusable


@contextmanager
def plain_failures() -> Iterator[None]:
    """Around a command's work. A bad setting is named without its value, which may be a secret."""
    try:
        yield
    except ValidationError as error:
        names = ", ".join(f"WHISPERAPI_{part}".upper() for each in error.errors() for part in each["loc"])
        raise failed(f"A setting has an unusable value: {names}") from error
    except DatabaseUnusable as error:
        raise failed(str(error)) from error
    except SttError as error:
        raise failed(error.message) from error


def failed(message: str) -> typer.Exit:
    """Say it, and return what ends the program."""
    typer.echo(f"Error: {message}", err=True)
    return typer.Exit(1)
