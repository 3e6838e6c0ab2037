"""Fetching one file: ask the hub, continue what is there, check, put in place.

``huggingface_hub`` answers where a file is, how long it must be and what its checksum is; it also reads the mirror
(``HF_ENDPOINT``), the offline switch (``HF_HUB_OFFLINE``) and the token of the environment. It is imported only when a
download is wanted. The bytes are streamed here, because its own download begins from zero after every interruption
(docs/decisions/0005-models-and-the-hub.md).
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

import httpx
from filelock import FileLock

from app.hub.errors import ChecksumMismatch, DiskFull, DownloadFailed, HubUnreachable, NotOnHub
from app.hub.files import HubFile, check_content, is_intact, length, work_files

Progress = Callable[[int, int], None]
"""Bytes present so far, and bytes in all."""

_SPARE_BYTES = 64_000_000  # left free on the disk beside the file
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PASSING_REFUSALS = frozenset({408, 429})


@dataclass(frozen=True, slots=True)
class _Remote:
    url: str
    headers: dict[str, str]


class _Interrupted(Exception):
    """The server stopped short of the end, or answered with a fault that may pass."""


class Hub:
    """Fetches models. ``endpoint`` None: the one of the environment.

    ``answer_s`` bounds everything until the hub has answered, name resolution and dripping answers included; it leaves a
    second for everything else of the five that a start may take. ``stall_s`` is the longest silence during a transfer.
    A transfer that broke off is resumed ``pause_s`` later, up to ``retries`` times in a row without a new byte.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        answer_s: float = 4.0,
        stall_s: float = 15.0,
        retries: int = 3,
        pause_s: float = 1.0,
    ) -> None:
        self._endpoint = endpoint
        self._answer_s = answer_s
        self._stall_s = stall_s
        self._retries = retries
        self._pause_s = pause_s

    def pull(self, wanted: HubFile, models_dir: Path, progress: Progress | None = None) -> Path:
        """Fetch the file into ``models_dir`` and return its path; nothing is fetched if the right file is there already.

        The file appears under its name only when it is complete and its checksums are right. A second pull of the same
        file waits for the first. Raises ``HubError``.
        """
        target = models_dir / wanted.file_name
        if is_intact(target, wanted):
            return target
        remote = self._ask(wanted)
        try:
            self._fetch(remote, wanted, target, progress or (lambda _done, _total: None))
        except OSError as error:
            raise DownloadFailed(
                f"The models folder cannot be written ({error.strerror or type(error).__name__})."
            ) from error
        return target

    def _fetch(self, remote: _Remote, wanted: HubFile, target: Path, progress: Progress) -> None:
        partial, lock = work_files(wanted, target.parent)
        with FileLock(lock):
            if is_intact(target, wanted):  # another pull finished while this one waited
                return
            _check_room(target.parent, wanted.size_bytes - length(partial))
            self._transfer(remote, wanted, partial, progress)
            try:
                check_content(partial, wanted)
            except ChecksumMismatch:
                partial.unlink()
                raise
            partial.replace(target)

    def _ask(self, wanted: HubFile) -> _Remote:
        """Where the file is now. In a thread, because neither name resolution nor a dripping answer obeys a timeout."""
        answers: SimpleQueue[_Remote | Exception] = SimpleQueue()

        def ask() -> None:
            try:
                answers.put(_metadata(wanted, self._endpoint, self._answer_s))
            except Exception as error:  # noqa: BLE001 (raised again below, in the thread that waits)
                answers.put(error)

        Thread(target=ask, name="hub-metadata", daemon=True).start()
        try:
            answer = answers.get(timeout=self._answer_s)
        except Empty:
            raise HubUnreachable(f"The model hub did not answer within {self._answer_s:g} seconds.") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _transfer(self, remote: _Remote, wanted: HubFile, partial: Path, progress: Progress) -> None:
        if length(partial) > wanted.size_bytes:
            partial.unlink()
        failures = 0
        timeout = httpx.Timeout(self._stall_s, connect=self._answer_s)
        with httpx.Client(headers=remote.headers, timeout=timeout, follow_redirects=True) as client:
            while (before := length(partial)) < wanted.size_bytes:
                fault = _attempt(client, remote.url, wanted, partial, progress)
                if fault is None:
                    continue
                failures = 0 if length(partial) > before else failures + 1
                if failures > self._retries:
                    raise DownloadFailed(
                        f"The download of {wanted.name} broke off ({type(fault).__name__.lstrip('_')}). "
                        f"`whisperapi models pull {wanted.name}` goes on where it stopped."
                    ) from fault
                time.sleep(self._pause_s)
        progress(wanted.size_bytes, wanted.size_bytes)


