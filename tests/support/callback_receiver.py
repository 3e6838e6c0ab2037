"""A receiver of callbacks on loopback that keeps what came and answers what a test tells it to."""

from __future__ import annotations

import json
import queue
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Delivery:
    """One request as it came. Header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """``statuses`` are answered in turn, then 200."""

    port: int = 0
    statuses: deque[int] = field(default_factory=deque)
    received: queue.Queue[Delivery] = field(default_factory=queue.Queue)
    hold: threading.Event = field(default_factory=threading.Event)
    """Cleared: answers wait for it. Set at first."""

    def url(self, path: str = "/hook", user: str = "") -> str:
        return f"http://{user}{'@' if user else ''}127.0.0.1:{self.port}{path}"

    def next(self) -> Delivery:
        """The next delivery, waited for. Fails when none comes."""
        return self.received.get(timeout=PATIENCE_S)


@contextmanager
def receiver(statuses: Iterable[int] = ()) -> Iterator[Receiver]:
    """Serve on a free port of loopback until the block ends."""
    script = Receiver(statuses=deque(statuses))
    script.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            script.received.put(Delivery(self.command, self.path, headers, body))
            script.hold.wait(PATIENCE_S)
            status = script.statuses.popleft() if script.statuses else 200
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", script.url("/elsewhere"))
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_PUT = do_GET = _take  # noqa: N815  the base class looks for these names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
            """Tests stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield script
    finally:
        script.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()
