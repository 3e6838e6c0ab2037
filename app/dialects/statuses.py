"""The one table: error kind -> HTTP status, which is also how a request that came otherwise is recorded."""

from __future__ import annotations

from app.domain.errors import ErrorKind

STATUS = {
    ErrorKind.INVALID_PARAMETER: 400,
    ErrorKind.INVALID_REQUEST: 400,
    ErrorKind.QUERY_TOO_LONG: 414,
    ErrorKind.INVALID_PAYLOAD: 400,
    ErrorKind.BAD_AUDIO: 400,
    ErrorKind.UNSUPPORTED_MODEL: 400,
    ErrorKind.REMOTE_CONTENT: 400,
    ErrorKind.INVALID_CREDENTIALS: 401,
    ErrorKind.INSUFFICIENT_SCOPE: 401,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.PROJECT_NOT_FOUND: 404,
    ErrorKind.METHOD_NOT_ALLOWED: 405,
    ErrorKind.SLOW_UPLOAD: 408,
    ErrorKind.PAYLOAD_TOO_LARGE: 413,
    ErrorKind.OVERLOADED: 429,
    ErrorKind.CLIENT_GONE: 499,
    ErrorKind.ENGINE_FAILED: 500,
    ErrorKind.BAD_GATEWAY: 502,
    ErrorKind.UNAVAILABLE: 503,
    ErrorKind.DECODE_TIMEOUT: 504,
}
