"""How often the basic diarizer is wrong, and what it costs: ``python -m benchmarks.diarization``. Needs espeak-ng, flite.

DER is the share of spoken time that is missed, invented or given to the wrong speaker, after the labels were matched in the
best way; with a collar, a quarter of a second around each begin and end does not count. ``confusion`` is the last part of
it alone. Words are counted wrong when they name another speaker than who said them; a word is a third of a second here.
"""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.audio.vad import load_vad
from app.diarization.basic import BasicDiarizer
from app.domain.speakers import SpeakerTurn, words_with_speakers
from app.domain.transcript import Word
from benchmarks.conversations import Conversation, by_telephone, converse
from benchmarks.harness import AUDIO, read_clip, save

Turns = Sequence[tuple[float, float, int]]

COLLAR_S = 0.25
PER_SECOND = 100
FINAL_AFTER_S = 0.2
"""Silence after which a final comes in the live measurement, as with the least endpointing that the server has."""

DIALOGUE = ((0.3, 1.52, 0), (2.22, 3.33, 1), (4.03, 5.18, 0), (5.88, 6.91, 1), (7.61, 8.77, 0), (9.47, 10.508, 1))


def main() -> None:
    """Score all groups, measure the cost, write the table."""
    table: dict[str, Any] = {"dialogue-two-speakers.wav": _scored([_fixture()])}
    for synthesiser, counts in (("espeak", (1, 2, 3, 4)), ("flite", (1, 2, 3, 4))):
        for voices in counts:
            made = [converse(9000 + 10 * voices + index, voices, 90, synthesiser) for index in range(6)]
            table[f"{synthesiser}, {voices} voices, 90 s"] = _scored(made)
    short = [converse(9500 + index, 2 + index % 2, 20, "espeak") for index in range(8)]
    recorded = [converse(9600 + index, 2 + index % 3, 90, "flite", snr_db=15) for index in range(6)]
    quiet = [converse(9600 + index, 2 + index % 3, 90, "flite") for index in range(6)]
    table["espeak, 2-3 voices, 20 s"] = _scored(short)
    table["flite, 2-4 voices, 90 s, noise at 15 dB"] = _scored(recorded)
    table["flite, 2-4 voices, 90 s, telephone"] = _scored([by_telephone(made) for made in quiet])
    table["cost"] = _cost(quiet[0])
    save("diarization", table)


def _fixture() -> Conversation:
    assert (AUDIO / "dialogue-two-speakers.wav").exists()  # noqa: S101
    pcm = read_clip("dialogue-two-speakers.wav")
    return Conversation(np.pad(pcm, (0, -len(pcm) % 512)), DIALOGUE)


def _scored(conversations: list[Conversation]) -> dict[str, Any]:
    strict, lenient, words, live = np.zeros(4), np.zeros(4), np.zeros(2), np.zeros(2)
    counts: list[str] = []
    for made in conversations:
        probabilities = load_vad().stream().feed(made.pcm)
        turns = _turns(made, probabilities)
        found = [(turn.start_s, turn.end_s, turn.speaker) for turn in turns]
        strict += _errors(found, made.turns, 0.0)
        lenient += _errors(found, made.turns, COLLAR_S)
        said = list(_words(made.turns))
        words += _wrong_words(words_with_speakers([word for word, _ in said], turns), said)
        live += _wrong_words(_live_words(made, probabilities, said), said)
        counts.append(f"{made.voices}->{len({turn.speaker for turn in turns})}")
    return {
        "conversations": len(conversations),
        "der": _share(strict[:3].sum(), strict[3]),
        "confusion": _share(strict[2], strict[3]),
        "der_collar": _share(lenient[:3].sum(), lenient[3]),
        "wrong_words": _share(*words),
        "wrong_words_live": _share(*live),
        "speakers": " ".join(counts),
    }


def _share(part: float, whole: float) -> float:
    return round(float(part / whole), 4)


def _turns(made: Conversation, probabilities: NDArray[np.float32]) -> tuple[SpeakerTurn, ...]:
    session = BasicDiarizer().session()
    session.feed(made.pcm, probabilities)
    return session.turns()


def _words(turns: Turns) -> Iterator[tuple[Word, int]]:
    for start_s, end_s, speaker in turns:
        edges = np.linspace(start_s, end_s, max(1, round(3 * (end_s - start_s))) + 1)
        for begin, end in itertools.pairwise(edges.tolist()):
            yield Word("word", begin, end, 1.0), speaker


