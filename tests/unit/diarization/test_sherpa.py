"""The adapter of sherpa-onnx, on networks that the test makes: its process, blocks, voices across blocks, interruptions."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.diarization.sherpa import SherpaDiarizer, is_installed
from app.domain.errors import EngineFailed
from app.domain.speakers import SpeakerTurn
from tests.support.clips import Samples
from tests.support.conversations import conversation
from tests.support.sherpa_models import write_embedding, write_segmentation

pytest.importorskip("onnx", reason="the networks are written with it")
pytest.importorskip("sherpa_onnx", reason="the diarize extra is not installed")

NONE = np.zeros(0, np.float32)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("networks")
    return write_segmentation(folder / "segmentation.onnx"), write_embedding(folder / "embedding.onnx")


@pytest.fixture
def diarizer(networks: tuple[Path, Path]) -> Iterator[SherpaDiarizer]:
    made = SherpaDiarizer(*networks, block_s=60.0)
    yield made
    made.close()


def voice(speaker: int, seconds: float) -> Samples:
    """One voice of the dialogue, talking on and on."""
    clip = conversation("dialogue-two-speakers.wav")
    said = [clip.pcm[round(start * 16_000) : round(end * 16_000)] for start, end, who in clip.turns if who == speaker]
    return np.resize(np.concatenate(said), round(16_000 * seconds))


def turns_of(diarizer: SherpaDiarizer, sound: Samples, piece: int = 160_000) -> tuple[SpeakerTurn, ...]:
    session = diarizer.session()
    for begin in range(0, len(sound), piece):
        session.feed(sound[begin : begin + piece], NONE)
    found = session.turns()
    session.close()
    return found


def speaker_at(turns: tuple[SpeakerTurn, ...], at_s: float) -> int | None:
    return next((turn.speaker for turn in turns if turn.start_s <= at_s < turn.end_s), None)


def test_voices_are_told_apart_in_one_block(diarizer: SherpaDiarizer) -> None:
    turns = turns_of(diarizer, np.concatenate([voice(1, 28), voice(0, 28)]))
    assert {turn.speaker for turn in turns} == {0, 1}
    assert (speaker_at(turns, 10), speaker_at(turns, 46)) == (0, 1)
    assert all(0 <= turn.confidence <= 1 for turn in turns)


def test_a_voice_keeps_its_number_from_block_to_block(diarizer: SherpaDiarizer) -> None:
    minutes = [voice(0, 60), voice(1, 60), voice(0, 60), np.concatenate([voice(1, 25), voice(0, 20)])]
    turns = turns_of(diarizer, np.concatenate(minutes))
    assert [speaker_at(turns, at_s) for at_s in (30, 90, 150, 192, 217)] == [0, 1, 0, 1, 0]
    assert {turn.speaker for turn in turns} == {0, 1}


def test_the_split_of_the_recording_changes_nothing(diarizer: SherpaDiarizer) -> None:
    sound = np.concatenate([voice(0, 45), voice(1, 45)])
    assert turns_of(diarizer, sound, 77_777) == turns_of(diarizer, sound, len(sound))


@pytest.mark.parametrize("seconds", [0.0, 0.01, 5.0])
def test_where_nobody_speaks_there_are_no_turns(diarizer: SherpaDiarizer, seconds: float) -> None:
    assert turns_of(diarizer, np.zeros(round(16_000 * seconds), np.float32)) == ()


def test_one_voice_is_one_speaker_and_surely(diarizer: SherpaDiarizer) -> None:
    turns = turns_of(diarizer, voice(0, 100))
    assert {turn.speaker for turn in turns} == {0}
    assert {turn.confidence for turn in turns} == {1.0}


def test_sessions_take_turns_at_one_process(diarizer: SherpaDiarizer) -> None:
    sounds = [np.concatenate([voice(0, 40), voice(1, 40)]), voice(1, 80)]
    alone = [turns_of(diarizer, sound) for sound in sounds]
    together: dict[int, tuple[SpeakerTurn, ...]] = {}
    threads = [
        threading.Thread(target=lambda index=index: together.update({index: turns_of(diarizer, sounds[index])}))
        for index in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[0], together[1]] == alone


def test_a_process_that_dies_is_replaced(diarizer: SherpaDiarizer) -> None:
    before = turns_of(diarizer, voice(0, 20))
    first = diarizer.process_id
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert turns_of(diarizer, voice(0, 20)) == before
    assert diarizer.process_id not in (None, first)


def test_networks_that_cannot_be_read_fail_the_request_and_nothing_else(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    diarizer = SherpaDiarizer(broken, broken)
    session = diarizer.session()
    session.feed(voice(0, 2), NONE)
    with pytest.raises(EngineFailed):
        session.turns()
    diarizer.close()


def test_closing_a_session_ends_its_work_and_leaves_the_others(networks: tuple[Path, Path]) -> None:
    diarizer = SherpaDiarizer(*networks, block_s=600.0)
    session = diarizer.session()
    session.feed(np.resize(voice(0, 10), 16_000 * 590), NONE)
    outcome: list[BaseException] = []

    def work() -> None:
        try:
            session.turns()
        except EngineFailed as error:
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while diarizer.process_id is None and thread.is_alive():
        thread.join(0.01)
    session.close()
    thread.join(60)
    assert not thread.is_alive()
    assert len(outcome) == 1
    assert {turn.speaker for turn in turns_of(diarizer, voice(0, 20))} == {0}
    diarizer.close()


def test_a_closed_session_starts_nothing_more(diarizer: SherpaDiarizer) -> None:
    session = diarizer.session()
    session.feed(voice(0, 5), NONE)
    session.close()
    with pytest.raises(EngineFailed):
        session.turns()
    assert diarizer.process_id is None


def test_the_extra_is_found() -> None:
    assert is_installed()
