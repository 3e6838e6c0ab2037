"""What formatting costs beside decoding: ``python -m benchmarks.formatting``.

Formats an hour of words with each option alone and with all at once, and the finals of a live stream one by one;
decodes speech at the dimensions of a real model for comparison. Then ten thousand words of what formatters like
least: their time must grow with their number and no faster. Seconds of formatting are processor time. Targets:
under 1 % of the decode of an hour, under 2 ms for a final.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from io import BytesIO
from itertools import cycle, islice
from time import thread_time
from typing import Any

import numpy as np
import soundfile

from app.domain.options import Replacement, TextOptions
from app.domain.text.formatter import Formatter
from app.domain.transcript import Word
from benchmarks.harness import expanded_model, median, read_clip, running_server, save, server_timing

WORDS_PER_HOUR = 9000
CLIP, TIMES = "sentences-10s.wav", 12

TALK = """
Good morning, this is Mary. I am calling about the invoice of March twenty third, two thousand twenty four. It says
two hundred and forty five dollars and fifty cents, but we agreed on two hundred. Um, my account number is four four
one nine two two seven and my phone number is five five five one two three four five six seven. You can write to john
dot smith at gmail dot com, or go to www dot example dot com slash billing. We are at three hundred main street,
apartment four b. No one was there at half past nine; one of them came at quarter to six p.m. It weighs five
kilograms, which is fifty percent more. Damn, I forgot: the card expires in oh four twenty six and the security code
is one two three. She is twenty five years old and was born in nineteen ninety nine. I have second thoughts about the
first one, and we may march on. Thank you very much, and please call me tomorrow or the day after.
""".split()  # noqa: SIM905 - prose reads better than a list

WORST = {
    "digits": "five", "zeros": "oh", "written numbers": "4111", "dots": "dot",
    "mail": "john at gmail dot com",
    "ranges": "ten to ten", "years": "in nineteen", "money": "a million dollars", "letters": "ABC 12", "ages": "I'm five",
    "marks": "period", "one character": "a",
}  # fmt: skip

OPTIONS: dict[str, TextOptions] = {
    "smart_format": TextOptions(punctuate=True, smart_format=True),
    "numerals": TextOptions(numerals=True),
    "measurements": TextOptions(measurements=True),
    "dictation": TextOptions(punctuate=True, dictation=True),
    "profanity_filter": TextOptions(profanity_filter=True),
    "redact": TextOptions(redact=("numbers", "pci", "pii", "ssn")),
    "replace": TextOptions(replace=tuple(Replacement(f"word {index}", "other") for index in range(200))),
    "search": TextOptions(search=tuple(f"some phrase {index}" for index in range(25))),
    "detect_entities": TextOptions(punctuate=True, detect_entities=True),
}
ALL = TextOptions(
    punctuate=True, smart_format=True, numerals=True, measurements=True, dictation=True, profanity_filter=True,
    redact=OPTIONS["redact"].redact, replace=OPTIONS["replace"].replace, search=OPTIONS["search"].search,
    detect_entities=True,
)  # fmt: skip


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="base", choices=["tiny", "base", "small"])
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    hour = _words(TALK, WORDS_PER_HOUR)
    _format(hour[:100], ALL)  # word lists are read at the first use
    costs = {name: _least(hour, options, arguments.repeat) for name, options in {**OPTIONS, "all": ALL}.items()}
    decode_s = _decode_per_second(arguments.size) * 3600
    save(
        "formatting",
        {
            "words": WORDS_PER_HOUR,
            "seconds_for_an_hour_of_words": costs,
            "decode_of_an_hour_s": round(decode_s, 1),
            "all_of_the_decode_percent": round(100 * costs["all"] / decode_s, 3),
            "live_final_ms": _live_ms(hour),
            "ten_thousand_words": {name: _growth(text.split()) for name, text in WORST.items()},
        },
    )


def _words(texts: Sequence[str], count: int) -> tuple[Word, ...]:
    return tuple(Word(text, 0.4 * at, 0.4 * at + 0.3, 0.9) for at, text in enumerate(islice(cycle(texts), count)))


def _format(words: Sequence[Word], options: TextOptions) -> float:
    formatter = Formatter(options)
    begin = thread_time()
    formatter.search(formatter.format(words, "en"), "en")
    return thread_time() - begin


def _least(words: Sequence[Word], options: TextOptions, repeat: int) -> float:
    return round(min(_format(words, options) for _ in range(repeat)), 3)


def _growth(texts: Sequence[str]) -> dict[str, float]:
    """Seconds for ten thousand words, and how many times those for a quarter of them."""
    quarter, whole = _least(_words(texts, 2500), ALL, 3), _least(_words(texts, 10_000), ALL, 3)
    return {"seconds": whole, "to_a_quarter": round(whole / max(quarter, 0.001), 1)}


def _live_ms(words: Sequence[Word]) -> dict[str, Any]:
    """Finals of twelve words, as a stream has them: what each takes with all options."""
    formatter = Formatter(ALL, live=True)
    took = []
    for start in range(0, len(words), 12):
        begin = thread_time()
        formatter.search(formatter.format(words[start : start + 12], "en"), "en")
        took.append(1000 * (thread_time() - begin))
    return {"median": median(took), "p99": round(sorted(took)[len(took) * 99 // 100], 3)}


def _decode_per_second(size: str) -> float:
    """Seconds of decoding that a second of speech costs at the dimensions of whisper ``size``."""
    pcm = np.tile(read_clip(CLIP), TIMES)
    body = BytesIO()
    soundfile.write(body, pcm, 16_000, format="WAV")
    with running_server(expanded_model(size)) as server:
        response = server.client.post("/v1/listen", content=body.getvalue())
        response.raise_for_status()
        return server_timing(response)["decode"] / (len(pcm) / 16_000)


if __name__ == "__main__":
    main()
