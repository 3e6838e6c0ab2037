import pytest

from app.dialects.deepgram_options import parse_listen
from app.dialects.deepgram_parameters import BY_NAME, PARAMETERS, Kind, Support
from app.domain.audio import AudioFormat
from app.domain.errors import InvalidParameter, InvalidRequest, UnsupportedModel


def parse(query: str):  # type: ignore[no-untyped-def]
    return parse_listen(query.encode(), max_channels=20)


def test_defaults_are_deepgrams() -> None:
    asked = parse("")
    assert asked.options.language == "en"
    assert asked.options.model is None
    assert not asked.options.detect_language
    assert not asked.options.text.punctuate
    assert asked.options.text.utterance_split_s == 0.8
    assert asked.response_format == "json"
    assert asked.options.warnings == ()


@pytest.mark.parametrize("value", ["true", "True", "TRUE", "1", "yes", ""])
def test_true_has_many_spellings(value: str) -> None:
    assert parse(f"punctuate={value}").options.text.punctuate


def test_a_bare_name_is_true() -> None:
    assert parse("punctuate").options.text.punctuate


@pytest.mark.parametrize("value", ["false", "False", "0", "no"])
def test_false_has_many_spellings(value: str) -> None:
    assert not parse(f"punctuate={value}").options.text.punctuate


def test_the_last_of_two_values_counts() -> None:
    assert not parse("punctuate=true&punctuate=false").options.text.punctuate


@pytest.mark.parametrize("name", [p.name for p in PARAMETERS if p.kind is Kind.BOOL and p.support is not Support.IGNORED])
def test_every_boolean_refuses_what_is_none(name: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse(f"{name}=maybe")
    assert caught.value.parameter == name
    assert caught.value.message.startswith("Failed to deserialize query parameters: ")


@pytest.mark.parametrize(
    "query",
    ["sample_rate=fast", "sample_rate=0", "sample_rate=1e4", "channels=0", "channels=21", "utt_split=-1", "utt_split=nan",
     "utt_split=x", "encoding=mp9", "response_format=docx", "extra=novalue", "extra=:v", "tag=" + "x" * 129,
     "extra=k:" + "x" * 2048],
)  # fmt: skip
def test_unusable_values_are_refused(query: str) -> None:
    with pytest.raises(InvalidParameter):
        parse(query)


def test_both_diarize_forms_together_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        parse("diarize=true&diarize_model=latest")


def test_unknown_parameters_are_ignored() -> None:
    assert parse("speech_final=true&foo=bar").options.warnings == ()


def test_smart_format_and_paragraphs_imply_punctuation() -> None:
    assert parse("paragraphs=true").options.text.punctuate
    smart = parse("smart_format=true").options.text
    assert smart.punctuate
    assert smart.paragraphs


def test_languages_become_whispers_codes() -> None:
    assert parse("language=es-419").options.language == "es"
    assert parse("language=multi").options.code_switching
    with pytest.raises(UnsupportedModel):
        parse("language=xx-nope")


def test_detection_takes_a_boolean_or_a_list_of_codes() -> None:
    assert parse("detect_language=true").options.detect_language
    assert not parse("detect_language=false").options.detect_language
    restricted = parse("detect_language=en&detect_language=es-MX&detect_language=es").options
    assert restricted.detect_language
    assert restricted.detect_among == ("en", "es")
    assert parse("detect_language=true&detect_language=de").options.detect_among == ("de",)


def test_lists_are_repeated_names_or_a_python_list() -> None:
    assert parse("tag=a+b&tag=c%20d").tags == ("a b", "c d")
    assert parse("tag=['a', 'b']").tags == ("a", "b")
    assert parse("tag=[a").tags == ("[a",)


def test_extra_splits_at_the_first_colon_and_the_last_of_a_key_wins() -> None:
    assert parse("extra=k:a:b&extra=j:1&extra=k:c").extra == (("k", "c"), ("j", "1"))


def test_headerless_audio_is_declared_by_encoding_and_rate() -> None:
    asked = parse("encoding=linear16&sample_rate=44100&channels=2").options
    assert asked.audio_format == AudioFormat("linear16", 44100, 2)
    assert parse("encoding=mulaw").options.audio_format == AudioFormat("mulaw", 8000, 1)
    assert parse("encoding=linear16").options.audio_format == AudioFormat("linear16", 0, 1)
    assert parse("sample_rate=8000").options.audio_format is None


def test_a_query_with_thousands_of_fields_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        parse("&".join(["a=1"] * 5000))


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(PARAMETERS)


def test_an_option_that_old_sdks_leave_unset_is_absent() -> None:
    asked = parse("model=None&language=None&punctuate=None&redact=None&tag=None&keyterm=None")
    assert asked.options.model is None
    assert not asked.options.text.punctuate
    assert (asked.options.warnings, asked.tags) == ((), ())


@pytest.mark.parametrize("value", ["[{[]:1}]", "['%5cud800']", "[1,", "[[[[", "{1}"])
def test_what_only_looks_like_a_list_is_a_value(value: str) -> None:
    assert parse(f"tag={value}").tags == (value.replace("%5c", "\\"),)


def test_a_list_longer_than_any_client_sends_is_not_read() -> None:
    assert parse("search=['a', 'b']").options.text.search == ("a", "b")
    long = "[" + "'a'," * 3000 + "]"
    assert parse(f"search={long}").options.text.search == (long,)


def test_a_prompt_is_no_longer_than_what_a_model_reads() -> None:
    assert parse("prompt=" + "x" * 1000).options.prompt
    with pytest.raises(InvalidParameter):
        parse("prompt=" + "x" * 1001)
