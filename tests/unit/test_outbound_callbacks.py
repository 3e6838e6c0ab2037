"""Deliveries to callbacks: what is sent, to whom, and what counts as taken."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from app.domain.errors import InvalidRequest, RemoteContentError
from app.domain.jobs import Callback
from app.domain.ports import DeliveryFailed
from app.outbound_addresses import IpAddress, parse_literal
from app.outbound_callbacks import HttpDeliverer
from tests.support.http_servers import Answer, RawServer, raw_server, redirect, response


class Names:
    """A resolver with one answer for each time it is asked; the last one again and again."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[IpAddress]:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not answer:
            raise OSError
        address = parse_literal(answer)
        assert address is not None
        return [address]


def deliverer(**settings: Any) -> HttpDeliverer:
    return HttpDeliverer(**({"allow": ("127.0.0.1",)} | settings))


def delivered(
    answer: bytes | Answer, path: str = "/hook", host: str = "127.0.0.1", method: str = "POST", **given: Any
) -> RawServer:
    """What reached a server that answers so. Raises what the delivery raises."""

    async def run() -> RawServer:
        async with raw_server({"/hook": answer, "/hook?a=b%20c": answer}) as server:
            url = server.url(path, host)
            await deliverer(**given).deliver(Callback(url, method), b'{"a": 1}', {"Content-Type": "application/json"})
            return server

    return asyncio.run(run())


def problem(answer: bytes | Answer, **given: Any) -> str:
    with pytest.raises(DeliveryFailed) as failure:
        delivered(answer, **given)
    return str(failure.value)


def test_the_head_says_what_it_is() -> None:
    head = delivered(response(), "/hook?a=b%20c", method="PUT").requests[0]
    lines = head.lower().split("\r\n")
    assert head.startswith("PUT /hook?a=b%20c HTTP/1.1\r\n")
    assert "content-type: application/json" in lines
    assert "content-length: 8" in lines
    assert "user-agent: whisperapi" in lines
    assert "authorization" not in head.lower()
    assert "cookie" not in head.lower()


def test_user_and_password_become_a_header() -> None:
    head = delivered(response(), host="me:p%40ss@127.0.0.1").requests[0]
    assert "\r\nAuthorization: Basic bWU6cEBzcw==\r\n" in head
    assert "me:" not in head


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "204 No Content"])
def test_any_2xx_is_enough(status: str) -> None:
    answer = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
    assert len(delivered(answer).requests) == 1


@pytest.mark.parametrize("status", ["301 Moved", "400 Bad Request", "404 Not Found", "500 Oops", "503 Busy"])
def test_anything_else_is_not(status: str) -> None:
    assert problem(response(status=status)) == f"answered with status {status[:3]}"


def test_redirects_are_not_followed() -> None:
    assert problem(redirect("/hook?a=b%20c")) == "answered with status 302"


def test_nobody_listening_is_a_failure_without_a_url_in_it() -> None:
    async def run() -> str:
        async with raw_server({}) as server:
            url = server.url("/secret")
        with pytest.raises(DeliveryFailed) as failure:
            await deliverer().deliver(Callback(url), b"", {})
        return str(failure.value)

    assert asyncio.run(run()) == "connection failed"


def test_a_server_that_never_answers_runs_into_the_limit_on_the_whole() -> None:
    async def never(_: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    assert problem(never, total_timeout_s=0.2) == "no answer in time"


def test_the_answer_is_read_no_further_than_needed() -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    assert len(delivered(endless).requests) == 1


def test_who_has_said_200_is_not_told_again_because_the_rest_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.outbound_callbacks._DRAINING_S", 0.05)

    async def stalls(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nx")
        await writer.drain()
        await asyncio.Event().wait()

    assert len(delivered(stalls).requests) == 1


def test_the_address_is_checked_at_each_attempt() -> None:
    """A name that was public when the job was accepted may point into the private network by now."""
    names = Names("93.184.216.34", "10.0.0.1")

    async def run() -> None:
        sender = deliverer(resolver=names)
        await sender.check("http://hooks.example/")
        with pytest.raises(DeliveryFailed, match="address not allowed"):
            await sender.deliver(Callback("http://hooks.example/"), b"", {})

    asyncio.run(run())


def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    names = Names("127.0.0.1", "10.0.0.1")
    head = delivered(response(), host="hooks.example", resolver=names).requests[0]
    assert names.asked == 1
    assert "\r\nhost: hooks.example:" in head.lower()


@pytest.mark.parametrize("url", ["", "example.com", "ftp://example.com/", "http://", "ws://example.com", "http://[x/"])
def test_what_is_no_url_of_http_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="Invalid query string"):
        asyncio.run(deliverer().check(url))


@pytest.mark.parametrize("url", ["http://10.1.2.3/", "http://0x7f000002/", "https://[fe80::1]/", "http://169.254.169.254/"])
def test_private_addresses_are_refused(url: str) -> None:
    with pytest.raises(RemoteContentError, match="callback is not publicly routable"):
        asyncio.run(deliverer().check(url))


def test_names_without_an_address_are_refused() -> None:
    with pytest.raises(RemoteContentError, match="Could not determine"):
        asyncio.run(deliverer(resolver=Names("")).check("http://hooks.example/"))
