"""The record of requests in Deepgram's words (contract 4.5): questions by query, requests and sums as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any

import orjson

from app.dialects.deepgram_management import parse_moment
from app.dialects.deepgram_query import Query
from app.dialects.deepgram_rest import timestamp
from app.domain.errors import InvalidRequest
from app.domain.project import PROJECT_ID
from app.domain.usage import Method, UsageFilter, UsageRecord

Json = dict[str, Any]

MAX_LIMIT = 1000
DEFAULT_LIMIT = 10
MAX_PAGE = 1_000_000
DEFAULT_DAYS = 30
"""Days that sums cover when nothing is said."""

_YEARS = range(1970, 9999)

DEPLOYMENT = "self-hosted"
ENDPOINT = "listen"

FEATURES = {"keywords": "keyterm", "utterance_end_ms": "utterance_end"}
"""Deepgram's names of features that have another one in the record."""

FEATURE_FILTERS = (
    "detect_entities", "detect_language", "diarize", "dictation", "filler_words", "intents",
    "interim_results", "keyterm", "keywords", "measurements", "multichannel", "numerals", "paragraphs", "profanity_filter",
    "punctuate", "redact", "replace", "search", "sentiment", "smart_format", "summarize", "topics", "translate",
    "utterances", "utterance_end_ms", "vad_events",
)  # fmt: skip

GROUPINGS = ("accessor", "endpoint", "feature_set", "models", "method", "tags", "deployment")
BILLING_GROUPINGS = ("accessor", "deployment", "line_item", "tags")


@dataclass(frozen=True, slots=True)
class Page:
    """Which page of how many requests; ``nothing``: the question excludes everything this server does."""

    wanted: UsageFilter
    limit: int
    page: int
    nothing: bool = False


@dataclass(frozen=True, slots=True)
class SumsAsked:
    """Which requests are to be summed, and over which days: ``last`` is included."""

    wanted: UsageFilter
    first: date
    last: date
    model: str | None
    tag: str | None
    features: frozenset[str]
    grouping: str | None
    nothing: bool = False


@dataclass(frozen=True, slots=True)
class Total:
    """One line of sums: of the days ``first`` to ``last`` where it is about days; ``value`` is what it is grouped by."""

    first: str
    last: str
    requests: int
    audio_s: float
    channel_s: float
    value: str = ""


def parse_page(raw_query: bytes) -> Page:
    """The query of the list of requests. Raises ``InvalidParameter`` and ``InvalidRequest``."""
    query = Query.parse(raw_query)
    status = _one_of(query, "status", ("succeeded", "failed"))
    return Page(
        UsageFilter(
            start=_start(query),
            end=_end(query),
            key_id=query.text("accessor"),
            request_id=query.text("request_id"),
            method=_method(query),
            succeeded=None if status is None else status == "succeeded",
        ),
        limit=query.integer("limit", 1, MAX_LIMIT) or DEFAULT_LIMIT,
        page=query.integer("page", 0, MAX_PAGE) or 0,
        nothing=_excludes_everything(query),
    )


def parse_sums(raw_query: bytes, today: date, groupings: tuple[str, ...] = GROUPINGS) -> SumsAsked:
    """The query of sums; without dates they are about the last 30 days. Raises as ``parse_page`` does."""
    query = Query.parse(raw_query)
    end = _end(query)
    last = today if end is None else (end - timedelta(microseconds=1)).date()
    start = _start(query)
    first = last - timedelta(days=DEFAULT_DAYS) if start is None else start.date()
    if first > last:
        raise InvalidRequest("start: expected no later than end")
    wanted = UsageFilter(
        start=start or datetime(first.year, first.month, first.day, tzinfo=timezone.utc),
        end=end,
        key_id=query.text("accessor"),
        method=_method(query),
    )
    return SumsAsked(
        wanted,
        first,
        last,
        model=query.text("model"),
        tag=query.text("tag"),
        features=frozenset(FEATURES.get(name, name) for name in FEATURE_FILTERS if query.is_used(name)),
        grouping=_one_of(query, "grouping", groupings),
        nothing=_excludes_everything(query),
    )


def render_requests(records: Sequence[UsageRecord], page: Page) -> bytes:
    """One page of the list."""
    return orjson.dumps({"page": page.page, "limit": page.limit, "requests": [_request(record) for record in records]})


def render_request(record: UsageRecord) -> bytes:
    """One request, in the form that newer clients read and in the one that Python's up to 4 do."""
    request = _request(record)
    return orjson.dumps(request | {"request": request})


