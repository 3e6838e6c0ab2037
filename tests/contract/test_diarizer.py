"""What every diarizer of recordings must do."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from app.diarization.basic import BasicDiarizer
from app.domain.ports import Diarizer
from app.domain.speakers import SpeakerTurn
from tests.support.clips import noise
from tests.support.conversations import Conversation, conversation, share_right

DIARIZERS = [BasicDiarizer()]


@pytest.fixture(params=DIARIZERS, ids=lambda diarizer: diarizer.info.name)
def diarizer(request: pytest.FixtureRequest) -> Diarizer:
    chosen: Diarizer = request.param
    return chosen


def turns_of(diarizer: Diarizer, clip: Conversation, windows: int = 313) -> tuple[SpeakerTurn, ...]:
    session = diarizer.session()
    for begin in range(0, len(clip.probabilities), windows):
        end = begin + windows
        session.feed(clip.pcm[begin * 512 : end * 512], clip.probabilities[begin:end])
    found = session.turns()
    session.close()
    return found


@pytest.mark.parametrize("name", ["dialogue-two-speakers.wav", "three-voices.ogg"])
class TestConversations:
    def test_speakers_are_counted_and_told_apart(self, diarizer: Diarizer, name: str) -> None:
        clip = conversation(name)
        found = turns_of(diarizer, clip)
        assert {turn.speaker for turn in found} == {speaker for _, _, speaker in clip.turns}
        assert share_right(found, clip.turns) > 0.93

    def test_turns_are_in_order_inside_the_recording_and_sure_of_themselves(self, diarizer: Diarizer, name: str) -> None:
        clip = conversation(name)
        found = turns_of(diarizer, clip)
        assert [turn.start_s for turn in found] == sorted(turn.start_s for turn in found)
        assert all(0 <= turn.start_s < turn.end_s <= clip.seconds + 0.1 for turn in found)
        assert all(0 < turn.confidence <= 1 for turn in found)
        assert len({turn.confidence for turn in found}) > 1

    def test_the_split_of_the_recording_changes_nothing(self, diarizer: Diarizer, name: str) -> None:
        whole, small = (turns_of(diarizer, conversation(name), windows) for windows in (10_000, 20))
        assert [(turn.start_s, turn.end_s, turn.speaker) for turn in small] == [
            (turn.start_s, turn.end_s, turn.speaker) for turn in whole
        ]


@pytest.mark.parametrize("name", ["sentences-10s.wav", "phone-number.wav", "french.wav", "german.wav", "spanish.wav"])
def test_one_voice_is_one_speaker(diarizer: Diarizer, name: str) -> None:
    found = turns_of(diarizer, conversation(name))
    assert {turn.speaker for turn in found} == {0}


@pytest.mark.parametrize("seconds", [0.0, 0.02, 5.0])
def test_where_nobody_speaks_there_are_no_turns(diarizer: Diarizer, seconds: float) -> None:
    sound = np.zeros(round(16_000 * seconds), np.float32)
    assert turns_of(diarizer, Conversation(sound, np.zeros(len(sound) // 512, np.float32), ())) == ()


def test_noise_that_is_taken_for_speech_breaks_nothing(diarizer: Diarizer) -> None:
    sound = noise(3.0)[: 93 * 512]
    found = turns_of(diarizer, Conversation(sound, np.ones(93, np.float32), ()))
    assert all(0 <= turn.confidence <= 1 for turn in found)


def test_sessions_do_not_know_each_other(diarizer: Diarizer) -> None:
    names = ("dialogue-two-speakers.wav", "three-voices.ogg")
    alone = [turns_of(diarizer, conversation(name)) for name in names]
    together: dict[str, tuple[SpeakerTurn, ...]] = {}
    threads = [
        threading.Thread(target=lambda name=name: together.update({name: turns_of(diarizer, conversation(name))}))
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[name] for name in names] == alone


def test_a_session_may_be_closed_at_any_time(diarizer: Diarizer) -> None:
    session = diarizer.session()
    session.close()
    session.close()
