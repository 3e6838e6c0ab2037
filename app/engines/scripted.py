"""Engine, pool and VAD that replay a script: for tests of everything around recognition, demos and load tests."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.domain.audio import SAMPLE_RATE, Pcm16k, seconds
from app.domain.errors import ClientGone, Overloaded, Unavailable, UnsupportedModel
from app.domain.options import DecodeOptions
from app.domain.ports import Aborted, EngineCapabilities, EngineSession, JobClass, PoolStats, VadStream
from app.domain.transcript import Hypothesis, LanguageGuess, Segment, Word
from app.engines.tokens import join_words

SPEECH = 0.98
SILENCE = 0.02
_SENTENCE_ENDS = (".", "?", "!")


def say(text: str, start_s: float = 0.2, word_s: float = 0.3, confidence: float = 0.95) -> tuple[Word, ...]:
    """A script: the words of ``text`` one after the other, ``word_s`` seconds each, from ``start_s`` on."""
    return tuple(
        Word(word, round(start_s + index * word_s, 3), round(start_s + (index + 1) * word_s, 3), confidence)
        for index, word in enumerate(text.split())
    )


@dataclass(frozen=True, slots=True)
class Call:
    """One call that reached the scripted engine. ``job_class`` is None for calls on the engine itself."""

    samples: int
    options: DecodeOptions | None
    among: tuple[str, ...] = ()
    job_class: JobClass | None = None


class ScriptedEngine:
    """Fulfils ``ports.Engine``: answers with the words of its script that begin inside the audio it is given.

    ``scripts`` are used in turn, one per decode, the last one again and again; their times count from the first sample of
    the audio of that decode. ``failures`` are raised first, one per call (None: that call succeeds). ``calls`` records.
    """

    def __init__(
        self,
        *scripts: Sequence[Word],
        language: str = "en",
        languages: tuple[str, ...] = ("en", "es", "fr", "de"),
        failures: Iterable[Exception | None] = (),
    ) -> None:
        self.capabilities = EngineCapabilities(
            languages, multilingual=len(languages) > 1, translates=len(languages) > 1, context_step_s=5.12
        )
        self.calls: list[Call] = []
        self.failures = deque(failures)
        self._scripts = deque(scripts or ((),))
        self._language = language

    def transcribe(self, pcm: Pcm16k, options: DecodeOptions, should_abort: Callable[[], bool]) -> Hypothesis:
        """The next script, cut to the audio."""
        self._begin(
            Call(pcm.size, options), (options.language, *options.languages) if options.language else options.languages
        )
        if should_abort():
            raise Aborted
        script = self._scripts.popleft() if len(self._scripts) > 1 else self._scripts[0]
        duration_s = seconds(pcm.size)
        words = [replace(word, end_s=min(word.end_s, duration_s)) for word in script if word.start_s < duration_s]
        language = options.language or self._rank(options.languages)[0]
        return Hypothesis(tuple(_segments(words, language)), language)

    def detect_language(self, pcm: Pcm16k, among: tuple[str, ...] = ()) -> tuple[LanguageGuess, ...]:
        """The engine's language first, as sure as may be."""
        self._begin(Call(pcm.size, None, among), among)
        codes = self._rank(among)
        rest = 0.1 / max(1, len(codes) - 1)
        sure = 0.9 if len(codes) > 1 else 1.0
        return tuple(LanguageGuess(code, sure if code == codes[0] else rest) for code in codes)

    def _begin(self, call: Call, languages: Sequence[str]) -> None:
        self.calls.append(call)
        failure = self.failures.popleft() if self.failures else None
        if failure is not None:
            raise failure
        if not set(languages) <= set(self.capabilities.languages):
            raise UnsupportedModel("The model does not know the language asked for.")

    def _rank(self, among: tuple[str, ...]) -> list[str]:
        codes = list(among or self.capabilities.languages)
        return sorted(codes, key=lambda code: code != self._language)


@dataclass(eq=False, slots=True)
class _Session:
    """Fulfils ``ports.EngineSession`` on the event loop itself: scripts cost no time."""

    pool: ScriptedPool
    closed: bool = False

    async def transcribe(self, pcm: Pcm16k, options: DecodeOptions, job_class: JobClass) -> Hypothesis:
        """See the port."""
        await self._wait()
        try:
            return self.pool.engine.transcribe(pcm, options, lambda: False)
        finally:
            self._record(job_class)

    async def detect_language(self, pcm: Pcm16k, among: tuple[str, ...], job_class: JobClass) -> tuple[LanguageGuess, ...]:
        """See the port."""
        await self._wait()
        try:
            return self.pool.engine.detect_language(pcm, among)
        finally:
            self._record(job_class)

    async def _wait(self) -> None:
        self.pool.check_open()
        if self.closed:
            raise ClientGone
        self.pool.started += 1
        try:
            await (self.pool.delay or _next_turn)()
        finally:
            self.pool.ended += 1
        self.pool.check_open()

    def _record(self, job_class: JobClass) -> None:
        self.pool.calls.append(replace(self.pool.engine.calls[-1], job_class=job_class))


