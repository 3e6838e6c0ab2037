"""Latency of one paced stream: ``python -m benchmarks.latency``.

Targets at base dimensions on two cores: interim cursor latency p50 < 750 ms, p90 < 1500 ms; ``speech_final`` later than the
endpointing time by p50 < 150 ms, p90 < 500 ms.
"""

from __future__ import annotations

import argparse
import asyncio

import numpy as np

from benchmarks.harness import expanded_model, read_clip, running_server, save
from benchmarks.live import ENDPOINTING_MS, StreamRecord, linear16, percentiles, play

CLIPS = ("sentences-10s.wav", "dialogue-two-speakers.wav", "phone-number.wav", "damn-uh-um.wav")


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="base", choices=["tiny", "base", "small"])
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    talk = linear16(np.concatenate([read_clip(name) for name in CLIPS] * arguments.rounds))
    record = StreamRecord()
    with running_server(expanded_model(arguments.size)) as server:
        asyncio.run(play(server.url.replace("http", "ws"), talk, record))
        metrics = server.client.get("/metrics").text
    shed = [
        line for line in metrics.splitlines() if line.startswith(("whisperapi_shed", "whisperapi_dropped_decodes_total"))
    ]
    beyond = [latency - ENDPOINTING_MS / 1000 for latency in record.endpointing_latencies]
    save(
        f"latency-{arguments.size}",
        {
            "audio_s": round(len(talk) / 32_000, 1),
            "interim_cursor_latency_ms": percentiles(record.interim_latencies),
            "endpointing_latency_ms": percentiles(record.endpointing_latencies),
            "speech_final_beyond_endpointing_ms": percentiles(beyond),
            "words": len(record.words),
            "shed": shed,
        },
    )


if __name__ == "__main__":
    main()
