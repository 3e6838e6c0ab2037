"""The pipeline inside one recording: decoding, voice detection and recognition overlap, and memory stays bounded.

Audio is read in blocks; each block is scored and cut into chunks in a thread; a chunk is recognised as soon as a worker is
free. At most ``in_flight`` chunks exist at a time, so an hour costs no more memory than a minute.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from app.domain.audio import SAMPLE_RATE, PcmBlock, seconds
from app.domain.chunking import FITTED, PHRASES, Chunk, Chunker, ChunkingOptions, mix_to_mono
from app.domain.early import holds, likely_chunk
from app.domain.languages import phrase_language
from app.domain.options import DecodeOptions
from app.domain.ports import DecodedAudio, Diarizer, EngineSession, JobClass, SpeakerSession, Vad, VadStream
from app.domain.speakers import segments_with_speakers, shifted_turns
from app.domain.transcript import Hypothesis, LanguageGuess, Segment, Word
from app.services.threads import in_thread

DETECT_S = 10.0
"""Seconds of speech a language is detected on: one window's worth would delay the first words of long files for little."""

WINDOW_S = 30
"""Seconds that Whisper looks at in one go."""

SHORT_S = 30.0
"""The first seconds of every recording go before the rest of long ones, so that short files never wait behind them."""

HEAD_START_S = 0.005
"""What a decode that began early has before speech detection starts: to be sent, which takes three milliseconds, and twice
that while a thread holds the interpreter."""

_FALLBACK_LANGUAGE = "en"

Heard = Callable[[int, str, tuple[Segment, ...]], None]
"""Is told a channel's index, the language of the text, and segments that are done: in order, without gaps, while decoding
goes on. They name no speakers yet."""


@dataclass(slots=True)
class RecognisedChannel:
    """One channel while it grows and when it is done; times on the recording's timeline."""

    language: str = _FALLBACK_LANGUAGE
    detected: LanguageGuess | None = None
    segments: tuple[Segment, ...] = ()
    decode_s: float = 0.0
    queue_s: float = 0.0


@dataclass(slots=True)
class _ChannelState:
    vad: VadStream
    chunker: Chunker
    result: RecognisedChannel
    needs_language: bool
    speakers: SpeakerSession | None
    waiting: list[Chunk] = field(default_factory=list)
    told: int = 0
    """Decodes whose segments ``on_heard`` has been told."""
    decodes: list[asyncio.Task[tuple[Segment, ...]]] = field(default_factory=list)
    phrases: list[asyncio.Future[LanguageGuess]] = field(default_factory=list)
    """What was decided for each chunk, in order, where the language may change."""


@dataclass(frozen=True, slots=True)
class _EarlyDecode:
    """The decode of all that is said, as far as loudness tells, begun before speech detection has looked at it."""

    chunk: Chunk
    decode: asyncio.Task[Hypothesis]


