"""Deepgram's query parameters of ``/v1/listen``, and what becomes of each: the one source of parser, docs and tests.

Names and meanings are those of the contract, sections 2.2 and 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Support(str, Enum):
    """What the server does with a parameter."""

    SUPPORTED = "supported"
    PARTLY = "partly"
    CONFIGURED = "where configured"
    """Works once the operator has set up what it needs; until then a use is reported in ``metadata.warnings``."""
    IGNORED = "ignored"
    """No effect by its nature (old names, billing, training); accepted without a word."""
    REFUSED = "refused"
    """A 400."""


class Kind(str, Enum):
    """How a value is written."""

    BOOL = "boolean"
    INT = "integer"
    FLOAT = "number"
    TEXT = "string"
    CHOICE = "boolean or string"
    """Off when absent, empty or ``false``; anything else is a use."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of ``/v1/listen``. ``support`` holds for recordings, and for live streams too unless ``live`` differs.

    ``ours``: not Deepgram's but this server's own.
    """

    name: str
    kind: Kind
    support: Support
    note: str
    live: Support | None = None
    repeatable: bool = False
    ours: bool = False


_YES, _PARTLY = Support.SUPPORTED, Support.PARTLY
_IGNORE, _REFUSE, _CONFIGURED = Support.IGNORED, Support.REFUSED, Support.CONFIGURED
_BOOL, _INT, _FLOAT, _TEXT, _CHOICE = Kind.BOOL, Kind.INT, Kind.FLOAT, Kind.TEXT, Kind.CHOICE

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("model", _TEXT, _YES, "Deepgram's names and `whisper-*` map to local models; so do catalogue names."),
    Parameter("version", _TEXT, _IGNORE, "A local model has one version."),
    Parameter("tier", _TEXT, _IGNORE, "Deprecated at Deepgram."),
    Parameter(
        "language", _TEXT, _YES, "BCP-47; English when absent; `multi` detects it for each phrase and names it at each word."
    ),
    Parameter("language_hint", _TEXT, _YES, "The languages that `multi` chooses from.", repeatable=True),
    Parameter("detect_language", _CHOICE, _YES, "`true`, or the codes to choose from.", live=_IGNORE, repeatable=True),
    Parameter("encoding", _TEXT, _YES, "For headerless audio; a recognised container wins."),
    Parameter("sample_rate", _INT, _YES, "Hertz, with `encoding`."),
    Parameter("channels", _INT, _YES, "Interleaved channels of headerless audio."),
    Parameter("multichannel", _BOOL, _YES, "Each channel transcribed apart, at most 20."),
    Parameter("mip_opt_out", _BOOL, _IGNORE, "Nothing is ever used for training."),
    Parameter("punctuate", _BOOL, _YES, "Off: lower case without punctuation."),
    Parameter(
        "smart_format",
        _BOOL,
        _YES,
        "Implies `punctuate` and, for recordings, `paragraphs`; English in full, other languages numbers.",
    ),
    Parameter("numerals", _BOOL, _YES, "Spoken numbers become digits; live, `Configure` switches it."),
    Parameter("paragraphs", _BOOL, _YES, "Implies `punctuate`.", live=_IGNORE),
    Parameter("utterances", _BOOL, _YES, "Adds `results.utterances`.", live=_IGNORE),
    Parameter("utt_split", _FLOAT, _YES, "Seconds of silence that split utterances, 0.8 when absent.", live=_IGNORE),
    Parameter("filler_words", _BOOL, _YES, "Off: `uh` and `um` are removed."),
    Parameter("profanity_filter", _BOOL, _YES, "Asterisks of equal length, in the 24 languages that have a word list."),
    Parameter("measurements", _BOOL, _YES, "Spoken units become `mg`, `kg`, `ml`, `km` and the like.", live=_IGNORE),
    Parameter("dictation", _BOOL, _YES, "With `punctuate`, English: spoken marks become marks."),
    Parameter(
        "redact",
        _CHOICE,
        _PARTLY,
        "Digits, numbered entities and addresses; names and whatever needs knowledge of the world stay, with a warning.",
        repeatable=True,
    ),
    Parameter("replace", _TEXT, _YES, "`find:replacement`, or `find` to delete; at most 200.", repeatable=True),
    Parameter("keyterm", _TEXT, _YES, "Wins where it is nearly as probable; 500 tokens in all.", repeatable=True),
    Parameter("keywords", _TEXT, _YES, "`word:intensifier`; below 0 it is heard less; at most 100.", repeatable=True),
    Parameter("search", _TEXT, _YES, "Compared by letters, where Deepgram compares sounds; at most 25.", repeatable=True),
    Parameter("diarize", _BOOL, _YES, "`docs/speakers.md` has the error; `multichannel` tells tracks apart without any."),
    Parameter("diarize_model", _TEXT, _YES, "`latest`, `v1`, `v2`: this server's own; with `diarize` it is a 400."),
    Parameter("diarize_version", _TEXT, _IGNORE, "Old."),
    Parameter("detect_entities", _BOOL, _PARTLY, "What has a form: numbers, dates, money, addresses; no names or places."),
    Parameter(
        "summarize",
        _TEXT,
        _CONFIGURED,
        "Needs a language model (`WHISPERAPI_INTELLIGENCE_URL`), as do the rows below. `v2`: one summary, English only; "
        "`true`: one for each part of a channel.",
        live=_IGNORE,
    ),
    Parameter("topics", _BOOL, _CONFIGURED, "Any language. Words are counted in their channel.", live=_IGNORE),
    Parameter("custom_topic", _TEXT, _CONFIGURED, "With `topics`; at most 100.", live=_IGNORE, repeatable=True),
    Parameter("custom_topic_mode", _TEXT, _CONFIGURED, "`extended` or `strict`.", live=_IGNORE),
    Parameter("detect_topics", _BOOL, _CONFIGURED, "Old: the topics at each alternative.", live=_IGNORE),
    Parameter("intents", _BOOL, _CONFIGURED, "Any language. Words are counted in their channel.", live=_IGNORE),
    Parameter("custom_intent", _TEXT, _CONFIGURED, "With `intents`; at most 100.", live=_IGNORE, repeatable=True),
    Parameter("custom_intent_mode", _TEXT, _CONFIGURED, "`extended` or `strict`.", live=_IGNORE),
    Parameter("sentiment", _BOOL, _CONFIGURED, "Any language; also at words, sentences, utterances.", live=_IGNORE),
    Parameter("callback", _TEXT, _YES, "The answer is sent there, `http(s)` only; live: each message, or `ws(s)`."),
    Parameter("callback_method", _TEXT, _YES, "`POST` or `PUT`, in any case."),
    Parameter("extra", _TEXT, _YES, "`key:value`, echoed; at most 2048 characters.", repeatable=True),
    Parameter("tag", _TEXT, _YES, "Labels for usage; recordings repeat them. At most 128 characters.", repeatable=True),
    Parameter("alternatives", _TEXT, _IGNORE, "There is always one."),
    Parameter("ner", _TEXT, _IGNORE, "Old name."),
    Parameter("no_delay", _TEXT, _IGNORE, "Nothing is ever held back."),
    Parameter("interim_results", _TEXT, _IGNORE, "Live: what is heard so far, about every second or sooner.", live=_YES),
    Parameter(
        "endpointing",
        _TEXT,
        _IGNORE,
        "Live: milliseconds of silence that end a segment, at least 200; `false`: never.",
        live=_YES,
    ),
    Parameter(
        "utterance_end_ms", _TEXT, _IGNORE, "Live: gap after a word that sends `UtteranceEnd`, at least 1000.", live=_YES
    ),
    Parameter("vad_events", _TEXT, _IGNORE, "Live: sends `SpeechStarted`.", live=_YES),
    Parameter("translate", _BOOL, _YES, "Speech in any language becomes English text.", ours=True),
    Parameter("prompt", _TEXT, _YES, "Text the model is conditioned on: names, spelling, style.", ours=True),
    Parameter(
        "start",
        _FLOAT,
        _YES,
        "Seconds into the recording at which recognition begins; times stay those of the recording.",
        live=_IGNORE,
        ours=True,
    ),
    Parameter("duration", _FLOAT, _YES, "Seconds recognised from `start` on.", live=_IGNORE, ours=True),
    Parameter("temperature", _FLOAT, _YES, "0 to 1; interims of live streams stay at 0.", ours=True),
    Parameter("beam_size", _INT, _YES, "1 to 8 beams; interims of live streams take 1.", ours=True),
    Parameter("best_of", _INT, _YES, "1 to 8 candidates at a temperature above 0.", ours=True),
    Parameter(
        "response_format", _TEXT, _YES, "`json`, or captions and plain text: `srt`, `vtt`, `text`.", live=_IGNORE, ours=True
    ),
    Parameter("caption_line_length", _INT, _YES, "Columns of a caption's line, 42 when absent.", live=_IGNORE, ours=True),
    Parameter("caption_lines", _INT, _YES, "Lines of a caption, 1 to 4; 2 when absent.", live=_IGNORE, ours=True),
    Parameter("caption_duration", _FLOAT, _YES, "Most seconds a caption stands, 7 when absent.", live=_IGNORE, ours=True),
)

BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}
