"""``diarize`` and ``diarize_model`` from the outside, on a real conversation with scripted words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

from app.audio.vad import load_vad
from app.domain.transcript import Word
from app.engines.scripted import ScriptedEngine, ScriptedPool
from tests.support.app import Stage, staged
from tests.support.conversations import DIALOGUE
from tests.support.live_talk import CLOSE, RAW, converse

AUDIO = Path(__file__).parents[1] / "audio"
CLIP = (AUDIO / "dialogue-two-speakers.wav").read_bytes()
SPEAKERS = [0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1]
DIARIZER = {"arch": "v1", "name": "basic"}

SCRIPT = tuple(
    Word(text, start + share * (end - start), start + (share + 0.5) * (end - start), 0.9)
    for start, end, _ in DIALOGUE
    for text, share in (("Well,", 0.0), ("yes.", 0.5))
)
"""Two words for each turn; the engine hears the recording as one chunk that begins with its first sample."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path, ScriptedPool(ScriptedEngine(SCRIPT)), load_vad()) as running:
        yield running


def alternative(answer: Any, channel: int = 0) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]["channels"][channel]["alternatives"][0]


class TestRecordings:
    @pytest.mark.parametrize("query", ["diarize=true", "diarize_model=latest", "diarize_model=v1", "diarize_model=v2"])
    def test_words_name_their_speakers(self, stage: Stage, query: str) -> None:
        answer = stage.client.post(f"/v1/listen?{query}", content=CLIP)
        words = alternative(answer)["words"]
        assert [word["speaker"] for word in words] == SPEAKERS
        assert all(0 < word["speaker_confidence"] <= 1 for word in words)
        assert len({word["speaker_confidence"] for word in words}) > 1

    def test_the_diarizer_is_named_where_one_ran_and_only_there(self, stage: Stage) -> None:
        with_speakers = stage.client.post("/v1/listen?diarize=true", content=CLIP).json()["metadata"]
        assert with_speakers["diarize_info"].items() >= DIARIZER.items()
        assert set(with_speakers["diarize_info"]) == {"model_uuid", "arch", "name"}
        assert "warnings" not in with_speakers or "diarize" not in str(with_speakers["warnings"])
        without = stage.client.post("/v1/listen?diarize=false", content=CLIP)
        assert "diarize_info" not in without.json()["metadata"]
        assert "speaker" not in str(alternative(without))

    def test_paragraphs_and_utterances_change_with_the_speaker(self, stage: Stage) -> None:
        answer = stage.client.post("/v1/listen?diarize=true&paragraphs=true&utterances=true", content=CLIP)
        text = alternative(answer)["paragraphs"]["transcript"]
        assert [line[:10] for line in text.split("\n\n")] == ["\nSpeaker 0", *["Speaker 1:", "Speaker 0:"] * 2, "Speaker 1:"]
        utterances = answer.json()["results"]["utterances"]
        assert [utterance["speaker"] for utterance in utterances] == SPEAKERS[::2]

    def test_each_channel_counts_its_own_speakers(self, stage: Stage) -> None:
        stereo = (AUDIO / "stereo-one-speaker-per-channel.wav").read_bytes()
        answer = stage.client.post("/v1/listen?diarize=true&multichannel=true", content=stereo)
        for channel in (0, 1):
            assert {word["speaker"] for word in alternative(answer, channel)["words"]} == {0}

    def test_a_part_of_a_recording_keeps_its_times(self, stage: Stage) -> None:
        words = alternative(stage.client.post("/v1/listen?diarize=true&start=3.6", content=CLIP))["words"]
        assert words[0]["start"] > 3.6
        assert words[0]["speaker"] == 0

    @pytest.mark.parametrize("query", ["diarize=true&diarize_model=latest", "diarize_model=v3", "diarize=perhaps"])
    def test_what_cannot_be_meant_is_refused(self, stage: Stage, query: str) -> None:
        assert stage.client.post(f"/v1/listen?{query}", content=CLIP).status_code == 400

    def test_a_server_without_a_diarizer_says_so_and_names_nobody(self, tmp_path: Path) -> None:
        with staged(tmp_path, diarizer="off") as stage:
            answer = stage.client.post("/v1/listen?diarize=true", content=CLIP)
            metadata = answer.json()["metadata"]
            assert "diarize" in [warning["parameter"] for warning in metadata["warnings"]]
            assert "diarize_info" not in metadata
            assert "speaker" not in str(alternative(answer))


class TestLive:
    def finals(self, stage: Stage, query: str) -> list[Any]:
        samples, _ = soundfile.read(AUDIO / "dialogue-two-speakers.wav", dtype="int16")
        data = samples.astype("<i2").tobytes()
        sent = [*(data[begin : begin + 3200] for begin in range(0, len(data), 3200)), CLOSE]
        return converse(stage.client, f"{RAW}&endpointing=300&{query}", sent).finals

    @pytest.mark.parametrize("query", ["diarize=true", "diarize_model=latest", "diarize_model=v1"])
    def test_words_of_finals_name_their_speakers_without_confidence(self, stage: Stage, query: str) -> None:
        finals = self.finals(stage, query)
        words = [word for final in finals for word in final["channel"]["alternatives"][0]["words"]]
        assert {word["speaker"] for word in words} == {0, 1}
        assert all("speaker_confidence" not in word for word in words)
        heard = {start: speaker for start, _, speaker in DIALOGUE}
        for word in words:
            turn = max((start for start in heard if start <= word["start"] + 0.1), default=0.3)
            assert word["speaker"] == heard[turn], word
        assert all(final["metadata"]["diarize_info"].items() >= DIARIZER.items() for final in finals)

    def test_without_the_parameter_nobody_is_named(self, stage: Stage) -> None:
        finals = self.finals(stage, "diarize=false")
        assert finals
        assert "speaker" not in str(finals)
        assert "diarize_info" not in str(finals)
