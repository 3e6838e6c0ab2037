"""One recording: admitted, decoded to samples, cut on silence, recognised by all idle workers, put back together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import BinaryIO

from app.domain.audio import AudioLimits
from app.domain.chunking import ChunkingOptions, chunking_for
from app.domain.errors import DecodeTimeout, InvalidParameter, Unavailable, UnsupportedModel
from app.domain.options import DecodeOptions, DecodingChoices, Keyterm, TranscribeOptions
from app.domain.ports import AudioDecoder, Diarizer, EngineCapabilities, EnginePool, EngineSession, InstalledModel, Vad
from app.domain.text.formatter import Formatter
from app.domain.text.redaction_rules import redaction_warnings
from app.domain.transcript import Channel, LanguageGuess, RequestWarning, Segment, Timing, Transcript
from app.services.catalog import Catalog, Resolution
from app.services.intelligence import Analyst
from app.services.recording import Heard, RecognisedChannel, RecordingPipeline
from app.services.residency import ResidentModels
from app.services.spoken_language import detect_spoken_language
from app.services.usage_entry import current_usage

Progress = Callable[[float], None]

HeardChannel = Callable[[int, Channel], None]
"""Is told a channel's index and a piece of the channel, formatted as far as that can be done without the rest."""


@dataclass(frozen=True, slots=True)
class DecodingDefaults:
    """Decoder settings of the server: for requests that do not choose themselves, and what they cannot choose."""

    temperature: float = 0.0
    beam_size: int = 1
    best_of: int = 1
    fit_context: bool = True

    def options(self, choices: DecodingChoices) -> DecodeOptions:
        """What a request asks of every decode, as far as these settings and its own choices go."""
        own = DecodeOptions(
            temperature=self.temperature, beam_size=self.beam_size, best_of=self.best_of, fit_context=self.fit_context
        )
        return choices.over(own)


class Transcriber:
    """The use case behind ``POST /v1/listen``, ``whisperapi transcribe`` and every other way a recording comes in."""

    def __init__(
        self,
        decoder: AudioDecoder,
        vad: Vad,
        catalog: Catalog,
        models: ResidentModels,
        limits: AudioLimits,
        timeout_s: float,
        defaults: DecodingDefaults,
        analyst: Analyst | None = None,
        diarizer: Diarizer | None = None,
    ) -> None:
        self.stopping = False
        """Set once: from then on nothing is admitted."""
        self.analyst = analyst or Analyst(None, timeout_s)
        self.diarizer = diarizer
        """Tells speakers apart; None: switched off on this server."""
        self._decoder = decoder
        self._vad = vad
        self._catalog = catalog
        self._models = models
        self._limits = limits
        self._timeout_s = timeout_s
        self._defaults = defaults

    def resolve(self, options: TranscribeOptions) -> Resolution:
        """The model and language that would serve the request; raises as ``admit`` does, and takes no permit."""
        if self.stopping:
            raise Unavailable
        wanted = None if options.detect_language or options.code_switching else options.language
        resolution = self._catalog.resolve(options.model, wanted)
        _check_abilities(resolution.model, options)
        return resolution

    @asynccontextmanager
    async def admit(self, options: TranscribeOptions) -> AsyncIterator[RecordingJob]:
        """Check the request against the models and take a permit, before any byte of audio is read.

        Raises ``UnsupportedModel`` or ``InvalidParameter`` for what cannot be done, ``Overloaded`` or ``Unavailable`` for
        what cannot be done now.
        """
        resolution = self.resolve(options)
        model = resolution.model
        decode = replace(
            self._defaults.options(options.decoding),
            language=resolution.language,
            languages=options.detect_among or options.language_hints or model.languages,
            translate=options.translate,
            prompt=options.prompt,
            keyterms=options.keyterms,
            scores=options.scores,
        )
        if (usage := current_usage()) is not None:
            usage.note_request(options, model.info, resolution.language)
        async with self._models.use(model) as pool, pool.admit() as session:
            unable = ability_warnings(pool.capabilities, options.keyterms, options.decoding)
            warnings = resolution.warnings + unable + self._speaker_warnings(options)
            yield RecordingJob(self, model, pool, session, options, decode, warnings, self._timeout_s)

    def _speaker_warnings(self, options: TranscribeOptions) -> tuple[RequestWarning, ...]:
        if not options.diarize or self.diarizer is not None:
            return ()
        message = "Diarization is switched off on this server; no speaker is reported."
        return (RequestWarning("diarize", "unsupported_parameter", message),)

    async def run(
        self, job: RecordingJob, source: BinaryIO, on_progress: Progress | None, on_heard: Heard | None = None
    ) -> tuple[list[RecognisedChannel], float]:
        """Recognise one admitted recording: its channels, and its duration in seconds."""
        options = job.options
        pipeline = RecordingPipeline(
            self._vad,
            job.session,
            job.decode,
            in_flight=job.pool.workers + 2,
            code_switching=options.code_switching and not options.detect_language,
            start_s=options.part.start_s,
            diarizer=self.diarizer if options.diarize else None,
            chunking=options.chunking or self._chunking(job),
            on_heard=on_heard,
            begin_early=job.pool.capabilities.may_begin_in_vain and options.chunking is None,
        )
        opened = self._decoder.open(source, options.audio_format, self._limits, options.part)
        try:
            return await asyncio.wait_for(
                pipeline.run(opened, multichannel=options.multichannel, on_progress=on_progress), job.timeout_s
            )
        except asyncio.TimeoutError:
            raise DecodeTimeout from None

    @staticmethod
    def _chunking(job: RecordingJob) -> ChunkingOptions:
        return chunking_for(job.pool.capabilities.context_step_s if job.decode.fit_context else 0.0)

    async def detect_language(self, job: RecordingJob, source: BinaryIO) -> tuple[LanguageGuess, ...]:
        """The languages that an admitted recording may be in."""
        opened = self._decoder.open(source, job.options.audio_format, self._limits, job.options.part)
        try:
            return await asyncio.wait_for(
                detect_spoken_language(opened, self._vad, job.session, job.decode.languages), job.timeout_s
            )
        except asyncio.TimeoutError:
            raise DecodeTimeout from None


