from __future__ import annotations

import asyncio
import gzip
import io
import socket
import zlib
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import pytest

from app import outbound
from app.domain.errors import PayloadTooLarge, RemoteContentError
from app.outbound import HttpFetcher
from app.outbound_addresses import IpAddress
from tests.support.http_servers import Answer, RawServer, raw_server, redirect, response
from tests.support.tcp_server import start_tcp_server

AUDIO = bytes(range(256)) * 1000
ANYTHING = 10_000_000


class Names:
    """A name server with one list of answers per query, in order; ``asked`` records the queries."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[IpAddress]:
        self.asked.append((host, port))
        return [ip_address(answer) for answer in self.answers.pop(0)]


def ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def fetcher(**settings: Any) -> HttpFetcher:
    return HttpFetcher(**({"allow": ["127.0.0.1"], "total_timeout_s": 10.0} | settings))


def fetched(
    answers: dict[str, bytes | Answer],
    url: str = "http://127.0.0.1:{port}/audio",
    max_bytes: int = ANYTHING,
    host: str = "127.0.0.1",
    **settings: Any,
) -> tuple[bytes, RawServer]:
    """Fetch ``url`` from a loopback server that gives ``answers``; what arrived, and the server for questions."""

    async def run() -> tuple[bytes, RawServer]:
        async with raw_server(answers, host) as server:
            target = io.BytesIO()
            written = await fetcher(**settings).fetch(url.format(port=server.port), target, max_bytes)
            assert written == len(target.getvalue())
            return target.getvalue(), server

    return asyncio.run(run())


def refusal(answers: dict[str, bytes | Answer], **arguments: Any) -> str:
    """The client's message when the fetch fails, which never tells an address of ours."""
    with pytest.raises(RemoteContentError) as caught:
        fetched(answers, **arguments)
    assert "127.0.0" not in caught.value.message
    return caught.value.message


def test_a_file_arrives_whole() -> None:
    body, server = fetched({"/audio": response(AUDIO * 10)})
    assert body == AUDIO * 10
    [head] = server.requests
    assert head.startswith("GET /audio HTTP/1.1\r\n")
    assert f"host: 127.0.0.1:{server.port}" in head.lower()
    assert "authorization" not in head.lower()


def test_path_and_query_are_sent_as_written_and_the_fragment_is_not() -> None:
    body, _ = fetched({"/a%20b?sig=x%2Fy&z": response(b"ok")}, url="http://127.0.0.1:{port}/a%20b?sig=x%2Fy&z#part")
    assert body == b"ok"


def test_chunked_answers_arrive_whole() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"
    assert fetched({"/audio": chunked})[0] == b"firstsecond"


def test_an_answer_that_ends_with_the_connection_arrives_whole() -> None:
    assert fetched({"/audio": b"HTTP/1.0 200 OK\r\n\r\nold school"})[0] == b"old school"


@pytest.mark.parametrize(
    "packed",
    [gzip.compress(AUDIO), zlib.compress(AUDIO), gzip.compress(AUDIO[:1000]) + gzip.compress(AUDIO[1000:])],
    ids=["gzip", "deflate", "two members"],
)
def test_packed_answers_are_unpacked_though_nobody_asked_for_them(packed: bytes) -> None:
    encoding = "gzip" if packed.startswith(b"\x1f\x8b") else "deflate"
    body, server = fetched({"/audio": response(packed, headers=f"Content-Encoding: {encoding}\r\n")})
    assert body == AUDIO
    assert "accept-encoding: identity\r\n" in server.requests[0].lower()


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (gzip.compress(AUDIO)[:-20], "gzip"),
        (b"not gzip at all", "gzip"),
        (b"", "gzip"),
        (AUDIO, "br"),
        (gzip.compress(gzip.compress(AUDIO)), "gzip, gzip"),
    ],
)
def test_packed_answers_that_cannot_be_unpacked_are_refused(packed: bytes, encoding: str) -> None:
    answers: dict[str, bytes | Answer] = {"/audio": response(packed, headers=f"Content-Encoding: {encoding}\r\n")}
    assert refusal(answers) == RemoteContentError.default_message


def test_a_limit_is_reached_but_not_passed() -> None:
    assert len(fetched({"/audio": response(b"x" * 1000)}, max_bytes=1000)[0]) == 1000
    with pytest.raises(PayloadTooLarge):
        fetched({"/audio": response(b"x" * 1001)}, max_bytes=1000)


def test_unpacked_bytes_count_against_the_limit() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 100_000
    with pytest.raises(PayloadTooLarge):
        fetched({"/audio": response(bomb, headers="Content-Encoding: gzip\r\n")}, max_bytes=100_000)


