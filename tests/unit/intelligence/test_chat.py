import asyncio
import json

import pytest

from app.domain.intelligence.chat import ChatAnswer, ChatFailed
from app.domain.intelligence.questions import Question
from app.intelligence.chat import BROKEN, MAX_ANSWER_BYTES, NO_ANSWER, SILENT, TOO_LONG, UNREACHABLE, OpenAiChat
from tests.support.chat_server import Answer, Asked, chat_answer, chat_server
from tests.support.http_servers import raw_server, response

QUESTION = Question("summary", "Be brief.", '{"sentences": []}', {"type": "object"})


def ask(url: str, key: str = "", timeout_s: float = 20.0) -> ChatAnswer:
    return asyncio.run(OpenAiChat(url, "tiny", key, timeout_s).ask(QUESTION))


def test_a_question_goes_out_with_key_model_and_schema_and_the_answer_comes_back() -> None:
    with chat_server(lambda _: chat_answer("hello", 7, 3)) as server:
        assert ask(server.url, "the-key") == ChatAnswer("hello", 7, 3)
    [asked] = server.asked
    assert asked["model"] == "tiny"
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert asked["messages"][1]["content"] == QUESTION.material
    assert asked["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert server.headers[0]["authorization"] == "Bearer the-key"
    assert server.paths == ["/v1/chat/completions"]


def test_without_a_key_none_is_sent() -> None:
    with chat_server(lambda _: chat_answer("hello")) as server:
        ask(server.url + "/")
    assert "authorization" not in server.headers[0]
    assert server.paths == ["/v1/chat/completions"]


def test_a_server_without_schemas_is_asked_more_simply_and_that_is_remembered() -> None:
    def plain(asked: Asked) -> Answer:
        return (400, b"unknown parameter") if "response_format" in asked else chat_answer("hello")

    async def twice(url: str) -> None:
        chat = OpenAiChat(url, "tiny")
        assert (await chat.ask(QUESTION)).text == "hello"
        assert (await chat.ask(QUESTION)).text == "hello"

    with chat_server(plain) as server:
        asyncio.run(twice(server.url))
    assert ["response_format" in asked for asked in server.asked] == [True, True, True, False, False]
    assert ["temperature" in asked for asked in server.asked] == [True, False, True, False, False]


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({"prompt_tokens": -1, "completion_tokens": "many"}, (0, 0)),
        ({"prompt_tokens": True, "completion_tokens": 1e300}, (0, 0)),
        ("none", (0, 0)),
        (None, (0, 0)),
    ],
)
def test_counts_that_are_none_are_zero(body: object, tokens: tuple[int, int]) -> None:
    answer = json.dumps({"choices": [{"message": {"content": "x"}}], "usage": body}).encode()
    with chat_server(lambda _: answer) as server:
        found = ask(server.url)
    assert (found.input_tokens, found.output_tokens) == tokens


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Bad gateway</html>",
        b"",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{"message": {"content": null}}]}',
        b'{"choices": {"0": 1}}',
        b'"text"',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer_fails(body: bytes) -> None:
    with chat_server(lambda _: body) as server, pytest.raises(ChatFailed, match=NO_ANSWER):
        ask(server.url)


@pytest.mark.parametrize("status", [301, 401, 403, 404, 429, 500, 503])
def test_a_refusal_names_its_status_and_nothing_else(status: int) -> None:
    with chat_server(lambda _: (status, b"secret detail")) as server, pytest.raises(ChatFailed) as caught:
        ask(server.url, "the-key")
    assert str(caught.value) == f"it answered with status {status}"


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    with chat_server(lambda _: b" " * (MAX_ANSWER_BYTES + 1)) as server, pytest.raises(ChatFailed, match=TOO_LONG):
        ask(server.url)


def test_silence_ends_after_the_time_limit() -> None:
    with chat_server() as server:
        server.answer = lambda _: (server.release.wait(60), chat_answer("late"))[1]
        with pytest.raises(ChatFailed, match=SILENT):
            ask(server.url, timeout_s=0.2)


def test_half_an_answer_fails() -> None:
    async def run() -> None:
        half = response(chat_answer("hello")[:20], length=500)
        async with raw_server({"/v1/chat/completions": half}) as server:
            await OpenAiChat(server.url("/v1"), "tiny").ask(QUESTION)

    with pytest.raises(ChatFailed, match=BROKEN):
        asyncio.run(run())


def test_nobody_there_fails_without_naming_the_address() -> None:
    async def run() -> None:
        async with raw_server({}) as server:
            url = server.url("/v1")
        await OpenAiChat(url, "tiny").ask(QUESTION)

    with pytest.raises(ChatFailed) as caught:
        asyncio.run(run())
    assert str(caught.value) == UNREACHABLE
    assert caught.value.__suppress_context__


def test_a_proxy_of_the_environment_is_not_used_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with chat_server(lambda _: chat_answer("direct")) as server:
        assert ask(server.url).text == "direct"
