"""Every parameter of ``/v1/listen`` does what the compatibility page says, over REST and live."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.dialects.deepgram_messages import MESSAGES as ALL_MESSAGES
from app.dialects.deepgram_parameters import PARAMETERS
from app.engines.scripted import ScriptedEngine, ScriptedPool, say
from tests.support.app import Stage, staged
from tests.support.encode import wav
from tests.support.live_talk import CLOSE, RAW, Json, converse, tone
from tests.support.parameter_cases import LIVE, MESSAGES, RECORDINGS, Live, Recording, shown_by

ROOT = Path(__file__).parents[2]


@contextmanager
def saying(folder: Path, text: str) -> Iterator[Stage]:
    with staged(folder, ScriptedPool(ScriptedEngine(say(text)))) as stage:
        yield stage


def seconds(text: str) -> float:
    return 0.5 + 0.3 * len(text.split())


def listen(stage: Stage, query: str, case: Recording) -> Json:
    samples = tone(seconds(case.says), channels=case.channels)
    body = samples if case.headerless else wav(samples, channels=case.channels, bits=16)
    answer = stage.client.post(f"/v1/listen?{query}", content=body)
    assert answer.status_code == case.status, answer.text
    return answer.json()


def talk(stage: Stage, query: str, case: Live) -> list[Json]:
    audio = tone(seconds(case.says), channels=case.channels)
    pieces = [audio[start : start + 3200] for start in range(0, len(audio), 3200)]
    return converse(stage.client, f"{RAW}&{query}", [*pieces, CLOSE]).messages


def without_ids(answer: Any) -> Any:
    """The answer without what differs from request to request."""
    if isinstance(answer, dict):
        return {key: without_ids(value) for key, value in answer.items() if key not in {"request_id", "created", "id"}}
    return [without_ids(item) for item in answer] if isinstance(answer, list) else answer


@pytest.mark.parametrize("name", RECORDINGS)
def test_recordings(tmp_path: Path, name: str) -> None:
    case = RECORDINGS[name]
    with saying(tmp_path, case.says) as stage:
        answer = listen(stage, case.query, case)
        if case.shows is not None:
            assert case.shows(answer), answer
        else:
            assert without_ids(answer) == without_ids(listen(stage, "", case))


@pytest.mark.parametrize("name", LIVE)
def test_live_streams(tmp_path: Path, name: str) -> None:
    case = LIVE[name]
    with saying(tmp_path, case.says) as stage:
        messages = talk(stage, case.query, case)
        if case.shows is not None:
            assert case.shows(messages), messages
        else:
            assert without_ids(messages) == without_ids(talk(stage, "", case))


def test_finals_of_a_stream_are_decoded_as_asked(tmp_path: Path) -> None:
    with saying(tmp_path, "Hello world.") as stage:
        talk(stage, "prompt=Names&temperature=0.4&beam_size=5&best_of=3", Live("", says="Hello world."))
        [call] = stage.pool.calls
    assert call.options is not None
    asked = (call.options.prompt, call.options.temperature, call.options.beam_size, call.options.best_of)
    assert asked == ("Names", 0.4, 5, 3)


@pytest.mark.parametrize("live", [False, True], ids=["recordings", "live"])
@pytest.mark.parametrize("name", [parameter.name for parameter in PARAMETERS])
def test_each_is_shown_by_a_test_that_exists(name: str, live: bool) -> None:
    assert exists(shown_by(name, live=live))


@pytest.mark.parametrize("name", [message.name for message in ALL_MESSAGES])
def test_each_message_is_shown_by_a_test_that_exists(name: str) -> None:
    assert exists(MESSAGES[name])


def exists(test: str) -> bool:
    path, _, name = test.partition("::")
    return f"def {name.partition('[')[0]}(" in (ROOT / path).read_text(encoding="utf-8")