def _attempt(client: httpx.Client, url: str, wanted: HubFile, partial: Path, progress: Progress) -> Exception | None:
    """One request for what is missing; the fault if there was one that may pass. Raises ``HubError`` for lasting ones."""
    try:
        _append(client, url, wanted, partial, progress)
    except (httpx.HTTPError, _Interrupted) as fault:
        return fault
    return None


def _append(client: httpx.Client, url: str, wanted: HubFile, partial: Path, progress: Progress) -> None:
    done = length(partial)
    with client.stream("GET", url, headers={"Range": f"bytes={done}-"} if done else {}) as response:
        if response.is_server_error or response.status_code in _PASSING_REFUSALS:
            raise _Interrupted
        if response.is_error:
            raise NotOnHub(f"The hub refused the download of {wanted.name} (status {response.status_code}).")
        if response.status_code != httpx.codes.PARTIAL_CONTENT:
            done = 0  # the server ignored the range and starts over
        with partial.open("ab" if done else "wb") as file:
            progress(done, wanted.size_bytes)
            for block in response.iter_raw():
                file.write(block)
                done += len(block)
                if done > wanted.size_bytes:
                    break
                progress(done, wanted.size_bytes)
    if done < wanted.size_bytes:
        raise _Interrupted
    if done > wanted.size_bytes:
        partial.unlink()
        raise _other_file(wanted)


def _metadata(wanted: HubFile, endpoint: str | None, timeout_s: float) -> _Remote:
    """Ask the hub about the file and hold its answer against the catalogue. Raises ``HubError``."""
    # read when the library loads: it then describes this machine to nobody, and spares the request that prepares it
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import get_hf_file_metadata, get_token, hf_hub_url
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        found = get_hf_file_metadata(
            hf_hub_url(wanted.repo, wanted.file, endpoint=endpoint), timeout=timeout_s, endpoint=endpoint
        )
    except OfflineModeIsEnabled as error:
        raise HubUnreachable("Offline mode is on (HF_HUB_OFFLINE), so the model hub was not asked.") from error
    except GatedRepoError as error:
        raise NotOnHub(f"The hub gives {wanted.repo} only to people with access; set HF_TOKEN.") from error
    except (EntryNotFoundError, RepositoryNotFoundError) as error:
        raise NotOnHub(f"The hub has no {wanted.file} in {wanted.repo}, or wants a token for it (HF_TOKEN).") from error
    except HfHubHTTPError as error:
        raise HubUnreachable(f"The model hub answered with an error (status {error.response.status_code}).") from error
    except Exception as error:  # each version's HTTP library has its own kinds, and none may escape the thread
        raise HubUnreachable(f"The model hub cannot be reached ({type(error).__name__}).") from error
    offered = found.etag if found.etag and _SHA256.fullmatch(found.etag) else wanted.sha256
    if offered != wanted.sha256 or (found.size or wanted.size_bytes) != wanted.size_bytes:
        raise _other_file(wanted)
    token = get_token()
    headers = {"Accept-Encoding": "identity", **({"Authorization": f"Bearer {token}"} if token else {})}
    pinned = hf_hub_url(wanted.repo, wanted.file, revision=found.commit_hash or "main", endpoint=endpoint)
    return _Remote(pinned, headers)


def _other_file(wanted: HubFile) -> ChecksumMismatch:
    return ChecksumMismatch(
        f"The hub offers another file as {wanted.name} than the catalogue knows. A newer whisperapi may know it."
    )


def _check_room(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed_bytes + _SPARE_BYTES:
        raise DiskFull(
            f"{needed_bytes / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free on the disk of the models folder."
        )
