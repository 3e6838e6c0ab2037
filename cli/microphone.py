"""The microphone, through the extra ``mic`` (sounddevice over PortAudio), which is loaded only when it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from app.domain.audio import SAMPLE_RATE
from cli.pacing import MESSAGE_MS

_WAITING_PIECES = 600
"""Pieces kept for a connection that stands still: a minute of speech. What is said after that is lost, and counted."""

_QUIETEST = 1e-5
"""Full scale is 1; below this is digital silence, whose logarithm has no end."""


class MicrophoneUnusable(Exception):
    """There is no microphone to be had. The message is a sentence for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class InputDevice:
    """A device that records: its number and name for ``--device``, its most channels, its own rate in hertz."""

    number: int
    name: str
    channels: int
    sample_rate: int
    is_default: bool


def input_devices() -> list[InputDevice]:
    """Every device that records. Raises ``MicrophoneUnusable`` when the extra or PortAudio is missing."""
    sound = _sounddevice()
    default = sound.default.device[0]
    return [
        InputDevice(
            number, device["name"], device["max_input_channels"], round(device["default_samplerate"]), number == default
        )
        for number, device in enumerate(sound.query_devices())
        if device["max_input_channels"] > 0
    ]


class Microphone:
    """Fulfils ``LiveSource`` with one channel of ``device`` (number, part of a name, or None for the system's choice).

    16 kHz where the device offers it, else the device's own rate. ``hear`` is told the loudness of every piece, in decibels
    relative to full scale. Raises ``MicrophoneUnusable`` when the device cannot be used, in ``pieces`` too when it fails
    later. ``lost_s`` counts the seconds that a connection too slow for speech has cost.
    """

    channels = 1

    def __init__(self, device: str | None, hear: Callable[[float], None]) -> None:
        self._sound = _sounddevice()
        self._device: int | str | None = int(device) if device is not None and device.isdecimal() else device
        self._hear = hear
        self._waiting_pieces = _WAITING_PIECES
        self.lost_s = 0.0
        with _device_failures(self._sound):
            found = self._sound.query_devices(self._device, "input")
            self.name = str(found["name"])
            self.sample_rate = self._usable_rate(round(found["default_samplerate"]))

    def _usable_rate(self, own_rate: int) -> int:
        with suppress(self._sound.PortAudioError):
            self._sound.check_input_settings(self._device, channels=1, dtype="int16", samplerate=SAMPLE_RATE)
            return SAMPLE_RATE
        return own_rate

    async def pieces(self) -> AsyncIterator[bytes]:
        """See ``LiveSource``."""
        loop = asyncio.get_running_loop()
        recorded: asyncio.Queue[bytes | None] = asyncio.Queue()

        def keep(data: bytes | None) -> None:
            if data is not None and recorded.qsize() >= self._waiting_pieces:
                self.lost_s += len(data) / 2 / self.sample_rate
            else:
                recorded.put_nowait(data)

        # both are called by PortAudio's thread, also in the moment when the loop ends
        def heard(data: Any, _frames: int, _time: object, _status: object) -> None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(keep, bytes(data))

        def finished() -> None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(keep, None)

        with _device_failures(self._sound):
            stream = self._sound.RawInputStream(
                samplerate=self.sample_rate,
                blocksize=self.sample_rate * MESSAGE_MS // 1000,
                device=self._device,
                channels=1,
                dtype="int16",
                callback=heard,
                finished_callback=finished,
            )
            stream.start()
        try:
            while (piece := await recorded.get()) is not None:
                self._hear(loudness_db(piece))
                yield piece
        finally:
            stream.close()
        raise MicrophoneUnusable("The microphone has stopped.")


def loudness_db(piece: bytes) -> float:
    """Root mean square of linear16 samples, in decibels relative to full scale; at least -100."""
    values = np.frombuffer(piece, "<i2").astype(np.float32) / 32_768
    rms = float(np.sqrt(np.mean(np.square(values)))) if len(values) else 0.0
    return float(20 * np.log10(max(rms, _QUIETEST)))


class _device_failures:  # noqa: N801 -- used like a function, as contextlib.suppress is
    """PortAudio's errors, and a name that fits no device or several, as ``MicrophoneUnusable``."""

    def __init__(self, sound: ModuleType) -> None:
        self._kinds = (sound.PortAudioError, ValueError)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, self._kinds):
            hint = "`whisperapi listen --list-devices` shows what there is"
            raise MicrophoneUnusable(f"The microphone cannot be used: {error}; {hint}.") from error


def _sounddevice() -> ModuleType:
    try:
        import sounddevice
    except ImportError as error:
        raise MicrophoneUnusable(
            "The microphone needs the package sounddevice, which the extra `mic` brings: "
            '`.venv/bin/pip install -e ".[mic]"` in the checkout.'
        ) from error
    except OSError as error:  # the package is there; the library it drives is not
        raise MicrophoneUnusable(
            "The microphone needs the PortAudio library: `apt install libportaudio2`, `dnf install portaudio` or "
            "`brew install portaudio`."
        ) from error
    found: ModuleType = sounddevice
    return found
