"""The query of a live handshake: what is understood, what is refused, what is passed over (contract 2.2, 3.1, 3.2)."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote

import pytest

from app.dialects.deepgram_live import LiveRequest, parse_live
from app.domain.audio import AudioFormat
from app.domain.errors import InvalidParameter, InvalidRequest, SttError, UnsupportedModel
from app.domain.stream.options import StreamOptions

RAW = "encoding=linear16&sample_rate=16000"


def parse(query: str, max_channels: int = 20) -> LiveRequest:
    return parse_live(query.encode(), max_channels)


def test_without_parameters_a_container_in_english_is_expected() -> None:
    asked = parse("")
    assert asked.options.audio_format is None
    assert asked.options.language == "en"
    assert asked.options.model is None
    assert asked.options.stream == StreamOptions()
    assert not asked.options.text.punctuate
    assert not asked.options.text.filler_words


class TestAudio:
    @pytest.mark.parametrize(
        ("query", "declared"),
        [
            (RAW, AudioFormat("linear16", 16_000, 1)),
            ("encoding=LINEAR16&sample_rate=48000&channels=2", AudioFormat("linear16", 48_000, 2)),
            ("encoding=mulaw&sample_rate=8000", AudioFormat("mulaw", 8_000, 1)),
            ("encoding=opus&sample_rate=24000", AudioFormat("opus", 24_000, 1)),
            ("encoding=ogg-opus&sample_rate=48000", AudioFormat("ogg-opus", 48_000, 1)),
        ],
    )
    def test_headerless_audio_is_declared(self, query: str, declared: AudioFormat) -> None:
        assert parse(query).options.audio_format == declared

    @pytest.mark.parametrize(
        "query",
        [
            "encoding=linear16",
            "sample_rate=16000",
            "encoding=mulaw",
            "encoding=vorbis&sample_rate=16000",
            "encoding=linear16&sample_rate=0",
            "encoding=linear16&sample_rate=999",
            "encoding=linear16&sample_rate=fast",
            "encoding=linear16&sample_rate=16000.5",
            f"{RAW}&channels=0",
            f"{RAW}&channels=21",
            f"{RAW}&channels=stereo",
        ],
    )
    def test_half_a_declaration_or_a_wrong_one_is_refused(self, query: str) -> None:
        with pytest.raises(InvalidParameter):
            parse(query)

    def test_channels_are_read_only_with_an_encoding(self) -> None:
        assert parse("channels=2").options.audio_format is None

    def test_multichannel_keeps_declared_channels_apart(self) -> None:
        assert parse(f"{RAW}&channels=2&multichannel=true").options.stream.channels == 2
        assert parse(f"{RAW}&channels=2").options.stream.channels == 1

    def test_how_many_channels_a_container_has_is_not_known_yet(self) -> None:
        asked = parse("multichannel=true").options
        assert asked.multichannel
        assert asked.stream.channels == 1


class TestTiming:
    @pytest.mark.parametrize(
        ("query", "endpointing_s"),
        [
            ("", 0.01),
            ("endpointing=true", 0.01),
            ("endpointing=True", 0.01),
            ("endpointing", 0.01),
            ("endpointing=None", 0.01),
            ("endpointing=300", 0.3),
            ("endpointing=0", 0.0),
            ("endpointing=false", None),
            ("endpointing=False", None),
        ],
    )
    def test_endpointing_is_milliseconds_or_off(self, query: str, endpointing_s: float | None) -> None:
        assert parse(query).options.stream.endpointing_s == endpointing_s

    @pytest.mark.parametrize(
        ("query", "utterance_end_s"),
        [
            ("", None),
            ("utterance_end_ms=1000", 1.0),
            ("utterance_end_ms=500", 0.5),
            ("utterance_end_ms=false", None),
            ("utterance_end_ms=None", None),
            ("utterance_end_ms=", None),
        ],
    )
    def test_utterance_end_is_milliseconds_or_off(self, query: str, utterance_end_s: float | None) -> None:
        assert parse(query).options.stream.utterance_end_s == utterance_end_s

    @pytest.mark.parametrize("query", ["endpointing=soon", "endpointing=-1", "endpointing=99999999", "utterance_end_ms=x"])
    def test_other_values_are_refused(self, query: str) -> None:
        with pytest.raises(InvalidParameter):
            parse(query)

    @pytest.mark.parametrize("value", ["true", "True", "1", ""])
    def test_booleans_in_every_sdks_spelling(self, value: str) -> None:
        stream = parse(f"interim_results={value}&vad_events={value}").options.stream
        assert stream.interim_results
        assert stream.vad_events

    @pytest.mark.parametrize("name", ["interim_results", "vad_events", "punctuate", "multichannel", "smart_format"])
    def test_a_boolean_of_another_kind_is_refused(self, name: str) -> None:
        with pytest.raises(InvalidParameter, match=name):
            parse(f"{name}=maybe")


class TestTextAndLanguage:
    @pytest.mark.parametrize("query", ["punctuate=true", "smart_format=true", "detect_entities=true", "paragraphs=true"])
    def test_what_asks_for_punctuation(self, query: str) -> None:
        assert parse(query).options.text.punctuate

    def test_multi_detects_and_is_no_language(self) -> None:
        asked = parse("language=multi").options
        assert asked.code_switching
        assert asked.language == "en"

    @pytest.mark.parametrize(("tag", "code"), [("en-US", "en"), ("es-419", "es"), ("pt-BR", "pt"), ("None", "en")])
    def test_languages_are_mapped(self, tag: str, code: str) -> None:
        assert parse(f"language={tag}").options.language == code

    def test_an_unknown_language_is_refused_as_deepgram_does(self) -> None:
        with pytest.raises(UnsupportedModel):
            parse("language=taq")


class TestTogether:
    def test_two_ways_to_ask_for_speakers_contradict_each_other(self) -> None:
        with pytest.raises(InvalidRequest):
            parse("diarize=true&diarize_model=latest")

    def test_extra_comes_back_and_the_last_of_a_key_counts(self) -> None:
        assert parse("extra=a:1&extra=b:x%3Ay&extra=a:2").extra == (("a", "2"), ("b", "x:y"))

    @pytest.mark.parametrize("query", ["extra=nothing", "extra=a:" + "x" * 2048, "tag=" + "x" * 129])
    def test_labels_have_limits(self, query: str) -> None:
        with pytest.raises(InvalidParameter):
            parse(query)

    @pytest.mark.parametrize(
        "query",
        [
            "interim_results=True&keyterm=a+b&keyterm=c%20d&no_such_thing=1",
            "keyterm=" + quote("['a', 'b']"),
            "paragraphs=true&utterances=true&utt_split=0.5&summarize=v2&topics=true&intents=true&sentiment=true",
            "model=nova-3&tier=nova&version=latest&mip_opt_out=true&no_delay=true&numerals=true&is_final=true",
            "detect_language=true&keywords=word:1.5&keywords=other&dictation=true&redact=pci&replace=a:b&search=x",
            "diarize=true",
            "callback=",
        ],
    )
    def test_what_other_servers_know_is_no_error_here(self, query: str) -> None:
        parse(query)

    @pytest.mark.parametrize(
        "query",
        ["%", "%FF=%FE", "=", "&&&", "encoding=%00&sample_rate=1", "a" * 5000, "extra=%F0%9F%98%80:%80", "a&" * 3000],
    )
    def test_garbage_is_read_or_refused_with_an_error_of_ours(self, query: str) -> None:
        with suppress(SttError):
            parse(query)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("redact=ssn", ()),
        ("redact=ssn&language=es", ("redact=ssn",)),
        ("redact=ssn&language=multi", ("redact=ssn", "redact=numbers in words")),
        ("redact=ssn&language=ru", ("redact=ssn", "redact=numbers in words")),
        ("redact=ssn&language=ru&translate=true", ()),
        ("language=ru", ()),
    ],
)
def test_what_stays_readable_in_a_language_is_for_the_log(query: str, named: tuple[str, ...]) -> None:
    assert parse(query).without_effect == named
