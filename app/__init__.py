"""Self-hosted speech-to-text with Deepgram's interface, powered by whisper.cpp."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("whisperapi")
except PackageNotFoundError:  # running from a source tree that was never installed
    __version__ = "0+source"
