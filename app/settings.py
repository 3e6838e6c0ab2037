"""Settings: read once from the environment (and ``.env``), then passed down as plain values."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_data_path
from pydantic import AliasChoices, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.settings_backends import URL_OR_NOTHING, BackendSettings

REMOTE = "remote"
"""Name of the model that ``backend_url`` stands for."""


class Settings(BaseSettings):
    """Every setting, with its unit in the name and the reason for its default beside it.

    The environment variable is ``WHISPERAPI_`` plus the name in capitals. ``docs/configuration.md`` lists them all.
    """

    model_config = SettingsConfigDict(
        env_prefix="WHISPERAPI_", env_file=".env", extra="ignore", frozen=True, populate_by_name=True
    )

    host: str = "127.0.0.1"
    """Address to listen on. Loopback by default: opening the server to a network is a decision."""

    port: int = Field(default=7860, ge=0, le=65535)
    """Port to listen on; 0 lets the system choose one."""

    data_dir: Path = Field(default_factory=lambda: user_data_path("whisperapi"))
    """Folder of the database and the downloaded models."""

    database_url: str = ""
    """SQLAlchemy URL. Empty: SQLite in ``data_dir``."""

    models_dir: Path | None = None
    """Folder of downloaded weights. Unset: ``models`` inside ``data_dir``."""

    default_model: str = "base"
    """Model for requests that name none, or name one of Deepgram's."""

    unknown_model: Literal["refuse", "default"] = "refuse"
    """What an unknown ``model`` does: a 400 as Deepgram answers, or the default model."""

    preload_models: Annotated[tuple[str, ...], NoDecode] = ()
    """Further models loaded at start and kept, separated by commas. Other installed ones load on first use and leave."""

    model_ttl_s: float = Field(default=300.0, ge=-1)
    """Seconds that a model stays loaded after its last use; -1: for ever. Five minutes bridge pauses at work;
    loading again takes 1 s at base size, and a forgotten model holds 0.3 to 5 GB."""

    keep_default_model: bool = True
    """Keep the default model loaded whatever the time and the memory. Off: it leaves like the others."""

    memory_budget_mb: int = Field(default=0, ge=0)
    """Megabytes that all loaded models may take together. For another one the least recently used leave, except those in use
    and those that are kept. 0: no limit."""

    auth: bool = True
    """Require a key. Off is allowed only on loopback addresses unless ``insecure`` is set."""

    insecure: bool = False
    """Allow running without keys on an address that others can reach."""

    api_key: str = ""
    """One static key that is accepted beside those in the database. Empty: none."""

    workers: int = Field(default=0, ge=0)
    """Decode workers per model. 0: one per core, at most 4; one per two cores where they cannot share the weights (beside
    Linux); one on a GPU."""

    threads: int = Field(default=0, ge=0)
    """Threads per worker. 0: cores divided by workers, and a decode beside idle workers uses their threads too."""

    auto_tune: bool = False
    """Choose workers and threads that are left at 0 by measuring the machine when the server starts: once, some seconds."""

    gpu: bool = True
    """Use a GPU when the installed engine build has a backend for one."""

    diarizer: Literal["auto", "basic", "sherpa", "off"] = "auto"
    """What tells speakers apart. ``auto``: trained networks where the ``diarize`` extra and its files are installed, else
    the basic one that is always there. Live streams have the basic one."""

    flash_attention: bool | None = None
    """Flash attention in the engine. Unset: on a GPU only, since a processor is done with short sentences a fifth sooner
    without it; whole windows take longer then."""

    fit_context: bool = True
    """Encode only as much as the audio needs; results that look wrong are decoded again with everything."""

    beam_size: int = Field(default=1, ge=1, le=8)
    """Beams per decode. 1 is greedy, the fastest. A request may choose its own, as the two below."""

    temperature: float = Field(default=0.0, ge=0, le=1)
    """Temperature that decoding begins with. 0: the most probable words; above, words are drawn."""

    best_of: int = Field(default=1, ge=1, le=8)
    """Candidates drawn per decode at a temperature above 0, of which the most probable is kept."""

    max_pending_requests: int = Field(default=64, ge=1)
    """Recordings admitted at once, running and waiting together. More are told 429."""

    max_streams: int = Field(default=100, ge=0)
    """Live streams served at a time. More are told 429 before the upgrade."""

    stream_idle_timeout_s: float = Field(default=10.0, gt=0)
    """Seconds a live stream may send neither audio nor KeepAlive before it is closed with NET-0001. Deepgram allows 10."""

    max_body_bytes: int = Field(default=2_000_000_000, ge=1)
    """Largest upload, in bytes. Deepgram's limit is 2 GB."""

    max_audio_seconds: float = Field(default=6 * 3600.0, gt=0)
    """Longest recording after decoding, in seconds: a small file can unpack to days of audio."""

    max_channels: int = Field(default=20, ge=1)
    """Most channels in one recording. Deepgram's limit is 20."""

    max_query_bytes: int = Field(default=32_768, ge=1024)
    """Longest query string, in bytes. Key term lists get long."""

    upload_idle_timeout_s: float = Field(default=30.0, gt=0)
    """Seconds an upload may stand still before it is ended with 408."""

    upload_timeout_s: float = Field(default=900.0, gt=0)
    """Seconds a whole upload may take before it is ended with 408: it holds a permit meanwhile. 2 GB need 18 Mbit/s."""

    request_timeout_s: float = Field(default=1200.0, gt=0)
    """Seconds one recording may take to transcribe before it is ended with 504. Deepgram gives Whisper 20 minutes."""

    shutdown_timeout_s: float = Field(default=60.0, ge=0)
    """Seconds running requests get to finish after SIGTERM."""

    fetch_connect_timeout_s: float = Field(default=5.0, gt=0)
    """Seconds to connect to a host named by a client's URL."""

    fetch_timeout_s: float = Field(default=60.0, gt=0)
    """Seconds a whole download by URL may take. Deepgram's self-hosted default is 60."""

    fetch_max_redirects: int = Field(default=5, ge=0)
    """Redirects followed for a client's URL; every step is checked again."""

    fetch_allow: Annotated[tuple[str, ...], NoDecode] = ()
    """Host names, addresses or networks (CIDR), separated by commas, that may be fetched though they are not global."""

    callback_connect_timeout_s: float = Field(default=1.0, gt=0)
    """Seconds to connect to the host of a callback. Deepgram's self-hosted default is 1."""

    callback_timeout_s: float = Field(default=10.0, gt=0)
    """Seconds one delivery to a callback may take. Deepgram's self-hosted default is 10."""

    callback_retries: int = Field(default=10, ge=0)
    """Times a delivery is tried again after anything but a 2xx. Deepgram tries 10 times."""

    callback_retry_s: float = Field(default=30.0, ge=0)
    """Seconds between two deliveries of the same answer. Deepgram waits 30."""

    callback_allow: Annotated[tuple[str, ...], NoDecode] = ()
    """Host names, addresses or networks (CIDR), separated by commas, that callbacks may go to though they are not global."""

    parallel_jobs: int = Field(default=1, ge=1)
    """Recordings with a callback that are transcribed at a time. One leaves the workers to those who wait for an answer."""

    max_jobs: int = Field(default=1000, ge=1)
    """Recordings with a callback that may be waiting, running or undelivered at a time. More are told 429."""

    max_job_bytes: int = Field(default=20_000_000_000, ge=1)
    """Bytes of audio that these may hold in ``data_dir``. More are told 429; failed ones, which hold theirs for another try,
    are forgotten first."""

    job_attempts: int = Field(default=3, ge=1)
    """Times the transcription of one such recording is begun: one that brings the server down each time is given up."""

    job_timeout_s: float = Field(default=21_600.0, gt=0)
    """Seconds the transcription of one such recording may take before an error is delivered. Far more than where somebody
    waits for the answer: six hours of audio on a small machine, and all others come first."""

    job_lease_s: float = Field(default=15.0, ge=1.0)
    """Seconds after which a recording whose server died is taken over, by another one or by the same one started again."""

    job_keep_days: float = Field(default=7.0, ge=0)
    """Days that finished jobs are listed; of failed ones the audio or the answer is kept as long, to try them again."""

    usage_keep_days: float = Field(default=90.0, ge=0)
    """Days that each request stays on record, for usage and the list of requests: numbers and names of features, nothing of
    what was said. 0: none is recorded."""

    test_tokens: bool = False
    """For development: whoever asks from this machine at ``/v1/auth/test-token`` is given a key for an hour."""

    intelligence_url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """A language model's chat interface, OpenAI's or one like it (``http://127.0.0.1:11434/v1``: a local Ollama), for
    ``summarize``, ``topics``, ``intents`` and ``sentiment``. Transcripts go there, redacted if so asked. Empty: none."""

    intelligence_model: str = ""
    """Name of the language model at that address."""

    intelligence_api_key: str = Field(default="", repr=False)
    """Key that the address asks for. Empty: none, as for models on this machine."""

    intelligence_timeout_s: float = Field(default=120.0, gt=0)
    """Seconds that the analysis of one recording may take; what is not done by then is left out."""

    backend_url: str = Field(
        default="",
        pattern=URL_OR_NOTHING,
        validation_alias=AliasChoices("WHISPERAPI_BACKEND_URL", "CUSTOM_BACKEND_URL"),
    )
    """Another server that recognises speech for this one, by OpenAI's ``/v1/audio/transcriptions``. It is served as the
    model ``remote``, the default one unless ``default_model`` is set. Also read from ``CUSTOM_BACKEND_URL``. Empty: none."""

    backend_model: str = Field(default="", validation_alias=AliasChoices("WHISPERAPI_BACKEND_MODEL", "CUSTOM_BACKEND_MODEL"))
    """Model named to that server (``CUSTOM_BACKEND_MODEL``). Empty: none is named, unless it insists."""

    backend_needs_wav: bool = Field(
        default=False, validation_alias=AliasChoices("WHISPERAPI_BACKEND_NEEDS_WAV", "CUSTOM_BACKEND_NEEDS_WAV")
    )
    """Send WAV, for servers that read nothing else (``CUSTOM_BACKEND_NEEDS_WAV``). Off: WAV to a loopback address, else
    FLAC, two fifths of the bytes."""

    backend_auth: str = Field(
        default="", repr=False, validation_alias=AliasChoices("WHISPERAPI_BACKEND_AUTH", "CUSTOM_BACKEND_AUTH")
    )
    """Whole ``Authorization`` header for that server: ``Bearer ...`` (``CUSTOM_BACKEND_AUTH``). Empty: none."""

    backend_timeout_s: float = Field(default=60.0, gt=0)
    """Seconds that one decode there may take, second tries included; waiting here for a place there is not."""

    backend_parallel: int = Field(default=4, ge=1, le=256)
    """Requests under way there at a time. Interims of live streams take half of them at most."""

    backend_translates: bool = False
    """That server has ``/v1/audio/translations`` too."""

    backend_languages: Annotated[tuple[str, ...], NoDecode] = ()
    """Languages that it knows, as Whisper's codes separated by commas. None: all of Whisper's."""

    backends: dict[str, BackendSettings] = Field(default={}, repr=False)
    """More such servers beside local models, as JSON: ``{"name": {"url": ..., "model": ..., "auth": ...}}``; the keys inside
    are the names above without ``backend_``. Each is served as the model of its name."""

    cors_origins: Annotated[tuple[str, ...], NoDecode] = ("*",)
    """Origins browsers may call from, separated by commas. ``*``: any, as Deepgram allows."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe log line that is written."""

    log_format: Literal["auto", "json", "console"] = "auto"
    """JSON lines, or coloured text. ``auto``: text on a terminal, JSON elsewhere."""

    @field_validator("preload_models", "fetch_allow", "callback_allow", "cors_origins", "backend_languages", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_intelligence(self) -> Settings:
        if self.intelligence_url and not self.intelligence_model:
            raise ValueError("WHISPERAPI_INTELLIGENCE_URL is set: name the language model in WHISPERAPI_INTELLIGENCE_MODEL")
        return self

    @cached_property
    def resolved_backends(self) -> dict[str, BackendSettings]:
        """Every server that recognises for this one, by the name of its model."""
        if not self.backend_url:
            return self.backends
        single = BackendSettings(
            url=self.backend_url,
            model=self.backend_model,
            needs_wav=self.backend_needs_wav,
            auth=self.backend_auth,
            timeout_s=self.backend_timeout_s,
            parallel=self.backend_parallel,
            translates=self.backend_translates,
            languages=self.backend_languages,
        )
        return {REMOTE: single, **self.backends}

    @property
    def resolved_default_model(self) -> str:
        """The default model in use: the other server where one is named and nothing else is said.

        Not cached: a copy with another default model would take the answer along.
        """
        return REMOTE if self.backend_url and "default_model" not in self.model_fields_set else self.default_model

    @cached_property
    def resolved_database_url(self) -> str:
        """The URL in use."""
        return self.database_url or f"sqlite:///{self.data_dir / 'whisperapi.db'}"

    @cached_property
    def resolved_models_dir(self) -> Path:
        """The folder of downloaded weights in use."""
        return self.models_dir or self.data_dir / "models"