def test_an_endless_body_ends_at_the_limit() -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(AUDIO)
            await writer.drain()

    with pytest.raises(PayloadTooLarge):
        fetched({"/audio": endless}, max_bytes=5_000_000)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (response(status="404 Nowhere 127.0.0.1"), outbound.CLIENT_ERROR.format(status="404 Not Found")),
        (response(status="499 Odd"), outbound.CLIENT_ERROR.format(status="499")),
        (response(status="500 Internal Server Error"), RemoteContentError.default_message),
        (response(status="304 Not Modified"), RemoteContentError.default_message),
        (response(b"short", length=100), RemoteContentError.default_message),
        (b"SSH-2.0-OpenSSH_9.6\r\n", RemoteContentError.default_message),
        (b"", RemoteContentError.default_message),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Filler: " + b"x" * 200_000, RemoteContentError.default_message),
        (response(status="302 Found"), outbound.NO_LOCATION),
    ],
)  # fmt: skip
def test_answers_that_are_no_file_say_so(answer: bytes, message: str) -> None:
    assert refusal({"/audio": answer}) == message


@pytest.mark.parametrize(
    "url", ["", "audio", "ftp://127.0.0.1/a", "http://127.0.0.1:99999/", "http://[::1", "http://1.2.3.400/"]
)
def test_what_is_not_a_url_is_refused_before_anything_else(url: str) -> None:
    assert refusal({}, url=url) == outbound.UNPARSEABLE


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/audio", "http://2130706433:{port}/audio", "http://0x7f.1:{port}/audio", "http://017700000001:{port}/audio",
        "http://127.1:{port}/audio", "http://0:{port}/audio", "http://[::1]:{port}/audio", "http://[::ffff:127.0.0.1]:{port}/audio",
        "http://[64:ff9b::7f00:1]:{port}/audio", "http://169.254.169.254/latest/meta-data/", "http://localhost:{port}/audio",
    ],
)  # fmt: skip
def test_private_addresses_are_refused_however_they_are_written(url: str) -> None:
    names = Names(["127.0.0.1"])
    assert refusal({"/audio": response(AUDIO)}, url=url, allow=[], resolver=names) == outbound.NOT_ROUTABLE


def test_a_name_with_one_private_address_is_refused() -> None:
    message = refusal({}, url="http://mixed.example/", allow=[], resolver=Names(["1.1.1.1", "10.0.0.1"]))
    assert message == outbound.NOT_ROUTABLE


def test_the_systems_resolver_is_asked_by_default() -> None:
    assert refusal({}, url="http://localhost:{port}/audio", allow=[]) == outbound.NOT_ROUTABLE


@pytest.mark.parametrize("failure", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long"), None])
def test_names_without_an_answer_are_refused(failure: Exception | None) -> None:
    async def silent(host: str, port: int) -> Sequence[IpAddress]:
        if failure:
            raise failure
        return []

    assert refusal({}, url="http://nowhere.example/", resolver=silent) == outbound.ROUTABILITY_UNKNOWN


@pytest.mark.parametrize("allow", ["files.example", "127.0.0.1", "127.0.0.0/8"])
def test_the_allow_list_lets_a_private_host_through(allow: str) -> None:
    names = Names(["127.0.0.1"])
    body, server = fetched(
        {"/audio": response(AUDIO)}, url="http://files.example:{port}/audio", allow=[allow], resolver=names
    )
    assert body == AUDIO
    assert f"host: files.example:{server.port}\r\n" in server.requests[0].lower()


@pytest.mark.skipif(not ipv6_loopback(), reason="this machine has no IPv6 loopback")
def test_ipv6_literals_work() -> None:
    body, server = fetched({"/audio": response(AUDIO)}, url="http://[::1]:{port}/audio", host="::1", allow=["::1"])
    assert body == AUDIO
    assert f"host: [::1]:{server.port}\r\n" in server.requests[0].lower()


def test_a_second_address_is_tried_when_the_first_does_not_answer() -> None:
    names = Names(["127.0.0.2", "127.0.0.1"])  # the server listens on the second only
    body, _ = fetched(
        {"/audio": response(AUDIO)}, url="http://files.example:{port}/audio", allow=["127.0.0.0/8"], resolver=names
    )
    assert body == AUDIO


def test_nobody_listening_is_no_valid_data() -> None:
    names = Names(["127.0.0.2", "127.0.0.3"])
    message = refusal({}, url="http://files.example:{port}/audio", allow=["127.0.0.0/8"], resolver=names)
    assert message == RemoteContentError.default_message


def test_a_name_is_resolved_once_so_that_a_second_answer_cannot_matter() -> None:
    names = Names(["127.0.0.1"], ["127.0.0.99"])  # the first answer is allowed, the second would be refused
    body, server = fetched({"/audio": response(AUDIO)}, url="http://rebind.example:{port}/audio", resolver=names)
    assert body == AUDIO
    assert names.asked == [("rebind.example", server.port)]


def test_redirects_are_followed_relative_and_absolute() -> None:
    answers: dict[str, bytes | Answer] = {
        "/audio": redirect("/a?b#c", "301 Moved"),
        "/a?b": redirect("c/d", "307 Temporary"),
        "/c/d": response(AUDIO),
    }
    assert fetched(answers)[0] == AUDIO


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("http://127.0.0.2/secret", outbound.NOT_ROUTABLE),
        ("http://[::1]/secret", outbound.NOT_ROUTABLE),
        ("//169.254.169.254/latest/", outbound.NOT_ROUTABLE),
        ("http://inside.example/", outbound.NOT_ROUTABLE),
        ("file:///etc/passwd", outbound.UNPARSEABLE),
        ("http://127.0.0.1:99999/", outbound.UNPARSEABLE),
        ("http://[", outbound.UNPARSEABLE),
    ],
)
def test_every_step_of_a_redirect_is_checked(location: str, message: str) -> None:
    assert refusal({"/audio": redirect(location)}, resolver=Names(["10.0.0.1"])) == message


