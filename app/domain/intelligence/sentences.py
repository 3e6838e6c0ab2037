"""A channel's words as numbered sentences, and sentences gathered into pieces that a small model can take in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.domain.intelligence.findings import Passage
from app.domain.languages import word_space
from app.domain.text.forms import ends_sentence
from app.domain.transcript import Channel, Word

SENTENCE_WORDS = 60
"""Words after which a sentence is closed though nothing ended it: some models write no full stops."""

PIECE_BYTES = 6000
"""UTF-8 bytes of text in one question, about 1500 tokens of English and 2000 of Chinese. With instructions and answer that
fits into 4096 tokens, which is what local servers allow when nobody has told them otherwise."""

PIECE_SENTENCES = 40
"""Sentences in one question: small models lose count of more."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of one speaker. ``start_s``: when it began, in seconds."""

    passage: Passage
    start_s: float
    speaker: int | None


Piece = tuple[Sentence, ...]


def split_channel(channel: Channel, channel_index: int) -> list[Sentence]:
    """Sentences of a channel, in order: all its words, each in one."""
    words = channel.words
    sentences: list[Sentence] = []
    begin = 0
    for end in range(1, len(words) + 1):
        if end == len(words) or _closes(words, begin, end):
            text = word_space(channel.language).join(word.text for word in words[begin:end])
            passage = Passage(channel_index, begin, end, text)
            sentences.append(Sentence(passage, words[begin].start_s, words[begin].speaker))
            begin = end
    return sentences


def pack(sentences: Iterable[Sentence], *, mixed: bool = False) -> list[Piece]:
    """Pieces of sentences that follow each other, none too long for one question; of one channel each unless ``mixed``."""
    pieces: list[list[Sentence]] = []
    size = 0
    for sentence in sentences:
        length = len(sentence.passage.text.encode())
        is_room = pieces and size + length <= PIECE_BYTES and len(pieces[-1]) < PIECE_SENTENCES
        if is_room and (mixed or pieces[-1][-1].passage.channel_index == sentence.passage.channel_index):
            pieces[-1].append(sentence)
            size += length
        else:
            pieces.append([sentence])
            size = length
    return [tuple(piece) for piece in pieces]


def pack_texts(texts: Sequence[str]) -> list[tuple[str, ...]]:
    """Texts gathered for one question each. All but the last hold two at least, so that packing again comes to an end."""
    packed: list[list[str]] = []
    size = 0
    for text in texts:
        length = len(text.encode())
        if packed and (size + length <= PIECE_BYTES or len(packed[-1]) < 2):
            packed[-1].append(text)
            size += length
        else:
            packed.append([text])
            size = length
    return [tuple(group) for group in packed]


def joined(sentences: Sequence[Sentence], channel: Channel) -> Passage:
    """The passage from the first to the last of ``sentences``, which follow each other in ``channel``."""
    first, last = sentences[0].passage, sentences[-1].passage
    text = word_space(channel.language).join(word.text for word in channel.words[first.start : last.end])
    return Passage(first.channel_index, first.start, last.end, text)


def _closes(words: Sequence[Word], begin: int, end: int) -> bool:
    return (
        ends_sentence(words[end - 1].text) or end - begin >= SENTENCE_WORDS or words[end].speaker != words[end - 1].speaker
    )
