"""Forms as the SDKs write them -> what is asked for; the answers to what cannot be read are in tests/api."""

from __future__ import annotations

import pytest

from app.dialects.openai_form import Form
from app.dialects.openai_options import MAX_KEYWORDS, MAX_PROMPT_CHARACTERS, parse_transcription, parse_translation
from app.domain.chunking import ChunkingOptions
from app.domain.errors import InvalidParameter, UnsupportedModel
from app.domain.options import Keyterm


def test_lists_are_read_in_every_spelling() -> None:
    form = Form([("a[]", "1"), ("a", " 2 "), ("a[0]", "3"), ("a[]", ""), ("a[key]", "other")])
    assert form.texts("a") == ("1", "2", "3")
    assert form.text("a[key]") == "other"


def test_of_single_values_the_last_counts_and_empty_ones_are_absent() -> None:
    form = Form([("a", "1"), ("a", "2"), ("b", "  ")])
    assert (form.text("a"), form.text("b"), form.text("c")) == ("2", None, None)


def test_nothing_given_is_json_in_a_language_to_be_detected() -> None:
    asked = parse_transcription([])
    assert (asked.response_format, asked.stream, asked.logprobs, asked.name) == ("json", False, False, "")
    assert (asked.options.model, asked.options.detect_language, asked.options.scores) == (None, True, False)
    assert asked.options.text.filler_words
    assert asked.options.chunking is None


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("gpt-4o-transcribe", None),
        ("gpt-transcribe", None),
        ("GPT-4o-mini-transcribe-2025-12-15", None),
        ("", None),
        ("whisper-1", "whisper-1"),
        ("openai/whisper-large-v3", "openai/whisper-large-v3"),
        ("Systran/faster-whisper-small", "Systran/faster-whisper-small"),
        ("distil-whisper/distil-large-v3", "distil-whisper/distil-large-v3"),
        ("large", "large"),
        ("turbo", "turbo"),
    ],
)
def test_what_runs_at_openai_only_is_the_default_model(name: str, wanted: str | None) -> None:
    asked = parse_transcription([("model", name)])
    assert (asked.options.model, asked.name) == (wanted, name.lower())


@pytest.mark.parametrize(("tag", "code"), [("en", "en"), ("de-AT", "de"), ("PT", "pt"), ("auto", None), ("", None)])
def test_languages(tag: str, code: str | None) -> None:
    options = parse_transcription([("language", tag)]).options
    assert (options.detect_language, options.language) == (code is None, code or "en")


def test_languages_to_choose_from_count_only_where_none_is_given() -> None:
    several = [("languages[]", "de"), ("languages[]", "fr-CA")]
    assert parse_transcription(several).options.detect_among == ("de", "fr")
    assert parse_transcription([*several, ("language", "en")]).options.detect_among == ()


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(UnsupportedModel) as refused:
        parse_transcription([("languages[]", "tlh")])
    assert refused.value.parameter == "language"


def test_scores_are_asked_for_only_where_they_are_shown() -> None:
    assert parse_transcription([("response_format", "verbose_json")]).options.scores
    assert parse_transcription([("include[]", "logprobs")]).options.scores
    assert not parse_transcription([("response_format", "diarized_json")]).options.scores


@pytest.mark.parametrize(
    ("model", "granularities", "is_read"),
    [
        ("gpt-4o-transcribe", ["segment"], True),
        ("GPT-4o-mini-transcribe", ["segment"], True),
        ("gpt-4o-transcribe", ["word"], False),
        ("gpt-4o-transcribe", ["segment", "word"], False),
        ("whisper-1", ["segment"], False),
    ],
)
def test_the_default_granularity_may_be_spelt_out_beside_a_gpt_model(
    model: str, granularities: list[str], is_read: bool
) -> None:
    fields = [("model", model), *(("timestamp_granularities[]", name) for name in granularities)]
    if is_read:
        assert parse_transcription(fields).response_format == "json"
        return
    with pytest.raises(InvalidParameter) as refused:
        parse_transcription(fields)
    assert refused.value.parameter == "timestamp_granularities"


def test_of_a_long_prompt_the_end_counts() -> None:
    prompt = parse_transcription([("prompt", "old " * 500 + "new")]).options.prompt
    assert len(prompt) == MAX_PROMPT_CHARACTERS
    assert prompt.endswith("old new")


def test_keywords_are_terms_to_favour_up_to_a_number() -> None:
    assert parse_transcription([("keywords[]", "Nuuk"), ("keywords[]", "Nuuk")]).options.keyterms == (Keyterm("Nuuk"),)
    with pytest.raises(InvalidParameter):
        parse_transcription([("keywords[]", "x")] * (MAX_KEYWORDS + 1))


@pytest.mark.parametrize(
    "fields",
    [
        [
            (
                "chunking_strategy",
                '{"type": "server_vad", "threshold": 0.7, "prefix_padding_ms": 100, "silence_duration_ms": 450}',
            )
        ],
        [
            ("chunking_strategy[type]", "server_vad"),
            ("chunking_strategy[threshold]", "0.7"),
            ("chunking_strategy[prefix_padding_ms]", "100"),
            ("chunking_strategy[silence_duration_ms]", "450"),
        ],
    ],
)
def test_the_voice_detector_is_tuned_in_either_spelling(fields: list[tuple[str, str]]) -> None:
    chunking = parse_transcription(fields).options.chunking
    assert chunking is not None
    assert (chunking.on_probability, chunking.preroll_s, chunking.max_pause_s) == (0.7, 0.1, 0.45)
    assert chunking.off_probability == pytest.approx(0.55)


@pytest.mark.parametrize("value", ["auto", "null", ""])
def test_auto_is_how_recordings_are_cut_anyway(value: str) -> None:
    assert parse_transcription([("chunking_strategy", value)]).options.chunking is None


@pytest.mark.parametrize("name", ["threshold", "prefix_padding_ms", "silence_duration_ms"])
@pytest.mark.parametrize("value", ["0", "1"])
def test_the_extremes_of_the_detector_can_be_cut_by(name: str, value: str) -> None:
    fields = [("chunking_strategy[type]", "server_vad"), (f"chunking_strategy[{name}]", value)]
    assert isinstance(parse_transcription(fields).options.chunking, ChunkingOptions)


def test_a_translation_has_no_speakers() -> None:
    assert parse_translation([("language", "fr")]).options.translate
    with pytest.raises(InvalidParameter):
        parse_translation([("response_format", "diarized_json")])
