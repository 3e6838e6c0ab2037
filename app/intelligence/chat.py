"""Language models behind the chat interface of OpenAI, which most servers speak: Ollama, llama.cpp, vLLM, LM Studio."""

from __future__ import annotations

import asyncio
import json
import ssl
from functools import cached_property
from ipaddress import ip_address
from typing import Any

import httpx

from app.domain.intelligence.chat import ChatAnswer, ChatFailed
from app.domain.intelligence.questions import Question

MAX_ANSWER_BYTES = 1 << 20
"""Largest body that is read: a hundred times the longest useful answer."""

MAX_AT_ONCE = 4
"""Questions under way at a time, of all requests: a local model answers one after the other anyway."""

CONNECT_TIMEOUT_S = 5.0
"""Seconds to reach a server that the operator runs."""

UNREACHABLE = "it could not be reached"
REFUSED = "it answered with status {status}"
TOO_LONG = "its answer was too long"
BROKEN = "its answer broke off"
NO_ANSWER = "what it sent is no answer of a language model"
SILENT = "it did not answer in time"

_UNSUITABLE = (400, 404, 415, 422)
"""Statuses of servers that do not know a parameter."""

_LOCAL_NAMES = ("localhost", "host.docker.internal")


class OpenAiChat:
    """One model of one server. Safe to share between requests; nothing is kept open between questions.

    ``url`` ends before ``/chat/completions``. ``api_key`` may be empty. ``timeout_s`` bounds one question. Servers differ in
    what they let a question fix: the form of the answer by a schema, as some JSON, or not at all. The strictest form goes
    first, and what worked is remembered.
    """

    def __init__(self, url: str, model: str, api_key: str = "", timeout_s: float = 120.0) -> None:
        self.name = model
        self._url = url.rstrip("/") + "/chat/completions"
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._form = 0
        self._places = asyncio.Semaphore(MAX_AT_ONCE)

    @cached_property
    def _verify(self) -> ssl.SSLContext | bool:
        # reads certificates from disk: once, and only where they are needed
        return httpx.create_ssl_context() if httpx.URL(self._url).scheme == "https" else False

    async def ask(self, question: Question) -> ChatAnswer:
        """See ``ChatModel``. Waits for a place first, which does not count against the time limit."""
        async with self._places:
            try:
                return await asyncio.wait_for(self._ask(question), self._timeout_s)
            except (asyncio.TimeoutError, httpx.TimeoutException):
                raise ChatFailed(SILENT) from None
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.DecodingError):
                raise ChatFailed(BROKEN) from None
            except (httpx.HTTPError, httpx.InvalidURL, OSError):
                raise ChatFailed(UNREACHABLE) from None  # the cause names the address

    async def _ask(self, question: Question) -> ChatAnswer:
        headers = {"Accept-Encoding": "identity"}  # what is packed may unpack to any size
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        async with httpx.AsyncClient(
            verify=self._verify,
            timeout=httpx.Timeout(self._timeout_s, connect=CONNECT_TIMEOUT_S),
            trust_env=not _is_local(httpx.URL(self._url).host),  # a proxy of the environment leads out of the machine
        ) as client:
            forms = _forms(question)
            for form in range(self._form, len(forms)):
                body = {"model": self.name, "messages": _messages(question), "stream": False, **forms[form]}
                async with client.stream("POST", self._url, json=body, headers=headers) as response:
                    if response.status_code in _UNSUITABLE and form < len(forms) - 1:
                        continue
                    if response.status_code != httpx.codes.OK:
                        raise ChatFailed(REFUSED.format(status=response.status_code))
                    answer = _read(await _body(response))
                self._form = form
                return answer
        raise ChatFailed(NO_ANSWER)


def _forms(question: Question) -> list[dict[str, Any]]:
    """What fixes the form of an answer, strictest first. Some models take no temperature but their own."""
    schema = {"name": question.name, "strict": True, "schema": dict(question.schema)}
    by_schema = {"response_format": {"type": "json_schema", "json_schema": schema}}
    some_json = {"response_format": {"type": "json_object"}}
    cold = {"temperature": 0}
    return [{**by_schema, **cold}, by_schema, {**some_json, **cold}, {}]


def _messages(question: Question) -> list[dict[str, str]]:
    return [{"role": "system", "content": question.instructions}, {"role": "user", "content": question.material}]


async def _body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise ChatFailed(TOO_LONG)
    return bytes(body)


def _read(body: bytes) -> ChatAnswer:
    try:
        answer = json.loads(body)
        text = answer["choices"][0]["message"]["content"]
    except (ValueError, RecursionError, LookupError, TypeError):
        raise ChatFailed(NO_ANSWER) from None
    if not isinstance(text, str):
        raise ChatFailed(NO_ANSWER)
    usage = answer.get("usage")
    counted = usage if isinstance(usage, dict) else {}
    return ChatAnswer(text, _count(counted.get("prompt_tokens")), _count(counted.get("completion_tokens")))


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else 0


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_private
    except ValueError:
        return host in _LOCAL_NAMES
