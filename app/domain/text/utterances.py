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
    """Sentences that belong together. Neither it nor a sentence is ever empty."""

    sentences: tuple[tuple[Word, ...], ...]

    @property
    def words(self) -> tuple[Word, ...]:
        """All words, in order."""
        return tuple(word for sentence in self.sentences for word in sentence)


def split_utterances(words: Sequence[Word], gap_s: float) -> list[tuple[Word, ...]]:
    """Split where the silence between two words is longer than ``gap_s`` seconds."""
    utterances: list[list[Word]] = []
    for word in words:
        if utterances and word.start_s - utterances[-1][-1].end_s <= gap_s:
            utterances[-1].append(word)
        else:
            utterances.append([word])
    return [tuple(utterance) for utterance in utterances]


def split_sentences(words: Sequence[Word]) -> list[tuple[Word, ...]]:
    """Split after every word that closes a sentence; words after the last such word form a sentence too."""
    sentences: list[list[Word]] = []
    open_sentence = False
    for word in words:
        if open_sentence:
            sentences[-1].append(word)
        else:
            sentences.append([word])
        open_sentence = not ends_sentence(word.text)
    return [tuple(sentence) for sentence in sentences]


def split_paragraphs(words: Sequence[Word]) -> list[Paragraph]:
    """Group sentences: a long pause between two, or enough of them, closes a paragraph."""
    groups: list[list[tuple[Word, ...]]] = []
    for sentence in split_sentences(words):
        is_open = groups and len(groups[-1]) < PARAGRAPH_SENTENCES
        if is_open and sentence[0].start_s - groups[-1][-1][-1].end_s < PARAGRAPH_GAP_S:
            groups[-1].append(sentence)
        else:
            groups.append([sentence])
    return [Paragraph(tuple(group)) for group in groups]
