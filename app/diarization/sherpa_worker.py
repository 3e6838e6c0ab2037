"""The process in which sherpa-onnx works: blocks of sound in by standard input, who speaks when out by standard output.

A process of its own, for three reasons found in sherpa-onnx 2.0.1: its diarization holds Python's global lock from beginning
to end, it cannot be stopped on the way, and a model file it does not like ends the process. Started as a script, it imports
nothing of this application. Everything it is told: the number of samples (8 bytes, little-endian) and the samples (float32).
Everything it says: the length of a JSON object (4 bytes) and the object.
"""

from __future__ import annotations

import json
import struct
import sys
from importlib import import_module
from typing import Any, BinaryIO

import numpy as np

SAMPLE_RATE = 16_000
VOICE_SECONDS = 20
"""Speech that a voice's embedding is taken from: more does not change it."""

COUNT, LENGTH = struct.Struct("<Q"), struct.Struct("<I")


def main(segmentation: str, embedding: str, threads: int, threshold: float) -> None:
    """Load the networks, say so, and work until the input ends."""
    sherpa_onnx = import_module("sherpa_onnx")  # it ships no types
    extractor_config = sherpa_onnx.SpeakerEmbeddingExtractorConfig(model=embedding, num_threads=threads)
    diarization = sherpa_onnx.OfflineSpeakerDiarization(
        sherpa_onnx.OfflineSpeakerDiarizationConfig(
            segmentation=sherpa_onnx.OfflineSpeakerSegmentationModelConfig(
                pyannote=sherpa_onnx.OfflineSpeakerSegmentationPyannoteModelConfig(model=segmentation), num_threads=threads
            ),
            embedding=extractor_config,
            clustering=sherpa_onnx.FastClusteringConfig(num_clusters=-1, threshold=threshold, compute_confidence=True),
        )
    )
    extractor = sherpa_onnx.SpeakerEmbeddingExtractor(extractor_config)
    _say(sys.stdout.buffer, {"ready": True})
    while prefix := sys.stdin.buffer.read(COUNT.size):
        (count,) = COUNT.unpack(prefix)
        pcm = np.frombuffer(sys.stdin.buffer.read(4 * count), "<f4")
        segments = diarization.process(pcm).sort_by_start_time() if count else []
        found = [(float(item.start), float(item.end), int(item.speaker), float(item.confidence)) for item in segments]
        _say(sys.stdout.buffer, {"segments": found, "voices": _voices(extractor, pcm, found)})


def _voices(extractor: Any, pcm: Any, segments: list[tuple[float, float, int, float]]) -> dict[int, list[float]]:
    """The embedding of each speaker, from the longest segments."""
    voices = {}
    for speaker in {segment[2] for segment in segments}:
        own = sorted((segment for segment in segments if segment[2] == speaker), key=lambda segment: segment[0] - segment[1])
        stream = extractor.create_stream()
        left = VOICE_SECONDS * SAMPLE_RATE
        for start_s, end_s, _, _ in own:
            piece = pcm[round(start_s * SAMPLE_RATE) : round(end_s * SAMPLE_RATE)][:left]
            stream.accept_waveform(SAMPLE_RATE, piece)
            left -= len(piece)
        stream.input_finished()
        voices[speaker] = [float(value) for value in extractor.compute(stream)]
    return voices


def _say(out: BinaryIO, message: dict[str, Any]) -> None:
    encoded = json.dumps(message).encode()
    out.write(LENGTH.pack(len(encoded)) + encoded)
    out.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