def test_a_name_is_checked_again_when_a_redirect_comes_back_to_it() -> None:
    answers: dict[str, bytes | Answer] = {"/audio": redirect("/again"), "/again": response(AUDIO)}
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    assert refusal(answers, url="http://rebind.example:{port}/audio", resolver=names) == outbound.NOT_ROUTABLE
    assert len(names.asked) == 2


def test_redirects_end_at_the_limit() -> None:
    loop: dict[str, bytes | Answer] = {"/audio": redirect("/audio")}
    assert refusal(loop) == outbound.TOO_MANY_REDIRECTS
    once: dict[str, bytes | Answer] = {"/audio": redirect("/end"), "/end": response(AUDIO)}
    assert refusal(once, max_redirects=0) == outbound.TOO_MANY_REDIRECTS
    assert fetched(once, max_redirects=1)[0] == AUDIO


def test_user_and_password_of_the_url_go_to_its_server_only() -> None:
    answers: dict[str, bytes | Answer] = {"/audio": redirect("http://other.example:{port}/x"), "/x": response(AUDIO)}
    names = Names(["127.0.0.1"], ["127.0.0.1"])

    async def run() -> list[str]:
        async with raw_server(answers) as server:
            answers["/audio"] = redirect(f"http://thief:x@other.example:{server.port}/x")
            url = f"http://me:s%40cret@own.example:{server.port}/audio"
            await fetcher(resolver=names).fetch(url, io.BytesIO(), ANYTHING)
            return [head.lower() for head in server.requests]

    first, second = asyncio.run(run())
    assert "authorization: basic bwu6c0bjcmv0\r\n" in first  # me:s@cret
    assert "authorization" not in second


def test_user_and_password_stay_for_redirects_on_the_same_server() -> None:
    _, server = fetched({"/audio": redirect("/x"), "/x": response(AUDIO)}, url="http://me:secret@127.0.0.1:{port}/audio")
    assert [("authorization: basic" in head.lower()) for head in server.requests] == [True, True]


def test_cookies_are_not_carried() -> None:
    answers: dict[str, bytes | Answer] = {
        "/audio": response(status="302 Found", headers="Set-Cookie: session=1; Path=/\r\nLocation: /x\r\n"),
        "/x": response(AUDIO),
    }
    assert "cookie" not in fetched(answers)[1].requests[1].lower()


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert fetched({"/audio": response(AUDIO)})[0] == AUDIO


async def never(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def stuck_in_the_middle(writer: asyncio.StreamWriter) -> None:
    writer.write(response(b"half", length=8))
    await asyncio.Event().wait()


@pytest.mark.parametrize("answer", [never, stuck_in_the_middle])
@pytest.mark.parametrize("limit", ["idle_timeout_s", "total_timeout_s"])
def test_a_silent_host_runs_into_a_time_limit(answer: Answer, limit: str) -> None:
    assert refusal({"/audio": answer}, **{limit: 0.2}) == outbound.TOO_SLOW


def test_a_host_that_drips_runs_into_the_limit_on_the_whole() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)  # well under the idle limit, for ever

    assert refusal({"/audio": drip}, idle_timeout_s=5.0, total_timeout_s=0.3) == outbound.TOO_SLOW


def test_a_slow_name_server_counts_too() -> None:
    async def asleep(host: str, port: int) -> Sequence[IpAddress]:
        await asyncio.Event().wait()
        return []

    assert refusal({}, url="http://slow.example/", resolver=asleep, total_timeout_s=0.2) == outbound.TOO_SLOW


def test_cancelling_a_fetch_closes_its_connection() -> None:
    async def run() -> None:
        started = asyncio.Event()

        async def half(writer: asyncio.StreamWriter) -> None:
            started.set()
            await stuck_in_the_middle(writer)

        async with raw_server({"/audio": half}) as server:
            task = asyncio.ensure_future(fetcher().fetch(server.url("/audio"), io.BytesIO(), ANYTHING))
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(server.hung_up.wait(), 5)

    asyncio.run(run())


def test_tls_is_spoken_to_the_name_and_not_to_the_address() -> None:
    async def run() -> bytes:
        hello: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            hello.set_result(await reader.read(4096))
            writer.close()

        server = await start_tcp_server(listen)
        async with server:
            url = f"https://media.example:{server.sockets[0].getsockname()[1]}/audio"
            with pytest.raises(RemoteContentError):
                await fetcher(resolver=Names(["127.0.0.1"])).fetch(url, io.BytesIO(), ANYTHING)
            return await hello

    hello = asyncio.run(run())
    assert b"media.example" in hello
    assert b"127.0.0.1" not in hello
