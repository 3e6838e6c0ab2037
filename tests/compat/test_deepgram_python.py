"""The Deepgram SDK for Python, version 7, as its users call it, against a running server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from deepgram import AsyncDeepgramClient, DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment

from tests.support.running_server import CLIPS, RunningServer

pytestmark = [
    pytest.mark.compat,
    # the SDK imports names from websockets' past when it is first used
    pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning"),
]


def environment(server: RunningServer) -> DeepgramClientEnvironment:
    return DeepgramClientEnvironment(base=server.url, production=server.ws_url, agent=server.ws_url, agent_rest=server.url)


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """The SDK's connections, ours to close: its client has no way to."""
    with httpx.Client(timeout=60) as opened:
        yield opened


@pytest.fixture
def client(server: RunningServer, http: httpx.Client) -> DeepgramClient:
    return DeepgramClient(api_key=server.key, environment=environment(server), httpx_client=http)


def clip(name: str) -> bytes:
    return next(folder / name for folder in CLIPS if (folder / name).exists()).read_bytes()


def first(response: Any, channel: int = 0) -> Any:
    return response.results.channels[channel].alternatives[0]


def test_a_file_comes_back_as_words(client: DeepgramClient) -> None:
    response: Any = client.listen.v1.media.transcribe_file(request=clip("hello-world.wav"))
    alternative = first(response)
    assert alternative.transcript == "hello world"
    assert [word.word for word in alternative.words] == ["hello", "world"]
    assert not any(hasattr(word, "punctuated_word") for word in alternative.words)
    assert 0 <= alternative.words[0].start < alternative.words[0].end <= alternative.words[1].end <= 1.4
    assert 0 < alternative.confidence <= 1
    assert response.metadata.channels == 1
    assert response.metadata.duration == pytest.approx(1.303, abs=0.01)
    assert list(response.metadata.model_info) == response.metadata.models
    assert len(response.metadata.sha256) == 64


@pytest.mark.parametrize("name", ["hello-world.wav", "hello-world.mp3", "hello-world.opus"])
def test_smart_format_shows_the_words_as_written_whatever_the_format(client: DeepgramClient, name: str) -> None:
    response: Any = client.listen.v1.media.transcribe_file(request=clip(name), model="nova-3", smart_format=True)
    alternative = first(response)
    assert alternative.transcript == "Hello world."
    assert [word.punctuated_word for word in alternative.words] == ["Hello", "world."]
    assert [word.word for word in alternative.words] == ["hello", "world"]


def test_a_file_may_be_sent_as_a_stream_of_chunks(client: DeepgramClient) -> None:
    audio = clip("hello-world.wav")

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(audio), 4096):
            yield audio[start : start + 4096]

    response: Any = client.listen.v1.media.transcribe_file(request=chunks(), punctuate=True)
    assert first(response).transcript == "Hello world."


def test_a_url_is_fetched_by_the_server(client: DeepgramClient, server: RunningServer) -> None:
    response: Any = client.listen.v1.media.transcribe_url(url=f"{server.files_url}/hello-world.mp3", punctuate=True)
    assert first(response).transcript == "Hello world."


def test_a_url_that_is_not_there_is_a_client_error(client: DeepgramClient, server: RunningServer) -> None:
    with pytest.raises(ApiError) as caught:
        client.listen.v1.media.transcribe_url(url=f"{server.files_url}/nothing.wav")
    assert caught.value.status_code == 400
    body: Any = caught.value.body
    assert body["err_code"] == "REMOTE_CONTENT_ERROR"
    assert "404" in body["err_msg"]


def test_a_url_inside_the_servers_own_network_is_refused(client: DeepgramClient) -> None:
    with pytest.raises(ApiError) as caught:
        client.listen.v1.media.transcribe_url(url="http://169.254.169.254/latest/meta-data/")
    assert caught.value.status_code == 400
    assert caught.value.body["err_code"] == "REMOTE_CONTENT_ERROR"


def test_utterances_and_paragraphs_hold_the_same_words_as_the_transcript(client: DeepgramClient) -> None:
    response: Any = client.listen.v1.media.transcribe_file(
        request=clip("dialogue-two-speakers.wav"), punctuate=True, paragraphs=True, utterances=True, utt_split=0.6
    )
    alternative = first(response)
    assert alternative.transcript.startswith("Hello Mary")
    assert alternative.transcript == " ".join(word.punctuated_word for word in alternative.words)
    utterances = response.results.utterances
    assert len(utterances) > 1
    assert " ".join(utterance.transcript for utterance in utterances) == alternative.transcript
    assert [word.start for utterance in utterances for word in utterance.words] == [word.start for word in alternative.words]
    assert len({utterance.id for utterance in utterances}) == len(utterances)
    paragraphs = alternative.paragraphs
    assert paragraphs.transcript.startswith("\nHello Mary")
    sentences = [sentence.text for paragraph in paragraphs.paragraphs for sentence in paragraph.sentences]
    assert " ".join(sentences) == alternative.transcript
    assert sum(paragraph.num_words for paragraph in paragraphs.paragraphs) == len(alternative.words)


