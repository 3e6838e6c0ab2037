"""What the server adds to a decode: ``python -m benchmarks.overhead``.

Sends an 11 s clip to a running server and subtracts the worker's decode time from the client's wall clock. Reports start-up
time and memory of the server process too. Target: at most 30 ms + 5 % of the decode.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import perf_counter

from benchmarks.harness import AUDIO, expanded_model, median, running_server, save, server_timing

CLIP = "dialogue-two-speakers.wav"


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="base", choices=["tiny", "base", "small"])
    parser.add_argument("--repeat", type=int, default=15)
    arguments = parser.parse_args()
    body = (AUDIO / CLIP).read_bytes()
    model = expanded_model(arguments.size)
    started = perf_counter()
    with running_server(model) as server:
        ready_s = perf_counter() - started
        rows = []
        for _ in range(arguments.repeat + 1):
            begin = perf_counter()
            response = server.client.post("/v1/listen?punctuate=true", content=body)
            wall_s = perf_counter() - begin
            response.raise_for_status()
            rows.append((wall_s, server_timing(response)["decode"]))
        memory_mb = _resident_mb(server.pid)
    first, rows = rows[0], rows[1:]
    decode_s = median([decode for _, decode in rows])
    overhead_s = median([wall - decode for wall, decode in rows])
    allowed_s = round(0.030 + 0.05 * decode_s, 4)
    save(
        f"overhead-{arguments.size}",
        {
            "clip": CLIP,
            "repeat": arguments.repeat,
            "wall_s": median([wall for wall, _ in rows]),
            "decode_s": decode_s,
            "overhead_s": overhead_s,
            "allowed_s": allowed_s,
            "overhead_to_allowed": round(overhead_s / allowed_s, 2),
            "first_request_wall_s": round(first[0], 4),
            "ready_s": round(ready_s, 2),
            "server_process_mb": memory_mb,
        },
    )


def _resident_mb(pid: int) -> float | None:
    """Resident memory of the server process itself, workers not counted; None where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next(round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith("VmRSS:"))


if __name__ == "__main__":
    main()
