"""Speech to words while it is spoken, with the Deepgram SDK for Python, 7.2 or later (``pip install "deepgram-sdk>=7.2"``).

A WAV file of 16-bit samples plays the microphone: it is sent in pieces, as fast as it was spoken.

WHISPERAPI_KEY=... python scripts/examples/python_live.py recording.wav
"""

from __future__ import annotations

import os
import sys
import threading
import time
import wave
from typing import Any

from deepgram import DeepgramClient
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment

PIECE_S = 0.1


def show(message: Any) -> None:
    """Finals as lines; what may still change, marked."""
    if message.type != "Results":
        return
    transcript = message.channel.alternatives[0].transcript
    if transcript:
        print(transcript if message.is_final else f"  ... {transcript}", flush=True)


def main() -> None:
    """Send the file named on the command line and print what comes back."""
    here = os.environ.get("WHISPERAPI_URL", "http://127.0.0.1:7860")
    there = here.replace("http", "ws", 1)
    environment = DeepgramClientEnvironment(base=here, agent_rest=here, production=there, agent=there)
    client = DeepgramClient(api_key=os.environ["WHISPERAPI_KEY"], environment=environment)
    with (
        wave.open(sys.argv[1], "rb") as recording,
        client.listen.v1.connect(
            model="nova-3",
            encoding="linear16",
            sample_rate=recording.getframerate(),
            channels=recording.getnchannels(),
            smart_format=True,
            interim_results=True,
            endpointing=300,
        ) as live,
    ):
        live.on(EventType.MESSAGE, show)
        live.on(EventType.ERROR, lambda error: print(f"error: {error}", file=sys.stderr))
        reader = threading.Thread(target=live.start_listening)
        reader.start()
        while piece := recording.readframes(round(PIECE_S * recording.getframerate())):
            live.send_media(piece)
            time.sleep(PIECE_S)
        live.send_close_stream()
        reader.join()  # the last words are still on their way


if __name__ == "__main__":
    main()
