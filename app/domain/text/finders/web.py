"""Electronic addresses, spoken ("john dot smith at gmail dot com") or written: mail, web, and Internet protocol."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.domain.text.finders.speech import Speech
from app.domain.text.finders.spelling import is_local_mark, local_mark, read_label, read_local_part
from app.domain.text.finding import Finding

_DOMAINS = frozenset({
    "ai", "app", "au", "be", "biz", "blog", "br", "ca", "ch", "cloud", "club", "cn", "co", "com", "cz", "de", "dev", "dk",
    "edu", "es", "eu", "fi", "fm", "fr", "gg", "gov", "gr", "ie", "info", "int", "io", "jp", "ly", "mil", "mobi", "mx",
    "net", "nl", "nz", "online", "org", "pl", "pt", "ru", "se", "site", "store", "tech", "tv", "uk", "us", "xyz", "za",
})  # fmt: skip
_DOMAINS_THAT_ARE_WORDS = frozenset({"at", "in", "is", "it", "me", "no", "so", "to"})
"""Taken for a domain only where more than one dot was said, or after an at sign."""

_EMAIL = re.compile(r"[\w.%+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}")
_SITE = re.compile(r"(?:https?://)?(?:[a-z0-9-]+\.)+([a-z]{2,})(?::\d+)?(?:/\S*)?")
_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.|$)){4}")
_IPV4_AND_PORT = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}\d{1,3}(?::\d{1,5}|/\d\d?)")
_IPV6 = re.compile(r"[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){3,7}|[0-9a-f]{1,4}::[0-9a-f]{1,4}")

_MOST_LABELS = 8
"""Parts of a host name. Bounds on what is read keep the cost of nonsense linear."""

_ZEROS = frozenset({"oh", "o"})
_DOTS = frozenset({"dot", "point"})
_LONGEST_IP = len("255.255.255.255")

_NO_NAME = frozenset({
    "a", "an", "the", "me", "us", "you", "him", "her", "them", "it", "look", "looking", "looked", "up", "available", "is",
    "are", "was", "be", "online", "found", "find", "visit", "site", "website", "page", "out", "or", "and", "here", "there",
    "more", "that", "this", "info", "information", "working", "work", "works", "read", "live", "now", "go", "of", "to",
    "in", "on", "one", "polka",
})  # fmt: skip
"""Words before "at" or "dot" that name no mailbox and no site: "look at example dot com", "the dot com boom"."""


def find_emails(speech: Speech) -> Iterator[Finding]:
    """Mail addresses. A name said in several words is taken whole only after "email ... is"."""
    for text, indices in speech.positions.items():
        if "@" in text:
            yield from filter(None, (_with_sign(speech, index) for index in indices))
    for index in speech.places(("at",)):
        domain = _domain(speech, index + 1)
        if domain is None or index == 0 or speech.pauses[index - 1]:
            continue
        end, host = domain
        local = read_local_part(speech, index)
        if local is not None and local[1] not in _NO_NAME:
            yield Finding("EMAIL_ADDRESS", local[0], end, (f"{local[1]}@{host}",))


def _with_sign(speech: Speech, index: int) -> Finding | None:
    """The address around a written at sign, of which the rest may be spoken: "john dot smith@gmail.com"."""
    name, _, host = speech.texts[index].partition("@")
    start, end = index, index + 1
    if not host or "." not in host:
        domain = _domain(speech, end) if not host else _rest_of_domain(speech, index, host)
        if domain is None or (not host and speech.pauses[index]):
            return None
        end, host = domain
    whole = _EMAIL.search(f"{name}@{host}")
    if not name:
        local = read_local_part(speech, index)
        if local is None or local[1] in _NO_NAME or speech.pauses[index - 1]:
            return None
        start, name = local
    elif whole is None:
        return None
    elif end == index + 1 and not is_local_mark(speech, index - 1):
        return Finding("EMAIL_ADDRESS", index, end, (speech.shown(index),))
    elif is_local_mark(speech, index - 1):
        start, before = read_local_part(speech, index - 1) or (index, "")
        name = f"{before}{local_mark(speech, index - 1)}{name}" if before else name
    return Finding("EMAIL_ADDRESS", start, end, (f"{name}@{host}",))


def _rest_of_domain(speech: Speech, index: int, host: str) -> tuple[int, str] | None:
    """``host`` at ``index`` with the "dot com" that is said after it, and where that ends."""
    end = index + 1
    while speech.text(end) == "dot" and not speech.pauses[end - 1] and host.count(".") < _MOST_LABELS:
        end, label = read_label(speech, end + 1, first=False)
        if not label:
            return None
        host += f".{label}"
    return (end, host) if host.rpartition(".")[2] in _DOMAINS | _DOMAINS_THAT_ARE_WORDS else None


def find_sites(speech: Speech) -> Iterator[Finding]:
    """Web addresses, with scheme and path where they are said."""
    for text, indices in speech.positions.items():
        match = _SITE.fullmatch(text) if "." in text else None
        if match and (match[1] in _DOMAINS or "://" in text or text.startswith("www.")):
            yield from (Finding("URL", index, index + 1, (speech.shown(index),)) for index in indices)
    for index in sorted(speech.places(("dot",))):
        if index == 0 or speech.pauses[index - 1]:
            continue
        start = _site_start(speech, index)
        domain = _domain(speech, start)
        if domain is None or domain[0] <= index:
            continue
        end, host = domain
        if host.partition(".")[0] in _NO_NAME or (
            host.count(".") == 1 and host.rpartition(".")[2] in _DOMAINS_THAT_ARE_WORDS
        ):
            continue
        scheme_start, scheme = _scheme(speech, start)
        end, path = _path(speech, end)
        yield Finding("URL", scheme_start, end, (f"{scheme}{host}{path}",))


def find_ip_addresses(speech: Speech) -> Iterator[Finding]:
    """Four numbers with dots or points, and written addresses of both kinds."""
    for text, indices in speech.positions.items():
        is_ipv4 = text.count(".") == 3 and (_IPV4.fullmatch(text) or _IPV4_AND_PORT.fullmatch(text))
        if is_ipv4 or (text.count(":") > 1 and _IPV6.fullmatch(text)):
            yield from (Finding("IP_ADDRESS", index, index + 1, (text,)) for index in indices)
    reached = 0
    for index in sorted(speech.places(_DOTS)):
        if index < reached:
            continue
        start = next((first for first in range(index - 1, index - 6, -1) if _covers(speech, first, index)), index)
        while (number := speech.number_ends.get(start)) is not None and not number.ordinal and number.start > index - 6:
            start = number.start
        end, text = _dotted(speech, start)
        if _IPV4.fullmatch(text) and end > start + 1:
            reached = end
            yield Finding("IP_ADDRESS", start, end, (text,))


def _covers(speech: Speech, first: int, index: int) -> bool:
    """Whether the point at ``index`` belongs to the decimal number at ``first``: "ninety two point one"."""
    number = speech.number(first)
    return number is not None and number.end > index


def _dotted(speech: Speech, index: int) -> tuple[int, str]:
    """Numbers and said dots from ``index`` on, as written."""
    text = ""
    while index < len(speech) and len(text) <= _LONGEST_IP:
        piece = speech.pieces.get(index)
        number = speech.number(index)
        if number is not None and not number.ordinal and not number.scale:
            text += number.written
            index = number.end
        elif piece is not None:
            text += piece.digits
            index = piece.end
        elif speech.texts[index] in _ZEROS:
            text += "0"
            index += 1
        elif text and speech.texts[index] in _DOTS and (index + 1 in speech.numbers or speech.text(index + 1) in _ZEROS):
            text += "."
            index += 1
        else:
            break
        if speech.closes[index - 1]:
            break
    return index, text


def _domain(speech: Speech, index: int) -> tuple[int, str] | None:
    """The host name spoken or written from ``index`` on, and where it ends."""
    text = speech.text(index)
    match = _SITE.fullmatch(text) if "." in text else None
    if match and match[1] in _DOMAINS | _DOMAINS_THAT_ARE_WORDS:
        return index + 1, text
    end, label = read_label(speech, index, first=True)
    labels = [label]
    while label and len(labels) < _MOST_LABELS and speech.text(end) == "dot" and not speech.closes[end - 1]:
        end, label = read_label(speech, end + 1, first=False)
        labels.append(label)
    if len(labels) < 2 or not all(labels) or labels[-1] not in _DOMAINS | _DOMAINS_THAT_ARE_WORDS:
        return None
    return end, ".".join(labels)


def _site_start(speech: Speech, index: int) -> int:
    """Where the host name with the "dot" at ``index`` begins: one word before it, or letters."""
    start = index - 1
    if speech.follows(start - 1, "double", "you"):
        start -= 1
        while speech.follows(start - 2, "double", "you"):
            start -= 2
        return start
    while start > 0 and not speech.pauses[start - 1] and _is_spelled(speech, start) and _is_spelled(speech, start - 1):
        start -= 1
    while start > 1 and speech.texts[start - 1] in {"dash", "hyphen"} and not speech.pauses[start - 2]:
        start -= 2
    return start


def _is_spelled(speech: Speech, index: int) -> bool:
    return len(speech.texts[index]) == 1 or index in speech.pieces


def _scheme(speech: Speech, start: int) -> tuple[int, str]:
    """``https://`` said before ``start``."""
    if start < 4 or not speech.follows(start - 3, "colon", "slash", "slash"):
        return start, ""
    for scheme in ("https", "http"):
        for spelled in ((scheme,), tuple(scheme)):
            first = start - 3 - len(spelled)
            if first >= 0 and speech.follows(first, *spelled):
                return first, f"{scheme}://"
    return start, ""


def _path(speech: Speech, end: int) -> tuple[int, str]:
    """``slash products`` said after ``end``."""
    path = ""
    while not speech.closes[end - 1] and (said := _slash(speech, end)):
        following, label = read_label(speech, end + said, first=False)
        if not label:
            break
        path += f"/{label}"
        end = following
    return end, path


def _slash(speech: Speech, index: int) -> int:
    """How many words say a slash at ``index``; 0 where none does."""
    if speech.text(index) == "slash":
        return 1
    return 2 if speech.follows(index, "forward", "slash") else 0
