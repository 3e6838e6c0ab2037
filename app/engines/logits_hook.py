"""A logits filter of our own in the binding's decode parameters, because the binding's hands Python only the first logit.

The parameters lie in memory as whisper.cpp's C structure; the filter is one function pointer in it. Its place is found, not
assumed: the binding is asked to set a filter and to clear it again, and exactly one word of the structure must follow. All
of this is looked at through a pipe, where the kernel refuses a bad address instead of ending the process. Whatever does not
fit the picture means that there is no hook, and everything else works without it.
"""

from __future__ import annotations

import ctypes
import logging
import os
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger("whisperapi.engine")

TESTED_BINDINGS = ("1.5.1",)
"""Versions of pywhispercpp whose ``whisper_token_data`` and order of logits filters this module was written for."""

_WORD = struct.calcsize("P")
_SCANNED_BYTES = 320
"""Covers the 304 bytes of the C structure; the binding's own object around it is larger than 500."""

_THREADS_MARK = 0x5EED51
_TOKEN_BYTES = 56
"""Size of ``whisper_token_data``, whose first member is the token's id (int32)."""

_Filter = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p
)

Lift = Callable[[list[int], NDArray[np.float32]], None]
"""Changes the logits, float32 of shape ``(vocabulary,)``, of the token after the given ids (the newest of them only)."""


@dataclass(frozen=True, slots=True)
class TokenSpace:
    """What a filter may believe of its arguments: ids below ``vocabulary``, at most ``longest`` tokens, ``banned`` at -inf.

    ``banned`` is the "no timestamps" token, which whisper.cpp rules out just before it calls the filter.
    """

    vocabulary: int
    longest: int
    banned: int


class LogitsHook:
    """Puts filters into parameters. Made by ``find``. After a filter that has seen something odd there are no more."""

    def __init__(self, offset: int, space: TokenSpace) -> None:
        self._offset = offset
        self._space = space
        self._last: LogitsFilter | None = None

    @classmethod
    def find(cls, binding: ModuleType, parameters: Any, space: TokenSpace) -> LogitsHook | None:
        """The hook of this binding, or None, with the reason in the log. ``parameters`` are fresh ones, used up by this."""
        try:
            offset = _find_offset(binding, parameters)
        except Exception as error:  # noqa: BLE001  # whatever is odd about this binding, decoding works without terms
            log.warning("no hook for terms: %s", type(error).__name__)
            return None
        return None if offset is None else cls(offset, space)

    def attach(self, binding: ModuleType, parameters: Any, lift: Lift, newest: int) -> object | None:
        """Let ``lift`` see the ``newest`` tokens and the logits of every step. Keep what is returned while decoding.

        None, with nothing changed, if an earlier call was odd, or if the parameters do not look as those did that the hook
        was found on.
        """
        base = address_of(parameters)
        if base is None or (self._last is not None and self._last.is_broken):
            return None
        binding.assign_logits_filter_callback(parameters, _nothing)
        seen = peek(base + self._offset, 2 * _WORD)
        if seen is None or struct.unpack("PP", seen)[1] != base:
            binding.clear_logits_filter_callback(parameters)
            return None
        self._last = LogitsFilter(self._space, lift, newest)
        function = _Filter(self._last)
        ctypes.c_void_p.from_address(base + self._offset).value = ctypes.cast(function, ctypes.c_void_p).value
        return function


class LogitsFilter:
    """What the library calls with bare addresses, from any of its threads, at every step (``whisper.h``)."""

    def __init__(self, space: TokenSpace, lift: Lift, newest: int) -> None:
        self.is_broken = False
        self._space = space
        self._row = ctypes.c_float * space.vocabulary
        self._lift = lift
        self._newest = newest

    def __call__(
        self, _context: int | None, _state: int | None, tokens: int | None, count: int, logits: int | None, _user: int | None
    ) -> None:
        """Lift, or do nothing from the first odd call on. Never raises: an exception cannot pass through the library."""
        if self.is_broken:
            return
        try:
            self.is_broken = not self._apply(tokens, count, logits)
        except Exception as error:  # noqa: BLE001
            log.warning("terms failed: %s", type(error).__name__)
            self.is_broken = True

    def _apply(self, tokens: int | None, count: int, logits: int | None) -> bool:
        space = self._space
        if not logits or not 0 <= count <= space.longest or (count and not tokens):
            return False
        values = np.ctypeslib.as_array(self._row.from_address(logits))
        said = _ids(tokens or 0, max(0, count - self._newest), count)
        if values[space.banned] != -np.inf or (said and not 0 <= min(said) <= max(said) < space.vocabulary):
            return False
        self._lift(said, values)
        return True


def _ids(tokens: int, first: int, after: int) -> list[int]:
    """The ids of some of the tokens that lie in memory from ``tokens`` on."""
    if first == after:
        return []
    step = _TOKEN_BYTES // 4
    numbers = (ctypes.c_int32 * (step * (after - first))).from_address(tokens + _TOKEN_BYTES * first)
    found: list[int] = np.ctypeslib.as_array(numbers)[::step].tolist()
    return found


def _nothing(*_: object) -> None:
    """Stands in the place that the filter takes."""


def _find_offset(binding: ModuleType, parameters: Any) -> int | None:
    """Where in the structure the filter's pointer is, or None."""
    if problem := environment_problem():
        log.warning("no hook for terms: %s", problem)
        return None
    base = address_of(parameters)
    parameters.n_threads = _THREADS_MARK
    plain = None if base is None else peek(base, _SCANNED_BYTES)
    if base is None or plain is None or plain.count(struct.pack("i", _THREADS_MARK)) != 1:
        log.warning("no hook for terms: the parameters are not where they should be")
        return None
    binding.assign_logits_filter_callback(parameters, _nothing)
    assigned = peek(base, _SCANNED_BYTES)
    binding.clear_logits_filter_callback(parameters)
    cleared = peek(base, _SCANNED_BYTES)
    if assigned is None or cleared != plain:
        log.warning("no hook for terms: the parameters do not keep still")
        return None
    before, after = (struct.unpack(f"{_SCANNED_BYTES // _WORD}P", image) for image in (plain, assigned))
    changed = [index for index, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    if len(changed) != 1 or before[changed[0]] or after[changed[0] + 1 : changed[0] + 2] != (base,):
        log.warning("no hook for terms: the filter is not where it should be")
        return None
    return changed[0] * _WORD


def environment_problem() -> str | None:
    """Why nothing is known about the memory of this binding's objects; None: it is one that was tested."""
    version = metadata.version("pywhispercpp").partition("+")[0]  # a build of `engine build` has the same source
    if version not in TESTED_BINDINGS:
        return f"not tested with pywhispercpp {version}"
    if sys.implementation.name != "cpython" or _WORD != 8:
        return "only on 64-bit CPython"
    return None


def address_of(parameters: Any) -> int | None:
    """The C++ object behind the Python one: the first word after the object's head."""
    head = object.__basicsize__
    if type(parameters).__basicsize__ < head + 2 * _WORD:
        return None
    found = peek(id(parameters) + head, _WORD)
    return struct.unpack("P", found)[0] if found else None


def peek(address: int, size: int) -> bytes | None:
    """``size`` bytes at ``address``, or None if there is no such memory."""
    reader, writer = os.pipe()
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        written = libc.write(writer, ctypes.c_void_p(address), ctypes.c_size_t(size))
        return os.read(reader, size) if written == size else None
    finally:
        os.close(reader)
        os.close(writer)