class RecordingPipeline:
    """One recording's way through the server. Cancelling ``run`` drops what waits and aborts what runs.

    The language is detected once for each channel where ``options`` name none, and for each phrase with ``code_switching``.
    Times count from ``start_s`` before the first sample that is read. With a ``diarizer`` words name their speakers, counted
    anew on each channel. ``on_heard`` is told on the event loop, everything before ``run`` returns. ``begin_early``: a short
    recording may be decoded while speech detection runs, for an engine that can begin in vain.
    """

    def __init__(
        self,
        vad: Vad,
        session: EngineSession,
        options: DecodeOptions,
        in_flight: int,
        *,
        code_switching: bool = False,
        start_s: float = 0.0,
        diarizer: Diarizer | None = None,
        chunking: ChunkingOptions | None = None,
        on_heard: Heard | None = None,
        begin_early: bool = False,
    ) -> None:
        self._vad = vad
        self._session = session
        self._options = options
        self._permits = asyncio.Semaphore(in_flight)
        self._code_switching = code_switching
        self._start_s = start_s
        self._diarizer = diarizer
        self._chunking = PHRASES if code_switching else chunking or (FITTED if options.fit_context else None)
        self._on_heard = on_heard
        self._begin_early = begin_early and options.language is not None and not code_switching
        self._early: _EarlyDecode | None = None
        self._channels: list[_ChannelState] = []
        self._samples = 0
        self._progress: Callable[[float], None] | None = None

    async def run(
        self,
        opened: AbstractContextManager[DecodedAudio],
        *,
        multichannel: bool,
        on_progress: Callable[[float], None] | None,
    ) -> tuple[list[RecognisedChannel], float]:
        """Recognise everything: the channels in order, and where the recording ended, in seconds (0: nothing was there)."""
        self._progress = on_progress
        with_file = ExitStack()
        try:
            audio = await in_thread(with_file.enter_context, opened)
            await self._recognise(audio.blocks(), multichannel)
            if not self._channels:  # the part that is wanted lies behind the end: no words, but an answer of the usual form
                self._channels = [self._new_channel() for _ in range(audio.channels if multichannel else 1)]
            for channel in self._channels:
                decoded = [await decode for decode in channel.decodes]
                self._tell(channel)
                channel.result.segments = tuple(segment for segments in decoded for segment in segments)
                if self._code_switching:
                    channel.result.language = _main_language(channel.result)
                if channel.speakers is not None:
                    channel.result.segments = await in_thread(
                        self._named, channel.speakers, channel.result.segments, on_cancel=self._close_speakers
                    )
        finally:
            self._close_speakers()
            await self._abandon()
            await in_thread(with_file.close)
        duration_s = self._start_s + seconds(self._samples) if self._samples else 0.0
        return [channel.result for channel in self._channels], duration_s

    async def _recognise(self, blocks: Iterator[PcmBlock], multichannel: bool) -> None:
        if self._begin_early:
            blocks = await self._look_ahead(blocks, multichannel)
        if self._early is not None:
            await self._recognise_early(self._early, blocks, multichannel)
            return
        while True:
            chunks = await in_thread(self._next_chunks, blocks, multichannel, on_cancel=self._close_speakers)
            if chunks is None:
                break
            for channel, chunk in chunks:
                await self._accept(channel, chunk)
        for channel in self._channels:
            for chunk in channel.chunker.flush():
                await self._accept(channel, chunk)
            await self._settle_language(channel)

    async def _look_ahead(self, blocks: Iterator[PcmBlock], multichannel: bool) -> Iterator[PcmBlock]:
        """Begin with a short recording if it is one. All of ``blocks``, again."""
        max_chunk_s = (self._chunking or ChunkingOptions()).max_chunk_s

        def first_blocks() -> tuple[list[PcmBlock], Chunk | None]:
            first: list[PcmBlock] = []
            while sum(block.shape[1] for block in first) <= SHORT_S * SAMPLE_RATE:
                block = next(blocks, None)
                if block is None:
                    break
                if multichannel and len(block) > 1:
                    return [*first, block], None
                first.append(block)
            else:
                return first, None
            sound = [mix_to_mono(block) for block in first]
            return first, likely_chunk(np.concatenate(sound), max_chunk_s) if sound else None

        first, guess = await in_thread(first_blocks)
        if guess is not None:
            decode = self._session.transcribe(guess.pcm, self._options, JobClass.SHORT_RECORDING)
            self._early = _EarlyDecode(guess, asyncio.ensure_future(decode))
        return itertools.chain(first, blocks)

    async def _recognise_early(self, early: _EarlyDecode, blocks: Iterator[PcmBlock], multichannel: bool) -> None:
        """The decode that has begun is the recording's if speech detection agrees; else it is broken off."""

        def all_chunks() -> list[tuple[_ChannelState, Chunk]]:
            found = []
            while (chunks := self._next_chunks(blocks, multichannel)) is not None:
                found += chunks
            return found + [(channel, chunk) for channel in self._channels for chunk in channel.chunker.flush()]

        await asyncio.wait([early.decode], timeout=HEAD_START_S)
        found = await in_thread(all_chunks, on_cancel=self._close_speakers)
        if holds(early.chunk, [chunk for _, chunk in found]):
            found = [(found[0][0], early.chunk)]
        else:
            self._early = None
            await _broken_off(early.decode)
        for channel, chunk in found:
            await self._accept(channel, chunk)

    def _next_chunks(self, blocks: Iterator[PcmBlock], multichannel: bool) -> list[tuple[_ChannelState, Chunk]] | None:
        """In a thread: read one block, score it, cut it. None at the end of the recording."""
        block = next(blocks, None)
        if block is None:
            return None
        self._samples += block.shape[1]
        tracks = list(block) if multichannel else [mix_to_mono(block)]
        while len(self._channels) < len(tracks):
            self._channels.append(self._new_channel())
        chunks = []
        for channel, pcm in zip(self._channels, tracks, strict=True):
            probabilities = channel.vad.feed(pcm)
            if channel.speakers is not None:
                channel.speakers.feed(pcm, probabilities)
            chunks += [(channel, chunk) for chunk in channel.chunker.feed(pcm, probabilities)]
        return chunks

    def _new_channel(self) -> _ChannelState:
        language = self._options.language
        result = RecognisedChannel(language=language or _FALLBACK_LANGUAGE)
        chunker = Chunker(self._chunking)
        once = language is None and not self._code_switching
        speakers = self._diarizer.session() if self._diarizer is not None else None
        return _ChannelState(self._vad.stream(), chunker, result, once, speakers)

    def _named(self, speakers: SpeakerSession, segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
        """In a thread: the words with their speakers."""
        return segments_with_speakers(segments, shifted_turns(speakers.turns(), self._start_s))

    def _close_speakers(self) -> None:
        for channel in self._channels:
            if channel.speakers is not None:
                channel.speakers.close()

    async def _accept(self, channel: _ChannelState, chunk: Chunk) -> None:
        if not channel.needs_language:
            await self._start(channel, chunk)
            return
        channel.waiting.append(chunk)
        if sum(waiting.pcm.size for waiting in channel.waiting) >= DETECT_S * SAMPLE_RATE:
            await self._settle_language(channel)

    async def _settle_language(self, channel: _ChannelState) -> None:
        """Detect on what has gathered, then recognise it. Without speech there is nothing to detect."""
        if not channel.waiting:
            return
        speech = np.concatenate([chunk.pcm for chunk in channel.waiting])[: WINDOW_S * SAMPLE_RATE]
        guesses = await self._session.detect_language(speech, self._options.languages, JobClass.SHORT_RECORDING)
        channel.result.detected = guesses[0]
        channel.result.language = guesses[0].language
        channel.needs_language = False
        waiting, channel.waiting = channel.waiting, []
        for chunk in waiting:
            await self._start(channel, chunk)

    async def _start(self, channel: _ChannelState, chunk: Chunk) -> None:
        await self._permits.acquire()
        try:
            for decode in channel.decodes:  # a failure ends the recording now, not after an hour of further work
                if decode.done():
                    decode.result()
        except BaseException:
            self._permits.release()
            raise
        channel.phrases.append(asyncio.get_running_loop().create_future())
        decode = asyncio.ensure_future(self._decode(channel, chunk, len(channel.decodes)))
        channel.decodes.append(decode)
        if self._on_heard is not None:
            decode.add_done_callback(lambda _: self._tell(channel))

    def _tell(self, channel: _ChannelState) -> None:
        """Hand on what is done and has nothing before it that is not."""
        while channel.told < len(channel.decodes) and (decode := channel.decodes[channel.told]).done():
            if decode.cancelled() or decode.exception() is not None:
                return
            channel.told += 1
            if self._on_heard is not None and decode.result():
                language = "en" if self._options.translate else channel.result.language
                self._on_heard(self._channels.index(channel), language, decode.result())

    async def _decode(self, channel: _ChannelState, chunk: Chunk, number: int) -> tuple[Segment, ...]:
        start_s = seconds(chunk.start_samples)
        try:
            job_class = JobClass.SHORT_RECORDING if start_s < SHORT_S else JobClass.LONG_RECORDING
            language = channel.result.language
            if self._code_switching:
                language = await self._phrase_language(channel, chunk, number, job_class)
            options = replace(self._options, language=language)
            if self._early is not None:  # then this is the only chunk
                hypothesis = await self._early.decode
            else:
                hypothesis = await self._session.transcribe(chunk.pcm, options, job_class)
        finally:
            self._permits.release()
        self._account(channel, hypothesis)
        start_s += self._start_s
        if self._progress is not None:
            self._progress(start_s + seconds(chunk.pcm.size))
        written = "en" if self._options.translate else language
        named = written if self._code_switching else None
        return tuple(_placed(segment, start_s, named) for segment in hypothesis.segments)

    async def _phrase_language(self, channel: _ChannelState, chunk: Chunk, number: int, job_class: JobClass) -> str:
        """Detections run beside each other, decisions in order: they do not depend on which came first."""
        decision = channel.phrases[number]
        try:
            guesses = await self._session.detect_language(chunk.pcm, self._options.languages, job_class)
            before = await asyncio.shield(channel.phrases[number - 1]) if number else None
            decision.set_result(phrase_language(guesses, before))
        finally:
            decision.cancel()  # of no effect once it is made; else nobody must wait for it
        return decision.result().language

    def _account(self, channel: _ChannelState, hypothesis: Hypothesis) -> None:
        channel.result.decode_s += hypothesis.decode_s
        channel.result.queue_s += hypothesis.queue_s

    async def _abandon(self) -> None:
        decodes: list[asyncio.Task[Any]] = [decode for channel in self._channels for decode in channel.decodes]
        if self._early is not None:
            decodes.append(self._early.decode)
        for decode in decodes:
            decode.cancel()
        await asyncio.gather(*decodes, return_exceptions=True)


async def _broken_off(decode: asyncio.Task[Hypothesis]) -> None:
    decode.cancel()
    await asyncio.gather(decode, return_exceptions=True)


def _main_language(channel: RecognisedChannel) -> str:
    """The language of most words."""
    counts = Counter(word.language for segment in channel.segments for word in segment.words)
    return next((language for language, _ in counts.most_common() if language is not None), channel.language)


def _placed(segment: Segment, by_s: float, language: str | None) -> Segment:
    """The segment on the recording's timeline; ``language`` is named at its words."""
    return replace(
        segment,
        start_s=segment.start_s + by_s,
        end_s=segment.end_s + by_s,
        window_start_s=segment.window_start_s + by_s,
        words=tuple(_placed_word(word, by_s, language) for word in segment.words),
    )


def _placed_word(word: Word, by_s: float, language: str | None) -> Word:
    return replace(word, start_s=word.start_s + by_s, end_s=word.end_s + by_s, language=language)
