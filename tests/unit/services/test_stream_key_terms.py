"""Key terms that a live stream starts with, and those that a ``Configure`` puts in their place."""

from __future__ import annotations

import asyncio

import numpy as np

from app.domain.audio import Pcm16k, PcmBlock
from app.domain.options import DecodeOptions, Keyterm
from app.domain.ports import JobClass
from app.domain.stream.events import CloseStream, Configure, Control, Finalize
from app.domain.stream.options import StreamOptions
from app.domain.transcript import Hypothesis, LanguageGuess
from app.engines.scripted import ScriptedVad
from app.services.hearing import Hearing
from app.services.joint_vad import JointVad
from app.services.stream import LiveStream
from tests.support.live_shell import ListLink, Step, run_virtually, settle

SECOND = np.ones(16_000, dtype="<i2").tobytes()


class Linear16:
    """Fulfils ``StreamDecoder`` for whole samples of one channel."""

    channels = 1

    def feed(self, data: bytes) -> PcmBlock:
        return (np.frombuffer(data, "<i2").astype(np.float32) / 32_768).reshape(1, -1)

    def flush(self) -> PcmBlock:
        return np.zeros((1, 0), np.float32)

    def close(self) -> None:
        pass


class Recorder:
    """Fulfils ``EngineSession``: hears nothing, and remembers the terms of every decode."""

    def __init__(self) -> None:
        self.terms: list[tuple[JobClass, tuple[Keyterm, ...]]] = []

    async def transcribe(self, pcm: Pcm16k, options: DecodeOptions, job_class: JobClass) -> Hypothesis:
        self.terms.append((job_class, options.keyterms))
        return Hypothesis((), "en")

    async def detect_language(self, pcm: Pcm16k, among: tuple[str, ...], job_class: JobClass) -> tuple[LanguageGuess, ...]:
        raise NotImplementedError


def play(*items: bytes | Control | Step, options: StreamOptions | None = None) -> Recorder:
    recorder = Recorder()

    async def main() -> None:
        vad = JointVad(ScriptedVad((0.0, 3600.0)), gather_s=0)
        hearing = Hearing(Linear16(), vad, multichannel=False, inline_bytes=1 << 30)
        decode = DecodeOptions(keyterms=(Keyterm("old"),))
        await LiveStream(ListLink(*items), recorder, hearing, options or StreamOptions(), decode).run()

    run_virtually(main)
    return recorder


def finals(recorder: Recorder) -> list[tuple[Keyterm, ...]]:
    return [terms for job_class, terms in recorder.terms if job_class is not JobClass.INTERIM]


def test_a_configure_changes_the_terms_of_later_decodes() -> None:
    recorder = play(SECOND, Finalize(), settle, Configure(("new", "new ")), SECOND, Finalize(), settle, CloseStream())
    assert finals(recorder) == [(Keyterm("old"),), (Keyterm("new"),)]


def test_an_empty_list_takes_all_terms_away() -> None:
    recorder = play(Configure(()), SECOND, Finalize(), settle, CloseStream())
    assert finals(recorder) == [()]


def test_a_configure_without_terms_or_one_that_is_refused_leaves_them() -> None:
    refused = Configure(("word",) * 501)
    recorder = play(Configure(), Configure(None, False), refused, SECOND, Finalize(), settle, CloseStream())
    assert finals(recorder) == [(Keyterm("old"),)]


def test_interims_favour_the_new_terms_too() -> None:
    pieces = [SECOND, lambda: asyncio.sleep(1.0)] * 3
    recorder = play(Configure(("new",)), *pieces, CloseStream(), options=StreamOptions(interim_results=True))
    interims = [terms for job_class, terms in recorder.terms if job_class is JobClass.INTERIM]
    assert interims
    assert set(interims) == {(Keyterm("new"),)}
