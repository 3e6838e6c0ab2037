"""What another server is sent, in the form that it takes, and whom it is sent to."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.domain.options import DecodeOptions
from app.domain.ports import JobClass
from app.engines import remote_backend
from app.engines.remote import RemotePool
from app.engines.remote_backend import Backend, is_near, may_follow
from tests.support.backend_pool import PCM, play, recognise
from tests.support.backend_server import Answer, Asked, BackendServer, Reply, good


@pytest.fixture
def _far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in as if a network lay between."""
    monkeypatch.setattr(remote_backend, "is_here", lambda _: False)


@pytest.mark.usefixtures("_far_away")
def test_the_richest_form_with_the_sound_as_flac() -> None:
    async def scenario(pool: RemotePool, server: BackendServer) -> None:
        await recognise(pool, DecodeOptions(language="de", prompt="Names.", temperature=0.2))
        [asked] = server.asked
        assert asked.path == "/v1/audio/transcriptions"
        assert asked.fields == {
            "language": ["de"],
            "prompt": ["Names."],
            "temperature": ["0.2"],
            "response_format": ["verbose_json"],
            "timestamp_granularities[]": ["word", "segment"],
        }
        assert (asked.file_name, asked.file[:4], asked.seconds) == ("audio.flac", b"fLaC", 1.0)
        assert "authorization" not in asked.headers

    play(scenario)


@pytest.mark.usefixtures("_far_away")
def test_wav_a_model_and_credentials_where_the_operator_says_so() -> None:
    async def scenario(pool: RemotePool, server: BackendServer) -> None:
        await recognise(pool)
        [asked] = server.asked
        assert (asked.file_name, asked.file[:4], asked.seconds) == ("audio.wav", b"RIFF", 1.0)
        assert asked.fields["model"] == ["large"]
        assert asked.headers["authorization"] == "Bearer secret"

    play(scenario, needs_wav=True, model="large", authorization="Bearer secret")


def test_on_one_machine_nothing_is_packed() -> None:
    async def scenario(pool: RemotePool, server: BackendServer) -> None:
        await recognise(pool)
        assert server.asked[0].file_name == "audio.wav"

    play(scenario)


def test_a_form_is_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece of a body is a packet of its own, and two dozen of them cost more than the words."""
    pieces: list[int] = []
    send = httpx.AsyncClient.send

    async def counted(client: httpx.AsyncClient, request: httpx.Request, **how: Any) -> httpx.Response:
        if request.method == "POST":
            assert isinstance(request.stream, httpx.SyncByteStream)
            pieces.append(len(list(request.stream)))
        return await send(client, request, **how)

    async def scenario(pool: RemotePool, server: BackendServer) -> None:
        assert (await recognise(pool, DecodeOptions(language="de", prompt="Names."))).words
        assert pieces == [1]

    monkeypatch.setattr(httpx.AsyncClient, "send", counted)
    play(scenario)


def test_too_short_sound_is_padded_and_no_time_lies_behind_it() -> None:
    async def scenario(pool: RemotePool, server: BackendServer) -> None:
        async with pool.admit() as session:
            heard = await session.transcribe(PCM[:8000], DecodeOptions(), JobClass.FINAL)
        assert server.asked[0].seconds == 1.0
        assert max(word.end_s for word in heard.words) <= 0.5

    play(scenario)


def test_a_form_that_is_refused_is_not_tried_again() -> None:
    def plain(asked: Asked) -> Answer:
        return good(asked) if asked.form == "json" else Reply(400, b'{"error": "unknown field"}')

    async def scenario(pool: RemotePool, server: BackendServer) -> None:
        for _ in range(2):
            assert [word.text for word in (await recognise(pool)).words] == ["Hello", "world."]
        forms = [(asked.form, bool(asked.granularities)) for asked in server.asked]
        assert forms == [("verbose_json", True), ("verbose_json", False), ("json", False), ("json", False)]
        assert not pool.capabilities.times_words
        assert not pool.capabilities.rates_words

    play(scenario, plain)


def test_a_server_that_insists_on_a_model_is_told_the_usual_one() -> None:
    async def scenario(pool: RemotePool, server: BackendServer) -> None:
        await recognise(pool)
        await recognise(pool)
        assert [asked.fields.get("model") for asked in server.asked][-2:] == [["whisper-1"]] * 2
        assert len(server.asked) == 5

    play(scenario, lambda asked: good(asked) if "model" in asked.fields else Reply(422))


def test_a_server_that_changes_its_mind_costs_no_decode() -> None:
    """First it insists on a model, then it knows none of the name that worked: updated, or another one in its place."""

    def fickle(asked: Asked) -> Answer:
        return good(asked) if ("model" in asked.fields) == insists[0] else Reply(404, b'{"error": "model not found"}')

    async def scenario(pool: RemotePool, server: BackendServer) -> None:
        for insists[0] in (True, False, True):
            assert (await recognise(pool)).words

    insists = [True]
    play(scenario, fickle)


def test_translations_go_to_their_own_route() -> None:
    async def scenario(pool: RemotePool, server: BackendServer) -> None:
        await recognise(pool, DecodeOptions(language="de", translate=True))
        assert server.asked[0].path == "/v1/audio/translations"

    play(scenario, translates=True)


def test_a_whole_address_of_the_route_is_taken_too() -> None:
    for url in ("http://a/v1", "http://a/v1/", "http://a/v1/audio/transcriptions", "http://a", "http://a/"):
        assert str(Backend("remote", url).endpoint("/models")) == "http://a/v1/models"
    assert str(Backend("remote", "http://a/audio/transcriptions").endpoint("/models")) == "http://a/models"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("asr", True),
        ("host.docker.internal", True),
        ("10.0.0.7", True),
        ("::1", True),
        ("api.openai.com", False),
        ("8.8.8.8", False),
    ],
)
def test_no_proxy_of_the_environment_stands_between_servers_of_one_network(host: str, expected: bool) -> None:
    assert is_near(host) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.0.0.1", True), ("[::1]", True), ("asr", False), ("10.0.0.7", False), ("a.local", False)],
)
def test_sound_stays_unpacked_only_where_no_network_can_be(host: str, expected: bool) -> None:
    assert Backend("remote", f"http://{host}:8000").takes_wav is expected
    assert Backend("remote", f"http://{host}:8000", needs_wav=True).takes_wav


@pytest.mark.parametrize(("url", "expected"), [("http://10.0.0.7:8000", True), ("https://api.openai.com/v1", False)])
def test_only_a_neighbour_is_asked_for_what_may_be_in_vain(url: str, expected: bool) -> None:
    assert Backend("remote", url).capabilities.may_begin_in_vain is expected


@pytest.mark.parametrize(
    ("target", "may"),
    [
        ("http://a:8000/v2", True),
        ("https://a/v1", True),
        ("http://a:8001/v1", False),
        ("http://b:8000/v1", False),
    ],
)
def test_sound_and_credentials_stay_with_one_server(target: str, may: bool) -> None:
    assert may_follow(httpx.URL("http://a:8000/v1"), httpx.URL(target)) is may
    assert not may_follow(httpx.URL("https://a/v1"), httpx.URL("http://a/v1"))
