"""Captions read by others: ours by an independent parser, our JSON by Deepgram's caption helper (contract 5.7)."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import datetime, timezone
from html import unescape
from typing import Any

import httpx
import orjson
import pytest
import webvtt
from deepgram_captions import ConverterException, DeepgramConverter
from deepgram_captions import srt as helper_srt
from deepgram_captions import webvtt as helper_vtt
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dialects.deepgram_rest import RequestFacts, render_response
from app.dialects.subtitles import render_srt, render_vtt
from app.domain.options import TextOptions, TranscribeOptions
from app.domain.text.cues import CueLimits
from app.domain.transcript import Channel, Transcript, Word
from tests.support.running_server import CLIPS, RunningServer
from tests.support.transcripts import MODEL, segment, talk, words

pytestmark = pytest.mark.compat

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")) | st.sampled_from(" \n<>&-"), max_size=40)
SECONDS = st.integers(0, 40_000_000).map(lambda milliseconds: milliseconds / 1000)


@st.composite
def any_transcript(draw: st.DrawFn) -> Transcript:
    def channel() -> Channel:
        said = []
        for _ in range(draw(st.integers(1, 8))):
            start_s = draw(SECONDS)
            speaker = draw(st.none() | st.integers(0, 3))
            said.append(Word(draw(TEXT), start_s, start_s + draw(st.floats(0, 9)), 0.5, speaker=speaker))
        said.sort(key=lambda word: word.start_s)
        return Channel((segment(tuple(said)),), draw(st.sampled_from(["en", "zh"])))

    return Transcript(tuple(channel() for _ in range(draw(st.integers(1, 2)))), 40_010.0, MODEL)


def said_by(transcript: Transcript) -> str:
    """All text without white space, in any order."""
    return "".join(sorted("".join("".join(word.text.split()) for one in transcript.channels for word in one.words)))


@settings(max_examples=150, deadline=None)
@given(any_transcript())
def test_an_independent_parser_reads_every_webvtt_whole(transcript: Transcript) -> None:
    document = render_vtt(transcript)
    cues = webvtt.from_buffer(io.StringIO(document), format="vtt").captions if "-->" in document else []
    shown = "".join(unescape(re.sub(r"^<v [^>]*>", "", cue.raw_text)) for cue in cues)
    assert "".join(sorted("".join(shown.split()))) == said_by(transcript)
    starts = [cue.start_in_seconds for cue in cues]
    assert starts == sorted(starts)
    assert all(cue.start < cue.end for cue in cues)


@settings(max_examples=150, deadline=None)
@given(any_transcript())
def test_an_independent_parser_reads_every_subrip_whole(transcript: Transcript) -> None:
    document = render_srt(transcript)
    cues = webvtt.from_buffer(io.StringIO(document), format="srt").captions if "-->" in document else []
    shown = "".join(re.sub(r"^\[(?:channel \d )?speaker \d\]\n", "", cue.raw_text) for cue in cues)
    assert sorted("".join(shown.split()).replace("\u2192", "-->")) == sorted(said_by(transcript).replace("\u2192", "-->"))
    assert all(cue.start < cue.end for cue in cues)


def test_voices_are_read_as_such() -> None:
    said = (*words("Good day."), *(replace(word, speaker=1) for word in words("A <b> & C.", 1.0)))
    said = (*(replace(word, speaker=0) for word in said[:2]), *said[2:])
    document = render_vtt(Transcript((Channel((segment(said),), "en"),), 9.0, MODEL))
    assert [cue.voice for cue in webvtt.from_string(document)] == ["Speaker 0", "Speaker 1"]


def response(transcript: Transcript, **text: bool) -> dict[str, Any]:
    facts = RequestFacts("2479c8c8-8185-40ac-9ac6-f0874419f793", datetime(2026, 1, 2, tzinfo=timezone.utc), "ab" * 32)
    options = TranscribeOptions(text=TextOptions(**text))  # type: ignore[arg-type]  # flags only
    answer: dict[str, Any] = orjson.loads(render_response(transcript, options, facts))
    return answer


class TestHelper:
    """``deepgram-captions``, which makes captions of a response."""

    @pytest.mark.parametrize("utterances", [False, True])
    def test_it_makes_webvtt_of_our_response(self, utterances: bool) -> None:
        answer = response(talk("Hello world. How are you? | Bye."), punctuate=True, utterances=utterances)
        document = helper_vtt(DeepgramConverter(answer))
        assert f"Request Id: {answer['metadata']['request_id']}" in document
        text = " ".join(cue.text for cue in webvtt.from_string(document))
        assert text == "Hello world. How are you? Bye."

    def test_it_makes_srt_of_our_response(self) -> None:
        document = helper_srt(DeepgramConverter(response(talk("Hello world."), punctuate=True)))
        assert document.startswith("1\n00:00:00,000 --> 00:00:01,000\nHello world.")

    def test_it_says_itself_when_there_was_no_speech(self) -> None:
        with pytest.raises(ConverterException):
            DeepgramConverter(response(talk("")))


def test_a_running_server_answers_with_captions(server: RunningServer) -> None:
    clip = next(folder / "hello-world.wav" for folder in CLIPS if (folder / "hello-world.wav").exists()).read_bytes()
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=60, trust_env=False) as client:
        vtt = client.post("/v1/listen", params={"response_format": "vtt", "punctuate": "true"}, content=clip)
        srt = client.post("/v1/listen", params={"response_format": "srt", "caption_line_length": "10"}, content=clip)
        answer = client.post("/v1/listen", params={"smart_format": "true", "utterances": "true"}, content=clip).json()
    assert vtt.headers["content-type"].startswith("text/vtt")
    [cue] = webvtt.from_string(vtt.text)
    assert cue.text.lower().strip(".!") == "hello world"
    assert webvtt.from_buffer(io.StringIO(srt.text), format="srt").captions[0].lines[0].lower().startswith("hello")
    assert "ello" in helper_vtt(DeepgramConverter(answer))


def test_a_line_length_that_is_none_is_refused(server: RunningServer) -> None:
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=60, trust_env=False) as client:
        answer = client.post("/v1/listen", params={"response_format": "vtt", "caption_line_length": "9"}, content=b"x")
    assert answer.status_code == 400
    assert "caption_line_length" in answer.json()["err_msg"]


def test_limits_reach_the_cues() -> None:
    document = render_vtt(talk("one two three four five"), CueLimits(line_length=10, lines=1))
    assert all(len(cue.text) <= 10 for cue in webvtt.from_string(document))
