"""What holds for every talk, every split, every order and delay of decodes, and every nonsense a client may send."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.domain.errors import SttError
from app.domain.stream.events import (
    Abort,
    Audio,
    Closed,
    CloseStream,
    Configure,
    Decoded,
    DecodeFailed,
    Finalize,
    KeepAlive,
    Metadata,
    ReadingPaused,
    ReadingResumed,
    Results,
    Shutdown,
    SpeechStarted,
    StreamInput,
    Tick,
    Unparsable,
    UtteranceEnd,
)
from app.domain.stream.machine import StreamMachine
from app.domain.stream.options import StreamOptions
from app.domain.transcript import Word
from tests.support.script import Player, Talk, assert_tiles, closing, finals, hypothesis, results, said, utterance_ends

# Deterministic, and without the phases that optimise examples: on talks they run for minutes and find nothing.
several = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow],
)

tenths = st.integers(0, 30).map(lambda n: n / 10)


@st.composite
def talks(draw: st.DrawFn) -> Talk:
    """Up to 60 words of 0.1-0.6 s with pauses of 0-3 s between them: some segments have to be cut, some are silent."""
    words, at_s = [], draw(tenths)
    gaps = st.one_of(st.just(0.0), st.integers(0, 12).map(lambda n: n / 100), tenths)
    for index in range(draw(st.integers(0, 60))):
        at_s += draw(gaps)
        end_s = at_s + draw(st.integers(10, 60)) / 100
        words.append(Word(f"w{index}", at_s, end_s, 0.9))
        at_s = end_s
    return Talk(tuple(words), at_s + draw(tenths))


options = st.builds(
    StreamOptions,
    interim_results=st.booleans(),
    endpointing_s=st.sampled_from([None, 0.01, 0.3, 1.0, 3.0, 6.0]),
    utterance_end_s=st.sampled_from([None, 1.0, 1.7]),
    vad_events=st.booleans(),
    max_segment_s=st.sampled_from([5.0, 15.0]),
)
sizes = st.lists(
    st.one_of(st.integers(1, 40), st.integers(300, 5_000), st.integers(20_000, 200_000)), min_size=1, max_size=8
)


def whole(chosen: StreamOptions, talk: Talk) -> Player:
    """The talk in one piece, every decode answered at once."""
    player = Player(chosen, talk)
    player.play(blocks=[max(1, talk.length_samples)])
    player.send(CloseStream())
    return player


def around(block_sizes: list[int]) -> list[int]:
    """Block sizes for a talk: those asked for, then 100 ms each, so that tiny blocks do not take all day."""
    return block_sizes * 3 + [1_600] * 2_000


@several
@given(talks(), options, sizes, st.sampled_from([1.0, 20.0]))
def test_any_split_at_any_speed_gives_the_same_finals(
    talk: Talk, chosen: StreamOptions, split: list[int], speed: float
) -> None:
    player = Player(chosen, talk)
    player.play(blocks=around(split), speed=speed)
    player.send(CloseStream())
    expected = whole(chosen, talk)
    assert finals(player.events) == finals(expected.events)
    assert utterance_ends(player.events) == utterance_ends(expected.events)


@several
@given(talks(), options)
def test_every_word_is_said_exactly_once_and_finals_tile_the_audio(talk: Talk, chosen: StreamOptions) -> None:
    events = whole(chosen, talk).events
    assert said(finals(events)) == talk.text
    assert_tiles(finals(events), talk.length_samples)
    assert all(result.is_final or not result.speech_final for result in results(events))
    assert events[-2:] == [Metadata(talk.length_samples, 1 if talk.length_samples else 0), Closed(1000, "")]


@several
@given(talks(), options, st.data())
def test_decodes_in_any_order_and_with_any_delay_give_the_same_finals(
    talk: Talk, chosen: StreamOptions, data: st.DataObject
) -> None:
    player = Player(chosen, talk, answers=False)
    while player.position < talk.length_samples:
        player.play(min(talk.length_s, player.position / 16_000 + 0.4))
        waiting = list(player.waiting)
        if waiting and data.draw(st.booleans()):
            player.answer(data.draw(st.sampled_from(waiting)))
    player.send(CloseStream())
    while player.waiting:
        player.answer(data.draw(st.sampled_from(list(player.waiting))))
    expected = whole(chosen, talk)
    assert finals(player.events) == finals(expected.events)
    assert utterance_ends(player.events) == utterance_ends(expected.events)
    assert closing(player.events) == Closed(1000, "")
    assert_ordered(player, chosen.vad_events)


def assert_ordered(player: Player, vad_events: bool) -> None:
    """Interims only of the segment after the last final; SpeechStarted before its words; UtteranceEnd after its word."""
    final_end, shown_end, started, last_word_s = 0, 0, 0, -math.inf
    for event in player.events:
        if isinstance(event, Results):
            assert event.start_samples == final_end
            assert started or not (event.words and vad_events)
            # A final may be shorter than its last interim: long speech is cut where it was quietest, not at its end.
            assert event.is_final or event.end_samples >= shown_end
            shown_end = event.end_samples
            if event.is_final:
                final_end = event.end_samples
                last_word_s = event.words[-1].end_s if event.words else last_word_s
        elif isinstance(event, SpeechStarted):
            started += 1
        elif isinstance(event, UtteranceEnd):
            assert event.last_word_end_s <= last_word_s


@several
@given(talks(), options, st.lists(st.integers(0, 40 * 16_000), max_size=4))
def test_finalize_anywhere_is_answered_once_and_loses_nothing(talk: Talk, chosen: StreamOptions, places: list[int]) -> None:
    player = Player(chosen, talk)
    for place in sorted(min(place, talk.length_samples) for place in places):
        player.play(place / 16_000)
        assert [r.from_finalize for r in finals(player.send(Finalize()))] == [True]
    player.play()
    player.send(CloseStream())
    assert_tiles(finals(player.events), talk.length_samples)
    spoken = said(finals(player.events))
    assert spoken == sorted(set(spoken), key=talk.text.index)
    # A word of which less than 64 ms came after a Finalize is not decoded again; its middle may lie in that part.
    assert len(spoken) >= len(talk.text) - len(places)


words = st.builds(
    Word,
    st.text(max_size=5),
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(0, 1),
)


def audio(channels: int) -> st.SearchStrategy[Any]:
    """Blocks that mostly fit; the number of windows is filled in when the block is sent."""
    values = st.one_of(st.floats(0, 1, width=32), st.sampled_from([math.nan, math.inf, -1.0]))
    return st.tuples(
        st.just("audio"),
        st.sampled_from([channels] * 9 + [channels + 1]),
        st.integers(0, 9_000),
        st.lists(values, min_size=1),
    )


anything = st.one_of(
    audio(2),
    audio(2),
    audio(2),
    st.builds(KeepAlive),
    st.builds(Finalize, st.one_of(st.none(), st.integers(-1, 3))),
    st.builds(Configure, st.one_of(st.none(), st.just(("term",))), st.one_of(st.none(), st.booleans())),
    st.builds(Unparsable, st.text(max_size=10)),
    st.builds(Decoded, st.integers(0, 12), st.lists(words, max_size=4).map(hypothesis)),
    st.builds(DecodeFailed, st.integers(0, 12)),
    st.builds(Tick),
    st.builds(ReadingPaused),
    st.builds(ReadingResumed),
    st.just("not an item"),
)
endings = st.sampled_from([CloseStream(), Shutdown(), Abort(1011, "internal error"), Tick()])


def concrete(item: Any, machine: StreamMachine) -> StreamInput:
    if not isinstance(item, tuple):
        return item  # type: ignore[no-any-return]
    _, channels, size, values = item
    windows = (machine.received_samples + size) // 512 - machine.received_samples // 512
    rng = np.random.default_rng(size)
    pcm = rng.normal(size=(channels, size)).astype(np.float32)
    return Audio(pcm, tuple(np.resize(np.array(values, np.float32), windows) for _ in range(channels)))


@settings(several, max_examples=150)
@given(st.lists(st.tuples(anything, st.floats(0, 3)), max_size=60), endings, options)
def test_random_input_raises_only_our_error_and_keeps_the_order(
    items: list[tuple[Any, float]], ending: StreamInput, chosen: StreamOptions
) -> None:
    machine = StreamMachine(
        StreamOptions(
            channels=2,
            interim_results=chosen.interim_results,
            endpointing_s=chosen.endpointing_s,
            utterance_end_s=chosen.utterance_end_s,
            max_segment_s=5.0,
        ),
        0.0,
    )
    events, given_out, now = [], set(), 0.0
    for item, passed_s in [*items, (ending, 0.0), *items[:5]]:
        now += passed_s
        with suppress(SttError):
            machine.receive(concrete(item, machine), now)
        given_out |= {job.job_id for job in machine.jobs()}
        assert set(machine.cancelled()) <= given_out
        events += machine.events()
        deadline = machine.deadline()
        assert deadline is None or math.isfinite(deadline)
    for index in (0, 1):
        tiles = finals(events, index)
        assert_tiles(tiles, tiles[-1].end_samples if tiles else 0)
    closed = closing(events)
    assert isinstance(ending, Tick) or closed is not None or machine.backlog_samples > 0
    if any(isinstance(event, Metadata) for event in events):
        assert closed is not None
        assert isinstance(events[-2], Metadata)


def test_two_machines_share_nothing() -> None:
    first, second = StreamMachine(StreamOptions(), 0.0), StreamMachine(StreamOptions(), 0.0)
    first.receive(CloseStream(), 0.0)
    assert second.events() == []
    with pytest.raises(SttError):
        second.receive("nonsense", 0.0)  # type: ignore[arg-type]
