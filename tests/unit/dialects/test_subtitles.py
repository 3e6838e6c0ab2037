from dataclasses import replace

from app.dialects.subtitles import render_srt, render_text, render_vtt
from app.domain.text.cues import CueLimits
from app.domain.transcript import Channel, Transcript, Word
from tests.support.transcripts import MODEL, segment, talk, words


def test_srt_numbers_cues_and_writes_a_comma() -> None:
    assert render_srt(talk("Hello world. Bye.")) == (
        "1\n00:00:00,000 --> 00:00:01,000\nHello world.\n\n2\n00:00:01,000 --> 00:00:01,833\nBye.\n"
    )


def test_vtt_has_its_header_and_writes_a_point() -> None:
    assert render_vtt(talk("Hello.")) == "WEBVTT\n\n00:00:00.000 --> 00:00:00.833\nHello.\n"


def test_vtt_escapes_markup() -> None:
    assert "A&amp;B &lt;b&gt;" in render_vtt(talk("A&B <b>"))


def test_times_are_not_cut_from_floats() -> None:
    transcript = Transcript((Channel((segment((Word("Hi", 3657.3, 3661.2, 0.9),)),), "en"),), 4000.0, MODEL)
    assert "01:00:57,300 --> 01:01:01,200" in render_srt(transcript)


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


def voices(*spoken: tuple[str, int | None]) -> Transcript:
    found: list[Word] = []
    for text, speaker in spoken:
        start_s = found[-1].end_s if found else 0.0
        found += [replace(word, speaker=speaker) for word in words(text, start_s)]
    return Transcript((Channel((segment(tuple(found)),), "en"),), 60.0, MODEL)


def test_speakers_are_voices_in_vtt() -> None:
    assert render_vtt(voices(("Hello there", 0), ("Hi <you>.", 1), ("Good.", 1))).split("\n\n")[1:] == [
        "00:00:00.000 --> 00:00:01.000\n<v Speaker 0>Hello there",
        "00:00:01.000 --> 00:00:02.000\n<v Speaker 1>Hi &lt;you&gt;.",
        "00:00:02.000 --> 00:00:02.833\n<v Speaker 1>Good.\n",
    ]


def test_speakers_are_named_in_srt_when_they_change() -> None:
    lines = render_srt(voices(("Hello there.", 0), ("Again me.", 0), ("Hi you.", 1), ("Who is it?", None), ("I.", 1)))
    assert [line for line in lines.splitlines() if line.startswith("[")] == ["[speaker 0]", "[speaker 1]", "[speaker 1]"]


def test_the_same_number_in_another_channel_is_another_speaker() -> None:
    one, two = (replace(voices(("Yes.", 0)).channels[0]) for _ in range(2))
    both = Transcript((one, two), 5.0, MODEL)
    assert [line for line in render_srt(both).splitlines() if line.startswith("[")] == [
        "[channel 0 speaker 0]",
        "[channel 1 speaker 0]",
    ]
    assert [line for line in render_vtt(both).splitlines() if line.startswith("<")] == [
        "<v Channel 0 Speaker 0>Yes.",
        "<v Channel 1 Speaker 0>Yes.",
    ]


def test_an_arrow_that_was_said_is_not_taken_for_times() -> None:
    assert render_srt(talk("a --> b")).count("-->") == 1
    assert render_vtt(talk("a --> b")).count("-->") == 1


def test_limits_are_the_callers() -> None:
    assert render_vtt(talk("one two three"), CueLimits(line_length=10, lines=1)).count("-->") == 2
    assert "one\ntwo three" not in render_vtt(talk("one two three"), CueLimits(line_length=13, lines=1))


def test_redacted_words_stay_redacted() -> None:
    assert render_srt(talk("Call [PHONE_NUMBER_1] now.")).splitlines()[2] == "Call [PHONE_NUMBER_1] now."
