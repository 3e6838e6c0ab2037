"""One request for every parameter of ``/v1/listen`` that shows what it does: for the tests and for the compatibility page.

The scripted engine says what a case wants said, so that a case is about the parameter and not about recognition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
SAID = "Hello world. How are you?"


@dataclass(frozen=True)
class Recording:
    """``shows`` judges the JSON of the answer. None: it is the answer that comes without the parameter."""

    query: str
    shows: Callable[[Json], bool] | None = None
    says: str = SAID
    status: int = 200
    channels: int = 1
    headerless: bool = False


@dataclass(frozen=True)
class Live:
    """``shows`` judges all messages in order. None: they are those that come without the parameter."""

    query: str
    shows: Callable[[list[Json]], bool] | None = None
    says: str = SAID
    status: int = 101
    channels: int = 1


def _text(answer: Json) -> str:
    return str(answer["results"]["channels"][0]["alternatives"][0]["transcript"])


def _words(answer: Json) -> list[Json]:
    return list(answer["results"]["channels"][0]["alternatives"][0]["words"])


def _warned(answer: Json) -> set[str]:
    return {warning["parameter"] for warning in answer["metadata"].get("warnings", ())}


def _finals(messages: list[Json]) -> list[Json]:
    return [message for message in messages if message["type"] == "Results" and message["is_final"]]


def _said(messages: list[Json]) -> str:
    return " ".join(filter(None, (final["channel"]["alternatives"][0]["transcript"] for final in _finals(messages))))


def _said_words(messages: list[Json]) -> list[Json]:
    return [word for final in _finals(messages) for word in final["channel"]["alternatives"][0]["words"]]


def _texts(expected: str) -> Callable[[Json], bool]:
    return lambda answer: _text(answer) == expected


def _saying(expected: str) -> Callable[[list[Json]], bool]:
    return lambda messages: _said(messages) == expected


_RAW = "encoding=linear16&sample_rate=16000"
_MONEY = "It is twenty five dollars and fifty cents."
_PHONE = "Call five five five one two three four five six seven."

RECORDINGS: dict[str, Recording] = {
    "version": Recording("version=latest"),
    "tier": Recording("tier=enhanced"),
    "language_hint": Recording(
        "language=multi&language_hint=de&language_hint=en",
        lambda answer: answer["results"]["channels"][0]["alternatives"][0]["languages_hinted"] == ["de", "en"],
    ),
    "detect_language": Recording(
        "detect_language=true", lambda answer: answer["results"]["channels"][0]["detected_language"] == "en"
    ),
    "encoding": Recording(_RAW, _texts("hello world how are you"), headerless=True),
    "sample_rate": Recording(
        "encoding=linear16&sample_rate=8000",
        lambda answer: answer["metadata"]["duration"] == 4.0,
        headerless=True,
    ),
    "channels": Recording(f"{_RAW}&channels=2", _texts("hello world how are you"), channels=2, headerless=True),
    "multichannel": Recording("multichannel=true", lambda answer: answer["metadata"]["channels"] == 2, channels=2),
    "mip_opt_out": Recording("mip_opt_out=true"),
    "punctuate": Recording("punctuate=true", _texts("Hello world. How are you?")),
    "smart_format": Recording("smart_format=true", _texts("It is $25.50."), says=_MONEY),
    "numerals": Recording("numerals=true", _texts("i have 900 keys"), says="I have nine hundred keys."),
    "paragraphs": Recording(
        "paragraphs=true",
        lambda answer: answer["results"]["channels"][0]["alternatives"][0]["paragraphs"]["transcript"].startswith("\n"),
    ),
    "utterances": Recording("utterances=true", lambda answer: len(answer["results"]["utterances"]) == 1),
    "utt_split": Recording("utterances=true&utt_split=0", lambda answer: len(answer["results"]["utterances"]) >= 1),
    "filler_words": Recording("filler_words=true", _texts("uh yes"), says="Uh yes."),
    "profanity_filter": Recording("profanity_filter=true", _texts("**** the light"), says="Damn the light."),
    "measurements": Recording("numerals=true&measurements=true", _texts("take 5 kg"), says="Take five kilograms."),
    "dictation": Recording("punctuate=true&dictation=true", _texts("Dear John, hello"), says="Dear John comma hello"),
    "redact": Recording(
        "redact=numbers", lambda answer: "[PHONE_NUMBER_1]" in _text(answer) and "five" not in str(answer), says=_PHONE
    ),
    "replace": Recording("replace=world:moon", _texts("hello moon how are you")),
    "search": Recording(
        "search=hello+world",
        lambda answer: answer["results"]["channels"][0]["search"][0]["hits"][0]["snippet"] == "hello world",
    ),
    "diarize_version": Recording("diarize_version=2021-07-14.0"),
    "detect_entities": Recording(
        "detect_entities=true",
        lambda answer: answer["results"]["channels"][0]["alternatives"][0]["entities"][0]["label"] == "PHONE_NUMBER",
        says=_PHONE,
    ),
    "extra": Recording("extra=a:b", lambda answer: answer["metadata"]["extra"] == {"a": "b"}),
    "tag": Recording("tag=x&tag=y", lambda answer: answer["metadata"]["tags"] == ["x", "y"]),
    "alternatives": Recording("alternatives=3"),
    "ner": Recording("ner=true"),
    "no_delay": Recording("no_delay=true"),
    "interim_results": Recording("interim_results=true"),
    "endpointing": Recording("endpointing=300"),
    "utterance_end_ms": Recording("utterance_end_ms=1000"),
    "vad_events": Recording("vad_events=true"),
}

LIVE: dict[str, Live] = {
    "version": Live("version=latest"),
    "tier": Live("tier=enhanced"),
    "detect_language": Live("detect_language=true"),
    "channels": Live("multichannel=true&channels=2", lambda messages: messages[-1]["channels"] == 2, channels=2),
    "multichannel": Live(
        "multichannel=true&channels=2",
        lambda messages: {final["channel_index"][0] for final in _finals(messages)} == {0, 1},
        channels=2,
    ),
    "mip_opt_out": Live("mip_opt_out=true"),
    "punctuate": Live("punctuate=true", _saying("Hello world. How are you?")),
    "smart_format": Live("smart_format=true", _saying("It is $25.50."), says=_MONEY),
    "numerals": Live("numerals=true", _saying("i have 900 keys"), says="I have nine hundred keys."),
    "paragraphs": Live("paragraphs=true&punctuate=true", _saying("Hello world. How are you?")),
    "utterances": Live("utterances=true"),
    "utt_split": Live("utt_split=0.1"),
    "filler_words": Live("filler_words=true", _saying("uh yes"), says="Uh yes."),
    "profanity_filter": Live("profanity_filter=true", _saying("**** the light"), says="Damn the light."),
    "measurements": Live("measurements=true"),
    "dictation": Live("punctuate=true&dictation=true", _saying("Dear John, hello"), says="Dear John comma hello"),
    "redact": Live(
        "redact=numbers", lambda messages: "five" not in str(messages) and "PHONE_NUMBER_1" in _said(messages), says=_PHONE
    ),
    "replace": Live("replace=world:moon", _saying("hello moon how are you")),
    "search": Live(
        "search=hello+world",
        lambda messages: _finals(messages)[0]["channel"]["search"][0]["hits"][0]["snippet"] == "hello world",
    ),
    "diarize_version": Live("diarize_version=2021-07-14.0"),
    "detect_entities": Live(
        "detect_entities=true",
        lambda messages: _finals(messages)[0]["entities"][0]["label"] == "PHONE_NUMBER",
        says=_PHONE,
    ),
    **{
        name: Live(f"{name}=true")
        for name in ("summarize", "topics", "detect_topics", "intents", "sentiment", "alternatives", "ner", "no_delay")
    },
    **{
        name: Live(f"{name}=extended")
        for name in ("custom_topic", "custom_topic_mode", "custom_intent", "custom_intent_mode")
    },
    "extra": Live("extra=a:b", lambda messages: all(message["extra"] == {"a": "b"} for message in messages[-1:])),
    "interim_results": Live(
        "interim_results=true", lambda messages: any(not message.get("is_final", True) for message in messages)
    ),
    "vad_events": Live("vad_events=true", lambda messages: messages[0]["type"] == "SpeechStarted"),
    "translate": Live("translate=true&language=es", _saying("hello world how are you")),
    **{
        name: Live(f"{name}=1") for name in ("start", "duration", "caption_line_length", "caption_lines", "caption_duration")
    },
    "response_format": Live("response_format=srt"),
}
"""Parameters of live streams. The audio is raw samples, so ``encoding`` and ``sample_rate`` are in every request."""

_LANGUAGES = "tests/model/test_languages.py"
_INTELLIGENCE = "tests/api/test_listen_intelligence.py::test_with_one_everything_is_there"
_CUSTOM = "tests/api/test_listen_intelligence.py::test_custom_topics_alone_pass_when_they_are_strict"
_CALLBACK = "tests/api/test_callbacks.py::test_is_the_id_alone_at_once_and_the_transcript_comes_later"
_SPEAKERS = "tests/model/test_speakers.py::test_each_word_is_given_to_who_said_it"
_LIVE_SPEAKERS = "tests/api/test_speakers.py::test_words_of_finals_name_their_speakers_without_confidence"
_LIVE_TERMS = "tests/api/test_every_parameter.py::test_finals_of_a_stream_favour_the_terms_asked_for"
_LIVE_DECODER = "tests/api/test_every_parameter.py::test_finals_of_a_stream_are_decoded_as_asked"
_DECODER = f"{_LANGUAGES}::test_a_request_chooses_its_decoder"
_PART = f"{_LANGUAGES}::test_a_part_has_the_words_and_times_of_the_whole"
_CAPTIONS = "tests/unit/dialects/test_subtitles.py::test_limits_are_the_callers"

RECORDINGS_ELSEWHERE: dict[str, str] = {
    "model": "tests/unit/services/test_catalog.py::test_deepgrams_names_mean_the_default",
    "language": f"{_LANGUAGES}::test_each_word_of_a_recording_names_its_language",
    "keyterm": "tests/model/test_key_terms.py::test_a_lost_word_wins_when_asked_for_and_the_others_stay",
    "keywords": "tests/model/test_key_terms.py::test_a_word_to_avoid_gives_way",
    "summarize": _INTELLIGENCE,
    "topics": _INTELLIGENCE,
    "detect_topics": _INTELLIGENCE,
    "intents": _INTELLIGENCE,
    "sentiment": _INTELLIGENCE,
    "custom_topic": _CUSTOM,
    "custom_topic_mode": _CUSTOM,
    "custom_intent": _CUSTOM,
    "custom_intent_mode": _CUSTOM,
    "callback": _CALLBACK,
    "callback_method": "tests/api/test_callbacks.py::test_is_put_where_that_is_asked_for",
    "diarize": _SPEAKERS,
    "diarize_model": _SPEAKERS,
    "translate": "tests/model/test_engine_words.py::test_speech_is_translated",
    "prompt": "tests/model/test_engine_words.py::test_a_prompt_is_given_to_the_decoder_and_does_not_stay",
    "response_format": "tests/api/test_listen.py::test_captions_and_text",
    "start": _PART,
    "duration": _PART,
    "temperature": _DECODER,
    "beam_size": _DECODER,
    "best_of": _DECODER,
    "caption_line_length": _CAPTIONS,
    "caption_lines": _CAPTIONS,
    "caption_duration": _CAPTIONS,
}
"""What other tests show: those with the real engine, with a language model, with a receiver of callbacks."""

LIVE_ELSEWHERE: dict[str, str] = {
    "model": "tests/api/test_live_handshake.py::test_headers_name_request_project_and_model",
    "keyterm": _LIVE_TERMS,
    "keywords": _LIVE_TERMS,
    "diarize": _LIVE_SPEAKERS,
    "diarize_model": _LIVE_SPEAKERS,
    "prompt": _LIVE_DECODER,
    "temperature": _LIVE_DECODER,
    "beam_size": _LIVE_DECODER,
    "best_of": _LIVE_DECODER,
    "language": f"{_LANGUAGES}::test_each_word_of_a_live_stream_names_its_language",
    "language_hint": f"{_LANGUAGES}::test_each_word_of_a_live_stream_names_its_language",
    "encoding": "tests/api/test_live_audio.py::test_of_any_rate_and_coding_lasts_as_long_as_it_was",
    "sample_rate": "tests/api/test_live_audio.py::test_of_any_rate_and_coding_lasts_as_long_as_it_was",
    "callback": "tests/api/test_live_callbacks.py::test_each_message_is_one_in_order",
    "callback_method": "tests/api/test_live_callbacks.py::test_are_put_with_basic_authorization_where_that_is_asked_for",
    "tag": "tests/api/test_usage_recording.py::test_a_stream_is_on_record_before_its_close_arrives",
    "endpointing": "tests/api/test_live_messages.py::test_a_final_at_an_endpoint_needs_silence_as_long_as_asked_for",
    "utterance_end_ms": "tests/api/test_live_messages.py::test_a_whole_exchange_has_the_contracts_order",
}

_MESSAGES = "tests/api/test_live_messages.py"

MESSAGES: dict[str, str] = {
    "binary, not empty": "tests/api/test_live_audio.py::test_may_be_cut_anywhere_even_inside_a_sample",
    "binary, empty": f"{_MESSAGES}::test_every_way_to_end_a_stream_gives_final_metadata_and_1000",
    "KeepAlive": f"{_MESSAGES}::test_sync_and_keep_alive_have_no_answer_and_take_no_time",
    "Finalize": f"{_MESSAGES}::test_the_stream_goes_on_at_the_flushed_end",
    "CloseStream": f"{_MESSAGES}::test_every_way_to_end_a_stream_gives_final_metadata_and_1000",
    "Configure": f"{_MESSAGES}::test_configure_has_exactly_one_answer",
    "Sync": f"{_MESSAGES}::test_sync_and_keep_alive_have_no_answer_and_take_no_time",
    "anything else": f"{_MESSAGES}::test_what_is_not_understood_is_answered_and_the_stream_goes_on",
    "Results": f"{_MESSAGES}::test_no_fields_are_missing_from_any_result",
    "SpeechStarted": f"{_MESSAGES}::test_a_whole_exchange_has_the_contracts_order",
    "UtteranceEnd": f"{_MESSAGES}::test_a_whole_exchange_has_the_contracts_order",
    "Metadata": f"{_MESSAGES}::test_without_audio_the_metadata_is_of_nothing",
    "Error": f"{_MESSAGES}::test_what_is_not_understood_is_answered_and_the_stream_goes_on",
    "ConfigureSuccess": f"{_MESSAGES}::test_configure_has_exactly_one_answer",
    "ConfigureFailure": f"{_MESSAGES}::test_configure_has_exactly_one_answer",
}


def shown_by(name: str, *, live: bool) -> str:
    """The test that shows what a parameter does. Raises ``KeyError`` where none does."""
    elsewhere, cases = (LIVE_ELSEWHERE, LIVE) if live else (RECORDINGS_ELSEWHERE, RECORDINGS)
    if name in elsewhere:
        return elsewhere[name]
    if name not in cases:
        raise KeyError(name)
    return f"tests/api/test_every_parameter.py::test_{'live_streams' if live else 'recordings'}[{name}]"
