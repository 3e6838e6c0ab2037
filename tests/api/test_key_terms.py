"""Key terms from the outside, with an engine that cannot favour them and with one that can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.app import Stage, staged

CLIP = (Path(__file__).parents[1] / "audio" / "hello-world.wav").read_bytes()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as running:
        yield running


def warned(stage: Stage, query: str) -> bool:
    answer = stage.client.post(f"/v1/listen?{query}", content=CLIP)
    assert answer.status_code == 200, answer.text
    return "keyterm" in [warning["parameter"] for warning in answer.json()["metadata"]["warnings"]]


def test_an_engine_that_cannot_favour_them_is_warned_of(stage: Stage) -> None:
    assert warned(stage, "keyterm=Nuuk")
    assert warned(stage, "keywords=Nuuk:2")
    assert not warned(stage, "keyterm=")


def test_one_that_can_is_not(stage: Stage) -> None:
    stage.pool.capabilities = replace(stage.pool.capabilities, favours_terms=True)
    assert not warned(stage, "keyterm=Nuuk&keywords=nook:-2")


def test_too_many_are_refused_with_the_contracts_body(stage: Stage) -> None:
    query = "&".join(f"keyterm=w{index}" for index in range(501))
    answer = stage.client.post(f"/v1/listen?{query}", content=CLIP)
    assert answer.status_code == 400
    assert list(answer.json()) == ["err_code", "err_msg", "request_id"]
    assert answer.json()["err_code"] == "Bad Request"
    expected = "Keyterm limit exceeded. The maximum number of tokens across all keyterms is 500."
    assert answer.json()["err_msg"] == answer.headers["dg-error"] == expected
