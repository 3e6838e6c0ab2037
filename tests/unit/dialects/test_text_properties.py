"""For any words and any options: what is rendered is what the words say, in order, and nothing that is redacted shows."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dialects.deepgram_rest import RequestFacts, render_response
from app.dialects.deepgram_stream import StreamFacts, StreamRenderer
from app.dialects.subtitles import render_srt, render_text, render_vtt
from app.domain.languages import word_space
from app.domain.options import Replacement, TextOptions, TranscribeOptions
from app.domain.stream.events import Results
from app.domain.text.cues import CueLimits
from app.domain.text.formatter import Formatter
from app.domain.transcript import Channel, Segment, Transcript, Word
from tests.support.transcripts import MODEL

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)
DURATION_S = 600.0

SPOKEN = [
    "four", "two", "seven", "one", "oh", "double", "twenty", "hundred", "thousand", "and", "point", "dash", "4111",
    "1111", "42", "555-123-4567", "$15.50", "15,000", "50%", "8:37", "p.m.", "november", "second", "dollars",
    "cents", "percent", "kilograms", "years", "old", "my", "phone", "number", "is", "card", "account", "social",
    "security", "street", "main", "john", "dot", "smith", "at", "gmail", "com", "www.example.com",
    "john@example.com", "period", "comma", "new", "line", "paragraph", "question", "mark", "um", "uh", "Um,",
    "damn", "shit", "Hello", "world.", "hello?", "\u201cWell,\u201d", "\u2026", "-", "\xbfQu\xe9?", "\u4f60\u597d",
    "caf\xe9", "\U0001f600", "<", "&", ">", "i'll",
]  # fmt: skip

word_texts = st.one_of(
    st.sampled_from(SPOKEN), st.text(min_size=1, max_size=8).filter(lambda text: not set(text) & set(" \n\r\t"))
)


@st.composite
def spoken_words(draw: st.DrawFn) -> tuple[Word, ...]:
    made, now_s = [], 0.0
    for text in draw(st.lists(word_texts, max_size=25)):
        start_s = now_s + draw(st.sampled_from([0.0, 0.0, 0.1, 1.0, 3.0]))
        now_s = start_s + draw(st.sampled_from([0.0, 0.2, 0.5]))
        speaker = draw(st.sampled_from([None, 0, 1]))
        made.append(Word(text, start_s, now_s, draw(st.sampled_from([0.1, 0.5, 1.0])), speaker=speaker))
    return tuple(made)


REDACT = st.lists(
    st.sampled_from(["numbers", "aggressive_numbers", "pci", "pii", "ssn", "money", "email_address", "name", "date"]),
    max_size=3, unique=True,
).map(tuple)  # fmt: skip

text_options = st.builds(
    TextOptions,
    punctuate=st.booleans(),
    filler_words=st.booleans(),
    paragraphs=st.booleans(),
    utterances=st.booleans(),
    smart_format=st.booleans(),
    numerals=st.booleans(),
    measurements=st.booleans(),
    dictation=st.booleans(),
    profanity_filter=st.booleans(),
    redact=REDACT,
    replace=st.lists(
        st.sampled_from([Replacement("hello", "hi there"), Replacement("world"), Replacement("My", "X")]),
        max_size=3,
    ).map(tuple),
    search=st.lists(st.sampled_from(["phone number", "hello", "zzz"]), max_size=2).map(tuple),
    detect_entities=st.booleans(),
)  # fmt: skip


def in_segments(spoken: tuple[Word, ...]) -> tuple[Segment, ...]:
    parts = [spoken[start : start + 7] for start in range(0, len(spoken), 7)]
    return tuple(
        Segment(" ".join(word.text for word in part), part[0].start_s, part[-1].end_s, part, (1, 2), -0.1) for part in parts
    )


def body_of(channel: Channel, text: TextOptions) -> dict[str, Any]:
    facts = RequestFacts("2479c8c8-8185-40ac-9ac6-f0874419f793", NOW, "ab" * 32)
    body: dict[str, Any] = orjson.loads(
        render_response(Transcript((channel,), DURATION_S, MODEL), TranscribeOptions(text=text), facts)
    )
    return body


def check_times(rendered: list[dict[str, Any]]) -> None:
    previous = 0.0
    for word in rendered:
        assert previous <= word["start"] <= word["end"] <= DURATION_S
        previous = word["start"]


@settings(max_examples=100, deadline=None)
@given(spoken_words(), text_options, st.sampled_from(["en", "en", "es", "de", "zh"]))
def test_the_transcript_is_the_joined_words_and_times_are_ordered_and_inside(
    spoken: tuple[Word, ...], text: TextOptions, language: str
) -> None:
    channel = Formatter(text).format_channel(Channel(in_segments(spoken), language))
    (rendered,) = body_of(channel, text)["results"]["channels"]
    (alternative,) = rendered["alternatives"]
    key = "punctuated_word" if text.punctuate else "word"
    assert alternative["transcript"] == word_space(language).join(word[key] for word in alternative["words"])
    check_times(alternative["words"])
    count = len(alternative["words"])
    for entity in alternative.get("entities", ()):
        assert 0 <= entity["start_word"] < entity["end_word"] <= count
        assert 0.0 <= entity["confidence"] <= 1.0
    for segment in channel.segments:
        assert segment.words
    if text.search:
        assert [found["query"] for found in rendered["search"]] == list(text.search)


@settings(max_examples=80, deadline=None)
@given(spoken_words(), text_options, st.booleans())
def test_live_results_obey_the_same_rules(spoken: tuple[Word, ...], text: TextOptions, is_final: bool) -> None:
    renderer = StreamRenderer(StreamFacts("id", MODEL, NOW), text, "en")
    message = json.loads(str(renderer.render(Results(0, 1, 0, int(DURATION_S * 16_000), spoken, is_final), "")))
    (alternative,) = message["channel"]["alternatives"]
    key = "punctuated_word" if text.punctuate else "word"
    assert alternative["transcript"] == " ".join(word[key] for word in alternative["words"])
    check_times(alternative["words"])
    assert ("entities" in message) == (text.detect_entities and is_final)
    assert ("search" in message["channel"]) == bool(text.search)


SECRETS = {
    "numbers": ("four two seven one", "4271", "four, two, seven, one", "forty two seventy one"),
    "aggressive_numbers": ("seven", "7", "seventeen"),
    "pci": ("four one one one one one one one one one one one one one one one", "4111 1111 1111 1111"),
    "ssn": ("one two three four five six seven eight nine", "123-45-6789"),
    "money": ("fifteen dollars and fifty cents", "$15.50"),
    "email_address": ("john dot smith at gmail dot com", "john.smith@gmail.com"),
    "phone_number": ("five five five one two three four five six seven", "555-123-4567"),
    "date": ("november second twenty twenty two", "November 2nd, 2022"),
}  # fmt: skip
AROUND = [
    "it", "is", "her", "and", "so", "well", "then", "quite", "um", "Hello", "world.", "the", "really,", "you",
    "know", "please", "thanks", "damn",
]  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(st.data(), text_options, st.sampled_from(sorted(SECRETS)))
def test_redacted_text_occurs_nowhere(data: st.DataObject, text: TextOptions, rule: str) -> None:
    before, after = (data.draw(st.lists(st.sampled_from(AROUND), max_size=6)) for _ in range(2))
    secret = data.draw(st.sampled_from(SECRETS[rule]))
    texts = [*before, *secret.split(), *after]
    spoken = tuple(Word(said, index * 0.5, index * 0.5 + 0.5, 0.9) for index, said in enumerate(texts))
    asked = replace(text, redact=(*text.redact, rule), replace=(), dictation=False)
    channel = Formatter(asked).format_channel(Channel(in_segments(spoken), "en"))
    transcript = Transcript((channel,), DURATION_S, MODEL)
    body = body_of(channel, replace(asked, paragraphs=True, utterances=True, detect_entities=True))
    body["metadata"].clear()
    pages = [json.dumps(_texts(body)), render_srt(transcript, CueLimits()), render_vtt(transcript, CueLimits())]
    pages += [render_text(transcript), " ".join(segment.text for segment in channel.segments)]
    renderer = StreamRenderer(StreamFacts("id", MODEL, NOW), asked, "en")
    for is_final in (False, True):
        message = json.loads(str(renderer.render(Results(0, 1, 0, int(DURATION_S * 16_000), spoken, is_final), "")))
        pages.append(json.dumps(_texts(message["channel"])) + json.dumps(_texts(message.get("entities", []))))
    for part in secret.lower().split():
        for page in pages:
            assert part.strip(",") not in _words(page), (asked, texts, page)


def _texts(value: Any) -> list[str]:
    """All strings in JSON, but for ids and what the client asked for."""
    if isinstance(value, dict):
        return [text for key, item in value.items() if key not in {"id", "query"} for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def _words(page: str) -> set[str]:
    """The words of a page without the time lines of captions."""
    lines = [line for line in page.splitlines() if "-->" not in line and not line.strip().isdigit()]
    return {word.strip(".,?!\"'[]()") for word in re.split(r'[\s"\\]+', "\n".join(lines).lower())} - {"it", "and", "at"}
