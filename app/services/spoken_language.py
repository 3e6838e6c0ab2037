"""Which language a recording is in, and nothing else: only as much is decoded as that takes."""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np

from app.domain.audio import SAMPLE_RATE, Pcm16k
from app.domain.chunking import Chunk, Chunker, mix_to_mono
from app.domain.ports import DecodedAudio, EngineSession, JobClass, Vad
from app.domain.transcript import LanguageGuess
from app.services.threads import in_thread

SPEECH_S = 30
"""Seconds of speech that are looked at: Whisper's whole window. Nobody waits for words here, so being sure comes first."""


async def detect_spoken_language(
    opened: AbstractContextManager[DecodedAudio], vad: Vad, session: EngineSession, among: tuple[str, ...]
) -> tuple[LanguageGuess, ...]:
    """The languages of the first speech among these codes, most probable first; none where nobody speaks."""
    search = _Search(vad)
    speech = await in_thread(search.first_speech, opened, on_cancel=search.stop)
    if not speech.size:
        return ()
    return await session.detect_language(speech, among, JobClass.SHORT_RECORDING)


class _Search:
    """Reads a recording up to its first ``SPEECH_S`` of speech, its channels mixed."""

    def __init__(self, vad: Vad) -> None:
        self._stream = vad.stream()
        self._chunker = Chunker()
        self._is_stopped = False

    def stop(self) -> None:
        """From any thread: nobody waits any more."""
        self._is_stopped = True

    def first_speech(self, opened: AbstractContextManager[DecodedAudio]) -> Pcm16k:
        """In a thread. Silence is left out; shape ``(n,)``, n may be 0."""
        with opened as audio:
            chunks = self._chunks(audio)
        pieces = [chunk.pcm for chunk in chunks] or [np.zeros(0, np.float32)]
        return np.concatenate(pieces)[: SPEECH_S * SAMPLE_RATE]

    def _chunks(self, audio: DecodedAudio) -> list[Chunk]:
        found: list[Chunk] = []
        for block in audio.blocks():
            pcm = mix_to_mono(block)
            found += self._chunker.feed(pcm, self._stream.feed(pcm))
            if self._is_stopped or sum(chunk.pcm.size for chunk in found) >= SPEECH_S * SAMPLE_RATE:
                return found
        return found + list(self._chunker.flush())
