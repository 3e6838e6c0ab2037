"""A stand-in for a language model's server on loopback, which answers as well or as badly as a test wants."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Asked = dict[str, Any]
Answer = bytes | tuple[int, bytes]
"""A body, or a status and a body."""


@dataclass
class ChatServer:
    """``answer`` gets each question's body. ``asked`` are the questions so far, ``headers`` theirs.

    ``release``: set by the test to let go of questions that ``answer`` holds up.
    """

    answer: Callable[[Asked], Answer]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    @property
    def everything_sent(self) -> str:
        return json.dumps(self.asked, ensure_ascii=False)


def chat_answer(content: Any, input_tokens: int = 100, output_tokens: int = 10) -> bytes:
    """A whole answer; ``content`` is text, or becomes JSON."""
    text = content if isinstance(content, str) else json.dumps(content)
    usage = {"prompt_tokens": input_tokens, "completion_tokens": output_tokens}
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}], "usage": usage}).encode()


def material(asked: Asked) -> dict[str, Any]:
    """What the question is about."""
    found: dict[str, Any] = json.loads(asked["messages"][1]["content"])
    return found


def question(asked: Asked) -> str:
    """Which of our questions it is, by what it says the answer should look like."""
    instructions = asked["messages"][0]["content"]
    if '"sentences"' in instructions:
        return "sentiment"
    if '"summary"' in instructions:
        return "summary"
    return "intents" if "intents" in instructions else "topics"


def good(asked: Asked) -> bytes:
    """A model that does what it is asked."""
    kind = question(asked)
    if kind == "summary":
        return chat_answer({"summary": "People talked."})
    count = len(material(asked)["sentences"])
    if kind == "sentiment":
        scores = [0.8 if index % 2 == 0 else -0.5 for index in range(count)]
        return chat_answer({"sentences": [{"id": index, "score": score} for index, score in enumerate(scores)]})
    label = "Say Hello" if kind == "intents" else "Weather"
    return chat_answer({"segments": [{"first": 0, "last": count - 1, "labels": [{"label": label, "confidence": 0.75}]}]})


@contextmanager
def chat_server(answer: Callable[[Asked], Answer] = good) -> Iterator[ChatServer]:
    """Serve until the block ends."""
    server = ChatServer(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.asked.append(body)
            server.headers.append({name.lower(): value for name, value in self.headers.items()})
            server.paths.append(self.path)
            answered = server.answer(body)
            status, content = answered if isinstance(answered, tuple) else (200, answered)
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                self.close_connection = True  # the client did not wait

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
            """Tests stay quiet."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    server.url = f"http://127.0.0.1:{listening.server_address[1]}/v1"
    try:
        yield server
    finally:
        server.release.set()
        listening.shutdown()
        thread.join()
        listening.server_close()
