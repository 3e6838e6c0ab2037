from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import huggingface_hub.constants
import pytest

from app.hub import (
    ChecksumMismatch,
    DiskFull,
    DownloadFailed,
    Hub,
    HubUnreachable,
    NotOnHub,
)
from tests.support.hub_server import COMMIT, HubServer, hub_server

REPO = "someone/models"
CONTENT = bytes(range(256)) * 2000


@dataclass(frozen=True)
class Weights:
    name: str = "tiny"
    repo: str = REPO
    file: str = "ggml-tiny.bin"
    file_name: str = "ggml-tiny.bin"
    size_bytes: int = len(CONTENT)
    sha256: str = hashlib.sha256(CONTENT).hexdigest()
    sha1: str | None = hashlib.sha1(CONTENT, usedforsecurity=False).hexdigest()


WEIGHTS = Weights()


@pytest.fixture
def server() -> Iterator[HubServer]:
    with hub_server() as hub:
        hub.add(REPO, WEIGHTS.file, CONTENT)
        yield hub


@pytest.fixture
def hub(server: HubServer) -> Hub:
    return Hub(server.url, pause_s=0, retries=2)


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}


def partial_of(folder: Path) -> Path:
    (partial,) = folder.rglob("*.partial")
    return partial


def test_a_pull_puts_the_whole_file_in_place_and_reports_its_progress(hub: Hub, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    path = hub.pull(WEIGHTS, tmp_path / "models", lambda done, total: seen.append((done, total)))

    assert path == tmp_path / "models" / "ggml-tiny.bin"
    assert path.read_bytes() == CONTENT
    assert files_in(tmp_path) == {"ggml-tiny.bin"}
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_the_file_is_saved_under_its_local_name_and_fetched_at_the_revision_the_hub_named(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    server.add(REPO, "model.bin", CONTENT)

    path = hub.pull(Weights(file="model.bin"), tmp_path)

    assert path.name == "ggml-tiny.bin"
    assert server.requests[-1][1] == f"/{REPO}/resolve/{COMMIT}/model.bin"


def test_an_intact_file_is_not_asked_for_again(server: HubServer, hub: Hub, tmp_path: Path) -> None:
    hub.pull(WEIGHTS, tmp_path)
    before = len(server.requests)

    hub.pull(WEIGHTS, tmp_path)

    assert len(server.requests) == before


def test_a_damaged_file_is_fetched_anew(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / WEIGHTS.file_name).write_bytes(b"\0" * len(CONTENT))

    assert hub.pull(WEIGHTS, tmp_path).read_bytes() == CONTENT


def test_a_download_that_breaks_off_goes_on_where_it_stopped(server: HubServer, hub: Hub, tmp_path: Path) -> None:
    server.faults.truncate_after = [1000, 2000]

    assert hub.pull(WEIGHTS, tmp_path).read_bytes() == CONTENT

    assert server.downloads == ["", "bytes=1000-", "bytes=3000-"]


def test_a_later_pull_goes_on_where_a_failed_one_stopped(server: HubServer, hub: Hub, tmp_path: Path) -> None:
    server.faults.truncate_after = [1000, 0, 0, 0]
    with pytest.raises(DownloadFailed, match="models pull tiny"):
        hub.pull(WEIGHTS, tmp_path)
    assert not (tmp_path / WEIGHTS.file_name).exists()
    assert partial_of(tmp_path).stat().st_size == 1000
    server.requests.clear()

    hub.pull(WEIGHTS, tmp_path)

    assert server.downloads == ["bytes=1000-"]
    assert files_in(tmp_path) == {"ggml-tiny.bin"}


def test_a_server_that_ignores_ranges_is_read_from_the_start(server: HubServer, hub: Hub, tmp_path: Path) -> None:
    server.faults.truncate_after = [1000]
    server.faults.ignore_range = True

    assert hub.pull(WEIGHTS, tmp_path).read_bytes() == CONTENT


def test_server_errors_during_the_download_are_tried_again(server: HubServer, hub: Hub, tmp_path: Path) -> None:
    server.faults.statuses = [500, 429]

    assert hub.pull(WEIGHTS, tmp_path).read_bytes() == CONTENT


def test_lasting_server_errors_end_the_download(server: HubServer, hub: Hub, tmp_path: Path) -> None:
    server.faults.statuses = [500] * 9

    with pytest.raises(DownloadFailed):
        hub.pull(WEIGHTS, tmp_path)
    assert len(server.downloads) == 3


def test_a_refused_download_is_not_tried_again(server: HubServer, hub: Hub, tmp_path: Path) -> None:
    server.faults.statuses = [403]

    with pytest.raises(NotOnHub, match="403"):
        hub.pull(WEIGHTS, tmp_path)
    assert len(server.downloads) == 1


def test_a_body_with_other_bytes_is_thrown_away(server: HubServer, hub: Hub, tmp_path: Path) -> None:
    server.faults.body = b"\1" * len(CONTENT)

    with pytest.raises(ChecksumMismatch):
        hub.pull(WEIGHTS, tmp_path)

    assert files_in(tmp_path) == set()


def test_a_body_longer_than_promised_is_thrown_away(server: HubServer, hub: Hub, tmp_path: Path) -> None:
    server.faults.body = CONTENT + b"more"

    with pytest.raises(ChecksumMismatch):
        hub.pull(WEIGHTS, tmp_path)

    assert files_in(tmp_path) == set()
    assert len(server.downloads) == 1


@pytest.mark.parametrize("field", ["sha256", "sha1"])
def test_both_checksums_of_the_catalogue_count(field: str, server: HubServer, hub: Hub, tmp_path: Path) -> None:
    server.faults.etag = "not-a-checksum"
    wrong = Weights(**{field: "0" * len(getattr(WEIGHTS, field))})

    with pytest.raises(ChecksumMismatch):
        hub.pull(wrong, tmp_path)

    assert files_in(tmp_path) == set()


def test_a_hub_with_another_file_of_that_name_is_not_downloaded_from(server: HubServer, hub: Hub, tmp_path: Path) -> None:
    server.add(REPO, WEIGHTS.file, CONTENT[::-1])

    with pytest.raises(ChecksumMismatch, match="another file"):
        hub.pull(WEIGHTS, tmp_path)

    assert server.downloads == []


@pytest.mark.parametrize("code", ["EntryNotFound", "RepoNotFound", "GatedRepo"])
def test_a_missing_file_or_repository_is_told_from_an_unreachable_hub(
    code: str, server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    server.faults.metadata_status = 404 if code == "EntryNotFound" else 401
    server.faults.error_code = code

    with pytest.raises(NotOnHub, match=REPO):
        hub.pull(WEIGHTS, tmp_path)


def test_a_hub_that_answers_with_an_error_counts_as_unreachable(server: HubServer, hub: Hub, tmp_path: Path) -> None:
    server.faults.metadata_status = 503
    server.faults.error_code = "Overloaded"

    with pytest.raises(HubUnreachable, match="503"):
        hub.pull(WEIGHTS, tmp_path)


def test_a_hub_that_never_answers_is_given_up(server: HubServer, tmp_path: Path) -> None:
    server.faults.hang_on_metadata = True

    with pytest.raises(HubUnreachable):
        Hub(server.url, answer_s=0.3).pull(WEIGHTS, tmp_path)


def test_an_answer_that_no_timeout_of_the_library_catches_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocked = Event()

    def never(*_args: object, **_kwargs: object) -> None:
        blocked.wait()
        raise OSError

    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", never)

    with pytest.raises(HubUnreachable, match=r"within 0\.1 seconds"):
        Hub("http://127.0.0.1:9", answer_s=0.1).pull(WEIGHTS, tmp_path)
    blocked.set()


def test_a_refused_connection_is_an_unreachable_hub(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"

        with pytest.raises(HubUnreachable):
            Hub(url).pull(WEIGHTS, tmp_path)


def test_by_default_the_answer_comes_within_the_five_seconds_a_start_may_wait() -> None:
    assert Hub.__init__.__kwdefaults__ is not None
    assert Hub.__init__.__kwdefaults__["answer_s"] < 5


def test_offline_mode_asks_nobody(server: HubServer, hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    with pytest.raises(HubUnreachable, match="HF_HUB_OFFLINE"):
        hub.pull(WEIGHTS, tmp_path)
    assert server.requests == []


def test_the_mirror_and_the_token_of_the_environment_are_used(server: HubServer, tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from tests.unit.hub.test_download import WEIGHTS; from app.hub import Hub;"
        f"Hub().pull(WEIGHTS, Path({str(tmp_path)!r}))"
    )
    environment = {**os.environ, "HF_ENDPOINT": server.url, "HF_TOKEN": "hf_secret", "HF_HOME": str(tmp_path / "home")}

    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)

    assert (tmp_path / WEIGHTS.file_name).read_bytes() == CONTENT
    assert set(server.tokens) == {"Bearer hf_secret"}


def test_a_full_disk_is_noticed_before_the_download(
    server: HubServer, hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000))

    with pytest.raises(DiskFull, match="needed"):
        hub.pull(WEIGHTS, tmp_path)
    assert server.downloads == []


def test_two_pulls_at_once_download_once_and_both_get_the_file(server: HubServer, hub: Hub, tmp_path: Path) -> None:
    server.pause = Event()
    with ThreadPoolExecutor(2) as pool:
        pulls = [pool.submit(hub.pull, WEIGHTS, tmp_path) for _ in range(2)]
        assert server.paused.wait(30)
        assert not (tmp_path / WEIGHTS.file_name).exists()
        server.pause.set()
        paths = [pull.result(60) for pull in pulls]

    assert [path.read_bytes() for path in paths] == [CONTENT, CONTENT]
    assert len(server.downloads) == 1


def test_the_hub_library_is_not_loaded_until_something_is_pulled() -> None:
    script = "import sys, app.hub; sys.exit('huggingface_hub' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0
