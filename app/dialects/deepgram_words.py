"""Words, sentences and utterances in Deepgram's JSON (contract 2.5, 2.6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from app.dialects.deepgram_intelligence import words_sentiment
from app.domain.languages import word_space
from app.domain.text.forms import bare_text
from app.domain.text.utterances import Paragraph, speaker_of, split_paragraphs, split_utterances
from app.domain.transcript import Entity, SearchResult, Word

Json = dict[str, Any]


class WordRenderer:
    """Renders the words of one channel: ``punctuated`` decides the form, ``language`` the spaces between words.

    ``tag_language`` adds the language to each word; ``live`` leaves out the confidence in its speaker (contract 3.4).
    """

    def __init__(self, language: str, *, punctuated: bool, tag_language: bool = False, live: bool = False) -> None:
        self._language = language
        self._punctuated = punctuated
        self._tag_language = tag_language
        self._live = live
        self._space = word_space(language)

    def text(self, words: Sequence[Word]) -> str:
        """The words joined, in the form that was asked for."""
        return self._space.join(word.text if self._punctuated else bare_text(word) for word in words)

    def word(self, word: Word) -> Json:
        """One word object, keys in Deepgram's order."""
        rendered: Json = {
            "word": bare_text(word),
            "start": seconds(word.start_s),
            "end": seconds(word.end_s),
            "confidence": confidence(word.confidence),
        }
        if self._tag_language:
            rendered["language"] = word.language or self._language
        if word.speaker is not None:
            rendered["speaker"] = word.speaker
            if word.speaker_confidence is not None and not self._live:
                rendered["speaker_confidence"] = confidence(word.speaker_confidence)
        if self._punctuated:
            rendered["punctuated_word"] = word.text
        return rendered | words_sentiment([word])

    def paragraphs(self, words: Sequence[Word]) -> Json:
        """The ``paragraphs`` object; its transcript begins with a newline and names each new speaker."""
        groups = split_paragraphs(words)
        texts: list[str] = []
        speaker: int | None = None
        for group in groups:
            is_new = group.speaker is not None and group.speaker != speaker
            speaker = group.speaker if is_new else speaker
            sentences = " ".join(self.text(sentence) for sentence in group.sentences)
            texts.append(f"Speaker {speaker}: {sentences}" if is_new else sentences)
        return {"transcript": "\n" + "\n\n".join(texts), "paragraphs": [self._paragraph(group) for group in groups]}

    def _paragraph(self, group: Paragraph) -> Json:
        return {
            "sentences": [
                {
                    "text": self.text(sentence),
                    "start": seconds(sentence[0].start_s),
                    "end": seconds(sentence[-1].end_s),
                    **words_sentiment(sentence),
                }
                for sentence in group.sentences
            ],
            **_speaker(group.speaker),
            "num_words": len(group.words),
            "start": seconds(group.words[0].start_s),
            "end": seconds(group.words[-1].end_s),
            **words_sentiment(group.words),
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
                **_speaker(speaker_of(group)),
                **words_sentiment(group),
                "id": str(uuid4()),
            }
            for group in split_utterances(words, gap_s)
        ]


def _speaker(speaker: int | None) -> Json:
    return {} if speaker is None else {"speaker": speaker}


def render_entities(entities: Sequence[Entity]) -> list[Json]:
    """The ``entities`` array."""
    return [
        {
            "label": entity.label,
            "value": entity.value,
            "raw_value": entity.raw_value,
            "confidence": confidence(entity.confidence),
            "start_word": entity.start,
            "end_word": entity.end,
        }
        for entity in entities
    ]


def render_search(results: Sequence[SearchResult]) -> list[Json]:
    """The ``search`` array: one entry for each phrase asked for, hits best first."""
    return [
        {
            "query": result.query,
            "hits": [
                {
                    "confidence": confidence(hit.confidence),
                    "start": seconds(hit.start_s),
                    "end": seconds(hit.end_s),
                    "snippet": hit.snippet,
                }
                for hit in result.hits
            ],
        }
        for result in results
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
