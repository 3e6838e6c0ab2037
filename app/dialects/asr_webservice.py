"""``POST /asr`` in the manner of whisper-asr-webservice, whose clients are subtitle managers (Bazarr) and note apps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import orjson

from app.dialects.openai_form import Form
from app.dialects.plain_options import Fields, recording_options
from app.dialects.plain_rest import Passage, passages, seconds, speaker_label
from app.dialects.subtitles import render_srt, render_vtt
from app.domain.languages import word_space
from app.domain.options import TranscribeOptions
from app.domain.transcript import Transcript, Word

Json = dict[str, Any]

OUTPUTS = ("txt", "vtt", "srt", "tsv", "json")

ENGINE = "whisper.cpp"
"""What the header ``Asr-Engine`` says."""


_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class AsrRequest:
    """What ``POST /asr`` asks for. ``output`` is one of ``OUTPUTS``; ``with_words`` lists words in JSON."""

    options: TranscribeOptions
    output: str
    with_words: bool


def parse_asr(fields: Fields) -> AsrRequest:
    """``output``, ``task``, ``language``, ``initial_prompt``, ``word_timestamps``, ``encode``, ``diarize``, ``model``.

    Silence is never decoded, so ``vad_filter`` has no effect; nor have names that are not known. Raises ``InvalidParameter``
    or ``UnsupportedModel``.
    """
    form = Form(fields)
    output = form.choice("output", OUTPUTS, "txt")
    options = recording_options(form, prompt_name="initial_prompt")
    return AsrRequest(replace(options, scores=output == "json"), output, form.flag("word_timestamps"))


def render_asr(transcript: Transcript, asked: AsrRequest) -> tuple[bytes, str]:
    """The body and its media type."""
    if asked.output == "json":
        return _render_json(transcript, with_words=asked.with_words), "application/json"
    render, media_type = _RENDERERS[asked.output]
    return render(transcript).encode(), f"{media_type}; charset=utf-8"


def answer_headers(filename: str, output: str) -> dict[str, str]:
    """What goes with the answer: the engine's name, and a name for the file that a browser saves."""
    name = quote(filename[-_LONGEST_NAME:], safe="")
    return {"Asr-Engine": ENGINE, "Content-Disposition": f'attachment; filename="{name}.{output}"'}


def _render_text(transcript: Transcript) -> str:
    """A line for each segment; speakers in front, as WhisperX writes them."""
    lines = []
    for passage in _all_passages(transcript):
        label = f"[{passage.speaker}]: " if passage.speaker is not None else ""
        lines.append(f"{label}{passage.text}\n")
    return "".join(lines)


def _render_tsv(transcript: Transcript) -> str:
    """Start and end in integer milliseconds, and the text, which holds no tab."""
    lines = ["start\tend\ttext\n"]
    for passage in _all_passages(transcript):
        text = " ".join(passage.text.split())
        lines.append(f"{round(passage.start_s * 1000)}\t{round(passage.end_s * 1000)}\t{text}\n")
    return "".join(lines)


def _render_json(transcript: Transcript, *, with_words: bool) -> bytes:
    """The result object of OpenAI's whisper: texts begin with the space that joins them."""
    (channel,) = transcript.channels
    space = word_space(channel.language)
    segments = [_segment(number, passage, space, with_words=with_words) for number, passage in enumerate(passages(channel))]
    text = "".join(segment["text"] for segment in segments)
    return orjson.dumps({"text": text, "segments": segments, "language": channel.language})


def _segment(number: int, passage: Passage, space: str, *, with_words: bool) -> Json:
    segment = passage.segment
    rendered: Json = {
        "id": number,
        "seek": round(segment.window_start_s * 100),
        "start": seconds(passage.start_s),
        "end": seconds(passage.end_s),
        "text": space + passage.text,
        "tokens": list(segment.tokens) if passage.words == segment.words else [],
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
    }
    if with_words:
        rendered["words"] = [_word(word, space) for word in passage.words]
    if passage.speaker is not None:
        rendered["speaker"] = passage.speaker
    return rendered


def _word(word: Word, space: str) -> Json:
    rendered: Json = {
        "word": space + word.text,
        "start": seconds(word.start_s),
        "end": seconds(word.end_s),
        "probability": round(word.confidence, 4),
    }
    if word.speaker is not None:
        rendered["speaker"] = speaker_label(word)
    return rendered


def _all_passages(transcript: Transcript) -> list[Passage]:
    return [passage for channel in transcript.channels for passage in passages(channel)]


_RENDERERS: dict[str, tuple[Callable[[Transcript], str], str]] = {
    "txt": (_render_text, "text/plain"),
    "vtt": (render_vtt, "text/vtt"),
    "srt": (render_srt, "application/x-subrip"),
    "tsv": (_render_tsv, "text/tab-separated-values"),
}
