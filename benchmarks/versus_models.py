"""A GGML Whisper model in the forms of CTranslate2 and openai-whisper: the same weights for everybody.

Runs in the competitors' environment (numpy, ctranslate2, tokenizers, torch, whisper), not in the project's:
``python -m benchmarks.versus_models ggml-bench-base.bin FOLDER``.
"""

from __future__ import annotations

import argparse
import struct
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.expand_selftest import read_model

LANGUAGES = 99
END_OF_TEXT = 50257
Tensors = dict[str, np.ndarray[Any, Any]]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    dimensions, section, halves = read_model(arguments.source)
    tensors = {name: tensor.astype(np.float32).squeeze() for name, tensor in halves.items()}
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write_openai(dimensions, tensors, arguments.folder / "openai.pt")
    tokens = _all_tokens(_vocabulary(section))
    write_ctranslate2(dimensions, tensors, tokens, arguments.folder / "ctranslate2")
    write_tokenizer(tokens, arguments.folder / "ctranslate2" / "tokenizer.json")


def write_openai(dimensions: dict[str, int], tensors: Tensors, target: Path) -> None:
    """A checkpoint that ``whisper.load_model`` reads: GGML keeps its names, but for biases with a second dimension."""
    import torch

    names = ("n_mels", "n_vocab", *(f"n_{side}_{what}" for side in ("audio", "text") for what in _DIMENSIONS))
    state = {name: torch.from_numpy(tensor.copy()) for name, tensor in tensors.items()}
    torch.save({"dims": {name: dimensions[name] for name in names}, "model_state_dict": state}, target)


_DIMENSIONS = ("ctx", "state", "head", "layer")


def write_ctranslate2(dimensions: dict[str, int], tensors: Tensors, tokens: list[str], folder: Path) -> None:
    """A model folder for faster-whisper, in float32: it quantises while it loads."""
    from ctranslate2.specs import whisper_spec

    spec = whisper_spec.WhisperSpec(
        *(dimensions[f"n_{side}_{what}"] for side in ("audio", "text") for what in ("layer", "head"))
    )
    for side, part in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        part.position_encodings.encodings = tensors[f"{side}.positional_embedding"]
        _norm(part.layer_norm, tensors, "encoder.ln_post" if side == "encoder" else "decoder.ln")
        for number, layer in enumerate(part.layer):
            _layer(layer, tensors, f"{side}.blocks.{number}")
    for conv in ("conv1", "conv2"):
        _linear(getattr(spec.encoder, conv), tensors, f"encoder.{conv}")
    spec.decoder.embeddings.weight = tensors["decoder.token_embedding.weight"]
    spec.decoder.projection.weight = tensors["decoder.token_embedding.weight"]
    heads = range(dimensions["n_text_head"])
    spec.config.alignment_heads = [[layer, head] for layer in range(dimensions["n_text_layer"]) for head in heads]
    spec.config.lang_ids = list(range(END_OF_TEXT + 2, END_OF_TEXT + 2 + LANGUAGES))
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [220, END_OF_TEXT]
    spec.register_vocabulary(tokens)
    spec.validate()
    spec.optimize(quantization="float32")
    folder.mkdir(exist_ok=True)
    spec.save(str(folder))


def _layer(layer: Any, tensors: Tensors, name: str) -> None:
    _norm(layer.self_attention.layer_norm, tensors, f"{name}.attn_ln")
    _join(layer.self_attention.linear[0], tensors, [f"{name}.attn.{part}" for part in ("query", "key", "value")])
    _linear(layer.self_attention.linear[1], tensors, f"{name}.attn.out")
    if name.startswith("decoder"):
        _norm(layer.attention.layer_norm, tensors, f"{name}.cross_attn_ln")
        _linear(layer.attention.linear[0], tensors, f"{name}.cross_attn.query")
        _join(layer.attention.linear[1], tensors, [f"{name}.cross_attn.{part}" for part in ("key", "value")])
        _linear(layer.attention.linear[2], tensors, f"{name}.cross_attn.out")
    _norm(layer.ffn.layer_norm, tensors, f"{name}.mlp_ln")
    _linear(layer.ffn.linear_0, tensors, f"{name}.mlp.0")
    _linear(layer.ffn.linear_1, tensors, f"{name}.mlp.2")


def _norm(spec: Any, tensors: Tensors, name: str) -> None:
    spec.gamma, spec.beta = tensors[f"{name}.weight"], tensors[f"{name}.bias"]


def _linear(spec: Any, tensors: Tensors, name: str) -> None:
    spec.weight, spec.bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]


def _join(spec: Any, tensors: Tensors, names: list[str]) -> None:
    """Several projections as one; Whisper's keys have no bias."""
    weights = [tensors[f"{name}.weight"] for name in names]
    spec.weight = np.concatenate(weights)
    biases = [tensors.get(f"{name}.bias", np.zeros(len(weights[0]), np.float32)) for name in names]
    spec.bias = np.concatenate(biases)


def _vocabulary(section: bytes) -> list[bytes]:
    """The tokens behind the mel filters of a GGML file."""
    bands, bins = struct.unpack_from("<2i", section, 0)
    at = 8 + 4 * bands * bins
    (count,) = struct.unpack_from("<i", section, at)
    at += 4
    tokens = []
    for _ in range(count):
        (length,) = struct.unpack_from("<I", section, at)
        tokens.append(section[at + 4 : at + 4 + length])
        at += 4 + length
    return tokens


def _all_tokens(plain: list[bytes]) -> list[str]:
    """Text tokens as GPT-2 writes bytes, then Whisper's special ones."""
    from whisper.tokenizer import LANGUAGES as KNOWN

    tasks = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    special = ["endoftext", "startoftranscript", *list(KNOWN)[:LANGUAGES], *tasks]
    times = [f"{step * 0.02:.2f}" for step in range(1501)]
    return [_printable(token) for token in plain] + [f"<|{name}|>" for name in (*special, *times)]


def _printable(token: bytes) -> str:
    return "".join(_BYTES[byte] for byte in token)


def _byte_letters() -> dict[int, str]:
    """GPT-2's letter for each byte: itself where it can be seen, else one from 256 on."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in seen]
    return {byte: chr(byte) for byte in seen} | {byte: chr(256 + place) for place, byte in enumerate(hidden)}


_BYTES = _byte_letters()


def write_tokenizer(tokens: list[str], target: Path) -> None:
    """``tokenizer.json``. What two tokens a token is made of follows from the order in which they were found."""
    import tokenizers

    ranks = {token: rank for rank, token in enumerate(tokens[:END_OF_TEXT])}
    merges = [parts for token, rank in ranks.items() if len(parts := _parts(token, ranks, rank)) == 2]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(ranks, [(first, second) for first, second in merges]))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens([tokenizers.AddedToken(token, special=True) for token in tokens[END_OF_TEXT:]])
    tokenizer.save(str(target))


def _parts(token: str, ranks: dict[str, int], below: int) -> list[str]:
    """``token`` joined from letters with the merges found before it."""
    parts = list(token)
    while len(parts) > 2:
        pairs = [(ranks.get(parts[at] + parts[at + 1], below), at) for at in range(len(parts) - 1)]
        rank, at = min(pairs)
        if rank >= below:
            break
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


if __name__ == "__main__":
    main()
