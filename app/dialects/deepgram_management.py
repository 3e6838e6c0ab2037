"""Deepgram's management routes (contract 4.2 to 4.6) for a server with one project, one member and nothing to pay."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import orjson

from app.dialects.deepgram_rest import timestamp
from app.domain.errors import InvalidPayload, InvalidRequest
from app.domain.ports import ApiKey
from app.domain.project import BALANCE_ID, MEMBER_EMAIL, MEMBER_ID, PROJECT_ID, PROJECT_NAME

Json = dict[str, Any]

MEMBER_SCOPES = ("owner",)
"""The one member runs the machine."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """What a client asks for when it creates a key; at most one of ``expires`` (aware) and ``ttl_s`` is set."""

    comment: str
    scopes: tuple[str, ...]
    tags: tuple[str, ...] = ()
    expires: datetime | None = None
    ttl_s: int | None = None


def parse_object(body: bytes) -> Json:
    """The JSON object in a body; an empty body is an empty one. Raises ``InvalidPayload``."""
    try:
        found = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError:
        raise InvalidPayload from None
    if not isinstance(found, dict):
        raise InvalidPayload
    return found


def parse_new_key(body: bytes) -> NewKey:
    """The body of a key's creation. Raises ``InvalidPayload`` and ``InvalidRequest``."""
    asked = parse_object(body)
    comment = asked.get("comment")
    if not isinstance(comment, str) or not comment.strip():
        raise InvalidRequest("comment: expected a text that says what the key is for")
    expiration, ttl_s = asked.get("expiration_date"), asked.get("time_to_live_in_seconds")
    if expiration is not None and ttl_s is not None:
        raise InvalidRequest("expiration_date and time_to_live_in_seconds cannot be used together")
    if ttl_s is not None and (isinstance(ttl_s, bool) or not isinstance(ttl_s, int) or ttl_s < 1):
        raise InvalidRequest("time_to_live_in_seconds: expected a positive integer")
    expires = None if expiration is None else _moment("expiration_date", expiration)
    scopes = _texts("scopes", asked.get("scopes"))
    if not scopes:
        raise InvalidRequest("scopes: expected at least one")
    return NewKey(comment, scopes, _texts("tags", asked.get("tags") or []), expires, ttl_s)


def parse_ttl(body: bytes, default_s: int) -> int:
    """The body of a grant: seconds that the token is to live. Raises ``InvalidPayload`` and ``InvalidRequest``."""
    ttl_s = parse_object(body).get("ttl_seconds")
    if ttl_s is None:
        return default_s
    if isinstance(ttl_s, bool) or not isinstance(ttl_s, (int, float)) or ttl_s != int(ttl_s):
        raise InvalidRequest("ttl_seconds: expected a whole number of seconds")
    return int(ttl_s)


def render_grant(token: str, ttl_s: int) -> bytes:
    """The answer to a grant."""
    return orjson.dumps({"access_token": token, "expires_in": ttl_s})


def render_token(key: ApiKey) -> bytes:
    """What a credential is: the answer to a check."""
    return orjson.dumps(_key(key) | {"accessor": MEMBER_ID})


def render_projects() -> bytes:
    """All of them."""
    return orjson.dumps({"projects": [{"project_id": PROJECT_ID, "name": PROJECT_NAME}]})


def render_project() -> bytes:
    """The one project. Nothing of it is ever used to improve models."""
    return orjson.dumps({"project_id": PROJECT_ID, "name": PROJECT_NAME, "mip_opt_out": True})


def render_keys(keys: Sequence[ApiKey]) -> bytes:
    """A list of keys."""
    return orjson.dumps({"api_keys": [{"member": _member(), "api_key": _key(key)} for key in keys]})


def render_key(key: ApiKey) -> bytes:
    """One key, in the form that older clients read and in the one that newer ones declare."""
    item = {"member": _member() | {"api_key": _key(key)}}
    return orjson.dumps({"member": _member(), "api_key": _key(key), "item": item})


def render_new_key(key: ApiKey, secret: str) -> bytes:
    """A key just made, with its secret, this once."""
    return orjson.dumps(_key(key) | {"key": secret})


def render_members() -> bytes:
    """The one member."""
    return orjson.dumps({"members": [_member() | {"scopes": list(MEMBER_SCOPES)}]})


def render_scopes() -> bytes:
    """What the member may do."""
    return orjson.dumps({"scopes": list(MEMBER_SCOPES)})


def render_invites() -> bytes:
    """None: nobody can be invited to a machine."""
    return orjson.dumps({"invites": []})


def render_balances() -> bytes:
    """One balance, which is always nothing."""
    return orjson.dumps({"balances": [_balance()]})


def render_balance() -> bytes:
    """That balance."""
    return orjson.dumps(_balance())


def render_purchases() -> bytes:
    """Nothing was ever bought."""
    return orjson.dumps({"orders": []})


def render_billing_fields() -> bytes:
    """Nothing is billed."""
    return orjson.dumps({"accessors": [], "deployments": [], "tags": [], "line_items": {}})


def render_distribution_credentials() -> bytes:
    """There are none: this server is the distribution."""
    return orjson.dumps({"distribution_credentials": []})


def render_message(message: str) -> bytes:
    """What a change answers."""
    return orjson.dumps({"message": message})


_MAX_MOMENT_CHARACTERS = 100
"""Longer texts are no dates. The patterns that dates are read with take time by the square of the length: 18 s for the 64 KB
of a body."""


def parse_moment(name: str, text: str) -> datetime:
    """An ISO 8601 date or time as aware UTC; without a zone it is UTC. Raises ``InvalidRequest``."""
    try:
        moment = datetime.fromisoformat(_readable(text))
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise InvalidRequest(f"{name}: expected a date such as 2027-01-31 or 2027-01-31T12:00:00Z") from None


def _readable(text: str) -> str:
    """Python 3.10 reads neither the Z nor fractions of other than three or six digits; a query's plus arrives as a blank."""
    if len(text) > _MAX_MOMENT_CHARACTERS:
        raise ValueError("too long")
    text = re.sub(r"[zZ]$", "+00:00", text.strip())
    text = re.sub(r"(T\S+) (\d\d:\d\d)$", r"\1+\2", text)
    return re.sub(r"\.(\d+)", lambda match: f".{match[1][:6]:0<6}", text)


def _moment(name: str, value: object) -> datetime:
    return parse_moment(name, value if isinstance(value, str) else "")


def _texts(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InvalidRequest(f"{name}: expected a list of texts")
    return tuple(value)


def _member() -> Json:
    return {"member_id": MEMBER_ID, "email": MEMBER_EMAIL}


def _key(key: ApiKey) -> Json:
    rendered: Json = {
        "api_key_id": key.key_id,
        "comment": key.name,
        "scopes": list(key.scopes),
        "created": timestamp(key.created),
    }
    if key.tags:
        rendered["tags"] = list(key.tags)
    if key.expires is not None:
        rendered["expiration_date"] = timestamp(key.expires)
    return rendered


def _balance() -> Json:
    return {"balance_id": BALANCE_ID, "amount": 0.0, "units": "usd", "purchase_order_id": ""}
