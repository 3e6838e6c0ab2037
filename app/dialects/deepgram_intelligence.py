"""Deepgram's audio intelligence: its parameters (contract 2.2) and its results (2.5, 2.6; ``end_word`` is the last one)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from app.dialects.deepgram_query import Query
from app.domain.errors import InvalidParameter, InvalidRequest
from app.domain.intelligence.findings import Findings, LabelledPassage, Mood, Passage
from app.domain.intelligence.options import Asked, Feature, IntelligenceOptions, LabelChoice
from app.domain.transcript import Word

Json = dict[str, Any]

MAX_CUSTOM_LABELS = 100
NOT_ENGLISH = "Summarization v2 not supported for non-English languages"

_FLAGS = {
    "topics": Feature.TOPICS,
    "detect_topics": Feature.CHANNEL_TOPICS,
    "intents": Feature.INTENTS,
    "sentiment": Feature.SENTIMENT,
}
_INFO_KEYS = {
    Feature.SUMMARY: "summary_info",
    Feature.PART_SUMMARIES: "summary_info",
    Feature.TOPICS: "topics_info",
    Feature.CHANNEL_TOPICS: "topics_info",
    Feature.INTENTS: "intents_info",
    Feature.SENTIMENT: "sentiment_info",
}
_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off")


def intelligence_options(query: Query, language: str | None) -> IntelligenceOptions:
    """What is asked for. ``language``: Whisper's code of what the text will be in, None where that is not known yet.

    Raises ``InvalidRequest`` for a summary of another language than English, as Deepgram does.
    """
    asked = [Asked(feature, name) for name, feature in _FLAGS.items() if query.flag(name)]
    summary = _summary(query)
    if summary is Feature.SUMMARY and language not in ("en", None):
        raise InvalidRequest(NOT_ENGLISH, parameter="summarize")
    if summary is not None:
        asked.insert(0, Asked(summary, "summarize"))
    return IntelligenceOptions(tuple(asked), _labels(query, "custom_topic"), _labels(query, "custom_intent"))


def _summary(query: Query) -> Feature | None:
    if "summarize" not in query:
        return None
    value = query.choice("summarize", ("v2", *_TRUE, *_FALSE), "true")
    if value == "v2":
        return Feature.SUMMARY
    return Feature.PART_SUMMARIES if value in _TRUE else None


def _labels(query: Query, name: str) -> LabelChoice:
    custom = tuple(dict.fromkeys(label.strip() for label in query.texts(name) if label.strip()))
    if len(custom) > MAX_CUSTOM_LABELS:
        raise InvalidParameter(f"{name}: at most {MAX_CUSTOM_LABELS} are accepted", parameter=name)
    mode = query.choice(f"{name}_mode", ("extended", "strict"), "extended")
    return LabelChoice(custom, strict=mode == "strict")


def results_entries(findings: Findings, options: IntelligenceOptions, channels: int) -> Json:
    """What joins ``results``: ``summary``, ``topics``, ``intents``, ``sentiments``."""
    entries: Json = {}
    if findings.summary is not None:
        entries["summary"] = {"result": "success", "short": findings.summary}
    elif findings.summary_failed:
        entries["summary"] = {"result": "failure"}
    if findings.topics is not None and options.wants(Feature.TOPICS):
        entries["topics"] = {"segments": _labelled(findings.topics, "topics", "topic", "confidence_score", channels)}
    if findings.intents is not None:
        entries["intents"] = {"segments": _labelled(findings.intents, "intents", "intent", "confidence_score", channels)}
    if findings.sentiments is not None:
        segments = [{**_passage(item.passage, channels), **sentiment(item.score)} for item in findings.sentiments]
        entries["sentiments"] = {"segments": segments, "average": sentiment(findings.average_score)}
    return entries


def alternative_entries(findings: Findings, options: IntelligenceOptions, channel_index: int) -> Json:
    """What joins an alternative: the older ``summaries`` and ``topics``."""
    entries: Json = {}
    if findings.part_summaries is not None:
        entries["summaries"] = [
            {"summary": item.summary, "start_word": item.passage.start, "end_word": item.passage.end - 1}
            for item in findings.part_summaries
            if item.passage.channel_index == channel_index
        ]
    if findings.topics is not None and options.wants(Feature.CHANNEL_TOPICS):
        own = [item for item in findings.topics if item.passage.channel_index == channel_index]
        entries["topics"] = _labelled(own, "topics", "topic", "confidence", 1)
    return entries


def metadata_entries(findings: Findings) -> Json:
    """What joins ``metadata``: the model behind each feature, and its tokens."""
    return {
        _INFO_KEYS[feature]: {
            "model_uuid": str(uuid5(NAMESPACE_URL, use.model)),
            "input_tokens": use.input_tokens,
            "output_tokens": use.output_tokens,
        }
        for feature, use in findings.uses
    }


def sentiment(score: float) -> Json:
    """A score and its word."""
    return {"sentiment": Mood.of(score).value, "sentiment_score": round(float(score), 8)}


def words_sentiment(words: Sequence[Word]) -> Json:
    """The mean sentiment of ``words``; nothing where they were not rated."""
    scores = [word.sentiment_score for word in words if word.sentiment_score is not None]
    return sentiment(sum(scores) / len(scores)) if scores else {}


def _labelled(found: Sequence[LabelledPassage], key: str, name: str, score: str, channels: int) -> list[Json]:
    return [
        {
            **_passage(item.passage, channels),
            key: [{name: label.text, score: round(float(label.confidence), 8)} for label in item.labels],
        }
        for item in found
    ]


def _passage(passage: Passage, channels: int) -> Json:
    """Words are counted in their channel, which is named where there are several."""
    rendered: Json = {"text": passage.text, "start_word": passage.start, "end_word": passage.end - 1}
    return rendered if channels == 1 else {**rendered, "channel": passage.channel_index}