@dataclass(slots=True)
class RecordingJob:
    """An admitted request: the model that will do the work, and the right to use it while the context is open.

    ``decode`` is what each of its decodes is asked; its language is None when it is to be detected first. ``timeout_s``
    bounds the recognition.
    """

    transcriber: Transcriber
    model: InstalledModel
    pool: EnginePool
    session: EngineSession
    options: TranscribeOptions
    decode: DecodeOptions
    warnings: tuple[RequestWarning, ...]
    timeout_s: float

    async def run(
        self, source: BinaryIO, on_progress: Progress | None = None, on_heard: HeardChannel | None = None
    ) -> Transcript:
        """Transcribe ``source`` (seekable, positioned anywhere).

        ``on_progress`` hears the seconds done so far. ``on_heard`` is told pieces in order while decoding goes on, before
        speakers are known; on the event loop, all of them before this returns.
        """
        started = perf_counter()
        listening = None if on_heard is None else self._formatting(on_heard)
        recognised, duration_s = await self.transcriber.run(self, source, on_progress, listening)
        timing = Timing(
            queue_s=sum(channel.queue_s for channel in recognised),
            decode_s=sum(channel.decode_s for channel in recognised),
            total_s=perf_counter() - started,
        )
        channels = await asyncio.to_thread(self._finish, recognised)
        partial = redaction_warnings(self.options.text.redact, {channel.language for channel in channels})
        transcript = Transcript(
            channels=channels,
            duration_s=duration_s,
            start_s=self.options.part.start_s,
            model=self.model.info,
            warnings=self.warnings + self.options.warnings + partial + estimate_warnings(self.pool.capabilities),
            timing=timing,
            diarizer=self.transcriber.diarizer.info if self.options.diarize and self.transcriber.diarizer else None,
        )
        if (usage := current_usage()) is not None:
            usage.note_recording(transcript)
        return await self.transcriber.analyst.analyse(transcript, self.options.intelligence)

    async def detect_language(self, source: BinaryIO) -> tuple[LanguageGuess, ...]:
        """What is spoken in ``source``, most probable first; none where nobody speaks. Nothing is transcribed."""
        return await self.transcriber.detect_language(self, source)

    def _formatting(self, on_heard: HeardChannel) -> Heard:
        formatter = Formatter(self.options.text)

        def heard(channel_index: int, language: str, segments: tuple[Segment, ...]) -> None:
            on_heard(channel_index, formatter.format_channel(Channel(segments, language)))

        return heard

    def _finish(self, recognised: Sequence[RecognisedChannel]) -> tuple[Channel, ...]:
        """In a thread: an hour of words takes a second to format, and live streams must not wait for that."""
        formatter = Formatter(self.options.text)
        return tuple(
            formatter.format_channel(
                Channel(
                    segments=channel.segments,
                    language="en" if self.options.translate else channel.language,
                    detected=channel.detected,
                )
            )
            for channel in recognised
        )


def ability_warnings(
    capabilities: EngineCapabilities, keyterms: Sequence[Keyterm], chosen: DecodingChoices
) -> tuple[RequestWarning, ...]:
    """What was asked of the engine and has no effect there."""
    warnings = []
    if keyterms and not capabilities.favours_terms:
        message = "The engine of this server cannot favour key terms; prompt conditions the model."
        warnings.append(RequestWarning("keyterm", "unsupported_parameter", message))
    for parameter, value in (("beam_size", chosen.beam_size), ("best_of", chosen.best_of)):
        if value is not None and not capabilities.searches:
            message = f"The engine of this server cannot be told how to search; {parameter} has no effect."
            warnings.append(RequestWarning(parameter, "unsupported_parameter", message))
    return tuple(warnings)


def estimate_warnings(capabilities: EngineCapabilities) -> tuple[RequestWarning, ...]:
    """What of an answer is not measured. Asked after the last decode: other servers show by their answers what they tell."""
    warnings = []
    if not capabilities.times_words:
        message = "The engine tells no times of words; they are spread over the time in which somebody speaks."
        warnings.append(RequestWarning("model", "estimated_word_times", message))
    if not capabilities.rates_words:
        message = "The engine rates no single words; their confidence is that of their segment, or 0.5 without one."
        warnings.append(RequestWarning("model", "estimated_confidence", message))
    return tuple(warnings)


def _check_abilities(model: InstalledModel, options: TranscribeOptions) -> None:
    if options.translate and not model.translates:
        raise InvalidParameter(f"translate: the model `{model.info.name}` cannot translate", parameter="translate")
    unknown = [code for code in (*options.detect_among, *options.language_hints) if code not in model.languages]
    if unknown:
        raise UnsupportedModel(parameter="language")
