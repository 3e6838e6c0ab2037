"""Text options from the outside, over both ways in, and what stays out of answers and the log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from app.engines.scripted import ScriptedEngine, ScriptedPool, say
from tests.support.app import Stage, staged
from tests.support.live_talk import CLOSE, RAW, converse, tone

CLIP = (Path(__file__).parents[1] / "audio" / "sentences-10s.wav").read_bytes()
SPOKEN = "Um my card is four one one one one one one one one one one one one one one one damn it"
EVERYTHING = (
    "punctuate=true&smart_format=true&numerals=true&measurements=true&dictation=true&profanity_filter=true&redact=pci&redact=ssn"
    f"&replace=card:plastic&search={quote('my card')}&detect_entities=true&paragraphs=true&utterances=true"
)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path, ScriptedPool(ScriptedEngine(say(SPOKEN, word_s=0.2))), log_level="debug") as running:
        yield running


def redact_warnings(body: dict[str, Any]) -> list[dict[str, str]]:
    return [warning for warning in body["metadata"]["warnings"] if warning["parameter"] == "redact"]


def test_all_options_at_once_over_rest(stage: Stage) -> None:
    answer = stage.client.post(f"/v1/listen?{EVERYTHING}", content=CLIP)
    assert answer.status_code == 200
    (channel,) = answer.json()["results"]["channels"]
    alternative = channel["alternatives"][0]
    assert alternative["transcript"] == "My plastic is [CREDIT_CARD_1] **** it"
    assert alternative["transcript"] == " ".join(word["punctuated_word"] for word in alternative["words"])
    assert [(item["label"], item["value"], item["raw_value"]) for item in alternative["entities"]] == [
        ("CREDIT_CARD", "[CREDIT_CARD_1]", "[CREDIT_CARD_1]")
    ]
    assert redact_warnings(answer.json()) == []


def test_all_options_at_once_live(stage: Stage) -> None:
    talk = converse(stage.client, f"{RAW}&interim_results=true&{EVERYTHING}", [tone(5.0), CLOSE])
    (alternative,) = talk.finals[0]["channel"]["alternatives"]
    assert alternative["transcript"] == "My plastic is [CREDIT_CARD_1] **** it"
    assert talk.finals[0]["entities"][0]["label"] == "CREDIT_CARD"
    assert talk.code == 1000


@pytest.mark.parametrize("response_format", ["json", "srt", "vtt", "text"])
def test_what_is_redacted_is_in_no_answer_and_not_in_the_log(
    stage: Stage, capfd: pytest.CaptureFixture[str], response_format: str
) -> None:
    query = (
        f"redact=numbers&detect_entities=true&search=one&utterances=true&paragraphs=true&response_format={response_format}"
    )
    answer = stage.client.post(f"/v1/listen?{query}", content=CLIP)
    talk = converse(stage.client, f"{RAW}&interim_results=true&redact=numbers&detect_entities=true", [tone(5.0), CLOSE])
    logged = "".join(capfd.readouterr())
    assert "stream ended" in logged
    shown = answer.text.replace('"query":"one"', "")
    assert "[CREDIT_CARD_1]" in shown
    for said in (shown, json.dumps(talk.messages), logged):
        assert "four" not in said
        assert "one" not in said.replace("onent", "").replace("none", "")


def test_what_rules_cannot_redact_is_reported(stage: Stage) -> None:
    answer = stage.client.post("/v1/listen?redact=pci&redact=occupation", content=CLIP)
    assert redact_warnings(answer.json()) == [
        {"parameter": "redact", "type": "partial", "message": "Not redacted, because no rule finds it: occupation."}
    ]


@pytest.mark.parametrize("query", ["redact=everything", "replace=:x", "&".join(["search=a"] * 26)])
def test_unusable_values_are_a_400_before_the_audio_is_read(stage: Stage, query: str) -> None:
    answer = stage.client.post(f"/v1/listen?{query}", content=CLIP)
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["err_code"]) == (400, "INVALID_QUERY_PARAMETER")
    assert stage.pool.calls == []
