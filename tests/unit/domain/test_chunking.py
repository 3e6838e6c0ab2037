from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.chunking import FITTED, Chunk, Chunker, ChunkingOptions, mix_to_mono
from app.domain.packing import Packing

WINDOW = 512
RATE = 16_000
SHORT = ChunkingOptions(max_chunk_s=4.0, max_pause_s=1.0)
PACKED = ChunkingOptions(max_chunk_s=4.0, max_pause_s=1.0, packing=Packing(step_s=1.6, margin_s=0.2))


def windows(seconds: float) -> int:
    return round(seconds * RATE / WINDOW)


def talk(*stretches: tuple[float, float]) -> np.ndarray:
    """Probabilities for stretches of (seconds, probability)."""
    return np.concatenate([np.full(windows(length), value, np.float32) for length, value in stretches])


def sound_for(probabilities: np.ndarray, extra: int = 0) -> np.ndarray:
    # Every sample differs, so a misplaced chunk cannot look right.
    return np.arange(len(probabilities) * WINDOW + extra, dtype=np.float32) / 1e7


def cut(probabilities: np.ndarray, options: ChunkingOptions = SHORT, pcm: np.ndarray | None = None) -> list[Chunk]:
    chunker = Chunker(options)
    pcm = sound_for(probabilities) if pcm is None else pcm
    return [*chunker.feed(pcm, probabilities), *chunker.flush()]


probability_lists = st.lists(
    st.tuples(st.integers(1, 60), st.sampled_from([0.0, 0.1, 0.3, 0.4, 0.6, 0.9, 1.0])), min_size=1, max_size=25
).map(lambda stretches: np.concatenate([np.full(count, value, np.float32) for count, value in stretches]))


def test_silence_gives_no_chunk() -> None:
    assert cut(talk((20, 0.01))) == []


def test_a_click_shorter_than_speech_gives_no_chunk() -> None:
    assert cut(np.array([0.0] * 40 + [0.9] + [0.0] * 40, np.float32)) == []


def test_a_chunk_has_its_margins_and_its_samples() -> None:
    probabilities = talk((2, 0.0), (1, 0.9), (3, 0.0))
    (chunk,) = cut(probabilities)
    begin, end = windows(2) * WINDOW, (windows(2) + windows(1)) * WINDOW
    assert chunk.start_samples == begin - round(0.3 * RATE)
    assert chunk.end_samples == end + round(0.2 * RATE)
    assert np.array_equal(chunk.pcm, sound_for(probabilities)[chunk.start_samples : chunk.end_samples])


def test_margins_stop_at_the_recording_s_ends() -> None:
    probabilities = talk((1, 0.9))
    pcm = sound_for(probabilities, extra=100)
    (chunk,) = cut(probabilities, pcm=pcm)
    assert (chunk.start_samples, chunk.end_samples) == (0, len(pcm))


def test_a_pause_stays_inside_and_a_long_silence_ends_the_chunk() -> None:
    assert len(cut(talk((1, 0.9), (0.8, 0.0), (1, 0.9), (1, 0.0)))) == 1
    assert len(cut(talk((1, 0.9), (1.2, 0.0), (1, 0.9), (1, 0.0)))) == 2


def test_a_finished_chunk_does_not_wait_for_the_end() -> None:
    chunker = Chunker(SHORT)
    probabilities = talk((1, 0.9), (1.2, 0.0))
    assert len(chunker.feed(sound_for(probabilities), probabilities)) == 1
    assert chunker.flush() == []


def test_speech_goes_on_between_the_thresholds_but_does_not_begin_there() -> None:
    assert cut(talk((3, 0.45))) == []
    (chunk,) = cut(talk((1, 0.9), (2, 0.4), (2, 0.0)))
    assert chunk.end_samples >= windows(3) * WINDOW


def test_a_long_chunk_is_cut_at_the_longest_pause_of_its_later_half() -> None:
    probabilities = talk((1, 0.9), (0.6, 0.0), (0.8, 0.9), (0.2, 0.0), (0.4, 0.9), (0.4, 0.0), (3, 0.9), (2, 0.0))
    first, second = cut(probabilities)
    pause = (windows(1) + windows(0.6) + windows(0.8) + windows(0.2) + windows(0.4)) * WINDOW
    assert pause < first.end_samples <= second.start_samples < pause + windows(0.4) * WINDOW


def test_a_chunk_is_cut_at_an_early_pause_rather_than_inside_a_word() -> None:
    first, second = cut(talk((1.2, 0.9), (0.2, 0.0), (3.5, 0.9), (2, 0.0)))
    assert windows(1.2) * WINDOW <= first.end_samples <= second.start_samples <= windows(1.4) * WINDOW


def test_speech_without_a_pause_is_cut_at_the_dip_of_its_last_third() -> None:
    probabilities = talk((8, 0.95))
    dip = windows(3.1)
    probabilities[dip] = 0.4
    first, second, *_ = cut(probabilities)
    assert first.end_samples == second.start_samples == dip * WINDOW + WINDOW // 2


def test_speech_without_a_dip_is_cut_where_it_is_quietest() -> None:
    probabilities = talk((5, 0.95))
    pcm = np.full(len(probabilities) * WINDOW, 0.3, np.float32)
    quiet = windows(3.2)
    pcm[(quiet - 1) * WINDOW : (quiet + 2) * WINDOW] = 0.01
    first, second = cut(probabilities, pcm=pcm)
    assert first.end_samples == second.start_samples == quiet * WINDOW + WINDOW // 2


