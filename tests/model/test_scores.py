"""What the engine tells about its segments when asked: token scores and the probability that nobody speaks."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest
import soundfile

from app.domain.audio import Pcm16k
from app.domain.options import DecodeOptions
from app.domain.ports import JobClass
from app.domain.transcript import Hypothesis
from app.engines import logits_hook
from app.engines.pool import ProcessPool
from app.engines.whisper_cpp import WhisperCppEngine

pytestmark = pytest.mark.model

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models/ggml-selftest.bin"


def read_clip(name: str) -> Pcm16k:
    pcm: Pcm16k = soundfile.read(ROOT / "tests/audio" / name, dtype="float32")[0]
    return pcm


@pytest.fixture(scope="module")
def engine() -> WhisperCppEngine:
    return WhisperCppEngine.load(MODEL, threads=2)


def decode(engine: WhisperCppEngine, clip: str, *, scores: bool = True, temperature: float = 0.0) -> Hypothesis:
    options = DecodeOptions(scores=scores, temperature=temperature)
    return engine.transcribe(read_clip(clip), options, lambda: False)


def test_scores_are_those_of_the_tokens_and_spell_the_text(engine: WhisperCppEngine) -> None:
    for segment in decode(engine, "sentences-10s.wav").segments:
        assert b"".join(score.text for score in segment.scores).decode().strip() == segment.text
        assert len(segment.scores) == len(segment.tokens)
        mean = sum(score.logprob for score in segment.scores) / len(segment.scores)
        assert mean == pytest.approx(segment.avg_logprob)
        assert all(-5 < score.logprob <= 0 for score in segment.scores)


def test_silence_is_improbable_where_somebody_speaks_and_probable_in_noise(engine: WhisperCppEngine) -> None:
    probe = engine._silence  # noqa: SLF001 - noise has no segment that could tell
    assert probe is not None
    for clip in ("hello-world.wav", "noise-5s.wav", "sentences-10s.wav", "noise-5s.wav"):
        segments = decode(engine, clip).segments
        if clip.startswith("noise"):
            assert segments == ()
            assert 0.5 < (probe.probability(1) or 0.0) <= 1.0
        else:
            told = {segment.no_speech_prob for segment in segments}
            assert len(told) == 1
            assert all(silence is not None and 0 < silence < 0.01 for silence in told)


def test_asking_changes_neither_this_decode_nor_the_next(engine: WhisperCppEngine) -> None:
    plain = decode(engine, "sentences-10s.wav", scores=False)
    scored = decode(engine, "sentences-10s.wav")
    again = decode(engine, "sentences-10s.wav", scores=False)
    assert plain.segments == again.segments
    assert [segment.words for segment in scored.segments] == [segment.words for segment in plain.segments]
    assert all(segment.no_speech_prob is None and segment.scores == () for segment in plain.segments)


def test_segments_tell_the_temperature(engine: WhisperCppEngine) -> None:
    assert {segment.temperature for segment in decode(engine, "hello-world.wav", temperature=0.25).segments} == {0.25}


def test_what_cannot_be_measured_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logits_hook, "TESTED_BINDINGS", ())
    segments = decode(WhisperCppEngine.load(MODEL, threads=2), "hello-world.wav").segments
    assert [segment.no_speech_prob for segment in segments] == [None]
    assert math.isfinite(segments[0].scores[0].logprob)


def test_scores_come_from_a_worker_as_from_the_engine(engine: WhisperCppEngine) -> None:
    async def main() -> Hypothesis:
        pool = await ProcessPool.start(MODEL, workers=1, threads=2)
        try:
            async with pool.admit() as session:
                return await session.transcribe(read_clip("hello-world.wav"), DecodeOptions(scores=True), JobClass.FINAL)
        finally:
            await pool.close()

    (here,) = decode(engine, "hello-world.wav").segments
    (there,) = asyncio.run(main()).segments
    assert there.scores == here.scores
    assert there.no_speech_prob == pytest.approx(here.no_speech_prob)
