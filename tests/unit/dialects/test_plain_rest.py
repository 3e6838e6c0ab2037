from __future__ import annotations

from dataclasses import replace

import orjson

from app.dialects.asr_webservice import AsrRequest, render_asr
from app.dialects.plain_rest import passages, render_error, render_languages, render_transcript
from app.domain.errors import BadAudio
from app.domain.options import TranscribeOptions
from app.domain.transcript import Channel, LanguageGuess, Transcript
from tests.support.transcripts import MODEL, segment, talk, words


def two_voices() -> Transcript:
    """One segment in which a second voice answers the first."""
    first, second = words("Is it blue?"), words("No, red.", start_s=1.5)
    spoken = tuple(replace(word, speaker=0) for word in first) + tuple(replace(word, speaker=1) for word in second)
    return Transcript((Channel((segment(spoken),), "en"),), 20.0, MODEL)


def test_a_segment_in_which_two_speak_becomes_two() -> None:
    body = orjson.loads(render_transcript(two_voices(), with_words=False))
    assert body["segments"] == [
        {"id": 0, "start": 0.0, "end": 1.5, "text": "Is it blue?", "speaker": "SPEAKER_00", "words": []},
        {"id": 1, "start": 1.5, "end": 2.5, "text": "No, red.", "speaker": "SPEAKER_01", "words": []},
    ]
    assert body["speakers"] == ["SPEAKER_00", "SPEAKER_01"]
    assert body["text"] == "Is it blue? No, red."


def test_tokens_of_a_divided_segment_belong_to_neither_part() -> None:
    body, media_type = render_asr(two_voices(), AsrRequest(TranscribeOptions(), "json", with_words=True))
    assert media_type == "application/json"
    first, second = orjson.loads(body)["segments"]
    assert (first["tokens"], second["tokens"]) == ([], [])
    assert (first["speaker"], second["words"][0]["speaker"]) == ("SPEAKER_00", "SPEAKER_01")


def test_a_segment_of_one_voice_keeps_its_tokens() -> None:
    body, _ = render_asr(talk("Hello world."), AsrRequest(TranscribeOptions(), "json", with_words=False))
    assert orjson.loads(body)["segments"][0]["tokens"] == [0, 1]


def test_languages_without_spaces_are_joined_without() -> None:
    transcript = Transcript((Channel((segment(words("你 好")),), "zh"),), 20.0, MODEL)
    assert orjson.loads(render_transcript(transcript, with_words=False))["text"] == "你好"
    body, _ = render_asr(transcript, AsrRequest(TranscribeOptions(), "json", with_words=True))
    rendered = orjson.loads(body)
    assert rendered["segments"][0]["words"][0]["word"] == "你"


def test_a_tab_in_the_text_does_not_make_a_column() -> None:
    transcript = talk("Hello")
    [spoken] = transcript.channels[0].segments
    channel = replace(transcript.channels[0], segments=(replace(spoken, text=" Hello\tyou\n"),))
    body, _ = render_asr(replace(transcript, channels=(channel,)), AsrRequest(TranscribeOptions(), "tsv", with_words=False))
    assert body.decode().splitlines()[1] == "0\t500\tHello you"


def test_a_recording_without_speech() -> None:
    assert list(passages(talk("").channels[0])) == []
    asked = [AsrRequest(TranscribeOptions(), output, with_words=False) for output in ("txt", "tsv", "srt", "vtt")]
    assert [render_asr(talk(""), each)[0] for each in asked] == [b"", b"start\tend\ttext\n", b"", b"WEBVTT\n"]


def test_at_most_five_languages_are_listed() -> None:
    guesses = [LanguageGuess(code, 0.1) for code in ("en", "de", "fr", "es", "it", "nl")]
    body = orjson.loads(render_languages(guesses, by_name=False))
    assert [guess["language"] for guess in body["top_languages"]] == ["en", "de", "fr", "es", "it"]


def test_names_of_languages_are_written_as_whisper_writes_them() -> None:
    assert orjson.loads(render_languages([LanguageGuess("ht", 0.5)], by_name=True))["detected_language"] == "haitian creole"


def test_errors_say_nothing_but_their_message() -> None:
    assert orjson.loads(render_error(BadAudio("no sound"), "r")) == {"detail": "no sound", "request_id": "r"}
