"""Sound to blocks: the same however it is cut up, and little to keep."""

from __future__ import annotations

import numpy as np
import pytest

from app.diarization.tracks import Track, TrackBuilder, WindowFeed
from tests.support.conversations import conversation

CLIP = conversation("dialogue-two-speakers.wav")


def track_of(pieces: list[int]) -> Track:
    """The clip's track when it comes in pieces of so many samples, in turn; probabilities when their window is complete."""
    feed, builder = WindowFeed(), TrackBuilder()
    at, index = 0, 0
    while at < len(CLIP.pcm):
        end = min(at + pieces[index % len(pieces)], len(CLIP.pcm))
        builder.feed(feed.feed(CLIP.pcm[at:end], CLIP.probabilities[at // 512 : end // 512]))
        at, index = end, index + 1
    builder.feed(feed.rest())
    return builder.close()


WHOLE = track_of([len(CLIP.pcm)])


@pytest.mark.parametrize("pieces", [[512], [160], [1, 5000, 77], [160_000], [8192, 1]])
def test_the_split_of_the_sound_changes_nothing(pieces: list[int]) -> None:
    track = track_of(pieces)
    assert (track.starts, track.ends, track.counts, track.runs) == (WHOLE.starts, WHOLE.ends, WHOLE.counts, WHOLE.runs)
    assert np.allclose(np.array(track.sums), np.array(WHOLE.sums), rtol=1e-3, atol=0.05)
    assert np.allclose(track.scatter, WHOLE.scatter, rtol=1e-2, atol=5)


def test_runs_lie_where_somebody_speaks() -> None:
    spans = [(WHOLE.starts[begin] * 0.032, WHOLE.ends[end - 1] * 0.032) for begin, end in WHOLE.runs]
    for start_s, end_s in spans:
        assert any(start - 0.1 <= start_s and end_s <= end + 0.15 for start, end, _ in CLIP.turns), (start_s, end_s)
    covered = sum(end - start for start, end in spans)
    assert covered > 0.85 * sum(end - start for start, end, _ in CLIP.turns)


def test_blocks_of_a_run_follow_each_other_and_last_about_an_eighth_of_a_second() -> None:
    for begin, end in WHOLE.runs:
        assert all(WHOLE.starts[block] >= WHOLE.ends[block - 1] for block in range(begin + 1, end))
        assert all(1 <= WHOLE.ends[block] - WHOLE.starts[block] <= 5 for block in range(begin, end))


def test_every_block_belongs_to_one_run() -> None:
    assert [block for begin, end in WHOLE.runs for block in range(begin, end)] == list(range(len(WHOLE.starts)))


def test_a_click_is_no_speech() -> None:
    feed, builder = WindowFeed(), TrackBuilder()
    builder.feed(feed.feed(CLIP.pcm[:32_768], np.array([0.0] * 20 + [0.9, 0.9] + [0.0] * 42, np.float32)))
    builder.feed(feed.rest())
    assert builder.close().starts == []


def test_silence_keeps_nothing() -> None:
    feed, builder = WindowFeed(), TrackBuilder()
    for _ in range(30):
        builder.feed(feed.feed(np.zeros(160_256, np.float32), np.zeros(313, np.float32)))
    assert builder.close() == Track(scatter=builder.track.scatter)


def test_sound_ahead_of_its_probabilities_waits_for_them() -> None:
    feed = WindowFeed()
    assert feed.feed(CLIP.pcm[:51_200], np.zeros(0, np.float32)) == []
    assert len(feed.feed(CLIP.pcm[51_200:51_712], CLIP.probabilities[:100])) == 100
