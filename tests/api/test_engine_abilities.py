"""What an engine elsewhere cannot do or does not tell is said, for recordings and for live speech."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.app import Stage, staged

CLIP = (Path(__file__).parents[1] / "audio" / "hello-world.wav").read_bytes()
QUERY = "beam_size=3&best_of=2&keyterm=Nuuk"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as running:
        yield running


def of_recording(stage: Stage) -> set[tuple[str, str]]:
    answer = stage.client.post(f"/v1/listen?{QUERY}", content=CLIP)
    return {(each["parameter"], each["type"]) for each in answer.json()["metadata"]["warnings"]}


def of_stream(stage: Stage) -> set[tuple[str, str]]:
    with stage.client.websocket_connect(f"/v1/listen?encoding=linear16&sample_rate=16000&{QUERY}") as socket:
        socket.send_bytes(bytes(32_000))
        socket.send_json({"type": "CloseStream"})
        while (message := socket.receive_json())["type"] != "Metadata":
            pass
    return {(each["parameter"], each["type"]) for each in message.get("warnings", [])}


def test_one_that_does_all_is_not_warned_of(stage: Stage) -> None:
    stage.pool.capabilities = replace(stage.pool.capabilities, favours_terms=True)
    assert {kind for _, kind in of_recording(stage)} == {"selftest_model"}
    assert of_stream(stage) == set()


def test_one_that_does_nothing_of_it_is(stage: Stage) -> None:
    stage.pool.capabilities = replace(stage.pool.capabilities, searches=False, times_words=False, rates_words=False)
    expected = {(name, "unsupported_parameter") for name in ("keyterm", "beam_size", "best_of")}
    expected |= {("model", "estimated_word_times"), ("model", "estimated_confidence")}
    assert of_recording(stage) == expected | {("model", "selftest_model")}
    assert of_stream(stage) == expected
