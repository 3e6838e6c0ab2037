"""Many paced streams at once: ``python -m benchmarks.load --size tiny --streams 1 2 4 8``.

Reports Deepgram's two latencies over all streams, whether every stream heard the same words, and the server's memory and
processor time; with ``--ours``, the python of another environment of this project, for that one's engine too. Targets on two
cores at tiny dimensions, 8 streams: interims p50 < 750 ms, p90 < 1500 ms; endpointing p50 < 1000 ms, p90 < 3000 ms.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Server, expanded_model, read_clip, running_server, save
from benchmarks.live import StreamRecord, linear16, percentiles, play

CLIPS = ("sentences-10s.wav", "dialogue-two-speakers.wav", "phone-number.wav")


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="tiny", choices=["tiny", "base", "small"])
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--ours", type=Path, help="python of an environment of this project with another engine build")
    arguments = parser.parse_args()
    talk = linear16(np.concatenate([read_clip(name) for name in CLIPS]))
    table: dict[str, Any] = {}
    for engine, python in {"installed engine": None, "other engine": arguments.ours}.items():
        if engine == "other engine" and python is None:
            continue
        with running_server(expanded_model(arguments.size), python=python) as server:
            table[engine] = {str(streams): asyncio.run(_measure(server, talk, streams)) for streams in arguments.streams}
    save(f"load-{arguments.size}", table)


async def _measure(server: Server, talk: bytes, streams: int) -> dict[str, Any]:
    records = [StreamRecord() for _ in range(streams)]
    before_s = _cpu_seconds(server.pid)
    url = server.url.replace("http", "ws")
    # starts are spread over two seconds: real callers do not breathe in step
    await asyncio.gather(*(play(url, talk, record, 2.0 * i / streams) for i, record in enumerate(records)))
    seconds = len(talk) / 32_000 + 2.0
    return {
        "interim_cursor_latency_ms": percentiles([value for record in records for value in record.interim_latencies]),
        "endpointing_latency_ms": percentiles([value for record in records for value in record.endpointing_latencies]),
        "sender_lateness_ms": percentiles([value for record in records for value in record.lateness]),
        "interims": sum(len(record.interim_latencies) for record in records),
        "distinct_transcripts": len({" ".join(record.words) for record in records}),
        "words_each": len(records[0].words),
        "server_process_cpu_share": round((_cpu_seconds(server.pid) - before_s) / seconds, 3),
        "server_process_mb": _resident_mb(server.pid),
    }


def _cpu_seconds(pid: int) -> float:
    """Processor time of the server process itself, in seconds; workers are not counted."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith("VmRSS:"))


if __name__ == "__main__":
    main()
