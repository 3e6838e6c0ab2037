"""``whisperapi models``: list, pull, verify and remove weights; and the default model of a server that starts.

What a person reads goes to the error stream, the table and JSON to the output. Exit status 0: done; 1: refused or failed,
and why; 2: wrong arguments.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from app.domain.errors import SttError
from app.domain.languages import language_name
from app.domain.ports import InstalledModel
from app.hub import Hub, HubError, remove, verify
from app.services.catalog import Catalog, PullFailed
from app.services.catalog_entries import BUNDLED_DIR, DIARIZATION, CatalogEntry, SpeakerFile
from app.settings import Settings

models_app = typer.Typer(help="List, pull, verify and remove models.", no_args_is_help=True)

_FEW_LANGUAGES = 4

NamesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Names, aliases or file names.", show_default=False)
]


_Entry = CatalogEntry | SpeakerFile


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the list, and one object of its JSON."""

    name: str
    installed: bool
    default: bool
    size_bytes: int
    ram_mb: int | None
    languages: tuple[str, ...]
    translates: bool
    aliases: tuple[str, ...]
    selftest: bool


def ensure_default_model(settings: Settings, catalog: Catalog, console: Console) -> tuple[InstalledModel, str | None]:
    """The model to serve by default, pulled with a progress bar if it is missing, and what its operator must know, or None.

    When the hub cannot be reached (decided within 5 s) or gives no usable file, another installed model stands in, the
    self-test model last. Ends the program with a sentence if the configured name means nothing.
    """

    def pull(entry: CatalogEntry) -> None:
        try:
            _pull(entry, settings.resolved_models_dir, console)
        except HubError as error:
            raise PullFailed(str(error)) from error

    try:
        model, reason = catalog.prepare_default(pull)
    except SttError as error:
        raise _failed(error.message) from error
    if reason is None and not model.is_selftest:
        return model, None
    wanted = catalog.default_entry()
    name = wanted.name if wanted is not None and not wanted.bundled else Settings.model_fields["default_model"].default
    sentences = [reason] if reason else []
    if model.is_selftest:
        words = catalog.data.bundled.words
        sentences.append(f"The built-in self-test model is serving. It knows only {words} words and is no real recogniser.")
    else:
        sentences.append(f"The model {model.info.name} stands in for {name}.")
    sentences.append(f"To install {name}: whisperapi models pull {name}")
    return model, " ".join(sentences)


@models_app.command("list")
def list_models(as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False) -> None:
    """List the models that are installed and those that can be pulled."""
    catalog = _catalog()
    rows = _rows(catalog)
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows]))
        return
    _print_table(rows)
    missing = next((row.name for row in rows if row.default and not row.installed), None)
    if missing is not None:
        typer.echo(f"The default model is not installed. Install it with: whisperapi models pull {missing}", err=True)


@models_app.command("pull")
def pull_models(names: NamesArgument = None) -> None:
    """Fetch models from the hub; without a name, the default model. An interrupted pull goes on where it stopped."""
    catalog = _catalog()
    entries = _entries(catalog, names or [_settings().default_model])
    console = Console(stderr=True)

    def pull(entry: _Entry) -> str:
        if isinstance(entry, CatalogEntry) and entry.bundled:
            return "comes with the program"
        _pull(entry, catalog.models_dir, console)
        return "installed"

    _for_each(entries, pull)


@models_app.command("verify")
def verify_models(names: NamesArgument = None) -> None:
    """Compute checksums of installed models again; without a name, of all that the catalogue knows."""
    catalog = _catalog()
    known: list[_Entry] = [*catalog.entries, *catalog.data.speaker_files]
    entries = _entries(catalog, names) if names else [entry for entry in known if _path(catalog, entry).is_file()]

    def check(entry: _Entry) -> str:
        verify(entry, _path(catalog, entry).parent)
        return "intact"

    _for_each(entries, check)


