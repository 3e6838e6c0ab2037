"""Which models are on this machine: the files in the models folder and in the package, looked at whenever asked."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

from app.domain.languages import WHISPER_LANGUAGES, WHISPER_V3_LANGUAGES
from app.domain.ports import InstalledModel
from app.domain.transcript import ModelInfo
from app.services.catalog_entries import CatalogData, CatalogEntry
from app.services.ggml_header import HEADER_BYTES, GgmlHeader, parse_header

_NAMESPACE = uuid.UUID("5b7c3a52-91f6-4c1e-8a7d-3f0e6d2b9c41")  # changing it changes every model's id
_LEAST_SHARE = 0.99  # of the catalogue's size: other people's conversions differ by some bytes, half files by much more
_UNKNOWN_VERSION = "local"


def model_uuid(name: str) -> str:
    """The id of a model name: the same on every machine and in every version."""
    return str(uuid.uuid5(_NAMESPACE, name))


@dataclass(frozen=True, slots=True)
class _Seen:
    size_bytes: int
    modified_ns: int
    header: GgmlHeader | None


class ModelFiles:
    """Finds usable weights. A file is looked into once and again when it changes, so asking costs a folder listing."""

    def __init__(self, catalog: CatalogData, models_dir: Path, bundled_dir: Path) -> None:
        self._catalog = catalog
        self._folders = (models_dir, bundled_dir)
        self._seen: dict[Path, _Seen] = {}

    def installed(self) -> tuple[InstalledModel, ...]:
        """Complete models in the catalogue's order, then files it does not know, by name. Never raises."""
        found: dict[str, InstalledModel] = {}
        for folder in self._folders:
            for path in _model_files(folder):
                model = self._examine(path)
                if model is not None:
                    found.setdefault(model.info.name, model)
        order = {entry.name: number for number, entry in enumerate(self._catalog.entries)}
        return tuple(sorted(found.values(), key=lambda model: (order.get(model.info.name, len(order)), model.info.name)))

    def _examine(self, path: Path) -> InstalledModel | None:
        seen = self._look(path)
        if seen is None or seen.header is None:
            return None
        name = path.name.removeprefix("ggml-").removesuffix(".bin")
        entry = next((entry for entry in self._catalog.entries if entry.name == name), None)
        least_bytes = entry.size_bytes * _LEAST_SHARE if entry else seen.header.least_bytes
        if seen.size_bytes < least_bytes:
            return None
        is_selftest = name.split("-")[0] == self._catalog.bundled.name
        languages, translates = self._abilities(entry or (self._catalog.bundled if is_selftest else None), seen.header)
        return InstalledModel(
            info=ModelInfo(name=name, uuid=model_uuid(name), version=entry.version if entry else _UNKNOWN_VERSION),
            path=path,
            size_bytes=seen.size_bytes,
            languages=languages,
            multilingual=languages != ("en",),
            translates=translates,
            is_selftest=is_selftest,
        )

    def _look(self, path: Path) -> _Seen | None:
        try:
            status = path.stat()
            seen = self._seen.get(path)
            if seen is None or (seen.size_bytes, seen.modified_ns) != (status.st_size, status.st_mtime_ns):
                with path.open("rb") as file:
                    seen = _Seen(status.st_size, status.st_mtime_ns, parse_header(file.read(HEADER_BYTES)))
                self._seen[path] = seen
        except OSError:  # gone since the folder was listed, or not ours to read
            return None
        return seen

    @staticmethod
    def _abilities(entry: CatalogEntry | None, header: GgmlHeader) -> tuple[tuple[str, ...], bool]:
        """Languages, and whether it translates. A file the catalogue does not know is what its vocabulary says."""
        if entry is not None:
            return entry.languages, entry.translates
        if not header.multilingual:
            return ("en",), False
        return WHISPER_V3_LANGUAGES if header.has_cantonese else WHISPER_LANGUAGES, True


def _model_files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.glob("ggml-*.bin") if path.is_file())
    except OSError:
        return []
