"""Containers demuxed while they arrive: WebM, MP4 in fragments, Ogg and the rest of what FFmpeg knows.

FFmpeg pulls its bytes and a connection pushes them, so each demuxer runs in a thread of its own. The two take turns:
``feed`` hands over bytes and waits until the thread has used them up and asks for more. What comes out therefore depends on
the bytes alone and not on timing, and between calls the thread is always asleep in a read, where ``close`` reaches it at
once. Measured on two cores: 39 microseconds for a turn; for WebM with Opus 0.3 MB a stream, and 3 ms per second of sound
in messages of 250 ms, resampling included.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from app.audio.live_part import HEADER_PATIENCE_BYTES, PATIENCE_BYTES, Sound, native_errors, sounds
from app.domain.errors import BadAudio

_LATE_STREAMS: Final = frozenset(("mpegts", "mpeg", "flv", "avi", "asf"))
"""Containers that may not say at the start what they hold, or say it as packets come along."""

_OPTIONS: Final = {"protocol_whitelist": "none", "probesize": "32", "analyzeduration": "1", "fpsprobesize": "0"}
"""Probing would hold sound back: with these the first packet comes out as soon as it is complete. (FFmpeg's ``nobuffer``
would throw that packet away.)"""

_LATE_OPTIONS: Final = {**_OPTIONS, "probesize": "65536", "analyzeduration": "500000"}
_MOST_WAITING_VALUES: Final = 1 << 21
"""Samples of all channels that a demuxer runs ahead of whoever takes them: 8 MB."""

_PATIENCE_S: Final = 30.0
"""A turn takes milliseconds. One that takes longer than this is a decoder that hangs on damaged bytes."""


_FAREWELL_S: Final = 5.0
"""Longest wait for a thread that was told to end; it needs less than a millisecond unless it hangs."""


class ContainerPart:
    """One container from its header on, in FFmpeg's demuxer ``container``. The thread starts with the first bytes."""

    def __init__(self, container: str, options: dict[str, str] | None = None) -> None:
        self._turns = _Turns()
        arguments = (self._turns, container, (_LATE_OPTIONS if container in _LATE_STREAMS else _OPTIONS) | (options or {}))
        self._thread = threading.Thread(target=_demux, args=arguments, name="live-demuxer", daemon=True)
        self._starting = threading.Lock()  # a close may come while the first bytes do
        self._started = self._closed = False

    @property
    def patience_bytes(self) -> int:
        """See ``LivePart``. Pictures between the sound take room too."""
        return PATIENCE_BYTES if self._turns.only_sound else HEADER_PATIENCE_BYTES

    def feed(self, data: bytes) -> Iterator[Sound]:
        with self._starting:
            if not (self._started or self._closed):
                self._thread.start()
                self._started = True
        self._turns.give(data)
        yield from self._turns.take()

    def flush(self) -> Iterator[Sound]:
        if self._started:
            self._turns.end()
            yield from self._turns.take()
        self.close()

    def close(self) -> None:
        self._turns.close()
        with self._starting:
            self._closed = True
        if self._started and self._thread is not threading.current_thread():
            self._thread.join(_FAREWELL_S)


class _Turns:
    """The handover between the connection's side (``give``, ``take``, ``end``, ``close``) and the demuxer's (the others).

    It holds the bytes that were given and not yet read, and sounds that were decoded and not yet taken; nothing else.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._bytes = bytearray()
        self._sounds: list[Sound] = []
        self._waiting_values = 0
        self._ended = self._closed = False
        self._asleep = self._finished = False
        self._failure: BadAudio | None = None
        self.only_sound = False

    def give(self, data: bytes) -> None:
        with self._changed:
            if not (self._finished or self._closed):
                self._bytes += data
                self._asleep = False
                self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._asleep = False
            self._changed.notify_all()

    def take(self) -> Iterator[Sound]:
        """All sound of the bytes given so far. Raises what the demuxer failed with, once."""
        done = False
        while not done:
            with self._changed:
                if not self._changed.wait_for(self._answered, _PATIENCE_S):
                    raise BadAudio
                taken, self._sounds, self._waiting_values = self._sounds, [], 0
                done = self._asleep or self._finished or self._closed
                self._changed.notify_all()
            yield from taken
        failure, self._failure = self._failure, None
        if failure is not None and not self._closed:
            raise failure

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._bytes.clear()
            self._sounds.clear()
            self._changed.notify_all()

    def read(self, count: int) -> bytes:
        """For FFmpeg: at most ``count`` bytes as soon as there are any, none at the end."""
        with self._changed:
            while not (self._bytes or self._ended or self._closed):
                self._asleep = True
                self._changed.notify_all()
                self._changed.wait()
            data = bytes(self._bytes[:count])
            del self._bytes[:count]
            return data

    def put(self, sound: Sound) -> bool:
        """Hand a sound over. False: nobody wants more."""
        with self._changed:
            self._sounds.append(sound)
            self._waiting_values += sound.samples.size
            while self._waiting_values >= _MOST_WAITING_VALUES and not self._closed:
                self._changed.notify_all()
                self._changed.wait()
            return not self._closed

    def finish(self, failure: BadAudio | None) -> None:
        with self._changed:
            self._finished, self._failure = True, failure
            self._bytes.clear()
            self._changed.notify_all()

    def _answered(self) -> bool:
        return self._asleep or self._finished or self._closed or self._waiting_values >= _MOST_WAITING_VALUES


def _demux(turns: _Turns, container: str, options: dict[str, str]) -> None:
    """The thread: decode until the bytes end, and say how it went."""
    failure: BadAudio | None = BadAudio()
    try:
        _decode_all(turns, container, options)
        failure = None
    except BadAudio as refusal:
        failure = refusal
    except native_errors():
        pass  # what FFmpeg says of the bytes helps nobody
    finally:
        turns.finish(failure)


def _decode_all(turns: _Turns, container: str, options: dict[str, str]) -> None:
    """Raises whatever comes before the first sound; an error after it only ends the part."""
    import av

    heard = False
    with av.open(turns, "r", format=container, options=options, metadata_errors="replace") as opened:
        stream = opened.streams.best("audio")
        if stream is None:
            raise BadAudio("The stream holds no sound.")
        stream.codec_context.thread_count = 1
        turns.only_sound = len(opened.streams) == 1
        try:
            for packet in opened.demux(stream):
                with suppress(*native_errors()):  # damaged packets are passed over, as players do
                    for sound in sounds(packet.decode()):
                        heard = True
                        if not turns.put(sound):
                            return
        except native_errors():
            if not heard:
                raise
