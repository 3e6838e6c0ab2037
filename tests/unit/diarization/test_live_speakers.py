"""Speakers of a live stream: from finals in order, the same at any speed, never renamed."""

from __future__ import annotations

import numpy as np
import pytest

from app.diarization.live import MOST_SPEAKERS, BasicLiveSpeakers
from app.domain.transcript import Word
from tests.support.conversations import Conversation, conversation

CLIPS = ["dialogue-two-speakers.wav", "three-voices.ogg"]


def said_in(clip: Conversation, end_s: float, since_s: float) -> list[Word]:
    """Three words for each turn that ends in this stretch."""
    words = []
    for start, end, _ in clip.turns:
        if since_s < end <= end_s:
            edges = np.linspace(start, end, 4)
            words += [Word("word", float(edges[i]), float(edges[i + 1]), 0.9) for i in range(3)]
    return words


def truth(clip: Conversation) -> list[int]:
    return [speaker for _, _, speaker in clip.turns for _ in range(3)]


def stream(clip: Conversation, ahead_s: float = 0.0, message_windows: int = 3, interims: bool = False) -> list[int | None]:
    """The speaker of each word, when finals come 0.2 s after each turn and the sound is ``ahead_s`` further by then."""
    live = BasicLiveSpeakers()
    heard, since_s = 0, 0.0
    labels: list[int | None] = []
    for _, end, _ in clip.turns:
        end_s = end + 0.2
        while heard * 0.032 < min(end_s + ahead_s, clip.seconds) and heard < len(clip.probabilities):
            until = heard + message_windows
            live.feed(clip.pcm[heard * 512 : until * 512], clip.probabilities[heard:until])
            heard = until
            if interims and heard * 0.032 <= end_s:
                live.interim([Word("word", since_s + 0.1, since_s + 0.3, 0.9)], heard * 0.032)
        labels += [word.speaker for word in live.final(said_in(clip, end_s, since_s), end_s)]
        since_s = end_s
    return labels


@pytest.mark.parametrize("name", CLIPS)
class TestConversations:
    def test_words_of_finals_get_their_speakers_at_once(self, name: str) -> None:
        labels, said = stream(conversation(name)), truth(conversation(name))
        assert len(labels) == len(said)
        assert sum(label == speaker for label, speaker in zip(labels, said, strict=True)) / len(said) > 0.9

    @pytest.mark.parametrize(("ahead_s", "message_windows"), [(0.5, 1), (3.0, 3), (60.0, 125)])
    def test_sound_that_comes_faster_gives_the_same_labels(self, name: str, ahead_s: float, message_windows: int) -> None:
        assert stream(conversation(name), ahead_s, message_windows) == stream(conversation(name))

    def test_interims_leave_no_trace(self, name: str) -> None:
        assert stream(conversation(name), interims=True) == stream(conversation(name))


def test_an_interim_knows_a_voice_that_spoke_before() -> None:
    clip = conversation("dialogue-two-speakers.wav")
    live = BasicLiveSpeakers()
    live.feed(clip.pcm, clip.probabilities)
    for end_s in (1.72, 3.53):
        live.final([Word("word", end_s - 1, end_s - 0.5, 0.9)], end_s)
    (word,) = live.interim([Word("word", 4.1, 5.1, 0.9)], 5.1)
    assert word.speaker == 0
    (word,) = live.final([Word("word", 4.1, 5.1, 0.9)], 5.38)
    assert word.speaker == 0


def test_two_voices_in_one_final_are_told_apart() -> None:
    clip = conversation("dialogue-two-speakers.wav")
    live = BasicLiveSpeakers()
    live.feed(clip.pcm, clip.probabilities)
    words = live.final(said_in(clip, clip.seconds, 0.0), clip.seconds)
    assert [word.speaker for word in words] == truth(clip)


def test_one_voice_stays_one_speaker() -> None:
    clip = conversation("sentences-10s.wav")
    live = BasicLiveSpeakers()
    labels = set()
    for end in range(1, 10):
        live.feed(clip.pcm[(end - 1) * 16_384 : end * 16_384], clip.probabilities[(end - 1) * 32 : end * 32])
        labels |= {word.speaker for word in live.final([Word("word", end - 0.5, end - 0.1, 0.9)], end * 1.024)}
    assert labels == {0}


def test_words_without_a_voiced_sound_go_to_whoever_spoke_last() -> None:
    clip = conversation("dialogue-two-speakers.wav")
    live = BasicLiveSpeakers()
    live.feed(clip.pcm[: 110 * 512], clip.probabilities[:110])
    live.final([Word("word", 0.4, 1.4, 0.9)], 1.72)
    live.final([Word("word", 2.3, 3.3, 0.9)], 3.5)
    live.feed(np.zeros(512 * 60, np.float32), np.zeros(60, np.float32))
    (word,) = live.final([Word("word", 4.0, 4.4, 0.9)], 5.0)
    assert (word.speaker, word.speaker_confidence) == (1, 0.0)


def test_a_final_without_words_teaches_too_and_answers_nothing() -> None:
    live = BasicLiveSpeakers()
    assert live.final([], 3.0) == ()
    assert live.interim([], 4.0) == ()


def test_what_finals_have_covered_is_forgotten() -> None:
    clip = conversation("three-voices.ogg")
    live = BasicLiveSpeakers()
    kept = []
    for minute in range(6):
        offset_s = minute * len(clip.probabilities) * 0.032
        live.feed(clip.pcm, clip.probabilities)
        live.final([Word("word", offset_s + 1, offset_s + 2, 0.9)], offset_s + clip.seconds)
        kept.append(live.waiting_windows)
    assert max(kept) <= 2
    assert live.known_voices <= MOST_SPEAKERS


def test_voices_are_bounded_and_the_nearest_is_taken_beyond() -> None:
    rng = np.random.default_rng(4)
    live = BasicLiveSpeakers()
    t = np.arange(512 * 64) / 16_000
    labels = set()
    for index in range(30):
        tilt = rng.uniform(-1, 2)
        hertz = 70 * 1.06**index
        sound = sum(np.sin(2 * np.pi * hertz * n * t) * n**-tilt for n in range(1, int(7000 / hertz)))
        live.feed((0.1 * np.asarray(sound) / np.abs(sound).max()).astype(np.float32), np.ones(64, np.float32))
        end_s = (index + 1) * 2.048
        labels |= {word.speaker for word in live.final([Word("word", end_s - 1.5, end_s - 0.5, 0.9)], end_s)}
    assert 2 < len(labels) <= MOST_SPEAKERS
    assert live.known_voices <= MOST_SPEAKERS
