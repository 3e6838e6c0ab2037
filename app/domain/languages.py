"""Language tags as clients write them (BCP-47), and the codes that Whisper knows (contract 2.3)."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from types import MappingProxyType

from app.domain.errors import UnsupportedModel
from app.domain.transcript import LanguageGuess

MULTI = "multi"
"""Deepgram's value for speech that changes its language. No language tag: it asks for Whisper's detection."""

LANGUAGES = MappingProxyType(
    {
        "en": "English", "zh": "Chinese", "de": "German", "es": "Spanish", "ru": "Russian", "ko": "Korean", "fr": "French",
        "ja": "Japanese", "pt": "Portuguese", "tr": "Turkish", "pl": "Polish", "ca": "Catalan", "nl": "Dutch",
        "ar": "Arabic", "sv": "Swedish", "it": "Italian", "id": "Indonesian", "hi": "Hindi", "fi": "Finnish",
        "vi": "Vietnamese", "he": "Hebrew", "uk": "Ukrainian", "el": "Greek", "ms": "Malay", "cs": "Czech",
        "ro": "Romanian", "da": "Danish", "hu": "Hungarian", "ta": "Tamil", "no": "Norwegian", "th": "Thai", "ur": "Urdu",
        "hr": "Croatian", "bg": "Bulgarian", "lt": "Lithuanian", "la": "Latin", "mi": "Maori", "ml": "Malayalam",
        "cy": "Welsh", "sk": "Slovak", "te": "Telugu", "fa": "Persian", "lv": "Latvian", "bn": "Bengali", "sr": "Serbian",
        "az": "Azerbaijani", "sl": "Slovenian", "kn": "Kannada", "et": "Estonian", "mk": "Macedonian", "br": "Breton",
        "eu": "Basque", "is": "Icelandic", "hy": "Armenian", "ne": "Nepali", "mn": "Mongolian", "bs": "Bosnian",
        "kk": "Kazakh", "sq": "Albanian", "sw": "Swahili", "gl": "Galician", "mr": "Marathi", "pa": "Punjabi",
        "si": "Sinhala", "km": "Khmer", "sn": "Shona", "yo": "Yoruba", "so": "Somali", "af": "Afrikaans", "oc": "Occitan",
        "ka": "Georgian", "be": "Belarusian", "tg": "Tajik", "sd": "Sindhi", "gu": "Gujarati", "am": "Amharic",
        "yi": "Yiddish", "lo": "Lao", "uz": "Uzbek", "fo": "Faroese", "ht": "Haitian Creole", "ps": "Pashto",
        "tk": "Turkmen", "nn": "Nynorsk", "mt": "Maltese", "sa": "Sanskrit", "lb": "Luxembourgish", "my": "Burmese",
        "bo": "Tibetan", "tl": "Tagalog", "mg": "Malagasy", "as": "Assamese", "tt": "Tatar", "haw": "Hawaiian",
        "ln": "Lingala", "ha": "Hausa", "ba": "Bashkir", "jw": "Javanese", "su": "Sundanese", "yue": "Cantonese",
    }
)  # fmt: skip
"""Whisper's code -> English name, in the order of the model's language tokens."""

WHISPER_LANGUAGES = tuple(code for code in LANGUAGES if code != "yue")
"""The 99 codes of every multilingual model up to large-v2."""

WHISPER_V3_LANGUAGES = tuple(LANGUAGES)
"""All 100: large-v3 and its turbo added Cantonese, as the last token."""

NO_SPACE_LANGUAGES = frozenset({"zh", "ja", "th", "lo", "my", "km", "yue"})
"""Languages written without spaces between words: their words are split by character."""

_ALIASES = MappingProxyType({"nb": "no", "fil": "tl", "iw": "he", "jv": "jw"})
_TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8})*")


def whisper_language(tag: str) -> str:
    """Whisper's code for a BCP-47 tag in any case: ``en-US`` -> ``en``, ``nb`` -> ``no``.

    ``zh-HK`` gives ``yue``; a model without Cantonese takes it as ``zh`` (see ``known_code``). Raises ``UnsupportedModel``
    for what is no tag (``multi`` is none: it asks for detection) and for languages Whisper was never taught.
    """
    wanted = tag.strip().lower()
    if not _TAG.fullmatch(wanted):
        raise UnsupportedModel(parameter="language")
    primary, *subtags = re.split("[-_]", wanted)
    if primary == "zh" and "hk" in subtags:
        return "yue"
    code = _ALIASES.get(primary, primary)
    if code not in LANGUAGES:
        raise UnsupportedModel(parameter="language")
    return code


def known_code(code: str, known: Collection[str]) -> str | None:
    """``code`` if it is among the ``known`` codes of a model, ``zh`` for a Cantonese the model lacks, else None."""
    if code in known:
        return code
    return "zh" if code == "yue" and "zh" in known else None


SWITCH_PROBABILITY = 0.7
"""How sure the model must be that a phrase is in another language than the phrase before it. Of 93 phrases of 0.5 to 3 s in
four languages, clean and in noise down to 3 dB, one was misheard, at 0.61 (self-test model, 2026-11-20)."""


def phrase_language(guesses: Sequence[LanguageGuess], before: LanguageGuess | None) -> LanguageGuess:
    """The language of a phrase in speech that may change it: a doubtful guess does not end the language before it.

    ``guesses`` is not empty and has the most probable first; ``before`` is None for the first phrase.
    """
    best = guesses[0]
    if before is None or best.probability >= SWITCH_PROBABILITY:
        return best
    return next((guess for guess in guesses if guess.language == before.language), best)


def language_name(code: str) -> str:
    """English name of a code, or the code itself where there is none."""
    return LANGUAGES.get(code, code)


def word_space(code: str) -> str:
    """What stands between the words of a language: a space, or nothing (contract 2.6)."""
    return "" if code in NO_SPACE_LANGUAGES else " "
