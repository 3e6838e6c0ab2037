from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from app.domain.audio import AudioFormat
from app.domain.errors import BadAudio
from cli.live_source import open_file, open_pipe
from cli.pacing import Pacer


def tone(seconds: float, sample_rate: int = 16_000, channels: int = 1) -> np.ndarray:
    """int16, shape ``(n, channels)``; each channel its own pitch."""
    time_s = np.arange(round(seconds * sample_rate))[:, np.newaxis] / sample_rate
    return np.round(9_000 * np.sin(2 * np.pi * 300 * time_s * np.arange(1, channels + 1))).astype("<i2")


def written(folder: Path, samples: np.ndarray, sample_rate: int = 16_000, name: str = "x.wav") -> Path:
    path = folder / name
    soundfile.write(path, samples, sample_rate)
    return path


def from_file(path: Path, declared: AudioFormat | None = None) -> tuple[int, int, bytes]:
    async def collect() -> tuple[int, int, bytes]:
        async with open_file(path, declared, Pacer(0)) as source:
            return source.channels, source.sample_rate, b"".join([piece async for piece in source.pieces()])

    return asyncio.run(collect())


def from_pipe(read: Callable[[int], bytes], declared: AudioFormat | None = None) -> tuple[int, bytes]:
    async def collect() -> tuple[int, bytes]:
        async with open_pipe(declared, Pacer(0), read) as source:
            return source.channels, b"".join([piece async for piece in source.pieces()])

    return asyncio.run(collect())


def reading(data: bytes, most: int = 1_000) -> Callable[[int], bytes]:
    """A pipe that gives a little at a time."""
    left = bytearray(data)

    def read(count: int) -> bytes:
        piece = bytes(left[: min(count, most)])
        del left[: len(piece)]
        return piece

    return read


class TestFile:
    def test_16_bit_samples_at_16_khz_arrive_unchanged(self, tmp_path: Path) -> None:
        samples = tone(25.03)
        assert from_file(written(tmp_path, samples)) == (1, 16_000, samples.tobytes())

    def test_channels_stay_apart(self, tmp_path: Path) -> None:
        samples = tone(0.35, channels=3)
        assert from_file(written(tmp_path, samples)) == (3, 16_000, samples.tobytes())

    @pytest.mark.parametrize(("name", "sample_rate"), [("x.flac", 48_000), ("x.mp3", 44_100), ("x.ogg", 8_000)])
    def test_other_formats_and_rates_become_16_khz(self, tmp_path: Path, name: str, sample_rate: int) -> None:
        channels, rate, data = from_file(written(tmp_path, tone(2.0, sample_rate), sample_rate, name))
        assert (channels, rate) == (1, 16_000)
        assert len(data) == pytest.approx(64_000, rel=0.05)  # codecs pad
        heard = np.frombuffer(data, "<i2")[8_000:24_000]
        assert np.argmax(np.abs(np.fft.rfft(heard))) == 300  # hertz: one second was looked at

    def test_headerless_samples_need_a_description(self, tmp_path: Path) -> None:
        samples = tone(0.5, 8_000)
        path = tmp_path / "x.raw"
        path.write_bytes(samples.tobytes())
        _, rate, data = from_file(path, AudioFormat("linear16", 8_000))
        assert (rate, len(data)) == (16_000, 16_000)
        with pytest.raises(BadAudio):
            from_file(path)

    def test_what_is_no_sound_is_refused_before_anything_is_sent(self, tmp_path: Path) -> None:
        path = tmp_path / "x.txt"
        path.write_text("a letter, not a recording" * 99)
        with pytest.raises(BadAudio):
            from_file(path)


class TestPipe:
    @pytest.mark.parametrize("channels", [1, 2])
    def test_a_wav_file_is_recognised_and_arrives_unchanged(self, tmp_path: Path, channels: int) -> None:
        samples = tone(1.03, channels=channels)
        data = written(tmp_path, samples).read_bytes()
        assert from_pipe(reading(data)) == (channels, samples.tobytes())

    def test_bare_samples_are_taken_as_declared_wherever_they_are_cut(self) -> None:
        samples = tone(0.73)
        assert from_pipe(reading(samples.tobytes(), 333), AudioFormat("linear16", 16_000)) == (1, samples.tobytes())

    def test_what_has_come_is_sent_before_the_next_comes(self) -> None:
        samples = tone(0.2)
        sent = threading.Event()
        parts = [samples[:1_600].tobytes(), samples[1_600:].tobytes(), b""]

        def read(_: int) -> bytes:
            if len(parts) < 3:
                assert sent.wait(30)
            return parts.pop(0)

        async def collect() -> list[bytes]:
            pieces = []
            async with open_pipe(AudioFormat("linear16", 16_000), Pacer(0), read) as source:
                async for piece in source.pieces():
                    pieces.append(piece)
                    sent.set()
            return pieces

        assert asyncio.run(collect()) == [samples[:1_600].tobytes(), samples[1_600:].tobytes()]

    def test_the_writer_is_held_back_while_nobody_takes(self) -> None:
        reads: list[int] = []
        held_back = threading.Event()

        def read(count: int) -> bytes:
            reads.append(count)
            if len(reads) == 17:
                held_back.set()
            return bytes(3_200)

        async def look() -> int:
            async with open_pipe(AudioFormat("linear16", 16_000), Pacer(0), read):
                # nobody takes the pieces
                assert await asyncio.to_thread(held_back.wait, 30)
                return len(reads)

        assert asyncio.run(look()) <= 18  # 16 wait, one is in use, one may have been asked for

    @pytest.mark.parametrize("declared", [None, AudioFormat("linear16", 16_000)])
    def test_nothing_is_no_sound(self, declared: AudioFormat | None) -> None:
        with pytest.raises(BadAudio, match="no sound"):
            from_pipe(reading(b""), declared)

    def test_a_descriptor_that_cannot_be_read_is_no_sound(self) -> None:
        def read(_: int) -> bytes:
            raise OSError("Is a directory")

        with pytest.raises(BadAudio, match="no sound"):
            from_pipe(read)

    def test_what_is_no_sound_is_refused(self) -> None:
        with pytest.raises(BadAudio):
            from_pipe(reading(b"a letter, not a recording" * 9_999))

    def test_leaving_early_ends_the_reading_and_a_silent_pipe_does_not_keep_the_program_from_ending(self) -> None:
        waiting, silent = threading.Event(), threading.Event()
        readers: list[threading.Thread] = []
        first = [bytes(3_200)]

        def read(_: int) -> bytes:
            if first:
                return first.pop()
            readers.append(threading.current_thread())
            waiting.set()
            silent.wait(60)
            return b""

        async def leave() -> None:
            async with open_pipe(AudioFormat("linear16", 16_000), Pacer(0), read) as source:
                await anext(source.pieces())
                assert await asyncio.to_thread(waiting.wait, 30)

        asyncio.run(leave())  # ends though the thread still waits for the pipe
        [reader] = readers
        assert reader.is_alive()
        assert reader.daemon
        silent.set()
        reader.join(30)
        assert not reader.is_alive()

    def test_leaving_early_lets_go_of_a_writer_that_is_held_back(self) -> None:
        readers: set[threading.Thread] = set()

        def read(_: int) -> bytes:
            readers.add(threading.current_thread())
            return bytes(3_200)

        async def leave() -> bool:
            async with open_pipe(AudioFormat("linear16", 16_000), Pacer(0), read) as source:
                await anext(source.pieces())
            [reader] = readers
            await asyncio.to_thread(reader.join, 10)
            return reader.is_alive()

        assert not asyncio.run(leave())