def _live_words(made: Conversation, probabilities: NDArray[np.float32], said: list[tuple[Word, int]]) -> list[Word]:
    live = BasicDiarizer().live()
    heard, waiting, named = 0, list[Word](), list[Word]()
    for (word, _), following in itertools.zip_longest(said, said[1:]):
        waiting.append(word)
        if following is not None and following[0].start_s - word.end_s < FINAL_AFTER_S:
            continue
        end_s = word.end_s + FINAL_AFTER_S
        until = min(int(end_s * 31.25), len(probabilities))
        live.feed(made.pcm[heard * 512 : until * 512], probabilities[heard:until])
        named += live.final(waiting, end_s)
        heard, waiting = until, []
    return named


def _wrong_words(named: Sequence[Word], said: list[tuple[Word, int]]) -> NDArray[np.float64]:
    pairs = [(truth, word.speaker or 0) for word, (_, truth) in zip(named, said, strict=True)]
    matrix = np.zeros((max(truth for truth, _ in pairs) + 1, max(label for _, label in pairs) + 1))
    for pair in pairs:
        matrix[pair] += 1
    return np.array([len(pairs) - _best_match(matrix), len(pairs)])


def _errors(found: Turns, said: Turns, collar_s: float) -> NDArray[np.float64]:
    """Missed, invented, confused and spoken time, in hundredths of a second."""
    length = round(max(end for _, end, _ in [*found, *said]) * PER_SECOND) + 1
    counted = np.ones(length, bool)
    for start_s, end_s, _ in said:
        for edge_s in (start_s, end_s):
            counted[max(0, round((edge_s - collar_s) * PER_SECOND)) : round((edge_s + collar_s) * PER_SECOND)] = False
    truth, guess = (_painted(turns, length)[counted] for turns in (said, found))
    both = (truth >= 0) & (guess >= 0)
    matrix = np.zeros((truth.max() + 1, max(int(guess.max()), 0) + 1))
    np.add.at(matrix, (truth[both], guess[both]), 1)
    missed, invented = ((truth >= 0) & (guess < 0)).sum(), ((truth < 0) & (guess >= 0)).sum()
    return np.array([missed, invented, both.sum() - _best_match(matrix), (truth >= 0).sum()], np.float64)


def _painted(turns: Turns, length: int) -> NDArray[np.intp]:
    line = np.full(length, -1, np.intp)
    for start_s, end_s, speaker in turns:
        line[round(start_s * PER_SECOND) : round(end_s * PER_SECOND)] = speaker
    return line


def _best_match(matrix: NDArray[np.float64]) -> float:
    """The most that can agree when each label of one side means at most one of the other."""
    small, large = sorted(matrix.shape)
    table = matrix if matrix.shape[0] == small else matrix.T
    if large <= 8:
        return max(
            float(table[range(small), chosen].sum()) for chosen in map(list, itertools.permutations(range(large), small))
        )
    total, left = 0.0, table.copy()
    for _ in range(small):
        row, column = np.unravel_index(int(left.argmax()), left.shape)
        total += float(left[row, column])
        left[row], left[:, column] = -1, -1
    return total


def _cost(made: Conversation) -> dict[str, float]:
    """Processor time for a second of conversation, and the memory that an hour of it leaves behind."""
    probabilities = load_vad().stream().feed(made.pcm)
    seconds = len(made.pcm) / 16_000
    times = round(3600 / seconds)

    def hour() -> float:
        session = BasicDiarizer().session()
        for _ in range(times):
            session.feed(made.pcm, probabilities)
        tracemalloc.start()
        session.turns()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak / 1e6

    tracemalloc.start()
    session = BasicDiarizer().session()
    for _ in range(5):
        session.feed(made.pcm, probabilities)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    said = list(_words(made.turns))
    return {
        "recording_ms_per_s": _milliseconds(lambda: _turns(made, probabilities)) / seconds,
        "live_ms_per_s": _milliseconds(lambda: _live_words(made, probabilities, said)) / seconds,
        "kept_mb_per_hour": round(kept / 1e6 * 3600 / (5 * seconds), 1),
        "hour_turns_peak_mb": round(hour(), 1),
        "hour_s": round(_milliseconds(lambda: hour()) / 1000, 1),
    }


def _milliseconds(work: Callable[[], object]) -> float:
    started = process_time()
    work()
    return round((process_time() - started) * 1000, 2)


if __name__ == "__main__":
    main()
