"""What every engine does, shown on the same clip: the scripted one tells it, the real one hears it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from app.domain.audio import Pcm16k, seconds
from app.domain.errors import UnsupportedModel
from app.domain.options import DecodeOptions
from app.domain.ports import Aborted, Engine
from app.engines.scripted import ScriptedEngine, say

ROOT = Path(__file__).parents[2]


def read_clip(name: str) -> Pcm16k:
    samples, _ = soundfile.read(ROOT / "tests/audio" / name, dtype="float32")
    return samples


@pytest.fixture(params=["scripted", pytest.param("whisper.cpp", marks=pytest.mark.model)])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "scripted":
        yield ScriptedEngine(say("Hello world."))
    else:
        from app.engines.whisper_cpp import WhisperCppEngine

        yield WhisperCppEngine.load(ROOT / "models/ggml-selftest.bin", threads=2)


class TestEngine:
    def test_it_says_what_it_can_do(self, engine: Engine) -> None:
        capabilities = engine.capabilities
        assert {"en", "es", "fr", "de"} <= set(capabilities.languages)
        assert capabilities.multilingual
        assert capabilities.translates
        assert capabilities.max_window_s == 30.0

    def test_words_come_with_times_and_confidences(self, engine: Engine) -> None:
        pcm = read_clip("hello-world.wav")
        hypothesis = engine.transcribe(pcm, DecodeOptions(), lambda: False)
        assert [word.text for word in hypothesis.words] == ["Hello", "world."]
        assert hypothesis.language == "en"
        edge_s = 0.0
        for word in hypothesis.words:
            assert edge_s <= word.start_s < word.end_s <= seconds(pcm.size)
            assert 0.0 < word.confidence <= 1.0
            edge_s = word.end_s

    def test_segments_are_their_words(self, engine: Engine) -> None:
        hypothesis = engine.transcribe(read_clip("hello-world.wav"), DecodeOptions(), lambda: False)
        for segment in hypothesis.segments:
            assert segment.text == " ".join(word.text for word in segment.words)
            assert (segment.start_s, segment.end_s) == (segment.words[0].start_s, segment.words[-1].end_s)

    def test_an_abort_ends_the_decode(self, engine: Engine) -> None:
        with pytest.raises(Aborted):
            engine.transcribe(read_clip("hello-world.wav"), DecodeOptions(), lambda: True)

    def test_it_works_again_after_an_abort(self, engine: Engine) -> None:
        pcm = read_clip("hello-world.wav")
        with pytest.raises(Aborted):
            engine.transcribe(pcm, DecodeOptions(), lambda: True)
        assert engine.transcribe(pcm, DecodeOptions(), lambda: False).words

    def test_an_unknown_language_is_refused(self, engine: Engine) -> None:
        pcm = read_clip("hello-world.wav")
        with pytest.raises(UnsupportedModel):
            engine.transcribe(pcm, DecodeOptions(language="xx"), lambda: False)
        with pytest.raises(UnsupportedModel):
            engine.transcribe(pcm, DecodeOptions(language=None, languages=("en", "xx")), lambda: False)
        with pytest.raises(UnsupportedModel):
            engine.detect_language(pcm, ("xx",))

    def test_guesses_are_restricted_and_ranked(self, engine: Engine) -> None:
        guesses = engine.detect_language(read_clip("hello-world.wav"), ("es", "en", "de"))
        assert guesses[0].language == "en"
        assert {guess.language for guess in guesses} == {"en", "es", "de"}
        probabilities = [guess.probability for guess in guesses]
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) == pytest.approx(1.0)

    def test_a_language_left_open_is_detected_among_those_allowed(self, engine: Engine) -> None:
        options = DecodeOptions(language=None, languages=("en", "fr"))
        assert engine.transcribe(read_clip("hello-world.wav"), options, lambda: False).language == "en"