def test_the_language_is_detected_when_asked_for(client: DeepgramClient) -> None:
    response: Any = client.listen.v1.media.transcribe_file(
        request=clip("spanish.flac"), detect_language=True, punctuate=True
    )
    channel = response.results.channels[0]
    assert channel.detected_language == "es"
    assert first(response).transcript == "Buenos días. Abre la puerta roja."


def test_channels_are_transcribed_apart_when_asked_for(client: DeepgramClient) -> None:
    response: Any = client.listen.v1.media.transcribe_file(
        request=clip("stereo-one-speaker-per-channel.flac"), multichannel=True, punctuate=True, utterances=True
    )
    assert response.metadata.channels == 2
    assert first(response, 0).transcript == "Where is John? Thank you."
    assert first(response, 1).transcript == "John is in Paris."
    starts = [utterance.start for utterance in response.results.utterances]
    assert starts == sorted(starts)
    assert {utterance.channel for utterance in response.results.utterances} == {0, 1}


def test_tags_and_extras_come_back(client: DeepgramClient) -> None:
    response: Any = client.listen.v1.media.transcribe_file(
        request=clip("hello-world.wav"), tag=["a", "b"], extra=["order:17"]
    )
    assert response.metadata.tags == ["a", "b"]
    assert response.metadata.extra == {"order": "17"}


def test_the_async_client_works_too(server: RunningServer) -> None:
    async def transcribe() -> Any:
        async with httpx.AsyncClient(timeout=60) as http:
            client = AsyncDeepgramClient(api_key=server.key, environment=environment(server), httpx_client=http)
            return await client.listen.v1.media.transcribe_file(request=clip("hello-world.wav"), smart_format=True)

    assert first(asyncio.run(transcribe())).transcript == "Hello world."


def test_a_wrong_key_is_refused(server: RunningServer, http: httpx.Client) -> None:
    stranger = DeepgramClient(api_key="0" * 40, environment=environment(server), httpx_client=http)
    with pytest.raises(ApiError) as caught:
        stranger.listen.v1.media.transcribe_file(request=clip("hello-world.wav"))
    assert caught.value.status_code == 401
    body: Any = caught.value.body
    assert body["err_code"] == "INVALID_AUTH"
    assert caught.value.headers is not None
    assert caught.value.headers["dg-request-id"] == body["request_id"]


def test_an_access_token_goes_as_bearer(server: RunningServer, http: httpx.Client) -> None:
    client = DeepgramClient(access_token=server.key, environment=environment(server), httpx_client=http)
    response: Any = client.listen.v1.media.transcribe_file(request=clip("hello-world.wav"))
    assert first(response).transcript == "hello world"


def test_what_is_not_audio_is_a_client_error(client: DeepgramClient) -> None:
    with pytest.raises(ApiError) as caught:
        client.listen.v1.media.transcribe_file(request=b"this is a letter, not a recording" * 100)
    assert caught.value.status_code == 400
    assert caught.value.body["err_msg"] == "Bad Request: failed to process audio: corrupt or unsupported data"


def test_an_unknown_model_is_a_client_error(client: DeepgramClient) -> None:
    with pytest.raises(ApiError) as caught:
        client.listen.v1.media.transcribe_file(request=clip("hello-world.wav"), model="no-such-model")
    assert caught.value.status_code == 400
    assert caught.value.body["err_msg"] == "Bad Request: No such model/language/tier combination found."


def test_the_models_are_listed_and_the_one_that_answers_is_among_them(client: DeepgramClient) -> None:
    listed: Any = client.manage.v1.models.list()
    assert listed.tts == []
    answered: Any = client.listen.v1.media.transcribe_file(request=clip("hello-world.wav"))
    [uuid] = answered.metadata.models
    model = next(model for model in listed.stt if model.uuid_ == uuid)
    assert model.architecture == "whisper"
    one: Any = client.manage.v1.models.get(uuid)
    assert one.canonical_name == model.canonical_name == "selftest"


def test_a_model_may_be_named_by_its_canonical_name(client: DeepgramClient) -> None:
    response: Any = client.listen.v1.media.transcribe_file(request=clip("hello-world.wav"), model="selftest")
    assert first(response).transcript == "hello world"
