"""What a language model has to say about a finished transcript. It never costs the transcript: what fails is left out.

Runs on formatted words: what was redacted is redacted before any of it leaves for the model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from app.domain.intelligence.answers import UnusableAnswer, read_labels, read_ratings, read_summary
from app.domain.intelligence.chat import ChatFailed, ChatModel
from app.domain.intelligence.findings import Findings, LabelledPassage, ModelUse, RatedPassage, SummarisedPassage
from app.domain.intelligence.options import Feature, IntelligenceOptions, LabelChoice
from app.domain.intelligence.questions import (
    Question,
    intents_question,
    joint_summary_question,
    sentiment_question,
    summary_question,
    topics_question,
)
from app.domain.intelligence.rating import rate_words
from app.domain.intelligence.sentences import Piece, joined, pack, pack_texts, split_channel
from app.domain.languages import word_space
from app.domain.transcript import Channel, RequestWarning, Transcript
from app.telemetry import logger

SHORT_WORDS = 50
"""Below this number of words a summary is the text itself (contract 2.6)."""

TRIES = 2
"""Questions for one answer: of a small model's answers some are unusable, and rarely two in a row."""

MAX_AT_ONCE = 16
"""Recordings analysed at a time: each keeps its permit meanwhile, and a slow model must not take those of all others."""

NOT_CONFIGURED = "No language model is configured on this server; nothing was analysed."
NOT_DONE = "Nothing was analysed: the language model failed; {reason}."
_BUSY = "it has too many recordings to analyse"
_TOO_SLOW = "it took too long"
_UNUSABLE = "its answer could not be used"

_log = logger(__name__)
_Result = TypeVar("_Result")


@dataclass(slots=True)
class _Tally:
    """Questions to one model for one feature, and what they cost together."""

    chat: ChatModel
    input_tokens: int = 0
    output_tokens: int = 0

    async def ask(self, question: Question, read: Callable[[str], _Result]) -> _Result:
        for left in reversed(range(TRIES)):
            answer = await self.chat.ask(question)
            self.input_tokens += answer.input_tokens
            self.output_tokens += answer.output_tokens
            try:
                return read(answer.text)
            except UnusableAnswer:
                if not left:
                    raise
        raise AssertionError("the last try returns or raises")

    @property
    def use(self) -> ModelUse:
        return ModelUse(self.chat.name, self.input_tokens, self.output_tokens)


