"""The way back from an engine build: the installed package packed into a wheel again, from its own list of files."""

from __future__ import annotations

import base64
import hashlib
import sys
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path, PurePosixPath

PACKAGE = "pywhispercpp"

_OF_THE_INSTALLER = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}


def kept_folder() -> Path:
    """Where wheels are kept: in the environment itself, since they belong to it."""
    return Path(sys.prefix) / "share" / "whisperapi" / "engines"


def kept_wheel(folder: Path) -> Path | None:
    """The published wheel that was kept last; None if there is none."""
    wheels = [path for path in folder.glob(f"{PACKAGE}-*.whl") if "+" not in path.name]
    return max(wheels, key=lambda path: path.stat().st_mtime, default=None)


def keep_published(folder: Path, installed: Distribution | None = None) -> Path | None:
    """Pack the installed published wheel into ``folder``; None if what is installed was built here.

    Raises ``OSError`` if a file of it is missing or ``folder`` cannot be written.
    """
    package = installed or distribution(PACKAGE)
    if "+" in package.version:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{PACKAGE}-{package.version}-{_tag(package)}.whl"
    partial = target.with_suffix(".partial")
    _pack(package, partial)
    partial.replace(target)
    return target


def _tag(package: Distribution) -> str:
    lines = (package.read_text("WHEEL") or "").splitlines()
    return next(line.partition(": ")[2] for line in lines if line.startswith("Tag: "))


def _pack(package: Distribution, target: Path) -> None:
    record = []
    info = ""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as wheel:
        for file in package.files or ():
            name = PurePosixPath(file)
            if name.name == "RECORD" and name.parent.suffix == ".dist-info":
                info = str(name)
            if _belongs(name):
                data = Path(str(package.locate_file(file))).read_bytes()
                wheel.writestr(str(name), data)
                digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                record.append(f"{name},sha256={digest},{len(data)}")
        wheel.writestr(info, "\n".join([*record, f"{info},,", ""]))


def _belongs(name: PurePosixPath) -> bool:
    """Part of the wheel: neither a script or cache that the installer made, nor its notes."""
    if name.is_absolute() or ".." in name.parts or "__pycache__" in name.parts:
        return False
    return not (name.parent.suffix == ".dist-info" and name.name in _OF_THE_INSTALLER)