@models_app.command("remove")
def remove_models(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names, aliases or file names.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete models from this machine. A server that has one loaded keeps it until it stops."""
    catalog = _catalog()
    own = {name: _own_file(catalog, name) for name in names}
    entries = _entries(catalog, [name for name, path in own.items() if path is None])
    if any(isinstance(entry, CatalogEntry) and entry.bundled for entry in entries):
        raise _failed("The self-test model is part of the program and stays.")
    if not yes:
        typer.confirm(f"Remove {', '.join(names)}?", abort=True, err=True)
    for path in filter(None, own.values()):
        path.unlink()
        typer.echo(f"{path.name}: removed", err=True)
    _for_each(entries, lambda entry: f"removed, {_megabytes(remove(entry, catalog.models_dir))} free")


def _pull(entry: _Entry, models_dir: Path, console: Console) -> Path:
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"Pulling {entry.name}", total=entry.size_bytes)
        return Hub().pull(entry, models_dir, lambda done, total: bar.update(task, completed=done, total=total))


def _for_each(entries: list[_Entry], work: Callable[[_Entry], str]) -> None:
    """Do all of it, say how each went, and end with status 1 if any failed."""
    failures = [entry for entry in entries if not _succeeds(entry, work)]
    if failures:
        raise typer.Exit(1)


def _succeeds(entry: _Entry, work: Callable[[_Entry], str]) -> bool:
    name = entry.name if isinstance(entry, CatalogEntry) else f"{entry.name} ({entry.role})"
    try:
        typer.echo(f"{name}: {work(entry)}", err=True)
    except HubError as error:
        # of several the same may be wrong: each says its name
        typer.echo(f"Error: {error}" if str(error).startswith(entry.name) else f"Error: {name}: {error}", err=True)
        return False
    return True


def _entries(catalog: Catalog, names: list[str]) -> list[_Entry]:
    """What the names mean. One that means nothing ends the program before anything is done."""
    found: dict[str, _Entry] = {}
    for name in names:
        if name.lower() == DIARIZATION:
            found |= {file.file_name: file for file in catalog.data.speaker_files}
            continue
        entry = catalog.data.find(name) or catalog.data.find(name.lower().removeprefix("whisper-"))
        if entry is None:
            near = difflib.get_close_matches(name.lower(), [entry.name for entry in catalog.entries], n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise _failed(f"The catalogue has no model named {name!r}.{hint} The names: whisperapi models list")
        found[entry.name] = entry
    return list(found.values())


def _own_file(catalog: Catalog, name: str) -> Path | None:
    """The file of an installed model that the catalogue does not know."""
    model = catalog.find_installed(name)
    if model is None or catalog.data.find(model.info.name) is not None:
        return None
    return model.path


def _path(catalog: Catalog, entry: _Entry) -> Path:
    return (BUNDLED_DIR if isinstance(entry, CatalogEntry) and entry.bundled else catalog.models_dir) / entry.file_name


def _catalog() -> Catalog:
    settings = _settings()
    return Catalog.open(settings.resolved_models_dir, settings.default_model, settings.unknown_model)


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        names = ", ".join(f"WHISPERAPI_{part}".upper() for each in error.errors() for part in each["loc"])
        raise _failed(f"A setting has an unusable value: {names}") from error


def _failed(message: str) -> typer.Exit:
    typer.echo(f"Error: {message}", err=True)
    return typer.Exit(1)


def _rows(catalog: Catalog) -> list[_Row]:
    """What is installed first, each part in the catalogue's order."""
    installed = {model.info.name: model for model in catalog.installed()}
    entry = catalog.default_entry()
    default = entry.name if entry else catalog.default().info.name
    rows = [_known_row(entry, installed.pop(entry.name, None), default) for entry in catalog.entries]
    rows += [_own_row(model, default) for model in installed.values()]
    return sorted(rows, key=lambda row: not row.installed)


def _known_row(entry: CatalogEntry, model: InstalledModel | None, default: str) -> _Row:
    return _Row(
        name=entry.name,
        installed=model is not None,
        default=entry.name == default,
        size_bytes=model.size_bytes if model else entry.size_bytes,
        ram_mb=entry.ram_mb,
        languages=entry.languages,
        translates=entry.translates,
        aliases=entry.aliases,
        selftest=entry.bundled,
    )


def _own_row(model: InstalledModel, default: str) -> _Row:
    return _Row(
        name=model.info.name,
        installed=True,
        default=model.info.name == default,
        size_bytes=model.size_bytes,
        ram_mb=None,
        languages=model.languages,
        translates=model.translates,
        aliases=(),
        selftest=model.is_selftest,
    )


def _print_table(rows: list[_Row]) -> None:
    table = Table()
    for heading in ("Name", "Size", "Memory", "Languages", "Translates", "Status"):
        table.add_column(heading, no_wrap=heading == "Name", justify="right" if heading in ("Size", "Memory") else "left")
    for row in rows:
        states = [word for word, holds in (("installed", row.installed), ("default", row.default)) if holds]
        table.add_row(
            Text(row.name),
            _megabytes(row.size_bytes),
            "" if row.ram_mb is None else f"{row.ram_mb} MB",
            _languages(row.languages),
            "yes" if row.translates else "",
            Text(", ".join(states), style="green" if row.installed else "yellow"),
        )
    console = Console()
    if not console.is_terminal:
        console.width = 200  # a file or a pipe has no edge to fold at
    console.print(table)


def _languages(codes: tuple[str, ...]) -> str:
    return ", ".join(map(language_name, codes)) if len(codes) <= _FEW_LANGUAGES else f"{len(codes)} languages"


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB"
