"""Every failure the service can tell a client about.

    SttError
    ├── InvalidParameter      a known parameter with an unusable value
    ├── InvalidRequest        the query as a whole cannot be used
    ├── QueryTooLong          the query string is longer than the server reads
    ├── InvalidPayload        a JSON body that is not what it claims
    ├── BadAudio              the bytes are not audio we can decode
    ├── UnsupportedModel      no such model, language or combination
    ├── RemoteContentError    audio by URL could not be fetched
    ├── InvalidCredentials    missing, malformed, unknown, revoked or expired key
    ├── InsufficientScope     the key is valid but may not do this
    ├── Forbidden             the key may do much, but nobody may do this, or not with it
    ├── NotFound              no such thing
    ├── ProjectNotFound       no such project
    ├── MethodNotAllowed      the path exists, the method does not
    ├── PayloadTooLarge       body bytes or decoded seconds over the limit
    ├── SlowUpload            the body stopped arriving
    ├── ClientGone            nobody waits for the answer any more
    ├── Overloaded            no room for more work now
    ├── Unavailable           starting or stopping
    ├── EngineFailed          the decoder failed, twice
    ├── BackendFailed         another server, which was to recognise the speech, failed or sent nonsense
    └── DecodeTimeout         decoding took longer than allowed

An error says what happened in words that may be shown to the client: never a path, a key or transcript text.
``app/dialects/statuses.py`` maps each kind to a status; the dialects render the body.
"""

from __future__ import annotations

from enum import Enum


class ErrorKind(str, Enum):
    """What went wrong, independent of any wire format."""

    INVALID_PARAMETER = "invalid_parameter"
    INVALID_REQUEST = "invalid_request"
    QUERY_TOO_LONG = "query_too_long"
    INVALID_PAYLOAD = "invalid_payload"
    BAD_AUDIO = "bad_audio"
    UNSUPPORTED_MODEL = "unsupported_model"
    REMOTE_CONTENT = "remote_content"
    INVALID_CREDENTIALS = "invalid_credentials"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    PROJECT_NOT_FOUND = "project_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    SLOW_UPLOAD = "slow_upload"
    CLIENT_GONE = "client_gone"
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"
    ENGINE_FAILED = "engine_failed"
    BAD_GATEWAY = "bad_gateway"
    DECODE_TIMEOUT = "decode_timeout"


class SttError(Exception):
    """Base of every error above. ``message`` may be shown to clients; ``parameter`` names the culprit if there is one."""

    kind: ErrorKind
    default_message: str

    def __init__(self, message: str | None = None, *, parameter: str | None = None) -> None:
        self.message = message or self.default_message
        self.parameter = parameter
        super().__init__(self.message)


class InvalidParameter(SttError):
    """A known parameter has a value of the wrong type or outside its range."""

    kind = ErrorKind.INVALID_PARAMETER
    default_message = "A parameter has an unusable value."


class InvalidRequest(SttError):
    """The parameters do not fit together."""

    kind = ErrorKind.INVALID_REQUEST
    default_message = "Invalid query string."


class QueryTooLong(SttError):
    """The query string exceeds the limit."""

    kind = ErrorKind.QUERY_TOO_LONG
    default_message = "The query string is too long."


class InvalidPayload(SttError):
    """A JSON body that cannot be parsed or lacks what it needs."""

    kind = ErrorKind.INVALID_PAYLOAD
    default_message = "Content-type was application/json, but we could not process the JSON payload."


class BadAudio(SttError):
    """Empty, corrupt, truncated to nothing, or not audio."""

    kind = ErrorKind.BAD_AUDIO
    default_message = "failed to process audio: corrupt or unsupported data"


class UnsupportedModel(SttError):
    """Unknown model, unknown language, or a language the model does not know."""

    kind = ErrorKind.UNSUPPORTED_MODEL
    default_message = "No such model/language/tier combination found."


class RemoteContentError(SttError):
    """Audio named by a URL could not be fetched: bad address, refused, slow, too many redirects."""

    kind = ErrorKind.REMOTE_CONTENT
    default_message = "The remote server hosting the media failed to return valid data."


class InvalidCredentials(SttError):
    """No credential, or one that is malformed, unknown, revoked or expired. The message never says which."""

    kind = ErrorKind.INVALID_CREDENTIALS
    default_message = "Invalid credentials."


class InsufficientScope(SttError):
    """The key is valid and lacks the scope the route needs."""

    kind = ErrorKind.INSUFFICIENT_SCOPE
    default_message = "User does not have sufficient permissions."


class Forbidden(SttError):
    """What no key may do on this server, or what takes a stronger one."""

    kind = ErrorKind.FORBIDDEN
    default_message = "Insufficient permissions."


class NotFound(SttError):
    """No route, model or record of that name."""

    kind = ErrorKind.NOT_FOUND
    default_message = "Not found."


class ProjectNotFound(SttError):
    """The project in the path is not the one that this server has."""

    kind = ErrorKind.PROJECT_NOT_FOUND
    default_message = "A project with the submitted ID cannot be found."


class MethodNotAllowed(SttError):
    """The path exists; the method does not."""

    kind = ErrorKind.METHOD_NOT_ALLOWED
    default_message = "Method not allowed."


class PayloadTooLarge(SttError):
    """More bytes or seconds than the limits allow."""

    kind = ErrorKind.PAYLOAD_TOO_LARGE
    default_message = "The request is larger than this server accepts."


class SlowUpload(SttError):
    """The client stopped sending its body."""

    kind = ErrorKind.SLOW_UPLOAD
    default_message = "Request upload timeout."


class ClientGone(SttError):
    """The client went away; nobody reads the answer."""

    kind = ErrorKind.CLIENT_GONE
    default_message = "Client closed request."


class Overloaded(SttError):
    """No room for more work. ``retry_after_s`` estimates, in seconds, when there will be."""

    kind = ErrorKind.OVERLOADED
    default_message = "Too many requests. Please try again later"

    def __init__(self, message: str | None = None, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(SttError):
    """The server is starting, stopping, or has no working engine. ``retry_after_s`` in seconds."""

    kind = ErrorKind.UNAVAILABLE
    default_message = "Please try again later"

    def __init__(self, message: str | None = None, *, retry_after_s: float = 2.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class EngineFailed(SttError):
    """The decoder failed on this audio and failed again on a second worker."""

    kind = ErrorKind.ENGINE_FAILED
    default_message = "Internal server error"


class BackendFailed(SttError):
    """The server that recognises for this one refused the work, failed at it, or sent something else than a transcript."""

    kind = ErrorKind.BAD_GATEWAY
    default_message = "The recognition backend failed."


class DecodeTimeout(SttError):
    """Decoding took longer than the server allows for one request."""

    kind = ErrorKind.DECODE_TIMEOUT
    default_message = "Processing took longer than this server allows."
