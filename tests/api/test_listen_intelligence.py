"""Audio intelligence from the outside: a language model on loopback, good and bad (contract 2.6)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.engines.scripted import ScriptedEngine, ScriptedPool, say
from app.intelligence.chat import OpenAiChat
from app.services.intelligence import Analyst
from tests.support.app import Stage, staged
from tests.support.chat_server import Answer, Asked, ChatServer, chat_answer, chat_server, good

CLIP = (Path(__file__).parents[1] / "audio" / "hello-world.wav").read_bytes()
EVERYTHING = "summarize=v2&topics=true&intents=true&sentiment=true&punctuate=true"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as running:
        yield running


def connect(stage: Stage, server: ChatServer, timeout_s: float = 30.0) -> None:
    chat = OpenAiChat(server.url, "tiny", "model-key", timeout_s)
    stage.app.state.services.transcriber.analyst = Analyst(chat, timeout_s)


def listen(stage: Stage, query: str = EVERYTHING) -> dict[str, Any]:
    answer = stage.client.post(f"/v1/listen?{query}", content=CLIP)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["results"]["channels"][0]["alternatives"][0]["words"]
    return body


def failed(body: dict[str, Any]) -> list[str]:
    """What the response warns of, but for the model that recognises."""
    names = [warning["parameter"] for warning in body["metadata"]["warnings"]]
    return [name for name in names if name != "model"]


def test_without_a_model_wishes_are_warnings_and_leave_no_keys(stage: Stage) -> None:
    body = listen(stage)
    assert failed(body) == ["summarize", "topics", "intents", "sentiment"]
    assert list(body["results"]) == ["channels"]


def test_with_one_everything_is_there(stage: Stage) -> None:
    with chat_server(good) as server:
        connect(stage, server)
        body = listen(stage)
    results = body["results"]
    assert failed(body) == []
    assert results["summary"]["result"] == "success"
    assert results["topics"]["segments"][0]["topics"] == [{"topic": "Weather", "confidence_score": 0.75}]
    assert results["intents"]["segments"][0]["intents"] == [{"intent": "Say Hello", "confidence_score": 0.75}]
    assert results["sentiments"]["segments"][0]["sentiment"] == "positive"
    assert results["channels"][0]["alternatives"][0]["words"][0]["sentiment_score"] == 0.8
    assert body["metadata"]["topics_info"]["input_tokens"] == 100
    assert body["metadata"]["summary_info"]["input_tokens"] == 0  # under fifty words


BAD: list[Answer] = [
    b"<html>502</html>",
    (500, b"{}"),
    (400, b"no such parameter"),
    b'{"choices": [{"message": {"content": ',
    chat_answer("I am sorry, I cannot do that."),
    chat_answer({"segments": "none", "sentences": {"id": 1}}),
    chat_answer({}),
]


@pytest.mark.parametrize("answer", BAD)
def test_a_bad_model_costs_its_results_and_nothing_else(stage: Stage, answer: Answer) -> None:
    with chat_server(lambda _: answer) as server:
        connect(stage, server)
        body = listen(stage)
    assert failed(body) == ["topics", "intents", "sentiment"]
    assert set(body["results"]) == {"channels", "summary"}
    assert server.url not in str(body)
    assert "model-key" not in str(body)


def test_a_slow_model_is_not_waited_for(stage: Stage) -> None:
    def slow(asked: Asked) -> Answer:
        server.release.wait(60)
        return good(asked)

    with chat_server(slow) as server:
        connect(stage, server, timeout_s=0.3)
        body = listen(stage)
    assert failed(body) == ["topics", "intents", "sentiment"]
    assert "sentiments" not in body["results"]


def test_ranges_and_scores_that_cannot_be_are_made_to_fit(stage: Stage) -> None:
    def wild(_: Asked) -> Answer:
        return chat_answer(
            {
                "segments": [{"first": -9, "last": 900, "labels": [{"label": "Far", "confidence": 7}]}, {"first": 900}],
                "sentences": [{"id": 0, "score": -44}, {"id": 1, "score": 0}, {"id": 900, "score": 1}],
            }
        )

    with chat_server(wild) as server:
        connect(stage, server)
        body = listen(stage, "topics=true&sentiment=true")
    words = body["results"]["channels"][0]["alternatives"][0]["words"]
    [segment] = body["results"]["topics"]["segments"]
    assert (segment["start_word"], segment["end_word"]) == (0, len(words) - 1)
    assert segment["topics"] == [{"topic": "Far", "confidence_score": 1.0}]
    assert body["results"]["sentiments"]["segments"][0]["sentiment_score"] == -1.0


def test_custom_topics_alone_pass_when_they_are_strict(stage: Stage) -> None:
    with chat_server(good) as server:
        connect(stage, server)
        strict = "topics=true&custom_topic_mode=strict&custom_topic="
        assert listen(stage, strict + "weather")["results"]["topics"]["segments"][0]["topics"][0]["topic"] == "weather"
        assert listen(stage, strict + "sports")["results"]["topics"]["segments"] == []
    assert '["sports"]' in server.asked[1]["messages"][0]["content"]


def test_what_was_redacted_never_reaches_the_model(tmp_path: Path) -> None:
    with staged(tmp_path, ScriptedPool(ScriptedEngine(say("Card 4111111111111111 ok.")))) as stage, chat_server() as server:
        connect(stage, server)
        body = listen(stage, "redact=pci&topics=true&sentiment=true&detect_topics=true&summarize=true")
    assert server.asked
    assert "4111" not in server.everything_sent
    assert "4111" not in str(body)


def test_a_summary_of_french_is_refused_before_anything_is_read(stage: Stage) -> None:
    answer = stage.client.post("/v1/listen?summarize=v2&language=fr", content=CLIP)
    assert answer.status_code == 400
    assert answer.json()["err_msg"] == "Summarization v2 not supported for non-English languages"
