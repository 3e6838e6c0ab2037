from __future__ import annotations

import socket
import threading
from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.domain.options import DecodeOptions, Keyterm
from app.domain.transcript import Hypothesis, LanguageGuess, Segment, TokenScore, Word
from app.engines import wire

FRAMES = [wire.Frame({"op": "a", "n": 1}, b"\x00\x01\x02"), wire.Frame({"op": "días"}), wire.Frame({}, b"x" * 100)]
STREAM = b"".join(wire.pack(frame.header, len(frame.payload)) + frame.payload for frame in FRAMES)


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_frames_survive_any_split(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    parser = wire.FrameParser()
    found = [frame for start, end in pairwise(edges) for frame in parser.feed(STREAM[start:end])]
    assert found == FRAMES


def test_a_frame_larger_than_the_socket_buffer_arrives_whole() -> None:
    left, right = socket.socketpair()
    with left, right:
        samples = np.arange(500_000, dtype=np.float32)
        thread = threading.Thread(target=left.sendall, args=(wire.pack({"op": "x"}, samples.nbytes) + samples.tobytes(),))
        thread.start()
        frame = wire.receive(right)
        thread.join()
        assert frame is not None
        assert np.array_equal(np.frombuffer(frame.payload, "<f4"), samples)


def test_the_end_of_the_other_side_is_none_also_inside_a_frame() -> None:
    for sent in (b"", STREAM[:3], STREAM[:12], STREAM[:-1][: len(wire.pack(FRAMES[0].header, 3)) + 1]):
        left, right = socket.socketpair()
        with right:
            left.sendall(sent)
            left.close()
            assert wire.receive(right) is None


def test_options_come_back_equal() -> None:
    options = DecodeOptions(
        language=None,
        languages=("en", "es"),
        prompt="Río",
        keyterms=(Keyterm("Nuuk"), Keyterm("Río Bravo", -1.5)),
        temperature=0.2,
        beam_size=3,
    )
    assert wire.unpack_options(wire.pack_options(options)) == options


def test_hypotheses_come_back_equal_after_json() -> None:
    segment = Segment("¿Qué?", 0.1, 0.5, (Word("¿Qué?", 0.1, 0.5, 0.93),), (1, 2, 3), -0.2)
    scores = (TokenScore(b" \xc2", -0.1), TokenScore(b"\xbfQu\xc3\xa9", -0.25), TokenScore(b"?", 0.0))
    scored = replace(segment, temperature=0.4, scores=scores, no_speech_prob=0.125)
    hypothesis = Hypothesis((segment, scored), "es", decode_s=0.25, retries=1)
    (frame,) = wire.FrameParser().feed(wire.pack(wire.pack_hypothesis(hypothesis)))
    assert wire.unpack_hypothesis(frame.header) == hypothesis


def test_guesses_come_back_equal() -> None:
    guesses = (LanguageGuess("es", 0.75), LanguageGuess("en", 0.25))
    assert wire.unpack_guesses(wire.pack_guesses(guesses)) == guesses
