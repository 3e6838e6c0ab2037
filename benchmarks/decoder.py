"""What the decoder costs: ``python -m benchmarks.decoder``.

Greedy against beams, in words and time; second decodes and temperatures, when something looks wrong; a decoder that loops;
and how long a decode goes on that nobody wants any more. Everything in this process, at the dimensions of a real model,
cut and fitted as the server does it, in turn; medians. No audio makes the self-test model loop, so one token is made the
only one there is.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter, process_time
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from app.domain.audio import Pcm16k
from app.domain.guards import Doubt
from app.domain.options import DecodeOptions
from app.domain.ports import Aborted, EngineSession, JobClass
from app.engines import whisper_cpp
from app.engines.cpu import usable_cores
from app.engines.pool import ProcessPool
from app.engines.whisper_cpp import WhisperCppEngine
from benchmarks.harness import SHARED, expanded_model, median, needed, read_clip, save
from benchmarks.margins import edits, plain, read_clips
from benchmarks.margins_attention import cut

BEAMS = (1, 2, 5)
LOOP_LENGTHS_S = (1.0, 3.0, 10.0)
ABORT_AFTER_S = (0.02, 0.1, 0.3)
"""When the wish to stop comes: inside the encoder, at its end, among the tokens (base dimensions, two threads)."""

NEVER_LIKELY = 1.0
"""A least log-probability that no text has: the library then tries every temperature."""


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="base", choices=["tiny", "base", "small"])
    parser.add_argument("--clips", type=Path, default=SHARED / "audio", help="folder with clips and their manifest.json")
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    folder = needed(arguments.clips, "manifest.json", "--clips")
    engine = WhisperCppEngine.load(expanded_model(arguments.size), usable_cores())
    sentences = read_clip("sentences-10s.wav")
    engine.transcribe(sentences, DecodeOptions(), lambda: False)  # touches the buffers
    table = {
        "beams": beams(engine, folder),
        "doubts": doubts(engine, sentences, arguments.repeat),
        "loops": loops(engine, sentences),
        "aborts": asyncio.run(aborts(expanded_model(arguments.size), sentences, arguments.repeat)),
    }
    save(f"decoder-{arguments.size}", table)


def beams(engine: WhisperCppEngine, folder: Path) -> dict[str, Any]:
    """Words wrong and seconds over all clips, by the number of beams."""
    step_s = engine.capabilities.context_step_s
    clips = [(clip, list(cut(clip.pcm, step_s))) for clip in read_clips(folder)]
    found = {}
    for count in BEAMS:
        errors = words = 0
        began_s, began_cpu_s = perf_counter(), process_time()
        for clip, chunks in clips:
            options = DecodeOptions(language=clip.language, beam_size=count)
            heard = [engine.transcribe(chunk.pcm, options, lambda: False) for chunk in chunks]
            said, got = plain(clip.text), plain(" ".join(part.text for one in heard for part in one.segments))
            errors, words = errors + edits(said, got), words + len(said)
        found[str(count)] = {**taken(began_s, began_cpu_s), "errors": errors, "words": words}
    return found


def doubts(engine: WhisperCppEngine, pcm: Pcm16k, repeat: int) -> dict[str, Any]:
    """Seconds for the same ten seconds of speech: believed at once, decoded again, and again at every temperature."""
    doubtful = patch.object(whisper_cpp, "find_doubts", lambda *_: (Doubt.LOW_PROBABILITY,))
    hopeless = patch.object(engine, "_parameters", with_parameters(engine, logprob_thold=NEVER_LIKELY))
    no_fallback, fallback = DecodeOptions(temperature_fallback=False), DecodeOptions()
    found = {}
    for name, options, patches in (
        ("believed", fallback, []),
        ("decoded again with everything", no_fallback, [doubtful]),
        ("decoded again at all temperatures", fallback, [doubtful, hopeless]),
    ):
        for each in patches:
            each.start()
        times = []
        for _ in range(repeat):
            began_s = perf_counter()
            engine.transcribe(pcm, options, lambda: False)
            times.append(perf_counter() - began_s)
        for each in reversed(patches):
            each.stop()
        found[name] = {"seconds": median(times)}
    return found


def with_parameters(engine: WhisperCppEngine, **values: object) -> Callable[..., Any]:
    """The engine's own parameters with some changed."""
    own = engine._parameters  # noqa: SLF001 - what the library is told is the point

    def changed(*given: Any) -> Any:
        parameters = own(*given)
        for name, value in values.items():
            setattr(parameters, name, value)
        return parameters

    return changed


