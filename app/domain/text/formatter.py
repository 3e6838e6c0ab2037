"""The one way from recognised words to displayed words, for recordings and live results alike.

The order matters. Fillers go first, so that they part no numbers. Marks of dictation end sentences before anything is
found. Findings are redacted or written out; redaction wins every overlap. Masks and replacements see the final words, and
line breaks join the words before them last.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from app.domain.languages import word_space
from app.domain.options import TextOptions
from app.domain.text.context import SpokenBefore
from app.domain.text.dictation import break_edits, dictation_edits
from app.domain.text.edits import Edit, Edited
from app.domain.text.entities import entities_of
from app.domain.text.fillers import filler_edits
from app.domain.text.finders import find
from app.domain.text.finding import Finding
from app.domain.text.measurements import measurement_edits
from app.domain.text.numerals import numeral_edits
from app.domain.text.profanity import profanity_edits
from app.domain.text.redaction import REDACTED, Redactor
from app.domain.text.replacing import Replacer
from app.domain.text.search import find_phrases, merge_results
from app.domain.text.smart_format import smart_edits
from app.domain.transcript import Channel, Entity, SearchResult, Segment, Word

EditsOf = Callable[[Sequence[Word], str], list[Edit]]


@dataclass(frozen=True, slots=True)
class Formatted:
    """Words as displayed. ``origins`` and ``redacted`` are half-open ranges of the words that came in, which ``heard`` are;
    ``entities`` count ``words``."""

    words: tuple[Word, ...]
    entities: tuple[Entity, ...]
    origins: tuple[tuple[int, int], ...]
    redacted: tuple[tuple[int, int], ...] = ()
    heard: tuple[Word, ...] = ()

    def shown(self, start: int, end: int) -> tuple[Word, ...]:
        """What is displayed of the words ``start`` up to ``end`` of those that came in."""
        span = Edited(self.words, self.origins).span(start, end)
        return () if span is None else self.words[span[0] : span[1]]


class Formatter:
    """All text options of one request or one live stream; keep one for its whole length, or numbered redactions restart.

    ``live``: the words come in pieces, and a piece may end inside a number.
    """

    def __init__(self, options: TextOptions, *, live: bool = False) -> None:
        self._options = options
        self._is_asked = _is_asked(options)
        self._redactor = Redactor(options.redact, live=live) if options.redact else None
        self._before = SpokenBefore() if live and self._redactor else None
        self._replacer = Replacer(options.replace) if options.replace else None

    def with_numerals(self, numerals: bool) -> Formatter:
        """The same formatter, its numbered redactions included, with ``numerals`` on or off from now on."""
        changed = Formatter(replace(self._options, numerals=numerals))
        changed._redactor = self._redactor
        changed._before = self._before
        return changed

    def format(self, words: Sequence[Word], language: str, *, interim: bool = False, channel_index: int = 0) -> Formatted:
        """Format words that follow each other and, live, the earlier ones of their channel. ``language`` is Whisper's code,
        for words that do not name their own.

        An ``interim`` is redacted without numbers, has no entities, and may be longer next time.
        """
        options = self._options
        edited = Edited.untouched(words)
        if not options.filler_words:
            edited = edited.apply(filler_edits(words))
        if not self._is_asked:
            return Formatted(edited.words, (), edited.origins, heard=edited.words)
        if options.dictation and options.punctuate:
            edited = edited.apply(_by_language(dictation_edits, edited.words, language))
        found: Sequence[Finding] = ()
        if self._redactor or options.smart_format or options.detect_entities:
            found = _findings(edited.words, language)
        at_finding = edited
        redactions: list[Edit] = []
        if self._redactor:
            redactions = self._redactions(self._redactor, edited.words, found, language, channel_index, interim=interim)
        edited = self._written(edited, redactions, found, language)
        if options.profanity_filter:
            edited = edited.apply(_by_language(profanity_edits, edited.words, language))
        if self._replacer:
            edited = edited.apply(self._replacer.edits(edited.words))
        if options.dictation and options.punctuate:
            edited = edited.apply(break_edits(edited.words))
        entities = () if interim or not options.detect_entities else entities_of(found, at_finding, edited, redactions)
        hidden = tuple((at_finding.origins[edit.start][0], at_finding.origins[edit.end - 1][1]) for edit in redactions)
        return Formatted(edited.words, entities, edited.origins, hidden, tuple(words))

    def _redactions(
        self,
        redactor: Redactor,
        words: Sequence[Word],
        found: Sequence[Finding],
        language: str,
        channel_index: int,
        *,
        interim: bool,
    ) -> list[Edit]:
        before: tuple[Word, ...] = ()
        if self._before is not None:
            before = self._before.words(channel_index)
            found = (
                self._before.findings(words, channel_index, lambda heard: _findings(heard, language)) if before else found
            )
            if not interim:
                self._before.keep(words, channel_index)
        return redactor.edits(words, found, interim=interim, channel_index=channel_index, before=before)

    def _written(self, edited: Edited, redactions: Iterable[Edit], found: Sequence[Finding], language: str) -> Edited:
        edits = list(redactions)
        if self._options.smart_format:
            edits += smart_edits(found, edited.words)
        elif self._options.numerals:
            edits += _by_language(numeral_edits, edited.words, language)
        edited = edited.apply(edits)
        if self._options.measurements:
            edited = edited.apply(_by_language(measurement_edits, edited.words, language))
        return edited

    def search(self, formatted: Formatted, language: str) -> tuple[SearchResult, ...]:
        """The phrases asked for, in what ``format`` has returned; empty if none were asked for.

        They are looked up as displayed and as heard: "twenty five dollars" is found where "$25" is displayed.
        """
        queries, punctuated = self._options.search, self._options.punctuate
        if not queries:
            return ()
        results = find_phrases(formatted.words, queries, language, punctuated=punctuated)
        if formatted.heard == formatted.words:
            return results
        heard = list(formatted.heard)
        for start, end in formatted.redacted:
            heard[start:end] = [replace(word, text=REDACTED, bare=REDACTED) for word in heard[start:end]]
        as_heard = find_phrases(heard, queries, language, punctuated=punctuated, shown=formatted.shown)
        return merge_results(results, as_heard)

    def format_channel(self, channel: Channel) -> Channel:
        """A channel with all of this done. Each word stays in the segment that its first origin was in.

        A segment that changed has the text of its words, one that is redacted loses its tokens, one without words goes.
        """
        formatted = self.format(channel.words, channel.language)
        return replace(
            channel,
            segments=tuple(_divided(channel.segments, formatted, word_space(channel.language))),
            entities=formatted.entities,
            search=self.search(formatted, channel.language),
        )


def _is_asked(options: TextOptions) -> bool:
    """Whether anything but fillers, search and what dialects see to when they render words has to be done."""
    return bool(
        options.smart_format
        or options.numerals
        or options.measurements
        or options.dictation
        or options.profanity_filter
        or options.redact
        or options.replace
        or options.detect_entities
    )


def _divided(segments: Sequence[Segment], formatted: Formatted, space: str) -> Iterator[Segment]:
    starts = [start for start, _ in formatted.origins]
    hidden_ends = [end for _, end in formatted.redacted]
    taken = begin = 0
    for segment in segments:
        end = begin + len(segment.words)
        upto = bisect_right(starts, end - 1, lo=taken)
        words = formatted.words[taken:upto]
        nearest = bisect_right(hidden_ends, begin)
        is_redacted = nearest < len(hidden_ends) and formatted.redacted[nearest][0] < end
        taken, begin = upto, end
        if words == segment.words:
            yield segment
        elif words:
            yield replace(
                segment,
                text=space.join(word.text for word in words),
                words=words,
                end_s=max(segment.end_s, words[-1].end_s),
                tokens=() if is_redacted else segment.tokens,
                scores=() if is_redacted else segment.scores,
            )


def _findings(words: Sequence[Word], language: str) -> list[Finding]:
    return [
        replace(finding, start=finding.start + offset, end=finding.end + offset)
        for offset, part, spoken in _parts(words, language)
        for finding in find(part, spoken)
    ]


def _by_language(edits_of: EditsOf, words: Sequence[Word], language: str) -> list[Edit]:
    return [
        Edit(edit.start + offset, edit.end + offset, edit.words)
        for offset, part, spoken in _parts(words, language)
        for edit in edits_of(part, spoken)
    ]


def _parts(words: Sequence[Word], language: str) -> Iterator[tuple[int, Sequence[Word], str]]:
    """The stretches of words in one language each, and where they begin."""
    offset = 0
    for spoken, group in groupby(words, key=lambda word: word.language or language):
        part = tuple(group)
        yield offset, part, spoken
        offset += len(part)
