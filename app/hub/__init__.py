"""Weights from the Hugging Face hub: fetched with resume, checked, and put in place in one step.

    HubError
    ├── HubUnreachable      no answer in time, no network, offline mode
    ├── NotOnHub            no such repository or file, or it needs a token
    ├── DownloadFailed      the transfer broke off and could not be resumed
    ├── ChecksumMismatch    the content is not what the catalogue or the hub says
    ├── DiskFull            not enough room for the file
    └── NotInstalled        there is no such file on this machine

Everything here blocks and is meant for the command line and for the moments before the server listens.
"""

from app.hub.download import Hub, Progress
from app.hub.errors import (
    ChecksumMismatch,
    DiskFull,
    DownloadFailed,
    HubError,
    HubUnreachable,
    NotInstalled,
    NotOnHub,
)
from app.hub.files import HubFile, present_bytes, remove, verify

__all__ = [
    "ChecksumMismatch",
    "DiskFull",
    "DownloadFailed",
    "Hub",
    "HubError",
    "HubFile",
    "HubUnreachable",
    "NotInstalled",
    "NotOnHub",
    "Progress",
    "present_bytes",
    "remove",
    "verify",
]
