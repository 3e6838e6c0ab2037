"""Where segments begin and end, and what their finals say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.audio import samples, seconds
from app.domain.stream.events import CloseStream, DecodeJob, SpeechStarted
from app.domain.stream.options import StreamOptions
from app.domain.transcript import Hypothesis, Word
from tests.support.script import Player, Talk, assert_tiles, finals, hypothesis, interims, said, talk, text

TWO = talk((0.512, "how are you"), (3.0, "fine thanks"), length_s=6.0)


def speech_end(phrase_end_s: float) -> int:
    """The end of the window in which a phrase ends."""
    return -(-samples(phrase_end_s) // 512) * 512


def test_a_pause_of_the_endpointing_time_ends_a_segment_exactly_then() -> None:
    player = Player(StreamOptions(endpointing_s=0.5), TWO)
    player.play()
    first, second = [f for f in finals(player.events) if f.words]
    assert (text(first), text(second)) == ("how are you", "fine thanks")
    assert first.start_samples == 0
    assert first.end_samples == speech_end(TWO.words[2].end_s) + samples(0.5)
    assert second.end_samples == speech_end(TWO.words[-1].end_s) + samples(0.5)
    assert first.speech_final
    assert second.speech_final


def test_the_endpoint_is_found_in_the_window_in_which_it_falls() -> None:
    player = Player(StreamOptions(endpointing_s=0.5), TWO)
    end_s = seconds(speech_end(TWO.words[2].end_s) + samples(0.5))
    assert not finals(player.play(end_s - 0.001))
    assert len(finals(player.play(end_s + 0.032))) == 1


@pytest.mark.parametrize("asked_s", [0.0, 0.01, 0.1, 0.2])
def test_endpointing_below_the_floor_is_the_floor(asked_s: float) -> None:
    player = Player(StreamOptions(endpointing_s=asked_s), TWO)
    player.play()
    assert finals(player.events)[0].end_samples == speech_end(TWO.words[2].end_s) + 3200


def test_a_pause_shorter_than_endpointing_ends_nothing() -> None:
    said_twice = talk((0.5, "one"), (1.2, "two"), length_s=3.0)
    player = Player(StreamOptions(endpointing_s=0.5), said_twice)
    player.play()
    assert text(finals(player.events)[0]) == "one two"


def test_word_times_are_those_of_the_stream() -> None:
    player = Player(StreamOptions(endpointing_s=0.5), TWO)
    player.play()
    words = [word for final in finals(player.events) for word in final.words]
    for heard, spoken in zip(words, TWO.words, strict=True):
        assert heard.start_s == pytest.approx(spoken.start_s)
        assert heard.end_s == pytest.approx(spoken.end_s)


def test_the_decode_reaches_from_the_preroll_to_the_hangover_whatever_the_endpointing() -> None:
    for endpointing_s in (0.01, 0.5, 1.5, None):
        player = Player(StreamOptions(endpointing_s=endpointing_s), TWO)
        player.play()
        job = player.asked[0]
        assert job.start_samples == samples(0.512) - samples(0.3)
        assert job.start_samples + len(job.pcm) == speech_end(TWO.words[2].end_s) + samples(0.032)


def test_the_preroll_never_repeats_what_was_decoded_but_may_reach_over_an_endpoint() -> None:
    player = Player(StreamOptions(), talk((0.5, "one"), (1.0, "two"), length_s=3.0))
    player.play()
    first, second = player.asked
    assert second.start_samples == first.start_samples + len(first.pcm)
    assert second.start_samples < finals(player.events)[0].end_samples
    assert said(finals(player.events)) == ["one", "two"]


def test_a_word_that_began_before_its_segment_starts_with_it() -> None:
    class Hasty(Talk):
        def decode(self, job: DecodeJob) -> Hypothesis:
            words = super().decode(job).words
            return hypothesis(replace(w, start_s=w.start_s - 0.06, end_s=w.end_s - 0.06) for w in words)

    player = Player(StreamOptions(), Hasty(talk((0.5, "one"), (1.0, "two"), length_s=3.0).words, 3.0))
    player.play()
    first, second = (f for f in finals(player.events) if f.words)
    assert first.end_samples == speech_end(0.75) + 3_200
    assert second.words[0].start_s == second.start_s > 0.94


def test_silence_is_never_decoded() -> None:
    player = Player(StreamOptions(interim_results=True), talk(length_s=20.0))
    player.play()
    player.send(CloseStream())
    assert player.asked == []
    assert said(finals(player.events)) == []


def test_silence_is_covered_by_an_empty_final_every_four_seconds() -> None:
    player = Player(StreamOptions(), talk(length_s=13.0))
    player.play()
    assert [(f.start_s, f.duration_s, f.speech_final) for f in finals(player.events)] == [
        (0.0, 4.0, True),
        (4.0, 4.0, True),
        (8.0, 4.0, True),
    ]
    assert interims(player.events) == []


def test_a_final_may_begin_with_the_silence_before_its_speech() -> None:
    player = Player(StreamOptions(endpointing_s=0.5), talk((5.0, "hello"), length_s=7.0))
    player.play()
    silent, spoken = finals(player.events)
    assert (silent.start_s, silent.duration_s) == (0.0, 4.0)
    assert spoken.start_s == 4.0
    assert text(spoken) == "hello"


def test_a_silent_final_waits_for_a_window_that_may_become_speech() -> None:
    player = Player(StreamOptions(), talk((3.99, "hello"), length_s=6.0))
    player.play()
    assert text(finals(player.events)[0]) == "hello"


def test_a_click_is_not_decoded() -> None:
    player = Player(StreamOptions(vad_events=True), Talk((), 6.0, noise=((1.024, 1.05),)))
    player.play()
    assert player.asked == []
    assert player.events == finals(player.events)


def test_long_speech_is_cut_in_its_best_pause() -> None:
    line = talk((0.2, " ".join(f"a{i}" for i in range(44))), (13.6, " ".join(f"b{i}" for i in range(20))), length_s=22.0)
    player = Player(StreamOptions(endpointing_s=0.5), line)
    player.play()
    player.send(CloseStream())
    first, second, *rest = finals(player.events)
    assert (first.is_final, first.speech_final) == (True, False)
    assert line.words[43].end_s < seconds(first.end_samples) < line.words[44].start_s
    assert second.speech_final
    assert said(finals(player.events)) == line.text
    assert all(not f.words for f in rest)
    # Its decode ends with the speech before the pause: it is the one that was asked for when that pause began.
    (decode,) = (job for job in player.asked if job.start_samples == player.asked[0].start_samples)
    assert decode.start_samples + len(decode.pcm) == speech_end(line.words[43].end_s) + samples(0.032)


def test_long_speech_without_a_pause_is_cut_too_and_no_word_is_lost_or_doubled() -> None:
    line = talk((0.2, " ".join(f"w{i}" for i in range(200))), length_s=62.0)
    player = Player(StreamOptions(), line)
    player.play()
    player.send(CloseStream())
    spoken = [f for f in finals(player.events) if f.words]
    assert len(spoken) >= 4
    assert [f.speech_final for f in spoken] == [False] * (len(spoken) - 1) + [True]
    assert said(spoken) == line.text
    heard = [word for final in spoken for word in final.words]
    assert all(abs(a.start_s - b.start_s) < 0.125 for a, b in zip(heard, line.words, strict=True))
    assert all(len(job.pcm) <= samples(15.0) for job in player.asked)
    assert_tiles(finals(player.events), line.length_samples)


def test_at_a_cut_inside_speech_both_decodes_hear_the_word_at_the_seam() -> None:
    player = Player(StreamOptions(), talk((0.2, " ".join(f"w{i}" for i in range(80))), length_s=25.0))
    player.play()
    first, second = player.asked[:2]
    edge = finals(player.events)[0].end_samples
    assert first.start_samples + len(first.pcm) == edge + samples(0.3)
    assert second.start_samples == edge - samples(0.3)


def test_pieces_of_words_heard_at_the_edges_of_an_overlap_are_not_said() -> None:
    class Fragments(Talk):
        """A decoder that makes a word of whatever part of one it hears."""

        def decode(self, job: DecodeJob) -> Hypothesis:
            begin_s, end_s = seconds(job.start_samples), seconds(job.start_samples + len(job.pcm))
            heard = []
            for word in self.words:
                start_s, stop_s = max(word.start_s, begin_s), min(word.end_s, end_s)
                if stop_s - start_s > 0.01:
                    mark = "" if stop_s - start_s > word.end_s - word.start_s - 0.01 else "-"
                    heard.append(Word(word.text + mark, start_s - begin_s, stop_s - begin_s, 0.9))
            return hypothesis(heard)

    for start_s in (0.2, 0.27, 0.31, 0.38, 0.44):
        line = Fragments(talk((start_s, " ".join(f"w{i}" for i in range(200))), length_s=62.0).words, 62.0)
        player = Player(StreamOptions(), line)
        player.play(blocks=[line.length_samples])
        player.send(CloseStream())
        assert said(finals(player.events)) == line.text


def test_the_order_of_events_over_channels_does_not_depend_on_the_split() -> None:
    other = talk((0.3, "a"), (2.0, "b"), length_s=6.0)
    orders = []
    for blocks in ([320] * 300, [96_000]):
        player = Player(StreamOptions(channels=2, vad_events=True), TWO, other)
        player.play(blocks=blocks)
        orders.append([e for e in player.events if isinstance(e, SpeechStarted)])
    assert orders[0] == orders[1]
    assert [e.channel_index for e in orders[0]] == [1, 0, 1, 0]


def test_without_endpointing_a_long_pause_still_ends_a_segment_but_is_no_endpoint() -> None:
    player = Player(StreamOptions(endpointing_s=None), talk((0.5, "one"), (2.0, "two"), (6.0, "three"), length_s=20.0))
    player.play()
    player.send(CloseStream())
    spoken = [f for f in finals(player.events) if f.words]
    assert [text(f) for f in spoken] == ["one two", "three"]
    assert spoken[0].end_samples == speech_end(2.25) + samples(2.0)
    assert not any(f.speech_final for f in finals(player.events))


def test_an_endpoint_longer_than_the_longest_pause_comes_as_an_empty_final_exactly_then() -> None:
    player = Player(StreamOptions(endpointing_s=5.0), talk((0.5, "one"), length_s=8.0))
    player.play()
    spoken, endpoint = finals(player.events)
    assert (text(spoken), spoken.speech_final) == ("one", False)
    assert (endpoint.words, endpoint.speech_final) == ((), True)
    assert endpoint.end_samples == speech_end(0.75) + samples(5.0)


def test_silent_finals_before_a_late_endpoint_are_no_endpoint() -> None:
    player = Player(StreamOptions(endpointing_s=9.0), talk((0.5, "one"), length_s=16.0))
    player.play()
    flags = [(f.duration_s, f.speech_final) for f in finals(player.events)]
    assert flags[0][1] is False
    assert flags[1] == (4.0, False)
    assert flags[2][1] is True
    assert finals(player.events)[2].end_samples == speech_end(0.75) + samples(9.0)
    assert flags[3] == (4.0, True)


def test_an_endpoint_after_a_cut_in_the_last_pause_is_still_reported() -> None:
    # Speech until shortly before the forced cut: the rest of the pause holds no word, but the speaker has stopped.
    line = talk((0.1, " ".join(f"w{i}" for i in range(49))), length_s=20.0)
    player = Player(StreamOptions(endpointing_s=1.0), line)
    player.play()
    cut, endpoint = finals(player.events)[:2]
    assert (said([cut]), cut.speech_final) == (line.text, False)
    assert (endpoint.words, endpoint.speech_final) == ((), True)
    assert endpoint.end_samples == speech_end(line.words[-1].end_s) + samples(1.0)


def test_speech_started_tells_the_onset_before_any_result_of_that_speech() -> None:
    player = Player(StreamOptions(vad_events=True, interim_results=True, endpointing_s=0.5), TWO)
    player.play()
    started = [e for e in player.events if isinstance(e, SpeechStarted)]
    assert [e.onset_samples for e in started] == [samples(0.512), samples(3.0) // 512 * 512]
    first_words = next(i for i, e in enumerate(player.events) if said(finals([e]) + interims([e])))
    assert player.events.index(started[0]) < first_words


def test_speech_started_is_not_repeated_after_less_than_three_tenths_of_silence() -> None:
    player = Player(StreamOptions(vad_events=True), talk((0.5, "one"), (1.0, "two"), (1.6, "three"), length_s=3.0))
    player.play()
    assert len(finals(player.events)) >= 3
    assert [e.onset_s for e in player.events if isinstance(e, SpeechStarted)] == [0.48, 1.6]


def test_speech_started_is_silent_unless_asked_for() -> None:
    player = Player(StreamOptions(), TWO)
    player.play()
    assert not [e for e in player.events if isinstance(e, SpeechStarted)]


def test_channels_are_independent() -> None:
    other = talk((1.0, "hello there"), length_s=6.0)
    player = Player(StreamOptions(channels=2, endpointing_s=0.5), TWO, other)
    player.play()
    player.send(CloseStream())
    assert said(finals(player.events, 0)) == TWO.text
    assert said(finals(player.events, 1)) == other.text
    for index in (0, 1):
        assert_tiles(finals(player.events, index), samples(6.0))
        assert {f.channels for f in finals(player.events, index)} == {2}


def test_the_language_is_that_of_the_decode_and_unknown_without_one() -> None:
    player = Player(StreamOptions(), talk((0.5, "one"), length_s=6.0))
    player.play()
    assert [f.language for f in finals(player.events)] == ["en", None]
