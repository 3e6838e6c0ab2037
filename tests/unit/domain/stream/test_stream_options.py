from __future__ import annotations

import math
from typing import Any

import pytest

from app.domain.errors import InvalidParameter
from app.domain.stream.options import SampleCounts, StreamOptions


@pytest.mark.parametrize(("asked_s", "effective_s"), [(0.01, 0.2), (0.2, 0.2), (0.333, 0.333), (5.0, 5.0), (None, None)])
def test_endpointing_has_a_floor_and_is_exact_above_it(asked_s: float | None, effective_s: float | None) -> None:
    assert StreamOptions(endpointing_s=asked_s).effective_endpointing_s == effective_s


@pytest.mark.parametrize(("asked_s", "effective_s"), [(0.2, 1.0), (1.0, 1.0), (2.5, 2.5), (None, None)])
def test_utterance_end_is_at_least_a_second(asked_s: float | None, effective_s: float | None) -> None:
    assert StreamOptions(utterance_end_s=asked_s).effective_utterance_end_s == effective_s


@pytest.mark.parametrize(
    ("endpointing_s", "utterance_end_s", "pause_s"),
    [(0.01, 1.0, 0.2), (3.0, 1.0, 1.0), (3.0, None, 2.0), (None, None, 2.0), (None, 1.5, 1.5)],
)
def test_the_shortest_pause_ends_a_segment(
    endpointing_s: float | None, utterance_end_s: float | None, pause_s: float
) -> None:
    assert StreamOptions(endpointing_s=endpointing_s, utterance_end_s=utterance_end_s).segment_pause_s == pause_s


@pytest.mark.parametrize(("endpointing_s", "speculate_s"), [(0.2, 0.032), (1.0, 0.032), (1.5, 0.5), (None, 1.0)])
def test_the_final_is_decoded_ahead_by_at_most_the_lead(endpointing_s: float | None, speculate_s: float) -> None:
    assert SampleCounts.of(StreamOptions(endpointing_s=endpointing_s)).speculate == round(speculate_s * 16_000)


@pytest.mark.parametrize(
    "wrong",
    [
        {"channels": 0},
        {"endpointing_s": -1.0},
        {"utterance_end_s": math.nan},
        {"idle_timeout_s": math.inf},
        {"hangover_s": 0.25},
        {"hangover_s": 0.02},
        {"still_hangover_s": 0.064},
        {"speculation_s": 0.3},
        {"speech_off": 0.6},
        {"max_segment_s": 1.5},
        {"silent_final_every_s": 0.0},
    ],
)
def test_contradictions_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter):
        StreamOptions(**wrong)
