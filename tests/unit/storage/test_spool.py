from __future__ import annotations

import os
import stat
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from app.storage.spool import FolderSpool

SOON = datetime.now(timezone.utc) + timedelta(hours=1)
LONG_AGO = datetime.now(timezone.utc) - timedelta(hours=1)


@pytest.fixture
def spool(tmp_path: Path) -> FolderSpool:
    return FolderSpool(tmp_path / "deep" / "jobs")


def keep(spool: FolderSpool, job_id: str, data: bytes = b"sound") -> None:
    with spool.create(job_id) as file:
        file.write(data)


def names(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "deep" / "jobs").iterdir())


def test_a_file_is_there_once_it_is_closed(spool: FolderSpool, tmp_path: Path) -> None:
    with spool.create("job-1") as file:
        file.write(b"sound")
        file.seek(0)
        assert file.read() == b"sound"
        assert names(tmp_path) == ["job-1.part"]
    with spool.open("job-1") as file:
        assert file.read() == b"sound"
    assert names(tmp_path) == ["job-1"]


def test_it_is_on_the_disk_before_its_name_is(spool: FolderSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(number: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "file")
        fsync(number)

    def note_replace(path: Path, target: Path) -> Path:
        order.append("name")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    keep(spool, "job-1")
    assert order == ["file", "name", "folder"]


def test_what_fails_leaves_nothing(spool: FolderSpool, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), spool.create("job-1"):
        raise RuntimeError
    assert names(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        spool.open("job-1")


def test_only_this_user_can_read_it(spool: FolderSpool, tmp_path: Path) -> None:
    keep(spool, "job-1")
    folder = tmp_path / "deep" / "jobs"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "job-1").stat().st_mode) == 0o600


def test_removing_twice_is_no_error(spool: FolderSpool, tmp_path: Path) -> None:
    keep(spool, "job-1")
    spool.remove("job-1")
    spool.remove("job-1")
    assert names(tmp_path) == []


@pytest.mark.parametrize("job_id", ["../outside", "a/b", "", ".", "x.part"])
def test_an_id_cannot_name_another_place(spool: FolderSpool, job_id: str) -> None:
    with pytest.raises(ValueError, match="letters"):
        spool.open(job_id)


def test_a_sweep_removes_old_files_that_nobody_wants(spool: FolderSpool, tmp_path: Path) -> None:
    assert spool.sweep([], SOON) == 0
    keep(spool, "wanted")
    keep(spool, "orphan")
    (tmp_path / "deep" / "jobs" / "wanted.part").write_bytes(b"half")
    assert spool.sweep(["wanted"], LONG_AGO) == 0
    assert spool.sweep(["wanted"], SOON) == 2
    assert names(tmp_path) == ["wanted"]
