"""The real engine on the bundled self-test model: words, times, languages, options."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from app.domain.audio import Pcm16k, seconds
from app.domain.errors import Unavailable
from app.domain.options import DecodeOptions
from app.domain.ports import Aborted
from app.domain.transcript import Hypothesis
from app.engines.loop_stop import LEAST_TOKENS
from app.engines.whisper_cpp import WhisperCppEngine, system_info

pytestmark = pytest.mark.model

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models/ggml-selftest.bin"

SENTENCES = "Good morning John. How are you today? Please open the red door. The window is blue."
DIALOGUE = (
    "Hello Mary how are you? Good morning John. Where is the red door? "
    "The door is open. Thank you good night. Call me tomorrow."
)


def read_clip(name: str) -> Pcm16k:
    samples, rate = soundfile.read(ROOT / "tests/audio" / name, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1, dtype=np.float32)
    return np.repeat(mono, 16_000 // rate).astype(np.float32)


@pytest.fixture(scope="module")
def engine() -> WhisperCppEngine:
    return WhisperCppEngine.load(MODEL, threads=2)


def decode(engine: WhisperCppEngine, pcm: Pcm16k, **options: object) -> Hypothesis:
    return engine.transcribe(pcm, DecodeOptions(**options), lambda: False)  # type: ignore[arg-type]


def text(hypothesis: Hypothesis) -> str:
    return " ".join(segment.text for segment in hypothesis.segments)


@pytest.mark.parametrize("fit_context", [True, False])
@pytest.mark.parametrize(
    ("clip", "language", "expected"),
    [
        ("hello-world.wav", "en", "Hello world."),
        ("sentences-10s.wav", "en", SENTENCES),
        ("dialogue-two-speakers.wav", "en", DIALOGUE),
        ("phone-number.wav", "en", "My phone number is five five five one two three four."),
        ("damn-uh-um.wav", "en", "Uh my name is John. Damn the light is off. Um call me tomorrow."),
        ("stereo-one-speaker-per-channel.wav", "en", "Where is John? John is in Paris. Thank you."),
        ("telephone-8k-mulaw.wav", "en", "Hello world good morning. Call me at two five nine."),
        ("spanish.wav", "es", "Buenos días. Abre la puerta roja."),
        ("french.wav", "fr", "Bonjour le monde. Ferme la fenêtre bleue."),
        ("german.wav", "de", "Guten Morgen. Bitte öffne das Fenster."),
    ],
)
def test_words_are_right(engine: WhisperCppEngine, clip: str, language: str, expected: str, fit_context: bool) -> None:
    hypothesis = decode(engine, read_clip(clip), language=language, fit_context=fit_context)
    assert text(hypothesis) == expected
    assert hypothesis.retries == 0


def test_word_times_are_near_the_truth(engine: WhisperCppEngine) -> None:
    hypothesis = decode(engine, read_clip("sentences-10s.wav"))
    starts = [0.4, 0.61, 0.998, 2.83, 3.024, 3.14, 3.254, 5.178, 5.461, 5.801, 5.911, 6.159, 7.937, 8.067, 8.427, 8.566]
    errors = [abs(word.start_s - start) for word, start in zip(hypothesis.words, starts, strict=True)]
    assert sorted(errors)[len(errors) // 2] < 0.03
    assert max(errors) < 0.2


def test_speech_after_a_long_silence_keeps_its_place(engine: WhisperCppEngine) -> None:
    late = decode(engine, read_clip("late-start.wav"))
    assert text(late) == "Please call me today."
    assert late.words[0].start_s > 3.5
    pcm = np.concatenate([np.zeros(5 * 16_000, np.float32), read_clip("sentences-10s.wav")])
    shifted = decode(engine, pcm)
    assert text(shifted) == SENTENCES
    assert shifted.words[0].start_s == pytest.approx(5.4, abs=0.1)


@pytest.mark.parametrize("clip", ["silence-5s.wav", "noise-5s.wav"])
def test_silence_and_noise_have_no_words(engine: WhisperCppEngine, clip: str) -> None:
    assert decode(engine, read_clip(clip)).words == ()
    assert decode(engine, read_clip(clip), fit_context=False).words == ()


@pytest.mark.parametrize("samples", [0, 1, 160, 1600])
def test_next_to_no_audio_is_no_words_and_no_failure(engine: WhisperCppEngine, samples: int) -> None:
    assert decode(engine, np.zeros(samples, np.float32)).words == ()


def test_audio_shorter_than_a_second_keeps_its_times(engine: WhisperCppEngine) -> None:
    pcm = read_clip("hello-world.wav")[: int(0.9 * 16_000)]
    words = decode(engine, pcm).words
    assert words
    assert words[0].text.startswith("Hello")
    assert all(word.end_s <= seconds(pcm.size) for word in words)


@pytest.mark.parametrize(("clip", "language"), [("spanish.wav", "es"), ("french.wav", "fr"), ("german.wav", "de")])
def test_languages_are_detected(engine: WhisperCppEngine, clip: str, language: str) -> None:
    guesses = engine.detect_language(read_clip(clip))
    assert guesses[0].language == language
    assert guesses[0].probability > 0.9
    assert len(guesses) == 99
    assert decode(engine, read_clip(clip), language=None).language == language


def test_detection_stays_within_the_languages_allowed(engine: WhisperCppEngine) -> None:
    hypothesis = decode(engine, read_clip("spanish.wav"), language=None, languages=("fr", "de"))
    assert hypothesis.language in ("fr", "de")


def test_speech_is_translated(engine: WhisperCppEngine) -> None:
    hypothesis = decode(engine, read_clip("spanish.wav"), language="es", translate=True)
    assert text(hypothesis) == "Good morning. Open the red door."


def test_a_prompt_is_given_to_the_decoder_and_does_not_stay(engine: WhisperCppEngine) -> None:
    pcm = read_clip("phone-number.wav")
    plain = decode(engine, pcm)
    prompted = decode(engine, pcm, prompt="The number is seven five nine. My name is John.")
    assert text(prompted) == text(plain)
    assert [word.confidence for word in prompted.words] != [word.confidence for word in plain.words]
    assert decode(engine, pcm).segments == plain.segments


def test_a_prompt_reaches_every_window_and_brings_no_text_along(engine: WhisperCppEngine) -> None:
    # Two windows in one call. With the text of the first as prompt of the second, this model goes astray.
    pcm = np.concatenate([read_clip("sentences-10s.wav"), read_clip("dialogue-two-speakers.wav")] * 2)
    expected = f"{SENTENCES} {DIALOGUE}"
    assert text(decode(engine, pcm, prompt="John and Mary.")) == text(decode(engine, pcm)) == f"{expected} {expected}"


def test_options_do_not_persist(engine: WhisperCppEngine) -> None:
    pcm = read_clip("spanish.wav")
    before = decode(engine, pcm, language="es").segments
    decode(engine, pcm, language="es", translate=True, beam_size=5, temperature=0.4, best_of=3, fit_context=False)
    assert decode(engine, pcm, language="es").segments == before


def test_what_was_decoded_before_leaves_no_trace(engine: WhisperCppEngine) -> None:
    # A context that is no multiple of 256 lets the last decode's audio shine through (see app/engines/audio_ctx.py).
    pcm = read_clip("spanish.wav")
    results = []
    for clip in ("dialogue-two-speakers.wav", "noise-5s.wav", "phone-number.wav"):
        decode(engine, read_clip(clip), fit_context=False)
        results.append(decode(engine, pcm, language="es").segments)
    assert results[0] == results[1] == results[2]


def test_beams_and_temperatures_are_accepted(engine: WhisperCppEngine) -> None:
    pcm = read_clip("hello-world.wav")
    assert text(decode(engine, pcm, beam_size=5)) == "Hello world."
    assert text(decode(engine, pcm, beam_size=50)) == "Hello world."
    assert decode(engine, pcm, temperature=0.2, best_of=20).words


def test_an_abort_in_the_middle_of_a_decode_ends_it(engine: WhisperCppEngine) -> None:
    asked = 0

    def abort_later() -> bool:
        nonlocal asked
        asked += 1
        return asked > 5

    with pytest.raises(Aborted):
        engine.transcribe(read_clip("sentences-10s.wav"), DecodeOptions(), abort_later)
    assert text(decode(engine, read_clip("sentences-10s.wav"))) == SENTENCES


def test_a_result_that_loops_is_decoded_again_with_everything(
    engine: WhisperCppEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Far too little context for the audio: the model loses the thread. How sure it is of the rest depends on what was
    # decoded before (decision 0010), so nothing is sure enough here; the full context mends it.
    monkeypatch.setattr("app.engines.whisper_cpp.fitted_frames", lambda *_, **__: 64)
    monkeypatch.setattr("app.domain.guards.MIN_AVG_LOGPROB", 0.0)
    hypothesis = decode(engine, read_clip("sentences-10s.wav"))
    assert hypothesis.retries == 1
    assert text(hypothesis) == SENTENCES


def test_a_limit_of_tokens_costs_no_words(engine: WhisperCppEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.engines.whisper_cpp.MOST_TOKENS_PER_S", 0)
    asked: list[int] = []
    plain = engine._parameters  # noqa: SLF001 -- what the library is told is the point

    def noted(*given: Any) -> Any:
        parameters = plain(*given)
        asked.append(parameters.max_tokens)
        return parameters

    monkeypatch.setattr(engine, "_parameters", noted)
    assert text(decode(engine, read_clip("sentences-10s.wav"))).lower() == SENTENCES.lower()
    assert asked == [16]


def test_a_decoder_that_repeats_itself_is_ended_long_before_its_budget(
    engine: WhisperCppEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One token is made the only one, until whoever stops loops makes the end of the text the only one.
    assert engine._steering is not None  # noqa: SLF001 -- no audio makes this model loop
    loops = engine._steering._loops  # noqa: SLF001
    word = decode(engine, read_clip("hello-world.wav")).segments[0].tokens[0]
    steps = 0

    def repeat(said: list[int], logits: NDArray[np.float32]) -> None:
        nonlocal steps
        steps += 1
        logits[word] = logits.max() + 50
        loops.lift(said, logits)

    monkeypatch.setattr(engine._steering, "_loops", SimpleNamespace(lift=repeat))  # noqa: SLF001
    hypothesis = decode(engine, read_clip("sentences-10s.wav"), temperature_fallback=False)
    assert hypothesis.retries == 1
    assert steps <= 2 * (LEAST_TOKENS + 1)
    monkeypatch.undo()
    assert text(decode(engine, read_clip("sentences-10s.wav"))) == SENTENCES


@pytest.mark.parametrize("kept", [0, 1000, 5_000_000, -1])
def test_damaged_weights_are_refused_with_a_sentence(kept: int, tmp_path: Path) -> None:
    path = tmp_path / "broken.bin"
    path.write_bytes(MODEL.read_bytes()[:kept])
    with pytest.raises(Unavailable) as caught:
        WhisperCppEngine.load(path, threads=1)
    assert str(tmp_path) not in caught.value.message


def test_the_library_describes_its_build() -> None:
    assert "CPU : " in system_info()


def test_the_library_says_nothing_on_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    decode(WhisperCppEngine.load(MODEL, threads=1), read_clip("hello-world.wav"))
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
