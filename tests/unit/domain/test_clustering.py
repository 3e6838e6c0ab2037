"""Grouping by voice on made-up voices: points in space with known owners."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from app.domain.clustering import (
    FRAMES_PER_SOUND,
    SAME_VOICE,
    VOICE_DRIFT,
    Voices,
    agglomerate,
    cosine_distances,
    likeliest_path,
    paired_distances,
    voice_distances,
    without_strays,
)

DIMENSIONS = 19


def stretches(owners: list[int], apart: float, frames: int = 100, seed: int = 5) -> Voices:
    """A stretch of speech for each owner. Means of owners are ``apart``, those of one owner scatter as speech does."""
    rng = np.random.default_rng(seed)
    places = apart / np.sqrt(2) * np.eye(DIMENSIONS)
    noise = rng.standard_normal((len(owners), DIMENSIONS)) * np.sqrt(FRAMES_PER_SOUND / frames)
    return Voices(np.full(len(owners), float(frames)), (places[owners] + noise) * frames)


def same_groups(one: NDArray[np.intp], other: list[int]) -> bool:
    return bool(np.array_equal(one[:, np.newaxis] == one, np.array(other)[:, np.newaxis] == np.array(other)))


@pytest.mark.parametrize("voices", [1, 2, 3, 4, 6])
def test_as_many_groups_are_found_as_there_are_voices(voices: int) -> None:
    owners = [index % voices for index in range(60)]
    assert same_groups(agglomerate(stretches(owners, apart=4.0), SAME_VOICE), owners)


@pytest.mark.parametrize("voices", [1, 3])
def test_hours_are_grouped_piece_by_piece_with_the_same_outcome(voices: int) -> None:
    owners = [(index // 7) % voices for index in range(1500)]
    assert same_groups(agglomerate(stretches(owners, apart=4.0), SAME_VOICE), owners)


def test_more_different_voices_than_fit_in_one_go_come_to_an_end() -> None:
    rng = np.random.default_rng(1)
    voices = Voices(np.full(450, 1e4), rng.standard_normal((450, DIMENSIONS)) * 100 * 1e4)
    assert len(set(agglomerate(voices, SAME_VOICE).tolist())) == 450


def test_the_same_voice_is_no_further_from_itself_than_it_has_directions() -> None:
    one, other = stretches([0] * 400, apart=0, seed=1), stretches([0] * 400, apart=0, seed=2)
    chance = FRAMES_PER_SOUND * (1 / 100 + 1 / 100)
    assert paired_distances(one, other).mean() == pytest.approx(DIMENSIONS * chance / (chance + VOICE_DRIFT), rel=0.1)
    assert np.quantile(paired_distances(one, other), 0.999) < SAME_VOICE


def test_distances_grow_with_evidence_but_not_without_end() -> None:
    near = [
        voice_distances(Voices(np.array([n]), np.zeros((1, 2))), Voices(np.array([n]), np.array([[n, 0.0]])))[0, 0]
        for n in (10.0, 100.0, 1e4, 1e8)
    ]
    assert near == sorted(near)
    assert near[-1] < 21


def test_no_frames_are_no_evidence() -> None:
    silent = Voices(np.zeros(1), np.zeros((1, 2)))
    assert voice_distances(silent, Voices(np.array([500.0]), np.full((1, 2), 5000.0)))[0, 0] < 1e-3


def test_pairs_are_the_diagonal_of_the_matrix() -> None:
    one, other = stretches([0, 1, 2], 3.0, seed=1), stretches([2, 1, 0], 3.0, seed=2)
    assert np.allclose(np.diag(voice_distances(one, other)), paired_distances(one, other))


def test_embeddings_group_by_direction_whatever_their_length() -> None:
    rng = np.random.default_rng(3)
    owners = [0, 1, 0, 1, 1, 0]
    directions = np.eye(8)[owners] + 0.05 * rng.standard_normal((6, 8))
    lengths = rng.uniform(0.1, 10, 6)
    voices = Voices(np.ones(6), directions * lengths[:, np.newaxis])
    assert same_groups(agglomerate(voices, 0.5, cosine_distances), owners)


def test_nothing_gives_nothing() -> None:
    assert len(agglomerate(Voices(np.zeros(0), np.zeros((0, 3))), SAME_VOICE)) == 0
    assert len(likeliest_path(np.zeros((0, 2)), np.zeros(0))) == 0


class TestStrays:
    def test_small_groups_lose_their_label_and_the_rest_is_numbered_anew(self) -> None:
        voices = Voices(np.array([50.0, 3.0, 40.0, 20.0]), np.ones((4, 2)))
        assert without_strays(np.array([0, 1, 2, 0]), voices, 10).tolist() == [0, -1, 1, 0]

    def test_the_largest_group_stays_however_small(self) -> None:
        voices = Voices(np.array([3.0, 2.0]), np.ones((2, 2)))
        assert without_strays(np.array([0, 1]), voices, 10).tolist() == [0, -1]


class TestLikeliestPath:
    def test_weak_evidence_does_not_switch_and_strong_evidence_does(self) -> None:
        scores = np.array([[5.0, 0], [5, 0], [0, 1], [5, 0], [0, 20], [0, 20]])
        assert likeliest_path(scores, np.full(6, 5.0)).tolist() == [0, 0, 0, 0, 1, 1]

    def test_switching_where_it_is_cheap_costs_little(self) -> None:
        scores = np.array([[9.0, 0], [0, 2], [0, 2]])
        assert likeliest_path(scores, np.array([0, 5.0, 5.0])).tolist() == [0, 0, 0]
        assert likeliest_path(scores, np.array([0, 0.5, 5.0])).tolist() == [0, 1, 1]

    def test_it_is_the_best_of_all_paths(self) -> None:
        rng = np.random.default_rng(8)
        for _ in range(20):
            scores, costs = rng.normal(0, 2, (5, 3)), rng.uniform(0, 3, 5)

            best = max(value_of(path, scores, costs) for path in np.ndindex(3, 3, 3, 3, 3))
            assert value_of(likeliest_path(scores, costs).tolist(), scores, costs) == pytest.approx(best)


def value_of(path: Sequence[int], scores: NDArray[np.float64], costs: NDArray[np.float64]) -> float:
    switches = sum(costs[i] for i in range(1, len(path)) if path[i] != path[i - 1])
    return float(sum(scores[i, state] for i, state in enumerate(path)) - switches)
