from __future__ import annotations

import pytest

from app.dialects.deepgram_callback import REQUESTS, REQUESTS_AND_SOCKETS, parse_callback, without_callback
from app.dialects.deepgram_query import Query
from app.domain.errors import InvalidParameter, InvalidRequest
from app.domain.jobs import Callback


def parsed(raw: str, schemes: tuple[str, ...] = REQUESTS) -> Callback | None:
    return parse_callback(Query.parse(raw.encode()), schemes)


@pytest.mark.parametrize("raw", ["", "callback=", "callback=None", "callback_method=put"])
def test_without_a_url_there_is_none(raw: str) -> None:
    assert parsed(raw) is None


@pytest.mark.parametrize(
    "url", ["http://e.com", "https://e.com:8443/a?b=c", "HTTPS://E.com/", "http://u:p@[2606:4700::1]/", "http://1.2.3.4/"]
)
def test_a_url_of_http_is_kept_as_written(url: str) -> None:
    assert parsed(f"callback={url}") == Callback(url, "POST")


@pytest.mark.parametrize("method", ["put", "PUT", "Put"])
def test_the_method_in_any_case(method: str) -> None:
    assert parsed(f"callback=http://e.com&callback_method={method}") == Callback("http://e.com", "PUT")


@pytest.mark.parametrize(
    "url",
    [
        "e.com",
        "//e.com",
        "ftp://e.com",
        "mailto:a@e.com",
        "http:",
        "http://",
        "http://[::1",
        "http://e.com:x/",
        "http://e.com:0/",
    ],
)
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="Invalid query string"):
        parsed(f"callback={url}")


@pytest.mark.parametrize("escaped", ["http://e.com/a%20b", "http://e.com/%0d%0aX-Evil:1", "http://e.com/%00"])
def test_what_could_not_stand_in_a_request_is_refused(escaped: str) -> None:
    with pytest.raises(InvalidRequest):
        parsed(f"callback={escaped}")


@pytest.mark.parametrize("method", ["get", "DELETE", "x"])
def test_another_method_is_refused_by_name(method: str) -> None:
    with pytest.raises(InvalidParameter, match="callback_method"):
        parsed(f"callback=http://e.com&callback_method={method}")


def test_sockets_are_for_live_streams() -> None:
    assert parsed("callback=wss://e.com/live", REQUESTS_AND_SOCKETS) == Callback("wss://e.com/live", "POST")
    with pytest.raises(InvalidRequest):
        parsed("callback=wss://e.com/live")


def test_the_stored_query_asks_for_the_same_without_the_callback() -> None:
    raw = b"keyterm=a+b&callback=http%3A%2F%2Fu%3Ahunter2%40e.com&keyterm=%C3%A9%26&punctuate&callback_method=PUT"
    kept = without_callback(raw)
    assert "hunter2" not in kept
    assert "callback" not in kept
    before, after = Query.parse(raw), Query.parse(kept.encode("latin-1"))
    assert after.texts("keyterm") == before.texts("keyterm") == ("a b", "é&")
    assert after.flag("punctuate")
