"""How an operator describes another server that recognises speech for this one."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

URL = r"^https?://\S+$"
URL_OR_NOTHING = rf"({URL})|^$"


class BackendSettings(BaseModel):
    """One server of OpenAI's audio interface. The fields mean what ``WHISPERAPI_BACKEND_...`` means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=URL)
    model: str = ""
    needs_wav: bool = False
    auth: str = Field(default="", repr=False)
    timeout_s: float = Field(default=60.0, gt=0)
    parallel: int = Field(default=4, ge=1, le=256)
    translates: bool = False
    languages: tuple[str, ...] = ()

    @field_validator("auth")
    @classmethod
    def _is_a_header(cls, value: str) -> str:
        if not value.isprintable() or not value.isascii():
            raise ValueError("is no value of a header")
        return value