class ScriptedPool:
    """Fulfils ``ports.EnginePool`` in this process, over a scripted engine.

    ``delay`` is awaited before every answer: pass an event's ``wait`` to hold answers back. ``calls`` records what was
    answered, ``admitted`` counts permits held now, ``started`` and ``ended`` jobs (an ended one may have been cancelled).
    """

    def __init__(
        self,
        engine: ScriptedEngine | None = None,
        *,
        max_pending: int = 64,
        workers: int = 1,
        delay: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self.engine = engine or ScriptedEngine()
        self.capabilities = self.engine.capabilities
        self.workers = workers
        self.max_pending = max_pending
        self.delay = delay
        self.calls: list[Call] = []
        self.admitted = self.started = self.ended = 0
        self._closed = False

    def stats(self) -> PoolStats:
        """See the port."""
        running = self.started - self.ended
        return PoolStats(workers=self.workers, busy=min(running, self.workers), waiting=max(0, running - self.workers))

    def admit(self, *, live: bool = False) -> AbstractAsyncContextManager[EngineSession]:
        """See the port."""
        return self._permit(permits=0 if live else 1)

    @asynccontextmanager
    async def _permit(self, permits: int) -> AsyncIterator[EngineSession]:
        self.check_open()
        if permits and self.admitted >= self.max_pending:
            raise Overloaded(retry_after_s=1.0)
        session = _Session(self)
        self.admitted += permits
        try:
            yield session
        finally:
            self.admitted -= permits
            session.closed = True

    async def close(self) -> None:
        """See the port."""
        self._closed = True

    def check_open(self) -> None:
        """Raise ``Unavailable`` after ``close``."""
        if self._closed:
            raise Unavailable("The server is stopping.")


@dataclass(eq=False, slots=True)
class _ScriptedVadStream:
    """Fulfils ``ports.VadStream``; counts samples to know where it is."""

    speech: Sequence[tuple[float, float]]
    window_samples: int
    position_samples: int = 0
    pending_samples: int = 0

    def feed(self, pcm: Pcm16k) -> NDArray[np.float32]:
        """See the port. The samples' values do not matter."""
        self.pending_samples += pcm.size
        windows, self.pending_samples = divmod(self.pending_samples, self.window_samples)
        middles = self.position_samples + (np.arange(windows) + 0.5) * self.window_samples
        self.position_samples += windows * self.window_samples
        times_s = middles / SAMPLE_RATE
        voiced = np.zeros(windows, dtype=bool)
        for start_s, end_s in self.speech:
            voiced |= (times_s >= start_s) & (times_s < end_s)
        return np.where(voiced, SPEECH, SILENCE).astype(np.float32)


class ScriptedVad:
    """Fulfils ``ports.Vad``: speech in the given intervals, in seconds from a stream's first sample, and nowhere else."""

    name = "scripted"

    def __init__(self, *speech: tuple[float, float], window_samples: int = 512) -> None:
        self.window_samples = window_samples
        self._speech = speech

    def stream(self) -> VadStream:
        """A stream at position 0."""
        return _ScriptedVadStream(self._speech, self.window_samples)

    def feed_all(self, pieces: Sequence[tuple[VadStream, Pcm16k]]) -> list[NDArray[np.float32]]:
        """See the port."""
        return [stream.feed(pcm) for stream, pcm in pieces]

    def score(self, pcm: Pcm16k) -> NDArray[np.float32]:
        """See the port."""
        missing = -pcm.size % self.window_samples
        return self.stream().feed(np.concatenate([pcm, np.zeros(missing, np.float32)]))


async def _next_turn() -> None:
    """Let others run, as every real pool does: a caller may be cancelled before its answer."""
    await asyncio.sleep(0)


def _segments(words: Sequence[Word], language: str) -> list[Segment]:
    """Words cut after sentence ends, as Whisper does it."""
    segments: list[Segment] = []
    sentence: list[Word] = []
    for position, word in enumerate(words):
        sentence.append(word)
        if word.text.endswith(_SENTENCE_ENDS) or position == len(words) - 1:
            text = join_words(sentence, language)
            segments.append(Segment(text, sentence[0].start_s, word.end_s, tuple(sentence), (), -0.1))
            sentence = []
    return segments
