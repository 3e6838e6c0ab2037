"""A recording to words, with the Deepgram SDK for Python, 7.2 or later (``pip install "deepgram-sdk>=7.2"``).

WHISPERAPI_KEY=... python scripts/examples/python_recording.py recording.m4a
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from deepgram import DeepgramClient
from deepgram.environment import DeepgramClientEnvironment


def main() -> None:
    """Print the transcript of the file named on the command line, and when each utterance was said."""
    here = os.environ.get("WHISPERAPI_URL", "http://127.0.0.1:7860")
    there = here.replace("http", "ws", 1)
    environment = DeepgramClientEnvironment(base=here, agent_rest=here, production=there, agent=there)
    client = DeepgramClient(api_key=os.environ["WHISPERAPI_KEY"], environment=environment)
    answer = client.listen.v1.media.transcribe_file(
        request=Path(sys.argv[1]).read_bytes(), model="nova-3", smart_format=True, utterances=True
    )
    print(answer.results.channels[0].alternatives[0].transcript)
    for utterance in answer.results.utterances:
        print(f"{utterance.start:8.2f} s  {utterance.transcript}")


if __name__ == "__main__":
    main()