def test_a_whole_lecture_without_pauses_loses_nothing() -> None:
    probabilities = talk((100, 0.9))
    chunks = cut(probabilities, ChunkingOptions())
    assert np.array_equal(np.concatenate([chunk.pcm for chunk in chunks]), sound_for(probabilities))
    assert max(len(chunk.pcm) for chunk in chunks) <= 28 * RATE
    assert len(chunks) <= 6  # packed: 100 s need four at least


def test_packed_chunks_leave_pauses_out_and_cut_before_the_chunk_is_full() -> None:
    sentences = talk(*[(3.2, 0.9), (0.8, 0.0)] * 6, (3, 0.0))
    assert [len(cut(sentences, options)) for options in (ChunkingOptions(), FITTED)] == [1, 6]
    packed = cut(sentences, FITTED)
    assert all(3.2 * RATE < len(chunk.pcm) < 4.0 * RATE for chunk in packed)


def test_packed_chunks_come_while_speech_goes_on() -> None:
    chunker = Chunker(FITTED)
    probabilities = talk(*[(3.2, 0.9), (0.8, 0.0)] * 8)
    early = chunker.feed(sound_for(probabilities), probabilities)
    assert early
    assert [chunk.start_samples for chunk in [*early, *chunker.flush()]] == [
        chunk.start_samples for chunk in cut(probabilities, FITTED)
    ]


def test_speech_without_pauses_is_packed_as_far_as_it_goes() -> None:
    probabilities = talk((60, 0.9))
    assert [len(chunk.pcm) for chunk in cut(probabilities, FITTED)] == [
        len(chunk.pcm) for chunk in cut(probabilities, ChunkingOptions())
    ]


def test_sound_may_run_ahead_of_its_probabilities() -> None:
    probabilities = talk((1, 0.0), (1, 0.9), (2, 0.0))
    chunker = Chunker(SHORT)
    late = chunker.feed(sound_for(probabilities), probabilities[:0])
    for probability in probabilities:
        late += chunker.feed(np.zeros(0, np.float32), np.array([probability], np.float32))
    late += chunker.flush()
    assert [chunk.start_samples for chunk in late] == [chunk.start_samples for chunk in cut(probabilities)]


def test_silence_is_forgotten() -> None:
    chunker = Chunker(ChunkingOptions())
    silence, quiet = np.zeros(WINDOW, np.float32), np.zeros(1, np.float32)
    for _ in range(2000):
        chunker.feed(silence, quiet)
    assert _kept(chunker) <= RATE


def test_memory_is_bounded_by_one_chunk_of_endless_speech() -> None:
    chunker = Chunker(SHORT)
    piece, loud = np.zeros(WINDOW, np.float32), np.ones(1, np.float32)
    most = 0
    for _ in range(2000):
        chunker.feed(piece, loud)
        most = max(most, _kept(chunker))
    assert RATE < most <= 5 * RATE


def _kept(chunker: Chunker) -> int:
    return sum(len(piece) for piece in chunker._sound._pieces)  # noqa: SLF001 -- what is held is the point


both = pytest.mark.parametrize("options", [SHORT, PACKED])


@both
@given(
    probabilities=probability_lists,
    cuts=st.lists(st.integers(1, 9000), min_size=1, max_size=20),
    extra=st.integers(0, WINDOW - 1),
)
def test_any_split_gives_the_same_chunks(
    options: ChunkingOptions, probabilities: np.ndarray, cuts: list[int], extra: int
) -> None:
    pcm = sound_for(probabilities, extra)
    chunker, split, at, turn = Chunker(options), [], 0, 0
    while at < len(pcm):
        end = min(len(pcm), at + cuts[turn % len(cuts)])
        split += chunker.feed(pcm[at:end], probabilities[at // WINDOW : end // WINDOW])
        at, turn = end, turn + 1
    split += chunker.flush()
    whole = cut(probabilities, options, pcm=pcm)
    assert [chunk.start_samples for chunk in split] == [chunk.start_samples for chunk in whole]
    assert all(np.array_equal(a.pcm, b.pcm) for a, b in zip(split, whole, strict=True))


@both
@given(probabilities=probability_lists)
def test_chunks_are_ordered_apart_short_enough_and_exact(options: ChunkingOptions, probabilities: np.ndarray) -> None:
    chunks, pcm, end = cut(probabilities, options), sound_for(probabilities), 0
    for chunk in chunks:
        assert chunk.start_samples >= end
        assert 0 < len(chunk.pcm) <= 4 * RATE
        assert np.array_equal(chunk.pcm, pcm[chunk.start_samples : chunk.end_samples])
        end = chunk.end_samples


@both
@given(probabilities=probability_lists)
def test_all_speech_is_inside_a_chunk(options: ChunkingOptions, probabilities: np.ndarray) -> None:
    covered = np.zeros(len(probabilities) * WINDOW, bool)
    for chunk in cut(probabilities, options):
        covered[chunk.start_samples : chunk.end_samples] = True
    loud = probabilities >= 0.5
    for first in np.flatnonzero(loud[:-1] & loud[1:]):  # runs of two windows and more
        assert covered[first * WINDOW : (first + 2) * WINDOW].all()


@pytest.mark.parametrize("wrong", [{"max_chunk_s": 30.0}, {"max_pause_s": 0.05}, {"off_probability": 0.6}])
def test_options_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        ChunkingOptions(**wrong)


def test_mixing_takes_the_mean_and_leaves_one_channel_alone() -> None:
    stereo = np.array([[1.0, 0.0], [0.0, 0.5]], np.float32)
    assert mix_to_mono(stereo).tolist() == [0.5, 0.25]
    assert mix_to_mono(stereo).dtype == np.float32
    assert mix_to_mono(stereo[:1]).tolist() == [1.0, 0.0]
