"""Structured logs and metrics. A log line carries a request id and numbers: never what was said, a key, a path or a URL."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from app.domain.transcript import Transcript

_RESPONSE_TIME_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_QUEUE_BUCKETS = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


def configure_logging(level: str, log_format: str) -> None:
    """Send structlog and the standard library's records to standard error, as JSON lines or coloured text."""
    as_text = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if as_text:  # its default tracebacks show local variables, which hold keys and transcripts
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    # plain text draws its own tracebacks; JSON needs them as a string
    tail = [renderer] if as_text else [structlog.processors.format_exc_info, renderer]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *tail],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # httpx would log the URLs that clients send, uvicorn the queries of handshakes
    for noisy in ("httpx", "httpcore", "alembic", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def logger(name: str) -> Any:
    """A structlog logger for one module. Its messages are constant sentences; values are keyword arguments."""
    return structlog.stdlib.get_logger(name)


class Metrics:
    """What ``GET /metrics`` shows: Deepgram's self-hosted names (contract 4.7), and our own, which begin ``whisperapi_``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.active_requests = Gauge("engine_active_requests", "Requests being worked on.", ["kind"], registry=self.registry)
        self.requests = Counter("engine_requests", "Requests answered.", ["kind", "response_status"], registry=self.registry)
        self.response_time = Histogram(
            "engine_batch_response_time_seconds",
            "Wall-clock time of a recording, body upload excluded.",
            buckets=_RESPONSE_TIME_BUCKETS,
            registry=self.registry,
        )
        self.queue_time = Histogram(
            "whisperapi_queue_seconds",
            "Time a recording's decodes waited for a worker.",
            buckets=_QUEUE_BUCKETS,
            registry=self.registry,
        )
        self.decode_time = Histogram(
            "whisperapi_decode_seconds",
            "Engine time of a recording.",
            buckets=_RESPONSE_TIME_BUCKETS,
            registry=self.registry,
        )
        self.audio = Counter("whisperapi_audio_seconds", "Audio transcribed, in seconds.", registry=self.registry)
        self.dropped_jobs = Counter(
            "whisperapi_dropped_decodes",
            "Live decodes dropped because newer audio made them useless.",
            registry=self.registry,
        )
        self.lost_segments = Counter(
            "whisperapi_lost_segments", "Live finals sent without words because their decode failed.", registry=self.registry
        )
        self.jobs = Gauge("whisperapi_jobs", "Recordings with a callback by state.", ["state"], registry=self.registry)
        self.deliveries = Counter(
            "whisperapi_callback_deliveries", "Attempts to deliver to a callback.", ["result"], registry=self.registry
        )
        self.workers = Gauge("whisperapi_workers", "Decode workers by state.", ["model", "state"], registry=self.registry)
        self.shed = Gauge("whisperapi_shed_interims", "Interims given up under load.", ["model"], registry=self.registry)
        self.restarts = Gauge("whisperapi_worker_restarts", "Workers replaced.", ["model"], registry=self.registry)

    def count_recording(self, transcript: Transcript) -> None:
        """Account for one finished recording."""
        self.response_time.observe(transcript.timing.total_s)
        self.queue_time.observe(transcript.timing.queue_s)
        self.decode_time.observe(transcript.timing.decode_s)
        self.audio.inc(transcript.audio_s)

    def count_stream(self, audio_s: float, queue_s: float, decode_s: float, dropped_jobs: int, lost_segments: int) -> None:
        """Account for one live stream that has ended."""
        self.audio.inc(audio_s)
        self.queue_time.observe(queue_s)
        self.decode_time.observe(decode_s)
        self.dropped_jobs.inc(dropped_jobs)
        self.lost_segments.inc(lost_segments)

    def count_request(self, kind: str, status: int) -> None:
        """Account for one answer; ``kind``: ``batch`` or ``stream``."""
        self.requests.labels(kind, str(status)).inc()

    def render(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self.registry)
