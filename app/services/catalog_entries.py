"""The catalogue file: every model known by name, where its weights are, and the names clients may use for it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.domain.languages import WHISPER_LANGUAGES, WHISPER_V3_LANGUAGES

BUNDLED_DIR = Path(__file__).resolve().parents[2] / "models"
"""Folder inside the package: the catalogue and the self-test weights, in a source tree and in an installed wheel alike."""

DIARIZATION = "diarization"
"""Name under which the networks for speakers are pulled, verified and removed together."""

CATALOG_FILE = BUNDLED_DIR / "catalog.toml"

_LANGUAGE_SETS = {"whisper": WHISPER_LANGUAGES, "whisper-v3": WHISPER_V3_LANGUAGES}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")


class CatalogError(ValueError):
    """The catalogue file contradicts itself."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One model. ``file`` is its name in ``repo`` on the hub, ``file_name`` its name on this machine.

    ``ram_mb`` is about what one decode process needs; ``size`` the ``whisper-<size>`` it answers, if any; ``words`` the size
    of a closed vocabulary, for the bundled model only.
    """

    name: str
    repo: str
    file: str
    file_name: str
    size_bytes: int
    ram_mb: int
    sha256: str
    sha1: str | None
    languages: tuple[str, ...]
    translates: bool
    aliases: tuple[str, ...] = ()
    size: str | None = None
    bundled: bool = False
    words: int | None = None

    @property
    def multilingual(self) -> bool:
        """Knows more than English."""
        return self.languages != ("en",)

    @property
    def version(self) -> str:
        """Which weights exactly: the beginning of their checksum."""
        return self.sha256[:12]


@dataclass(frozen=True, slots=True)
class SpeakerFile:
    """One of the networks that tell speakers apart, by what it does. The fields mean what they mean in ``CatalogEntry``."""

    role: str
    repo: str
    file: str
    file_name: str
    size_bytes: int
    sha256: str
    sha1: str | None = None
    name: str = DIARIZATION


@dataclass(frozen=True, slots=True)
class CatalogData:
    """The parsed file. All names in lower case; ``by_name`` has names, aliases and file names; ``families`` and
    ``variants`` are Deepgram's.
    """

    entries: tuple[CatalogEntry, ...]
    by_name: Mapping[str, CatalogEntry]
    default_aliases: frozenset[str]
    families: frozenset[str]
    variants: frozenset[str]
    whisper_size: str
    speaker_files: tuple[SpeakerFile, ...] = ()

    @property
    def bundled(self) -> CatalogEntry:
        """The self-test model."""
        return next(entry for entry in self.entries if entry.bundled)

    def find(self, name: str) -> CatalogEntry | None:
        """The entry of a name, an alias or a file name (with or without ``.bin``), in any case."""
        return self.by_name.get(name.strip().lower())

    def is_deepgram_name(self, name: str) -> bool:
        """A family alone or with any variant in letters, or one of the variants alone. ``name`` in lower case."""
        if name in self.variants:
            return True
        return any(name == family or re.fullmatch(rf"{re.escape(family)}-[a-z-]+", name) for family in self.families)


def load_catalog(path: Path = CATALOG_FILE) -> CatalogData:
    """Read and check the catalogue. Raises ``CatalogError`` for anything incomplete, impossible or ambiguous."""
    raw = _toml().loads(path.read_text(encoding="utf-8"))
    try:
        entries = tuple(_entry(item) for item in raw["models"])
        default_aliases = _lower(raw["default"]["aliases"])
        return CatalogData(
            entries=entries,
            by_name=_index(entries, default_aliases),
            default_aliases=default_aliases,
            families=_lower(raw["deepgram"]["families"]),
            variants=_lower(raw["deepgram"]["variants"]),
            whisper_size=str(raw["deepgram"]["whisper"]),
            speaker_files=tuple(_speaker_file(item) for item in raw[DIARIZATION]),
        )
    except (KeyError, TypeError) as error:
        raise CatalogError(f"the catalogue lacks {error}") from error


def _entry(item: Mapping[str, Any]) -> CatalogEntry:
    name, file = str(item["name"]), str(item["file"])
    bundled = bool(item.get("bundled", False))
    languages = item["languages"]
    entry = CatalogEntry(
        name=name,
        repo="" if bundled else str(item["repo"]),
        file=file,
        file_name=str(item.get("saved_as", file)),
        size_bytes=int(item["size_bytes"]),
        ram_mb=int(item["ram_mb"]),
        sha256=str(item["sha256"]),
        sha1=item.get("sha1"),
        languages=_LANGUAGE_SETS[languages] if isinstance(languages, str) else tuple(languages),
        translates=bool(item["translates"]),
        aliases=tuple(item.get("aliases", ())),
        size=item.get("size"),
        bundled=bundled,
        words=item.get("words"),
    )
    _check(entry)
    return entry


def _speaker_file(item: Mapping[str, Any]) -> SpeakerFile:
    file = SpeakerFile(
        role=str(item["role"]),
        repo=str(item["repo"]),
        file=str(item["file"]),
        file_name=str(item["saved_as"]),
        size_bytes=int(item["size_bytes"]),
        sha256=str(item["sha256"]),
    )
    if file.size_bytes <= 0 or not _SHA256.fullmatch(file.sha256) or file.repo.count("/") != 1:
        raise CatalogError(f"the catalogue's file for {file.role!r} is incomplete or impossible")
    return file


def _check(entry: CatalogEntry) -> None:
    sound = (
        entry.size_bytes > 0
        and entry.ram_mb > 0
        and _SHA256.fullmatch(entry.sha256)
        and (entry.sha1 is None or _SHA1.fullmatch(entry.sha1))
        and entry.languages
        and set(entry.languages) <= set(WHISPER_V3_LANGUAGES)
        and (entry.bundled or entry.repo.count("/") == 1)
        and entry.file_name == f"ggml-{entry.name}.bin"
    )
    if not sound:
        raise CatalogError(f"the catalogue's entry {entry.name!r} is incomplete or impossible")


def _index(entries: tuple[CatalogEntry, ...], default_aliases: frozenset[str]) -> dict[str, CatalogEntry]:
    if sum(entry.bundled for entry in entries) != 1:
        raise CatalogError("the catalogue needs exactly one bundled model")
    index: dict[str, CatalogEntry] = {}
    for entry in entries:
        names = _names(entry)
        if taken := names & (index.keys() | default_aliases):
            raise CatalogError(f"the catalogue gives {', '.join(sorted(taken))} to more than one model")
        index.update(dict.fromkeys(names, entry))
    return index


def _names(entry: CatalogEntry) -> set[str]:
    file_name = entry.file_name.lower()
    return {entry.name.lower(), file_name, file_name.removesuffix(".bin"), *(alias.lower() for alias in entry.aliases)}


def _lower(names: list[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


def _toml() -> Any:
    """The standard library's reader, or the package it came from on Python 3.10."""
    try:
        return importlib.import_module("tomllib")
    except ModuleNotFoundError:
        return importlib.import_module("tomli")
