"""Who speaks on one live stream: hears what the stream hears, and names the speakers in its results."""

from __future__ import annotations

from dataclasses import replace

from app.domain.audio import seconds
from app.domain.ports import LiveDiarizer, LiveSpeakers
from app.domain.stream.events import Audio, Results


class StreamSpeakers:
    """Speakers are counted anew on each channel. What it gives to results depends on the stream's sound alone."""

    def __init__(self, diarizer: LiveDiarizer) -> None:
        self._diarizer = diarizer
        self._channels: list[LiveSpeakers] = []

    def hear(self, audio: Audio) -> None:
        """Take the next sound, before the machine does: its results may need it at once."""
        while len(self._channels) < len(audio.pcm):
            self._channels.append(self._diarizer.live())
        for channel, pcm, probabilities in zip(self._channels, audio.pcm, audio.probabilities, strict=True):
            channel.feed(pcm, probabilities)

    def named(self, results: Results) -> Results:
        """The results with speakers at their words. To be called once for each, in their order."""
        if results.channel_index >= len(self._channels):  # nothing was heard yet, so nobody spoke
            return results
        channel = self._channels[results.channel_index]
        name = channel.final if results.is_final else channel.interim
        return replace(results, words=name(results.words, seconds(results.end_samples)))
