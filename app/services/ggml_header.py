"""The first bytes of a GGML model file: is it one, what does it know, how long must it be."""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEADER_BYTES = 48
_LAYOUT = struct.Struct("<I11i")
_MAGIC = 0x67676D6C  # "ggml", written as one little-endian number
_QUANTIZATION_VERSION = 1000  # ftype carries the version of the quantised layout above this factor

# Bits per weight of the matrices, by whisper.cpp's ftype. A block of 32 (k-quants: 256) weights shares its scales.
_BITS_PER_WEIGHT = {
    0: 32.0, 1: 16.0, 2: 4.5, 3: 5.0, 7: 8.5, 8: 5.5, 9: 6.0, 10: 2.625, 11: 3.4375, 12: 4.5, 13: 5.5, 14: 6.5625,
}  # fmt: skip

_SPECTRUM_BINS = 201  # per mel filter: half of Whisper's 400-sample Fourier window

_MULTILINGUAL_VOCABULARY = 51_865  # one token less is the English-only vocabulary, one more has Cantonese
_V3_VOCABULARY = 51_866


@dataclass(frozen=True, slots=True)
class GgmlHeader:
    """Dimensions of a Whisper model as its file states them. ``ftype`` is whisper.cpp's number of the weight format."""

    n_vocab: int
    n_audio_ctx: int
    n_audio_state: int
    n_audio_head: int
    n_audio_layer: int
    n_text_ctx: int
    n_text_state: int
    n_text_head: int
    n_text_layer: int
    n_mels: int
    ftype: int

    @property
    def multilingual(self) -> bool:
        """The vocabulary has language tokens. A model distilled on English alone can still have them."""
        return self.n_vocab >= _MULTILINGUAL_VOCABULARY

    @property
    def has_cantonese(self) -> bool:
        """The vocabulary of large-v3, which also reads 128 mel bands instead of 80."""
        return self.n_vocab >= _V3_VOCABULARY and self.n_mels == 128

    @property
    def parameters(self) -> int:
        """Weights in the matrices that the weight format applies to; biases and norms (under 0.1 %) are left out."""
        audio, text = self.n_audio_state, self.n_text_state
        encoder = 3 * self.n_mels * audio + 3 * audio * audio + self.n_audio_layer * 12 * audio * audio
        decoder = self.n_vocab * text + self.n_text_layer * 16 * text * text
        return encoder + decoder

    @property
    def least_bytes(self) -> int:
        """No complete file of this model is shorter, in bytes: the matrices, and the tables that are always float32.

        95.6 to 99.8 % of the true size for the models of the catalogue; the vocabulary and the biases are the rest.
        """
        bits = _BITS_PER_WEIGHT.get(self.ftype % _QUANTIZATION_VERSION, min(_BITS_PER_WEIGHT.values()))
        positions = self.n_audio_ctx * self.n_audio_state + self.n_text_ctx * self.n_text_state
        return int(self.parameters * bits / 8) + 4 * (positions + self.n_mels * _SPECTRUM_BINS)


def parse_header(start: bytes) -> GgmlHeader | None:
    """Read the first ``HEADER_BYTES`` of a file; None if this is no Whisper model in GGML format."""
    if len(start) < HEADER_BYTES:
        return None
    magic, *numbers = _LAYOUT.unpack_from(start)
    if magic != _MAGIC:
        return None
    header = GgmlHeader(*numbers)
    dimensions = (header.n_vocab, header.n_audio_state, header.n_audio_layer, header.n_text_state, header.n_text_layer)
    if min(*dimensions, header.n_mels) <= 0 or header.ftype < 0:
        return None
    return header
