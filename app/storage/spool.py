"""Audio of accepted jobs: one file each, in a folder that only this user reads."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, cast

_PARTIAL = ".part"
_NAME = re.compile(r"[0-9A-Za-z-]{1,64}")


class FolderSpool:
    """``AudioSpool`` in ``folder``, which is made when it is first needed. Shared by processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def create(self, job_id: str) -> Iterator[BinaryIO]:
        path = self._path(job_id)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = path.with_suffix(_PARTIAL)
        try:
            with os.fdopen(os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600), "w+b") as file:
                yield cast("BinaryIO", file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            self._sync_folder()
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def open(self, job_id: str) -> BinaryIO:
        return self._path(job_id).open("rb")

    def remove(self, job_id: str) -> None:
        self._path(job_id).unlink(missing_ok=True)

    def sweep(self, wanted: Collection[str], older_than: datetime) -> int:
        if not self._folder.is_dir():
            return 0
        kept = frozenset(wanted)
        return sum(
            _remove_old(path, older_than.timestamp())
            for path in self._folder.iterdir()
            if path.suffix == _PARTIAL or path.name not in kept
        )

    def _path(self, job_id: str) -> Path:
        if _NAME.fullmatch(job_id) is None:
            raise ValueError("a job's id is made of letters, digits and hyphens")
        return self._folder / job_id

    def _sync_folder(self) -> None:
        """The new name is in the folder's own data, which a power cut would take back. Windows cannot open folders."""
        if os.name == "posix":
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _remove_old(path: Path, older_than: float) -> bool:
    try:
        is_old = path.stat().st_mtime < older_than
        if is_old:
            path.unlink()
    except FileNotFoundError:  # another process was faster
        return False
    return is_old
