"""Words, sentences and utterances in Deepgram's JSON (contract 2.5, 2.6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from app.domain.languages import word_space
from app.domain.text.forms import bare_form
from app.domain.text.utterances import Paragraph, split_paragraphs, split_utterances
from app.domain.transcript import Word

Json = dict[str, Any]


class WordRenderer:
    """Renders the words of one channel: ``punctuated`` decides the form, ``language`` the spaces between words.

    ``tag_language`` adds the language to each word.
    """

    def __init__(self, language: str, *, punctuated: bool, tag_language: bool = False) -> None:
        self._language = language
        self._punctuated = punctuated
        self._tag_language = tag_language
        self._space = word_space(language)

    def text(self, words: Sequence[Word]) -> str:
        """The words joined, in the form that was asked for."""
        return self._space.join(word.text if self._punctuated else bare_form(word.text) for word in words)

    def word(self, word: Word) -> Json:
        """One word object, keys in Deepgram's order."""
        rendered: Json = {
            "word": bare_form(word.text),
            "start": seconds(word.start_s),
            "end": seconds(word.end_s),
            "confidence": confidence(word.confidence),
        }
        if self._tag_language:
            rendered["language"] = word.language or self._language
        if self._punctuated:
            rendered["punctuated_word"] = word.text
        return rendered

    def paragraphs(self, words: Sequence[Word]) -> Json:
        """The ``paragraphs`` object; its transcript begins with a newline."""
        groups = split_paragraphs(words)
        texts = [" ".join(self.text(sentence) for sentence in group.sentences) for group in groups]
        return {"transcript": "\n" + "\n\n".join(texts), "paragraphs": [self._paragraph(group) for group in groups]}

    def _paragraph(self, group: Paragraph) -> Json:
        return {
            "sentences": [
                {"text": self.text(sentence), "start": seconds(sentence[0].start_s), "end": seconds(sentence[-1].end_s)}
                for sentence in group.sentences
            ],
            "num_words": len(group.words),
            "start": seconds(group.words[0].start_s),
            "end": seconds(group.words[-1].end_s),
        }

    def utterances(self, words: Sequence[Word], channel_index: int, gap_s: float) -> list[Json]:
        """The utterances of one channel, in order."""
        return [
            {
                "start": seconds(group[0].start_s),
                "end": seconds(group[-1].end_s),
                "confidence": confidence(sum(word.confidence for word in group) / len(group)),
                "channel": channel_index,
                "transcript": self.text(group),
                "words": [self.word(word) for word in group],
                "id": str(uuid4()),
            }
            for group in split_utterances(words, gap_s)
        ]


def spoken_languages(words: Sequence[Word], language: str) -> list[str]:
    """Codes by number of words, most first; ``language`` is that of words which name none."""
    return [code for code, _ in Counter(word.language or language for word in words).most_common()]


def median_confidence(words: Sequence[Word]) -> float:
    """The upper median of the words' confidences; 0.0 without words (contract 2.5)."""
    ordered = sorted(word.confidence for word in words)
    return confidence(ordered[len(ordered) // 2]) if ordered else 0.0


def seconds(value: float) -> float:
    """Seconds as a JSON float, to the millisecond."""
    return round(float(value), 3)


def confidence(value: float) -> float:
    """A probability as a JSON float of at most eight digits."""
    return round(float(value), 8)
