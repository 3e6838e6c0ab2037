"""What every ``ports.Vad`` promises."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from app.audio.vad import EnergyVad, SileroVad, silero_network
from app.domain.ports import Vad
from app.engines.scripted import ScriptedVad
from tests.support.clips import AUDIO, noise


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return soundfile.read(AUDIO / "hello-world.wav", dtype="float32")[0]


@pytest.fixture(scope="module", params=["silero", "energy", "scripted"])
def vad(request: pytest.FixtureRequest) -> Vad:
    detectors = {
        "silero": lambda: SileroVad(silero_network()),
        "energy": EnergyVad,
        "scripted": lambda: ScriptedVad((0.3, 1.0)),
    }
    return detectors[request.param]()


def test_one_probability_per_whole_window(vad: Vad, speech: np.ndarray) -> None:
    probabilities = vad.stream().feed(speech)
    assert probabilities.shape == (len(speech) // vad.window_samples,)
    assert probabilities.dtype == np.float32
    assert (probabilities >= 0).all()
    assert (probabilities <= 1).all()


@pytest.mark.parametrize("size", [1, 160, 511, 512, 513, 5_000])
def test_any_split_gives_the_same_probabilities(vad: Vad, speech: np.ndarray, size: int) -> None:
    speech = speech[8_000:12_000] if size == 1 else speech
    stream = vad.stream()
    split = np.concatenate([stream.feed(speech[at : at + size]) for at in range(0, len(speech), size)])
    assert np.allclose(split, vad.stream().feed(speech), atol=1e-5)


@pytest.mark.parametrize("sizes", [(1600, 1600), (320, 1600, 5_000, 100, 1600, 0), tuple(range(400, 2000, 40))])
def test_streams_fed_together_hear_what_each_would_alone(vad: Vad, speech: np.ndarray, sizes: tuple[int, ...]) -> None:
    # each has its own place in the clip and its own length of message, so windows are complete at different times
    starts = [100 * index for index in range(len(sizes))]
    together = [vad.stream() for _ in sizes]
    found: list[list[np.ndarray]] = [[] for _ in sizes]
    for turn in range(6):
        pieces = [speech[start + turn * size :][:size] for start, size in zip(starts, sizes, strict=True)]
        for of_one, answer in zip(found, vad.feed_all(list(zip(together, pieces, strict=True))), strict=True):
            assert answer.dtype == np.float32
            of_one.append(answer)
    for start, size, of_one in zip(starts, sizes, found, strict=True):
        alone = vad.stream().feed(speech[start : start + 6 * size])
        assert np.concatenate(of_one).shape == alone.shape
        assert np.allclose(np.concatenate(of_one), alone, atol=1e-5)


def test_feeding_nobody_is_no_work(vad: Vad) -> None:
    assert vad.feed_all([]) == []
    assert [answer.shape for answer in vad.feed_all([(vad.stream(), np.zeros(9, np.float32)) for _ in range(2)])] == [
        (0,),
        (0,),
    ]


def test_a_score_is_that_of_a_stream_with_the_last_window_filled_up(vad: Vad, speech: np.ndarray) -> None:
    missing = -len(speech) % vad.window_samples
    assert missing
    whole = vad.stream().feed(np.concatenate([speech, np.zeros(missing, np.float32)]))
    assert np.allclose(vad.score(speech), whole, atol=1e-5)
    assert len(vad.score(speech)) == len(speech) // vad.window_samples + 1


def test_nothing_has_no_probabilities(vad: Vad) -> None:
    assert vad.score(np.zeros(0, np.float32)).shape == (0,)
    assert vad.stream().feed(np.zeros(100, np.float32)).shape == (0,)


def test_speech_is_heard(vad: Vad, speech: np.ndarray) -> None:
    spoken = vad.score(speech)[11:24]  # the words last from 0.31 to 0.99 s
    assert (spoken > 0.5).mean() > 0.8


def test_silence_is_not(vad: Vad) -> None:
    if isinstance(vad, ScriptedVad):
        return  # its script decides, whatever the sound
    assert vad.score(np.zeros(48_000, np.float32)).max() < 0.2
    assert vad.score(noise(3, rms=0.0005)).max() < 0.2


def test_a_stream_starts_without_memory_of_others(vad: Vad, speech: np.ndarray) -> None:
    first = vad.stream()
    first.feed(speech)
    assert np.allclose(vad.stream().feed(speech), vad.score(speech)[: len(speech) // vad.window_samples], atol=1e-6)


def test_loud_noise_does_not_deceive_the_network() -> None:
    assert (SileroVad(silero_network()).score(noise(5)) > 0.5).sum() == 0


def test_steady_noise_becomes_the_floor_of_loudness() -> None:
    probabilities = EnergyVad().score(noise(20, rms=0.02))
    assert (probabilities[-150:] > 0.5).sum() == 0
