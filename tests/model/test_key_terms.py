"""Key terms on the real engine: speech under noise, cut from the clips, where a word is lost by a small margin."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
import soundfile

from app.domain.audio import Pcm16k
from app.domain.options import DecodeOptions, Keyterm
from app.domain.ports import JobClass
from app.domain.text.forms import bare_form
from app.domain.transcript import Hypothesis
from app.engines import logits_hook
from app.engines.pool import ProcessPool
from app.engines.whisper_cpp import WhisperCppEngine

pytestmark = pytest.mark.model

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models/ggml-selftest.bin"

LOST = [  # clip, seconds, signal to noise in dB, seed, term, without it, with it
    ("sentences-10s.wav", (5.178, 6.537), 0, 2, "please", "green open the red door", "please open the red door"),
    ("sentences-10s.wav", (2.83, 3.778), -2, 22, "today", "how are you left", "how are you today"),
    ("dialogue-two-speakers.wav", (7.61, 8.77), 3, 3, "thank", "and you good night", "thank you good night"),
    ("damn-uh-um.wav", (4.27, 5.452), -2, 5, "tomorrow", "um call me john", "um call me tomorrow"),
]
ABSENT = ("Mary", "green", "seven", "window", "London", "thousand", "percent", "thank you", "red light", "Nuuk")


def read_clip(name: str) -> Pcm16k:
    samples, _ = soundfile.read(ROOT / "tests/audio" / name, dtype="float32", always_2d=True)
    return samples.mean(axis=1, dtype=np.float32)


def in_noise(clip: str, part_s: tuple[float, float], snr_db: int, seed: int) -> Pcm16k:
    start, end = int(max(0.0, part_s[0] - 0.2) * 16_000), int((part_s[1] + 0.3) * 16_000)
    speech = read_clip(clip)[start:end]
    noise = np.random.default_rng(seed).standard_normal(speech.size).astype(np.float32)
    return (speech + noise * np.sqrt((speech**2).mean()) * 10 ** (-snr_db / 20)).astype(np.float32)


def text(hypothesis: Hypothesis) -> str:
    return " ".join(bare_form(word.text) for word in hypothesis.words)


def decode(engine: WhisperCppEngine, pcm: Pcm16k, *terms: Keyterm, **options: object) -> str:
    return text(engine.transcribe(pcm, DecodeOptions(keyterms=terms, **options), lambda: False))  # type: ignore[arg-type]


def load() -> WhisperCppEngine:
    """The words of ``LOST`` are lost with flash attention: the encoder sees a little more or less silence without it."""
    return WhisperCppEngine.load(MODEL, threads=2, flash_attention=True)


@pytest.fixture(scope="module")
def engine() -> WhisperCppEngine:
    return load()


def test_the_engine_says_that_it_favours_terms(engine: WhisperCppEngine) -> None:
    assert engine.capabilities.favours_terms


@pytest.mark.parametrize(("clip", "part_s", "snr_db", "seed", "term", "without", "expected"), LOST)
def test_a_lost_word_wins_when_asked_for_and_the_others_stay(
    engine: WhisperCppEngine,
    clip: str,
    part_s: tuple[float, float],
    snr_db: int,
    seed: int,
    term: str,
    without: str,
    expected: str,
) -> None:
    pcm = in_noise(clip, part_s, snr_db, seed)
    assert decode(engine, pcm) == without
    assert decode(engine, pcm, Keyterm(term), Keyterm("Nuuk")) == expected
    assert decode(engine, pcm) == without, "terms of one decode must not reach the next"


@pytest.mark.parametrize("beam_size", [1, 3])
def test_terms_that_nobody_says_change_nothing(engine: WhisperCppEngine, beam_size: int) -> None:
    terms = tuple(Keyterm(term) for term in ABSENT)
    for clip in ("hello-world.wav", "sentences-10s.wav", "damn-uh-um.wav"):
        pcm = read_clip(clip)
        assert decode(engine, pcm, *terms, beam_size=beam_size) == decode(engine, pcm, beam_size=beam_size)


@pytest.mark.parametrize("clip", ["silence-5s.wav", "noise-5s.wav"])
def test_neither_terms_nor_a_prompt_come_out_where_nobody_speaks(engine: WhisperCppEngine, clip: str) -> None:
    terms = tuple(Keyterm(term, 4.0) for term in ABSENT)
    assert decode(engine, read_clip(clip), *terms, prompt="Mary and the green window.") == ""


def test_a_word_to_avoid_gives_way(engine: WhisperCppEngine) -> None:
    pcm = read_clip("sentences-10s.wav")
    assert decode(engine, pcm).endswith("the window is blue")
    assert "blue" not in decode(engine, pcm, Keyterm("blue", -4.0))


def test_a_phrase_goes_through_a_worker(engine: WhisperCppEngine) -> None:
    clip, part_s, snr_db, seed, _, _, expected = LOST[0]
    pcm = in_noise(clip, part_s, snr_db, seed)

    async def main() -> tuple[bool, str]:
        pool = await ProcessPool.start(MODEL, workers=1, threads=2)
        try:
            async with pool.admit() as session:
                options = DecodeOptions(keyterms=(Keyterm("please open"),))
                hypothesis = await session.transcribe(pcm, options, JobClass.FINAL)
                return pool.capabilities.favours_terms, text(hypothesis)
        finally:
            await pool.close()

    assert asyncio.run(main()) == (True, expected)


def test_where_the_guard_refuses_terms_have_no_effect_and_all_else_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logits_hook, "TESTED_BINDINGS", ())
    engine = load()
    clip, part_s, snr_db, seed, term, without, _ = LOST[0]
    assert not engine.capabilities.favours_terms
    assert decode(engine, in_noise(clip, part_s, snr_db, seed), Keyterm(term)) == without
