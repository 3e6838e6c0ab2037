from dataclasses import replace

from app.dialects.subtitles import render_srt, render_text, render_vtt
from app.domain.transcript import Channel, Transcript, Word
from tests.support.transcripts import MODEL, segment, talk


def test_srt_numbers_cues_and_writes_a_comma() -> None:
    assert render_srt(talk("Hello world. Bye.")) == (
        "1\n00:00:00,000 --> 00:00:01,000\nHello world.\n\n2\n00:00:01,000 --> 00:00:01,500\nBye.\n"
    )


def test_vtt_has_its_header_and_writes_a_point() -> None:
    assert render_vtt(talk("Hello.")) == "WEBVTT\n\n00:00:00.000 --> 00:00:00.500\nHello.\n"


def test_vtt_escapes_markup() -> None:
    assert "A&amp;B &lt;b&gt;" in render_vtt(talk("A&B <b>"))


def test_times_are_not_cut_from_floats() -> None:
    transcript = Transcript((Channel((segment((Word("Hi", 2.3, 3661.2, 0.9),)),), "en"),), 4000.0, MODEL)
    assert "00:00:02,300 --> 01:01:01,200" in render_srt(transcript)


def test_silence_gives_no_cues() -> None:
    assert render_srt(talk("")) == ""
    assert render_vtt(talk("")) == "WEBVTT\n"
    assert render_text(talk("")) == ""


def test_a_pause_a_long_line_and_a_long_time_each_start_a_cue() -> None:
    assert render_srt(talk("one | two")).count("-->") == 2
    assert render_srt(talk(" ".join(["incomprehensibly"] * 6))).count("-->") == 2
    long_words = talk("a b c")
    slow = tuple(replace(word, start_s=i * 4.0, end_s=i * 4.0 + 4.0) for i, word in enumerate(long_words.channels[0].words))
    transcript = Transcript((Channel((segment(slow),), "en"),), 12.0, MODEL)
    assert render_srt(transcript).count("-->") == 3


def test_cues_of_all_channels_are_in_order_of_time() -> None:
    assert render_srt(talk("| two", "one")).index("one") < render_srt(talk("| two", "one")).index("two")


def test_text_is_one_line_for_each_channel_with_speech() -> None:
    assert render_text(talk("Hello world.", "", "Bye.")) == "Hello world.\nBye.\n"