def render_usage(totals: Iterable[Total], asked: SumsAsked) -> bytes:
    """Sums by day."""
    results = [
        {"start": total.first, "end": total.last, **_hours(total), "tokens": {"in": 0, "out": 0}, "tts": _no_speech()}
        for total in totals
    ]
    return orjson.dumps(_period(asked) | {"results": results})


def render_breakdown(totals: Iterable[Total], asked: SumsAsked) -> bytes:
    """Sums by what they are grouped by."""
    nothing = {"agent_hours": 0, "tokens_in": 0, "tokens_out": 0, "tts_characters": 0}
    results = [_hours(total) | nothing | {"grouping": _grouping(total, asked.grouping)} for total in totals]
    return orjson.dumps(_period(asked) | {"results": results})


def render_billing(asked: SumsAsked) -> bytes:
    """Nothing is billed."""
    return orjson.dumps(_period(asked) | {"results": []})


def render_fields(
    tags: Sequence[str],
    models: Sequence[Mapping[str, str]],
    methods: Sequence[str],
    features: Sequence[str],
    languages: Sequence[str],
) -> bytes:
    """What occurs. A model has ``name``, ``language``, ``version`` and ``model_id``."""
    return orjson.dumps(
        {
            "tags": list(tags),
            "models": list(models),
            "processing_methods": list(methods),
            "features": list(features),
            "languages": list(languages),
        }
    )


def _start(query: Query) -> datetime | None:
    text = query.text("start")
    return None if text is None else _moment("start", text)


def _end(query: Query) -> datetime | None:
    """A day alone is meant with all its hours."""
    text = query.text("end")
    if text is None:
        return None
    moment = _moment("end", text)
    return moment + timedelta(days=1) if len(text.strip()) == len("2027-01-31") else moment


def _moment(name: str, text: str) -> datetime:
    """Years at the ends of the calendar are refused: there is no day before the first one, or after the last."""
    moment = parse_moment(name, text)
    if moment.year not in _YEARS:
        raise InvalidRequest(f"{name}: expected a year from {_YEARS.start} to {_YEARS.stop - 1}")
    return moment


def _one_of(query: Query, name: str, allowed: tuple[str, ...]) -> str | None:
    return None if query.text(name) is None else query.choice(name, allowed, allowed[0])


def _method(query: Query) -> Method | None:
    found = _one_of(query, "method", tuple(method.value for method in Method))
    return None if found is None else Method(found)


def _excludes_everything(query: Query) -> bool:
    """Whether only requests are wanted that this server never gets: of another deployment, or to speak."""
    deployment = _one_of(query, "deployment", ("hosted", "beta", DEPLOYMENT))
    endpoint = _one_of(query, "endpoint", (ENDPOINT, "read", "speak", "agent"))
    return deployment not in (None, DEPLOYMENT) or endpoint not in (None, ENDPOINT)


def _request(record: UsageRecord) -> Json:
    response: Json = {"details": _details(record)}
    rendered: Json = {
        "request_id": record.request_id,
        "project_uuid": PROJECT_ID,
        "created": timestamp(record.created),
        "path": record.path,
        "api_key_id": record.key_id,
        "deployment": DEPLOYMENT,
    }
    if record.code is not None:
        rendered["code"] = response["code"] = record.code
    if record.completed is not None:
        response["completed"] = timestamp(record.completed)
    return rendered | {"response": response}


def _details(record: UsageRecord) -> Json:
    total_s = record.audio_s * record.channels
    config: Json = {"model": record.model, "language": record.language} | dict.fromkeys(record.features, True)
    return {
        "usd": 0.0,
        "duration": round(record.audio_s, 3),
        "total_audio": round(total_s, 3),
        "channels": record.channels,
        "streams": int(record.method is Method.STREAMING),
        "method": record.method.value,
        "models": [record.model_uuid] if record.model_uuid else [],
        "tags": list(record.tags),
        "features": list(record.features),
        "config": config,
    }


def _period(asked: SumsAsked) -> Json:
    return {"start": asked.first.isoformat(), "end": asked.last.isoformat(), "resolution": {"units": "day", "amount": 1}}


def _hours(total: Total) -> Json:
    return {
        "hours": round(total.audio_s / 3600, 6),
        "total_hours": round(total.channel_s / 3600, 6),
        "requests": total.requests,
    }


def _no_speech() -> Json:
    return {"characters": 0, "requests": 0}


def _grouping(total: Total, grouping: str | None) -> Json:
    found: Json = {"start": total.first, "end": total.last} | dict.fromkeys(GROUPINGS)
    if grouping in ("models", "tags"):
        found[grouping] = [total.value] if total.value else []
    elif grouping is not None:
        found[grouping] = total.value or None
    return found
