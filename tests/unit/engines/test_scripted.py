from __future__ import annotations

import asyncio

import numpy as np
import pytest

from app.domain.errors import EngineFailed
from app.domain.options import DecodeOptions
from app.domain.ports import JobClass
from app.engines.scripted import ScriptedEngine, ScriptedPool, ScriptedVad, say


def silence(duration_s: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.zeros(int(16_000 * duration_s), dtype=np.float32)


def decode(engine: ScriptedEngine, duration_s: float) -> str:
    hypothesis = engine.transcribe(silence(duration_s), DecodeOptions(), lambda: False)
    return " ".join(segment.text for segment in hypothesis.segments)


def test_words_that_begin_inside_the_audio_are_said() -> None:
    engine = ScriptedEngine(say("one two three four", start_s=0.0, word_s=0.5))
    assert decode(engine, 1.2) == "one two three"
    assert decode(engine, 10.0) == "one two three four"


def test_scripts_are_used_in_turn_and_the_last_one_stays() -> None:
    engine = ScriptedEngine(say("first"), say("second"))
    assert [decode(engine, 2.0) for _ in range(3)] == ["first", "second", "second"]


def test_sentences_become_segments() -> None:
    engine = ScriptedEngine(say("Hello there. How are you?"))
    hypothesis = engine.transcribe(silence(5.0), DecodeOptions(), lambda: False)
    assert [segment.text for segment in hypothesis.segments] == ["Hello there.", "How are you?"]


def test_failures_come_first_and_calls_are_recorded() -> None:
    engine = ScriptedEngine(say("fine"), failures=[EngineFailed(), None])
    with pytest.raises(EngineFailed):
        decode(engine, 1.0)
    assert decode(engine, 1.0) == "fine"
    assert [call.samples for call in engine.calls] == [16_000, 16_000]


def test_answers_can_be_held_back() -> None:
    async def scenario() -> None:
        asked, gate = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            asked.set()
            await gate.wait()

        pool = ScriptedPool(ScriptedEngine(say("late")), delay=hold)
        async with pool.admit() as session:
            task = asyncio.ensure_future(session.transcribe(silence(1.0), DecodeOptions(), JobClass.FINAL))
            await asked.wait()
            assert not pool.calls
            gate.set()
            assert (await task).words[0].text == "late"
            assert pool.calls[0].job_class is JobClass.FINAL

    asyncio.run(scenario())


def test_speech_is_where_the_script_says_in_any_split() -> None:
    vad = ScriptedVad((0.32, 0.64))
    whole = vad.stream().feed(silence(1.024))
    assert whole.shape == (32,)
    assert [index for index, probability in enumerate(whole) if probability > 0.5] == list(range(10, 20))
    stream = vad.stream()
    pieces = [stream.feed(piece) for piece in np.array_split(silence(1.024), 7)]
    assert np.array_equal(np.concatenate(pieces), whole)
