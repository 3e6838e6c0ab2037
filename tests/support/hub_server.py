"""A stand-in for the model hub on loopback: metadata and ranged downloads of a few files, with faults on request."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from unittest import mock

import huggingface_hub.constants

COMMIT = "5359861c739e955e79d9a303bcbc70fb988958b1"


@dataclass
class Faults:
    """What goes wrong. ``truncate_after``: bytes of a body that arrive before the connection closes, one entry per download,
    then all goes well. ``statuses``: answers to downloads, one each, before the good ones.
    """

    metadata_status: int | None = None
    error_code: str = ""
    hang_on_metadata: bool = False
    ignore_range: bool = False
    truncate_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    body: bytes | None = None
    etag: str | None = None


@dataclass
class HubServer:
    """The running stand-in. ``requests`` has method, path and Range header of everything that was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    release: Event = field(default_factory=Event)
    pause: Event | None = None  # a download waits for it after its first bytes
    paused: Event = field(default_factory=Event)

    def add(self, repo: str, file: str, content: bytes) -> None:
        """Offer a file."""
        self.files[f"{repo}/{file}"] = content

    @property
    def downloads(self) -> list[str]:
        """The Range headers of all downloads, in order; empty where there was none."""
        return [asked for method, _, asked in self.requests if method == "GET"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class named it)
        """Keep quiet."""

    def do_HEAD(self) -> None:
        hub = self._note()
        if hub.faults.hang_on_metadata:
            hub.release.wait()
            self.close_connection = True
            return
        content = self._content()
        if hub.faults.metadata_status is not None or content is None:
            self._refuse(hub.faults.metadata_status or 404, hub.faults.error_code or "EntryNotFound")
            return
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("X-Linked-Etag", f'"{hub.faults.etag or hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("ETag", '"pointer"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        hub = self._note()
        content = self._content()
        if hub.faults.statuses or content is None:
            self._refuse(hub.faults.statuses.pop(0) if hub.faults.statuses else 404, "")
            return
        content = hub.faults.body or content
        asked = "" if hub.faults.ignore_range else self.headers.get("Range", "")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        body = content[start:]
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if hub.pause is not None:
            self.wfile.write(body[:1])
            hub.paused.set()
            hub.pause.wait()
            body = body[1:]
        if hub.faults.truncate_after:
            body = body[: hub.faults.truncate_after.pop(0)]
            self.close_connection = True
        self.wfile.write(body)

    def _note(self) -> HubServer:
        self.hub.requests.append((self.command, self.path, self.headers.get("Range", "")))
        self.hub.tokens.append(self.headers.get("Authorization", ""))
        return self.hub

    def _content(self) -> bytes | None:
        repo, _, rest = self.path.strip("/").partition("/resolve/")
        return self.hub.files.get(f"{repo}/{rest.partition('/')[2]}")

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """Run the stand-in for the length of the block, out of reach of the machine's own proxy and offline settings."""
    hub = HubServer()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        with (
            mock.patch.dict(os.environ, {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "HF_HUB_OFFLINE": "0"}),
            mock.patch.object(huggingface_hub.constants, "HF_HUB_OFFLINE", new=False),
        ):
            yield hub
    finally:
        hub.release.set()
        if hub.pause is not None:
            hub.pause.set()
        server.shutdown()
        server.server_close()
        thread.join()
