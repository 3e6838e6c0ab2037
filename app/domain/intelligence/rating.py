"""The sentiment of passages, written to their words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.domain.intelligence.findings import RatedPassage
from app.domain.transcript import Channel


def rate_words(channel: Channel, channel_index: int, rated: Sequence[RatedPassage]) -> Channel:
    """The channel, each word with the sentiment of the passage that it stands in."""
    scores = {
        index: item.score
        for item in rated
        if item.passage.channel_index == channel_index
        for index in range(item.passage.start, item.passage.end)
    }
    segments = []
    counted = 0
    for segment in channel.segments:
        words = tuple(replace(word, sentiment_score=scores.get(i)) for i, word in enumerate(segment.words, counted))
        counted += len(words)
        segments.append(replace(segment, words=words))
    return replace(channel, segments=tuple(segments))
