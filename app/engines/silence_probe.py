"""How probable it is, for the model, that nobody speaks in the audio of the decode before.

whisper.cpp has such a figure, but up to 1.8.5 reads it from a row of logits that was never written: it is the one of an
earlier decode (its pull requests 3945 and 4068). The model's own answer is the probability of its "no speech" token right
after the start token, so one decoder step is made again with nothing but the start token. The binding has no way to the
logits, the library has; it wants its bare context, whose address is believed only if the model's nine dimensions stand at
it in the order of the weights file.
"""

from __future__ import annotations

import ctypes
import logging
import struct
from types import ModuleType
from typing import Any

import numpy as np

from app.engines.logits_hook import address_of, environment_problem, peek

log = logging.getLogger("whisperapi.engine")

_SCANNED_BYTES = 1024
"""Covers the beginning of ``whisper_context``: a few times and parameters, then the model's dimensions."""

_DIMENSIONS = (
    "n_vocab", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer",
    "n_text_ctx", "n_text_state", "n_text_head", "n_text_layer",
)  # fmt: skip


class SilenceProbe:
    """Asks one context. Made by ``find``."""

    def __init__(self, library: Any, address: int, vocabulary: int, start_token: int) -> None:
        self._library = library
        self._address = ctypes.c_void_p(address)
        self._row = ctypes.c_float * vocabulary
        self._prompt = (ctypes.c_int32 * 1)(start_token)
        self._silence: int = library.whisper_token_nosp(self._address)

    @classmethod
    def find(cls, binding: ModuleType, context: Any) -> SilenceProbe | None:
        """The probe of this context, or None, with the reason in the log."""
        try:
            if problem := environment_problem():
                log.info("no probability of silence: %s", problem)
                return None
            address = _context_address(binding, context)
            if address is None:
                log.warning("no probability of silence: the context is not where it should be")
                return None
            vocabulary = binding.whisper_model_n_vocab(context)
            return cls(_library(binding), address, vocabulary, binding.whisper_token_sot(context))
        except Exception as error:  # noqa: BLE001  # whatever is odd about this binding, decoding works without the figure
            log.warning("no probability of silence: %s", type(error).__name__)
            return None

    def probability(self, threads: int) -> float | None:
        """For the last audio that the context encoded, 0..1; None if the step fails.

        Costs one decoder step: 5 ms beside the 785 of ten seconds at base dimensions (two cores, 2026-11-20).

        Afterwards the context is ready for its next decode, and the results of the last one can still be read.
        """
        if self._library.whisper_decode(self._address, self._prompt, 1, 0, threads):
            return None
        row = self._library.whisper_get_logits(self._address)
        if not row:
            return None
        logits = np.ctypeslib.as_array(self._row.from_address(row)).astype(np.float64)
        weights = np.exp(logits - logits.max())
        return float(weights[self._silence] / weights.sum())


def _library(binding: ModuleType) -> Any:
    """The library behind the binding: symbols of what an extension was linked with are found through it."""
    library = ctypes.CDLL(binding.__file__)
    library.whisper_token_nosp.argtypes = [ctypes.c_void_p]
    library.whisper_token_nosp.restype = ctypes.c_int
    library.whisper_decode.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int]
    library.whisper_decode.restype = ctypes.c_int
    library.whisper_get_logits.argtypes = [ctypes.c_void_p]
    library.whisper_get_logits.restype = ctypes.c_void_p
    return library


def _context_address(binding: ModuleType, context: Any) -> int | None:
    """Where the library's context is, whose address is the first word of the binding's C++ object."""
    wrapper = address_of(context)
    word = None if wrapper is None else peek(wrapper, struct.calcsize("P"))
    if not word:
        return None
    address: int = struct.unpack("P", word)[0]
    sizes = [getattr(binding, f"whisper_model_{name}")(context) for name in _DIMENSIONS]
    beginning = peek(address, _SCANNED_BYTES)
    if beginning is None or beginning.count(struct.pack(f"{len(sizes)}i", *sizes)) != 1:
        return None
    return address
