"""What can go wrong with a model file. Each message is a sentence for the person at the terminal."""

from __future__ import annotations


class HubError(Exception):
    """A model could not be fetched, checked or removed."""


class HubUnreachable(HubError):
    """The hub did not answer in time, or may not be asked."""


class NotOnHub(HubError):
    """The hub answers, but does not give the file."""


class DownloadFailed(HubError):
    """The transfer broke off too often. What has arrived is kept for the next try."""


class ChecksumMismatch(HubError):
    """The content is not the expected one."""


class DiskFull(HubError):
    """The file would not fit."""


class NotInstalled(HubError):
    """There is nothing to verify or remove."""
