"""Networks with the interface of sherpa-onnx's diarization models, small enough to be made on the spot.

The segmentation hears speech wherever it is loud, always from the first of its three local speakers. The embedding of a
sound is the shape of its mean spectrum, which tells the test clips' voices apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

WINDOW, FRAME, SHIFT = 160_000, 991, 270
_LOUD = 1e-4
_BANDS = 80


def write_segmentation(path: Path) -> Path:
    """x ``(n, 1, samples)`` -> log-likelihoods of the 7 combinations of three speakers ``(n, frames, 7)``."""
    from onnx import TensorProto, helper, numpy_helper

    silence_or_first = np.zeros((1, 7), np.float32)
    silence_or_first[0, :2] = -1, 1
    others_never = np.array([0, 0, -50, -50, -50, -50, -50], np.float32)
    constants = {
        "mean": np.full((1, 1, FRAME), 1 / FRAME, np.float32),
        "least": np.array(1e-12, np.float32),
        "loud": np.array(np.log(_LOUD), np.float32),
        "weights": silence_or_first,
        "bias": others_never,
    }
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["squared"]),
        helper.make_node("Conv", ["squared", "mean"], ["power"], strides=[SHIFT], kernel_shape=[FRAME]),
        helper.make_node("Add", ["power", "least"], ["positive"]),
        helper.make_node("Log", ["positive"], ["level"]),
        helper.make_node("Sub", ["level", "loud"], ["above"]),
        helper.make_node("Transpose", ["above"], ["by_frame"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["by_frame", "weights"], ["scores"]),
        helper.make_node("Add", ["scores", "bias"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "segmentation",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, "samples"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "frames", 7])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    meta = {
        "num_speakers": 3, "powerset_max_classes": 2, "num_classes": 7, "sample_rate": 16_000, "window_size": WINDOW,
        "window_shift": 16_000, "receptive_field_size": FRAME, "receptive_field_shift": SHIFT,
    }  # fmt: skip
    return _saved(graph, meta, path)


def write_embedding(path: Path) -> Path:
    """x ``(n, frames, 80)``, logarithms of bands -> the mean spectrum without its level, stretched ``(n, 80)``."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Sub", ["mean", "usual"], ["embedding"]),
    ]
    graph = helper.make_graph(
        nodes,
        "embedding",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "frames", _BANDS])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", _BANDS])],
        [numpy_helper.from_array(_usual_spectrum(), "usual")],
    )
    meta = {
        "framework": "3d-speaker", "language": "en", "sample_rate": 16_000, "output_dim": _BANDS, "normalize_samples": 1,
        "feature_normalize_type": "",
    }  # fmt: skip
    return _saved(graph, meta, path)


def _usual_spectrum() -> np.ndarray[Any, np.dtype[np.float32]]:
    """About what the test clips' voices have in common: only what differs from it has a direction worth comparing."""
    places, levels = [*range(0, _BANDS, 8), _BANDS - 1], [-10.0, -4.4, -3.7, -5.8, -5.2, -5.8, -4.3, -3.3, -4.8, -6.8, -4.0]
    return np.interp(np.arange(_BANDS), places, levels).astype(np.float32)


def _saved(graph: Any, meta: dict[str, object], path: Path) -> Path:
    import onnx
    from onnx import helper

    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    for name, value in meta.items():
        model.metadata_props.add(key=name, value=str(value))
    onnx.save(model, path)
    return path
