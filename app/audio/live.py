"""Audio of live connections, decoded while it arrives: the adapter behind ``ports.StreamDecoders``.

Samples and packets are decoded as they come; containers are recognised by their first bytes and demuxed by one persistent
demuxer, which a new header in the middle of the stream replaces: time goes on. Where a container turns to garbage, what can
be decoded is; once no sound has come out of 128 KiB (4 MiB before the first sound, and where there are pictures), the stream
is ``BadAudio``. A container's header wins over what the client declared: ``linear16`` that begins with a WAV header is read
at the rate the header states, in as many channels as were declared.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from app.audio.live_opening import OpenPart, check_declared, choose, declared_channels
from app.audio.live_output import LiveOutput
from app.audio.live_packets import PlainPart
from app.audio.live_part import LivePart, Sound
from app.audio.live_restart import RestartFinder
from app.audio.sniff import id3_bytes
from app.domain.audio import AudioFormat, AudioLimits, PcmBlock
from app.domain.errors import BadAudio

_PIECE_BYTES = 64 << 10
"""Larger messages are decoded in pieces, so that a ``close`` from elsewhere and the limits take effect."""

_SOUNDLESS_BYTES = 64 << 10
"""What a recorder may have written when it is stopped before its first sound: a header, and not quite one page of Ogg."""


class LiveDecoders:
    """Fulfils ``ports.StreamDecoders``."""

    def open(self, declared: AudioFormat | None, limits: AudioLimits) -> LiveDecoder:
        """A decoder for one connection. ``limits.max_seconds`` is not for live streams, which may last."""
        if declared is not None:
            check_declared(declared, limits)
        return LiveDecoder(declared, limits.max_channels)


class LiveDecoder:
    """Fulfils ``ports.StreamDecoder``. Costs nothing until the first bytes; a container then costs a thread."""

    def __init__(self, declared: AudioFormat | None, max_channels: int) -> None:
        self._declared = declared
        self._output = LiveOutput(declared_channels(declared), max_channels)
        self._head = bytearray()  # bytes that wait for the decision what they are
        self._decide_at = 0
        self._tag_bytes = 0  # of an ID3 tag, still to be skipped
        self._open_part: OpenPart | None = None
        self._part: LivePart | None = None
        self._plain: PlainPart | None = None  # the same, if what it reads is what is wanted: 18 us less for each message
        self._restarts: RestartFinder | None = None
        self._silent_bytes = 0
        self._heard = False
        self._failure: BadAudio | None = None
        self._done = False

    @property
    def channels(self) -> int | None:
        """See ``ports.StreamDecoder``."""
        return self._output.channels

    def feed(self, data: bytes) -> PcmBlock:
        """See ``ports.StreamDecoder``."""
        if self._plain is not None and len(data) <= _PIECE_BYTES:
            return self._plain.samples(data)
        return self._gathered(self._fed(data))

    def flush(self) -> PcmBlock:
        """See ``ports.StreamDecoder``."""
        return self._gathered(self._flushed(), last=True)

    def close(self) -> None:
        """See ``ports.StreamDecoder``."""
        self._done = True
        self._plain = None
        if self._part is not None:
            self._part.close()

    def _gathered(self, pieces: Iterator[Sound], *, last: bool = False) -> PcmBlock:
        if self._failure is not None:
            raise self._failure
        if self._done:
            return self._output.take()
        try:
            for sound in pieces:
                self._silent_bytes, self._heard = 0, True
                self._output.add(sound)
        except BadAudio as failure:
            self._failure = failure
        if last or self._failure is not None or self._done:
            self.close()  # also when somebody else closed while this was running
            self._output.end()
        block = self._output.take()
        if self._failure is not None and block.shape[1] == 0:
            raise self._failure
        return block

    def _fed(self, data: bytes) -> Iterator[Sound]:
        for begin in range(0, len(data), _PIECE_BYTES):
            if self._done:
                return
            piece = data if len(data) <= _PIECE_BYTES else data[begin : begin + _PIECE_BYTES]
            if self._part is None:
                piece = self._decided(piece, ended=False)
            if piece and self._part is not None:
                yield from self._in_parts(piece)

    def _flushed(self) -> Iterator[Sound]:
        if self._part is None and self._head:
            yield from self._in_parts(self._decided(b"", ended=True))
        if self._part is not None:
            if self._restarts is not None:
                yield from self._decode(self._restarts.flush())
            try:
                yield from self._part.flush()
            except BadAudio:
                if self._heard or self._silent_bytes > _SOUNDLESS_BYTES:
                    raise

    def _decided(self, data: bytes, *, ended: bool) -> bytes:
        """The bytes to begin with once it is clear what they are; nothing before that."""
        self._head += data
        self._skip_tags()
        if len(self._head) < self._decide_at and not ended:
            return b""
        # Looking again at every byte of a long search would take seconds.
        self._decide_at = len(self._head) + len(self._head) // 4
        head = bytes(self._head)
        choice = choose(head, self._declared, ended=ended) if head else None
        if choice is None:
            return b""
        container, self._open_part = choice
        self._part = self._open_part()
        self._restarts = RestartFinder(container) if container is not None else None
        if isinstance(self._part, PlainPart) and self._part.is_as_wanted:
            self._plain = self._part
        self._head.clear()
        return head

    def _skip_tags(self) -> None:
        while True:
            if not self._tag_bytes:
                self._tag_bytes = id3_bytes(bytes(self._head[:10]))
            skipped = min(self._tag_bytes, len(self._head))
            if skipped == 0:
                return
            del self._head[:skipped]
            self._tag_bytes -= skipped

    def _in_parts(self, data: bytes) -> Iterator[Sound]:
        """Decode, with a new part from each new header on."""
        if self._restarts is None:
            yield from self._decode(data)
            return
        for stretch in self._restarts.split(data):
            if stretch.begins and (self._heard or not stretch.after_sound):
                yield from self._restart()
            yield from self._decode(stretch.data)

    def _restart(self) -> Iterator[Sound]:
        if self._part is not None and self._open_part is not None:
            with suppress(BadAudio):  # the old recording may have been cut inside its header
                yield from self._part.flush()
            self._part.close()
            self._part = self._open_part()

    def _decode(self, data: bytes) -> Iterator[Sound]:
        part = self._part
        if part is None or not data:
            return
        self._silent_bytes += len(data)
        yield from part.feed(data)
        if self._silent_bytes > part.patience_bytes:
            raise BadAudio
