"""A transcript as the answers of OpenAI's audio routes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

import orjson

from app.dialects.openai_options import SpeechRequest
from app.dialects.subtitles import render_srt, render_vtt
from app.domain.languages import language_name, word_space
from app.domain.text.edits import edges
from app.domain.transcript import Channel, Segment, TokenScore, Transcript, Word
from app.domain.vocabulary import BYTES_PER_TOKEN

Json = dict[str, Any]

AUDIO_TOKENS_PER_S = 10
"""What OpenAI counts for sound that its gpt models listen to."""

_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"


def render_transcript(transcript: Transcript, asked: SpeechRequest) -> tuple[bytes, str]:
    """The body and its media type."""
    if asked.response_format == "srt":
        return render_srt(transcript).encode(), _TEXT
    if asked.response_format == "vtt":
        return render_vtt(transcript).encode(), "text/vtt; charset=utf-8"
    if asked.response_format == "text":
        return f"{whole_text(transcript)}\n".encode(), _TEXT
    forms: dict[str, Callable[[Transcript, SpeechRequest], Json]] = {
        "json": _plain,
        "verbose_json": _verbose,
        "diarized_json": _diarized,
    }
    return orjson.dumps(forms[asked.response_format](transcript, asked)), _JSON


def whole_text(transcript: Transcript) -> str:
    """The segments' texts, one after the other."""
    channel = transcript.channels[0]
    return word_space(channel.language).join(segment.text for segment in channel.segments)


def usage(transcript: Transcript, asked: SpeechRequest, *, tokens: bool) -> Json:
    """What OpenAI would bill: seconds, or tokens. Those of the text are counted, those of a prompt are estimated."""
    if not tokens:
        return {"type": "duration", "seconds": math.ceil(transcript.duration_s)}
    audio = math.ceil(transcript.duration_s * AUDIO_TOKENS_PER_S)
    text = math.ceil(len(asked.options.prompt.encode()) / BYTES_PER_TOKEN)
    output = sum(len(segment.tokens) for segment in transcript.channels[0].segments)
    return {
        "type": "tokens",
        "input_tokens": audio + text,
        "input_token_details": {"text_tokens": text, "audio_tokens": audio},
        "output_tokens": output,
        "total_tokens": audio + text + output,
    }


def render_logprobs(segments: Iterable[Segment]) -> list[Json]:
    """One entry per token. A token may hold part of a character only: ``bytes`` has it exactly."""
    return [_logprob(score) for segment in segments for score in segment.scores]


def languages(channel: Channel) -> list[Json]:
    """The language of the speech; none where nobody speaks."""
    return [{"code": channel.language}] if channel.segments else []


def names_languages(asked: SpeechRequest) -> bool:
    """Whether the model asked for is one whose answers tell their languages."""
    return asked.name.startswith("gpt-transcribe")


def speaker_segments(transcript: Transcript) -> list[Json]:
    """Stretches of one voice, none longer than a segment of the engine's. Voices are ``A``, ``B`` and so on."""
    channel = transcript.channels[0]
    space = word_space(channel.language)
    stretches: list[Sequence[Word]] = []
    for segment in channel.segments:
        stretches += [tuple(words) for _, words in groupby(segment.words, key=lambda word: word.speaker or 0)]
    return [
        {
            "type": "transcript.text.segment",
            "id": f"seg_{index:03d}",
            "start": _time(words[0].start_s),
            "end": _time(words[-1].end_s),
            "text": space.join(word.text for word in words),
            "speaker": speaker_letters(words[0].speaker or 0),
        }
        for index, words in enumerate(stretches)
    ]


def speaker_letters(speaker: int) -> str:
    """0 -> ``A``, 25 -> ``Z``, 26 -> ``AA``."""
    letters = ""
    number = speaker + 1
    while number:
        number, letter = divmod(number - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return letters


def _plain(transcript: Transcript, asked: SpeechRequest) -> Json:
    body: Json = {"text": whole_text(transcript)}
    if asked.options.translate:
        return body
    channel = transcript.channels[0]
    if asked.logprobs:
        body["logprobs"] = render_logprobs(channel.segments)
    if names_languages(asked):
        body["languages"] = languages(channel)
    return body | {"usage": usage(transcript, asked, tokens=asked.name.startswith("gpt-"))}


def _verbose(transcript: Transcript, asked: SpeechRequest) -> Json:
    channel = transcript.channels[0]
    body: Json = {
        "task": "translate" if asked.options.translate else "transcribe",
        "language": language_name(channel.language).lower(),
        "duration": _time(transcript.duration_s),
        "text": whole_text(transcript),
    }
    if "segment" in asked.granularities:
        space = word_space(channel.language)
        body["segments"] = [_segment(segment, index, space) for index, segment in enumerate(channel.segments)]
    if "word" in asked.granularities:
        body["words"] = [_word(word) for word in channel.words]
    return body | {"usage": usage(transcript, asked, tokens=False)}


def _diarized(transcript: Transcript, asked: SpeechRequest) -> Json:
    return {
        "task": "transcribe",
        "duration": _time(transcript.duration_s),
        "text": whole_text(transcript),
        "segments": speaker_segments(transcript),
        "usage": usage(transcript, asked, tokens=asked.name.startswith("gpt-")),
    }


def _segment(segment: Segment, index: int, space: str) -> Json:
    return {
        "id": index,
        "seek": round(segment.window_start_s * 100),  # hundredths of a second, as Whisper counts its frames
        "start": _time(segment.start_s),
        "end": _time(segment.end_s),
        "text": space + segment.text,  # as Whisper writes it: texts can be put together as they are
        "tokens": list(segment.tokens),
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob or 0.0,
    }


def _word(word: Word) -> Json:
    before, after = edges((word,))
    return {
        "word": word.text[len(before) : len(word.text) - len(after)] or word.text,
        "start": _time(word.start_s),
        "end": _time(word.end_s),
    }


def _logprob(score: TokenScore) -> Json:
    return {"token": score.text.decode("utf-8", "replace"), "logprob": score.logprob, "bytes": list(score.text)}


def _time(value_s: float) -> float:
    return round(value_s, 3)
