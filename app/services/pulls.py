"""Weights fetched while the server runs, each in a thread of its own, with their progress to be looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from app.domain.errors import NotFound
from app.domain.pulling import PullProgress, PullState
from app.services.catalog import Catalog, PullFailed
from app.services.catalog_entries import CatalogEntry
from app.telemetry import logger

Fetch = Callable[[CatalogEntry, Callable[[int, int], None]], None]
"""Fetches an entry's weights into the models folder and tells bytes present and bytes in all; raises ``PullFailed``."""

Present = Callable[[CatalogEntry], int]
"""Bytes that an interrupted fetch of an entry has left; the next one goes on behind them."""

UNKNOWN_MODEL = "A model with the submitted ID cannot be found."

_log = logger(__name__)


class Pulls:
    """Pulls of models that the catalogue knows: one at a time for each. Methods block for a folder listing."""

    def __init__(self, catalog: Catalog, fetch: Fetch, present: Present) -> None:
        self._catalog = catalog
        self._fetch = fetch
        self._present = present
        self._pulls: dict[str, PullProgress] = {}
        self._lock = threading.Lock()

    def start(self, name: str) -> PullProgress:
        """Begin, unless the model is here or on its way. Raises ``NotFound`` for names the catalogue does not know.

        The thread ends with the process: a pull that is cut off goes on where it stopped when it is asked for again.
        """
        entry = self._known(name)
        with self._lock:
            progress = self._progress(entry)
            if progress is not None and progress.state is not PullState.FAILED:
                return progress
            progress = PullProgress(entry.name, PullState.PULLING, self._present(entry), entry.size_bytes)
            self._pulls[entry.name] = progress
        threading.Thread(target=self._pull, args=(entry,), name=f"pull-{entry.name}", daemon=True).start()
        return progress

    def progress(self, name: str) -> PullProgress:
        """How it stands. Raises ``NotFound`` for a model that is neither here nor was asked for."""
        entry = self._known(name)
        with self._lock:
            progress = self._progress(entry)
        if progress is None:
            raise NotFound("This model is not installed, and nobody has asked for it.")
        return progress

    def _known(self, name: str) -> CatalogEntry:
        key = name.strip().lower()
        entry = self._catalog.data.find(key) or self._catalog.data.find(key.removeprefix("whisper-"))
        if entry is None:
            raise NotFound(UNKNOWN_MODEL)
        return entry

    def _progress(self, entry: CatalogEntry) -> PullProgress | None:
        progress = self._pulls.get(entry.name)
        if progress is not None and progress.state is PullState.PULLING:
            return progress
        if self._catalog.find_installed(entry.name) is not None:
            return PullProgress(entry.name, PullState.INSTALLED, entry.size_bytes, entry.size_bytes)
        return progress if progress is not None and progress.state is PullState.FAILED else None

    def _pull(self, entry: CatalogEntry) -> None:
        problem: str | None = None
        try:
            self._fetch(entry, lambda done, total: self._note(entry, done_bytes=done, total_bytes=total))
        except PullFailed as failure:
            problem = str(failure)
        except Exception:  # noqa: BLE001 - the thread has nobody to raise to
            _log.exception("a pull failed in an unexpected way", model=entry.name)
            problem = "The model could not be fetched."
        state = PullState.INSTALLED if problem is None else PullState.FAILED
        self._note(entry, state=state, problem=problem)
        _log.info("pull ended", model=entry.name, state=state.value)

    def _note(self, entry: CatalogEntry, **changes: object) -> None:
        with self._lock:
            self._pulls[entry.name] = replace(self._pulls[entry.name], **changes)  # type: ignore[arg-type]
