"""What becomes of a client's bytes before the stream machine sees them."""

from __future__ import annotations

import asyncio
import hashlib
import threading

import numpy as np
import pytest

from app.audio.live import LiveDecoders
from app.domain.audio import AudioFormat, AudioLimits, PcmBlock
from app.domain.ports import StreamDecoder
from app.domain.stream.events import Audio
from app.engines.scripted import ScriptedVad
from app.services.hearing import PIECE_SAMPLES, Hearing
from app.services.joint_vad import JointVad
from app.services.live import INLINE_S, inline_bytes

STEREO = AudioFormat("linear16", 16_000, 2)
NOISE = np.random.default_rng(3).integers(-20_000, 20_000, (64_000, 2)).astype("<i2")


def heard(
    *messages: bytes, multichannel: bool = False, limit: int = 0, decoder: StreamDecoder | None = None
) -> tuple[list[Audio], str]:
    """All audio of a connection and the digest of its bytes."""

    async def main() -> tuple[list[Audio], str]:
        opened = decoder or LiveDecoders().open(STEREO, AudioLimits(60))
        hearing = Hearing(
            opened, JointVad(ScriptedVad((0.5, 1.0)), gather_s=0), multichannel=multichannel, inline_bytes=limit
        )
        audio = [piece for message in messages for piece in await hearing.hear(message)]
        audio += await hearing.rest()
        await hearing.close()
        return audio, hearing.sha256

    return asyncio.run(main())


def joined(audio: list[Audio]) -> tuple[PcmBlock, list[PcmBlock]]:
    tracks = len(audio[0].probabilities)
    return (
        np.concatenate([piece.pcm for piece in audio], axis=1),
        [np.concatenate([piece.probabilities[track] for piece in audio]) for track in range(tracks)],
    )


@pytest.mark.parametrize("multichannel", [True, False])
def test_the_loop_and_a_thread_hear_the_same(multichannel: bool) -> None:
    messages = [NOISE.tobytes()[i : i + 5001] for i in range(0, NOISE.nbytes, 5001)]
    inline, digest = heard(*messages, multichannel=multichannel, limit=1 << 20)
    threaded, _ = heard(*messages, multichannel=multichannel)
    pcm, probabilities = joined(inline)
    assert pcm.shape == (2 if multichannel else 1, 64_000)
    assert np.array_equal(pcm, joined(threaded)[0])
    assert [len(track) for track in probabilities] == [125] * len(pcm)
    assert digest == hashlib.sha256(NOISE.tobytes()).hexdigest()


def test_channels_are_averaged_unless_they_are_told_apart() -> None:
    expected = NOISE.astype(np.float32).T / 32_768
    apart, _ = joined(heard(NOISE.tobytes(), multichannel=True)[0])
    mixed, _ = joined(heard(NOISE.tobytes())[0])
    np.testing.assert_allclose(apart, expected, atol=1e-6)
    np.testing.assert_allclose(mixed[0], expected.mean(axis=0), atol=1e-6)


class Spy:
    """Fulfils ``StreamDecoder``; remembers the threads it was called from, gives a lot of silence."""

    channels: int | None = 1

    def __init__(self) -> None:
        self.threads: set[str] = set()

    def feed(self, data: bytes) -> PcmBlock:
        self.threads.add(threading.current_thread().name)
        return np.zeros((1, 3 * PIECE_SAMPLES + 100), np.float32)

    def flush(self) -> PcmBlock:
        self.threads.add(threading.current_thread().name)
        return np.zeros((1, 0), np.float32)

    def close(self) -> None:
        self.threads.add(threading.current_thread().name)


def test_what_unpacks_to_a_lot_comes_in_pieces() -> None:
    audio, _ = heard(b"x", decoder=Spy())
    assert [piece.pcm.shape[1] for piece in audio] == [PIECE_SAMPLES] * 3 + [100]


@pytest.mark.parametrize(("limit", "in_the_loop"), [(0, False), (10, True)])
def test_only_cheap_messages_are_heard_in_the_loop(limit: int, in_the_loop: bool) -> None:
    spy = Spy()
    heard(b"x" * 10, decoder=spy, limit=limit)
    assert (spy.threads == {threading.current_thread().name}) is in_the_loop
    assert len(spy.threads) >= 1


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (None, 0),
        (AudioFormat("flac", 16_000), 0),
        (AudioFormat("amr-nb", 8000), 0),
        (AudioFormat("linear16", 16_000), 16_000 * 2 * INLINE_S),
        (AudioFormat("linear32", 48_000, 2), 48_000 * 8 * INLINE_S),
        (AudioFormat("mulaw", 8000), 8000 * INLINE_S),
        (AudioFormat("opus", 48_000), 4096),
    ],
)
def test_cheap_is_half_a_second_without_a_container(declared: AudioFormat | None, expected: float) -> None:
    assert inline_bytes(declared) == expected
