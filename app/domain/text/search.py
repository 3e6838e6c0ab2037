"""``search``: phrases looked up in the words, also where they were heard a little differently.

Deepgram searches in sound and reports weak matches too; here every stretch of about as many words as the phrase is compared
by its letters, and a hit counts by likeness and by how sure the words are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz import fuzz, process

from app.domain.languages import word_space
from app.domain.text.forms import bare_form, bare_text
from app.domain.transcript import SearchHit, SearchResult, Word

MIN_CONFIDENCE = 0.5
"""Weaker hits are noise: half of the letters in common is what unrelated words have."""

MAX_HITS = 10


@dataclass(frozen=True, slots=True)
class _Match:
    confidence: float
    start: int
    end: int
    off: int
    """By how many words the stretch differs from the phrase."""


class _Stretches:
    """All stretches of ``size`` words, each distinct one compared once."""

    def __init__(self, bare: Sequence[str], size: int) -> None:
        self.size = size
        places: dict[str, list[int]] = {}
        for start in range(len(bare) - size + 1):
            places.setdefault("".join(bare[start : start + size]), []).append(start)
        places.pop("", None)
        self.texts = list(places)
        self.starts = list(places.values())


def find_phrases(
    words: Sequence[Word],
    queries: Sequence[str],
    language: str,
    *,
    punctuated: bool = True,
    shown: Callable[[int, int], Sequence[Word]] | None = None,
) -> tuple[SearchResult, ...]:
    """One result for each query, in their order, hits best first and apart from each other.

    A hit's confidence is its likeness (0..1, spaces and casing apart) times the mean confidence of its words. Snippets are
    written as displayed: ``punctuated`` or bare; of the words that ``shown`` gives for a range of ``words``, if they are not
    those that are displayed. A hit of which nothing is displayed is none.
    """
    bare = [_searched(word) for word in words]
    wanted = [[bare_form(part).casefold() for part in query.split()] for query in queries]
    matches: list[list[_Match]] = [[] for _ in queries]
    sums = np.concatenate([[0.0], np.cumsum([word.confidence for word in words])])
    for size, indices in _sizes(wanted).items():
        stretches = _Stretches(bare, size)
        if not stretches.texts:
            continue
        likeness = process.cdist(
            ["".join(wanted[index]) for index in indices],
            stretches.texts,
            scorer=fuzz.ratio,
            score_cutoff=100 * MIN_CONFIDENCE,
            dtype=np.float32,
        )
        sure = (sums[size:] - sums[:-size]) / size
        rows, columns = np.nonzero(likeness)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            off = abs(size - len(wanted[indices[row]]))
            alike = float(likeness[row, column]) / 100
            matches[indices[row]] += [
                _Match(alike * float(sure[start]), start, start + size, off) for start in stretches.starts[column]
            ]
    return tuple(
        SearchResult(query, tuple(_hits(words, _best(found), language, punctuated=punctuated, shown=shown)))
        for query, found in zip(queries, matches, strict=True)
    )


def merge_results(first: Sequence[SearchResult], second: Sequence[SearchResult]) -> tuple[SearchResult, ...]:
    """The hits of two searches for the same phrases in the same speech: best first, apart from each other."""
    return tuple(
        SearchResult(result.query, _apart((*result.hits, *other.hits))) for result, other in zip(first, second, strict=True)
    )


def _apart(hits: Iterable[SearchHit]) -> tuple[SearchHit, ...]:
    best: list[SearchHit] = []
    for hit in sorted(hits, key=lambda hit: (-hit.confidence, hit.start_s)):
        if all(hit.end_s <= other.start_s or other.end_s <= hit.start_s for other in best):
            best.append(hit)
    return tuple(best[:MAX_HITS])


def _searched(word: Word) -> str:
    """What of a word is compared: nothing of one that is redacted, whose ``[PHONE_NUMBER_1]`` was never said."""
    bare = bare_text(word)
    return "" if bare.startswith("[") and bare.endswith("]") else bare.casefold()


def _sizes(wanted: Iterable[Sequence[str]]) -> dict[int, list[int]]:
    """Lengths in words to look at -> the queries that want them: a phrase may be heard as one word more, or one less."""
    sizes: dict[int, list[int]] = {}
    for index, parts in enumerate(wanted):
        if not "".join(parts):
            continue
        for size in range(max(len(parts) - 1, 1), len(parts) + 2):
            sizes.setdefault(size, []).append(index)
    return sizes


def _best(matches: Iterable[_Match]) -> list[_Match]:
    """The strongest hits that do not overlap; of equals the one with as many words as the phrase, then the first."""
    best: list[_Match] = []
    for match in sorted(matches, key=lambda match: (-match.confidence, match.off, match.start)):
        if match.confidence < MIN_CONFIDENCE or len(best) == MAX_HITS:
            break
        if all(match.end <= other.start or other.end <= match.start for other in best):
            best.append(match)
    return best


def _hits(
    words: Sequence[Word],
    matches: Iterable[_Match],
    language: str,
    *,
    punctuated: bool,
    shown: Callable[[int, int], Sequence[Word]] | None,
) -> Iterator[SearchHit]:
    for match in matches:
        found = words[match.start : match.end]
        displayed = found if shown is None else shown(match.start, match.end)
        if displayed:
            snippet = word_space(language).join(word.text if punctuated else bare_text(word) for word in displayed)
            yield SearchHit(match.confidence, found[0].start_s, found[-1].end_s, snippet)
