"""Words gathered into utterances, sentences and paragraphs (contract 2.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.text.forms import ends_sentence
from app.domain.transcript import Word

PARAGRAPH_GAP_S = 2.0
"""Silence after a sentence, in seconds, that starts a new paragraph (contract 2.6)."""

PARAGRAPH_SENTENCES = 5
"""Sentences after which a paragraph is closed (contract 2.6)."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Sentences that belong together, of one speaker where speakers are known. Neither it nor a sentence is ever empty."""

    sentences: tuple[tuple[Word, ...], ...]

    @property
    def words(self) -> tuple[Word, ...]:
        """All words, in order."""
        return tuple(word for sentence in self.sentences for word in sentence)

    @property
    def speaker(self) -> int | None:
        """Who speaks, if that is known."""
        return speaker_of(self.words)


def speaker_of(words: Sequence[Word]) -> int | None:
    """The first known speaker of ``words``."""
    return next((word.speaker for word in words if word.speaker is not None), None)


def split_utterances(words: Sequence[Word], gap_s: float) -> list[tuple[Word, ...]]:
    """Split where the silence between two words is longer than ``gap_s`` seconds, and where the speaker changes."""
    utterances: list[list[Word]] = []
    for word in words:
        is_open = utterances and not _changes_speaker(utterances[-1][-1], word)
        if is_open and word.start_s - utterances[-1][-1].end_s <= gap_s:
            utterances[-1].append(word)
        else:
            utterances.append([word])
    return [tuple(utterance) for utterance in utterances]


def split_sentences(words: Sequence[Word]) -> list[tuple[Word, ...]]:
    """Split after every word that closes a sentence, and where the speaker changes."""
    sentences: list[list[Word]] = []
    open_sentence = False
    for word in words:
        if open_sentence and not _changes_speaker(sentences[-1][-1], word):
            sentences[-1].append(word)
        else:
            sentences.append([word])
        open_sentence = not ends_sentence(word.text)
    return [tuple(sentence) for sentence in sentences]


def split_paragraphs(words: Sequence[Word]) -> list[Paragraph]:
    """Group sentences: a long pause between two, another speaker, or enough of them, closes a paragraph."""
    groups: list[list[tuple[Word, ...]]] = []
    for sentence in split_sentences(words):
        is_open = groups and len(groups[-1]) < PARAGRAPH_SENTENCES and not _changes_speaker(groups[-1][-1][-1], sentence[0])
        if is_open and sentence[0].start_s - groups[-1][-1][-1].end_s < PARAGRAPH_GAP_S:
            groups[-1].append(sentence)
        else:
            groups.append([sentence])
    return [Paragraph(tuple(group)) for group in groups]


def _changes_speaker(before: Word, after: Word) -> bool:
    """A word whose speaker is not known goes with its neighbour."""
    return before.speaker is not None and after.speaker is not None and before.speaker != after.speaker
