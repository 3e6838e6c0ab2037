"""Every parameter of ``/v1/listen`` does what the compatibility page says, over REST and live."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.dialects.deepgram_messages import MESSAGES as ALL_MESSAGES
from app.dialects.deepgram_parameters import PARAMETERS
from app.domain.options import Keyterm
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


def test_finals_of_a_stream_favour_the_terms_asked_for(tmp_path: Path) -> None:
    with saying(tmp_path, "Hello world.") as stage:
        stage.pool.capabilities = replace(stage.pool.capabilities, favours_terms=True)
        talk(stage, "keyterm=Nuuk&keywords=nook:-2&keywords=Bergen", Live("", says="Hello world."))
        [call] = stage.pool.calls
    assert call.options is not None
    assert call.options.keyterms == (Keyterm("Nuuk"), Keyterm("nook", -2.0), Keyterm("Bergen"))
    assert call.options.prompt == "", "what is no prompt cannot leak out of one"


CONTRACT = """
model version tier language language_hint detect_language encoding sample_rate channels multichannel mip_opt_out
punctuate smart_format numerals paragraphs utterances utt_split filler_words profanity_filter measurements dictation
redact replace keyterm keywords search diarize diarize_model diarize_version detect_entities summarize topics
custom_topic custom_topic_mode detect_topics intents custom_intent custom_intent_mode sentiment callback callback_method
extra tag alternatives ner translate no_delay interim_results endpointing utterance_end_ms vad_events
""".split()  # noqa: SIM905 - as in sections 2.2 and 3.1 of the contract
MESSAGES_OF_THE_CONTRACT = {
    "KeepAlive", "Finalize", "CloseStream", "Configure", "Sync", "Results", "SpeechStarted", "UtteranceEnd", "Metadata",
    "Error", "ConfigureSuccess", "ConfigureFailure", "binary, not empty", "binary, empty", "anything else",
}  # fmt: skip


def test_every_parameter_and_message_of_the_contract_is_known() -> None:
    assert set(CONTRACT) <= {parameter.name for parameter in PARAMETERS}
    assert {message.name for message in ALL_MESSAGES} == MESSAGES_OF_THE_CONTRACT


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