def loops(engine: WhisperCppEngine, pcm: Pcm16k) -> dict[str, Any]:
    """Decoder steps and seconds of audio whose decoder says one word for ever: as a final, with and without the stop."""
    steering = engine._steering  # noqa: SLF001 - a loop has to be made
    if steering is None:
        return {}
    word = engine.transcribe(pcm, DecodeOptions(), lambda: False).segments[0].tokens[0]
    own = steering._loops  # noqa: SLF001
    found = {}
    for length_s in LOOP_LENGTHS_S:
        for stopped in (False, True):
            steps: list[int] = []

            def repeat(said: list[int], logits: NDArray[np.float32], stopped: bool = stopped, to: list[int] = steps) -> None:
                to.append(len(said))
                logits[word] = logits.max() + 50
                if stopped:
                    own.lift(said, logits)

            with patch.object(steering, "_loops", cast(Any, SimpleNamespace(lift=repeat))):
                began_s, began_cpu_s = perf_counter(), process_time()
                engine.transcribe(pcm[: int(length_s * 16_000)], DecodeOptions(), lambda: False)
            name = f"{length_s:.0f} s, {'stopped' if stopped else 'left alone'}"
            found[name] = {**taken(began_s, began_cpu_s), "steps": len(steps)}
    return found


def taken(began_s: float, began_cpu_s: float) -> dict[str, float]:
    """Seconds since then, and processor seconds, which other programs change less."""
    return {"seconds": round(perf_counter() - began_s, 3), "cpu_s": round(process_time() - began_cpu_s, 3)}


async def aborts(model: Path, pcm: Pcm16k, repeat: int) -> dict[str, Any]:
    """Seconds from the end of a job nobody wants to its worker's being free, by when that comes; and a final's wait."""
    pool = await ProcessPool.start(model, workers=1)
    try:
        async with pool.admit(live=True) as session:
            await session.transcribe(pcm, DecodeOptions(), JobClass.FINAL)
            found: dict[str, Any] = {}
            for after_s in ABORT_AFTER_S:
                free_s = [await _free_after_a_cancel(pool, session, pcm, after_s) for _ in range(repeat)]
                waits_s = [await _final_behind_an_interim(session, pcm, after_s) for _ in range(repeat)]
                found[f"after {after_s} s"] = {"worker_free_s": median(free_s), "final_waited_s": median(waits_s)}
            return found
    finally:
        await pool.close()


async def _free_after_a_cancel(pool: ProcessPool, session: EngineSession, pcm: Pcm16k, after_s: float) -> float:
    """Seconds until no worker decodes a recording any more that was given up ``after_s`` after its start."""
    job = asyncio.ensure_future(session.transcribe(pcm, DecodeOptions(fit_context=False), JobClass.SHORT_RECORDING))
    await asyncio.sleep(after_s)
    job.cancel()
    began_s = perf_counter()
    await asyncio.sleep(0)
    while pool.stats().busy:  # noqa: ASYNC110 - the pool tells nobody that a worker is free
        await asyncio.sleep(0.001)
    return perf_counter() - began_s


async def _final_behind_an_interim(session: EngineSession, pcm: Pcm16k, after_s: float) -> float:
    """Seconds that a final waited for a worker, which an interim of somebody else had taken ``after_s`` before."""
    interim = asyncio.ensure_future(session.transcribe(pcm, DecodeOptions(fit_context=False), JobClass.INTERIM))
    await asyncio.sleep(after_s)
    final = await session.transcribe(pcm[:48_000], DecodeOptions(), JobClass.FINAL)
    with suppress(Aborted):
        await interim
    return final.queue_s


if __name__ == "__main__":
    main()
