"""Model files on this machine: where they are while they arrive, and whether they are what they should be."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

from app.hub.errors import ChecksumMismatch, NotInstalled

READ_BYTES = 1 << 20
_WORK_FOLDER = ".downloads"


class HubFile(Protocol):
    """What must be known about a file: where it is on the hub, and what it is here. Checksums are lower-case hex."""

    @property
    def name(self) -> str: ...
    @property
    def repo(self) -> str: ...
    @property
    def file(self) -> str: ...
    @property
    def file_name(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    @property
    def sha1(self) -> str | None: ...


def verify(wanted: HubFile, models_dir: Path) -> Path:
    """Compute the checksums of the installed file again. Raises ``NotInstalled`` or ``ChecksumMismatch``."""
    path = models_dir / wanted.file_name
    if not path.is_file():
        raise NotInstalled(f"{wanted.name} is not installed. `whisperapi models pull {wanted.name}` installs it.")
    check_content(path, wanted)
    return path


def remove(wanted: HubFile, models_dir: Path) -> int:
    """Delete the file and what an interrupted pull of it left; the bytes that became free. Raises ``NotInstalled``."""
    leftovers = sorted((models_dir / _WORK_FOLDER).glob(f"{wanted.file_name}.*.partial"))
    paths = [path for path in (models_dir / wanted.file_name, *leftovers) if path.is_file()]
    if not paths:
        raise NotInstalled(f"{wanted.name} is not installed.")
    freed = sum(length(path) for path in paths)
    for path in paths:
        path.unlink(missing_ok=True)
    return freed


def work_files(wanted: HubFile, models_dir: Path) -> tuple[Path, Path]:
    """The file that grows during a download and the lock beside it, in a folder that is made if need be.

    The name carries the checksum: bytes of one version are never continued with those of another.
    """
    folder = models_dir / _WORK_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return folder / _partial_name(wanted), folder / f"{wanted.file_name}.lock"


def _partial_name(wanted: HubFile) -> str:
    return f"{wanted.file_name}.{wanted.sha256[:16]}.partial"


def present_bytes(wanted: HubFile, models_dir: Path) -> int:
    """What a pull that was interrupted has left for the next one to go on with. Makes no folder."""
    try:
        kept = length(models_dir / _WORK_FOLDER / _partial_name(wanted))
    except OSError:  # a folder that is somebody else's: the pull will say so
        return 0
    return kept if kept <= wanted.size_bytes else 0  # too long: it is thrown away


def is_intact(path: Path, wanted: HubFile) -> bool:
    """The file is there, complete and right."""
    if length(path) != wanted.size_bytes:
        return False
    try:
        check_content(path, wanted)
    except ChecksumMismatch:
        return False
    return True


def check_content(path: Path, wanted: HubFile) -> None:
    """Read the whole file once. Raises ``ChecksumMismatch``."""
    digests = [(hashlib.sha256(), wanted.sha256)]
    if wanted.sha1:
        digests.append((hashlib.sha1(usedforsecurity=False), wanted.sha1))
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            for digest, _ in digests:
                digest.update(block)
    if any(digest.hexdigest() != expected for digest, expected in digests):
        raise ChecksumMismatch(
            f"The file of {wanted.name} is damaged: its checksum is wrong. "
            f"`whisperapi models pull {wanted.name}` fetches it anew."
        )


def length(path: Path) -> int:
    """Bytes of the file, 0 if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