class Analyst:
    """Asks ``chat`` what requests want to know; without one every wish is answered with a warning.

    ``timeout_s`` bounds the analysis of one recording: what is done by then stays, the rest is given up.
    """

    def __init__(self, chat: ChatModel | None, timeout_s: float) -> None:
        self._chat = chat
        self._timeout_s = timeout_s
        self._under_way = 0

    async def analyse(self, transcript: Transcript, options: IntelligenceOptions) -> Transcript:
        """The transcript with what was found in it, and a warning for each wish that came to nothing."""
        if not options.asked:
            return transcript
        if self._chat is None:
            missing = [RequestWarning(item.parameter, "unsupported_parameter", NOT_CONFIGURED) for item in options.asked]
            return replace(transcript, warnings=(*transcript.warnings, *missing))
        if self._under_way >= MAX_AT_ONCE:
            return _finished(transcript, options, dict.fromkeys(Feature, _BUSY))
        self._under_way += 1
        try:
            return await self._study(self._chat, transcript, options)
        finally:
            self._under_way -= 1

    async def _study(self, chat: ChatModel, transcript: Transcript, options: IntelligenceOptions) -> Transcript:
        study = _Study(transcript, options)
        work = {
            asyncio.create_task(run(study, _Tally(chat))): features for features, run in _WORK if options.wants(*features)
        }
        try:
            await asyncio.wait(work, timeout=self._timeout_s)
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
        outcomes: dict[Feature, _Outcome | str] = {}
        for task, features in work.items():
            outcome = _failure(task) or task.result()
            outcomes |= dict.fromkeys(features, outcome)
        return _finished(transcript, options, outcomes)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One finished piece of work: the fields of ``Findings`` that it fills, and what it cost."""

    fields: Mapping[str, Any]
    use: ModelUse


class _Study:
    """One transcript, as the model gets to see it."""

    def __init__(self, transcript: Transcript, options: IntelligenceOptions) -> None:
        self._channels = transcript.channels
        self._options = options
        self._sentences = [
            sentence for index, channel in enumerate(transcript.channels) for sentence in split_channel(channel, index)
        ]

    async def summary(self, tally: _Tally) -> _Outcome:
        """All channels together, in order of time; of long ones the parts first, then the summaries of the parts."""
        if sum(len(channel.words) for channel in self._channels) < SHORT_WORDS:
            return _Outcome({"summary": " ".join(self._texts())}, tally.use)
        language = max(self._channels, key=lambda channel: len(channel.words)).language
        in_order = sorted(self._sentences, key=lambda sentence: sentence.start_s)
        parts = [await tally.ask(summary_question(piece, language), read_summary) for piece in pack(in_order, mixed=True)]
        while len(parts) > 1:
            parts = [
                await tally.ask(joint_summary_question(group, language), read_summary) if len(group) > 1 else group[0]
                for group in pack_texts(parts)
            ]
        return _Outcome({"summary": parts[0]}, tally.use)

    async def part_summaries(self, tally: _Tally) -> _Outcome:
        found = []
        for piece, channel in self._pieces():
            summary = await tally.ask(summary_question(piece, channel.language), read_summary)
            found.append(SummarisedPassage(joined(piece, channel), summary))
        return _Outcome({"part_summaries": tuple(found)}, tally.use)

    async def topics(self, tally: _Tally) -> _Outcome:
        return _Outcome({"topics": await self._labels(tally, topics_question, self._options.topics)}, tally.use)

    async def intents(self, tally: _Tally) -> _Outcome:
        return _Outcome({"intents": await self._labels(tally, intents_question, self._options.intents)}, tally.use)

    async def sentiments(self, tally: _Tally) -> _Outcome:
        found: list[RatedPassage] = []
        for piece, channel in self._pieces():
            found += await tally.ask(sentiment_question(piece), partial(read_ratings, piece=piece, channel=channel))
        return _Outcome({"sentiments": tuple(found)}, tally.use)

    async def _labels(
        self, tally: _Tally, ask: Callable[[Piece, LabelChoice], Question], choice: LabelChoice
    ) -> tuple[LabelledPassage, ...]:
        found: list[LabelledPassage] = []
        for piece, channel in self._pieces():
            read = partial(read_labels, piece=piece, channel=channel, choice=choice)
            found += await tally.ask(ask(piece, choice), read)
        return tuple(found)

    def _pieces(self) -> list[tuple[Piece, Channel]]:
        return [(piece, self._channels[piece[0].passage.channel_index]) for piece in pack(self._sentences)]

    def _texts(self) -> list[str]:
        return [
            word_space(channel.language).join(word.text for word in channel.words)
            for channel in self._channels
            if channel.words
        ]


_WORK: tuple[tuple[tuple[Feature, ...], Callable[[_Study, _Tally], Coroutine[Any, Any, _Outcome]]], ...] = (
    ((Feature.SUMMARY,), _Study.summary),
    ((Feature.PART_SUMMARIES,), _Study.part_summaries),
    ((Feature.TOPICS, Feature.CHANNEL_TOPICS), _Study.topics),
    ((Feature.INTENTS,), _Study.intents),
    ((Feature.SENTIMENT,), _Study.sentiments),
)
"""What is to be done for which features."""


def _finished(
    transcript: Transcript, options: IntelligenceOptions, outcomes: Mapping[Feature, _Outcome | str]
) -> Transcript:
    """``outcomes`` has a reason, in words for the client, for each feature that has no result."""
    fields: dict[str, Any] = {}
    uses: list[tuple[Feature, ModelUse]] = []
    warnings = list(transcript.warnings)
    for item in options.asked:
        outcome = outcomes[item.feature]
        if isinstance(outcome, str):
            warnings.append(RequestWarning(item.parameter, "processing_failed", NOT_DONE.format(reason=outcome)))
            fields |= {"summary_failed": True} if item.feature is Feature.SUMMARY else {}
        else:
            fields |= outcome.fields
            uses.append((item.feature, outcome.use))
    channels = transcript.channels
    if "sentiments" in fields:
        channels = tuple(rate_words(channel, index, fields["sentiments"]) for index, channel in enumerate(channels))
    findings = Findings(**fields, uses=tuple(uses))
    return replace(transcript, channels=channels, warnings=tuple(warnings), findings=findings)


def _failure(task: asyncio.Task[_Outcome]) -> str | None:
    """Why there is no result, in words for the client; None if there is one."""
    if task.cancelled():
        reason = _TOO_SLOW
    else:
        error = task.exception()
        if error is None:
            return None
        if isinstance(error, ChatFailed):
            reason = str(error)
        elif isinstance(error, UnusableAnswer):
            reason = _UNUSABLE
        else:  # a mistake of ours; its text may hold what was said
            _log.error("analysis broke", error=type(error).__name__)
            return _UNUSABLE
    _log.warning("analysis failed", reason=reason)
    return reason
