"""``manage``, ``models`` and ``auth`` of Deepgram's Python SDK against a running server, which is killed and counts on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from deepgram import DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment

from app.services.accounts import Accounts
from app.storage.database import open_database
from app.storage.stores import SqlKeyStore
from tests.support.running_server import PROGRAM, ROOT, RunningServer, running_server

pytestmark = [
    pytest.mark.compat,
    # the SDK imports names from websockets' past when it is first used
    pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning"),
]

WAV = (ROOT / "tests" / "audio" / "hello-world.wav").read_bytes()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("manage")


@pytest.fixture(scope="module")
def server(data: Path) -> Iterator[RunningServer]:
    with running_server(data, WORKERS="1", THREADS="1") as found:
        yield found


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=60) as found:
        yield found


@pytest.fixture(scope="module")
def owner(server: RunningServer, data: Path, http: httpx.Client) -> DeepgramClient:
    return client(server, http, api_key=cli(data, "keys", "create", "owner", "--scope", "owner", "--json")["key"])


def cli(data: Path, *arguments: str) -> dict[str, Any]:
    environment = {"WHISPERAPI_DATA_DIR": str(data), "PATH": ""}
    made = subprocess.run([*PROGRAM, *arguments], cwd=ROOT, env=environment, check=True, capture_output=True, timeout=60)
    found: dict[str, Any] = json.loads(made.stdout)
    return found


def client(server: RunningServer, http: httpx.Client, **credential: str) -> DeepgramClient:
    url, ws = server.url, server.ws_url
    environment = DeepgramClientEnvironment(base=url, production=ws, agent=ws, agent_rest=url)
    return DeepgramClient(environment=environment, httpx_client=http, **credential)


def heard(each: DeepgramClient, **options: object) -> str:
    response = each.listen.v1.media.transcribe_file(request=WAV, model="nova-3", **options)
    return str(response.results.channels[0].alternatives[0].transcript)


def project_of(owner: DeepgramClient) -> str:
    return str(owner.manage.v1.projects.list().projects[0].project_id)


def test_a_key_is_made_by_the_sdk_used_and_deleted(server: RunningServer, http: httpx.Client, owner: DeepgramClient) -> None:
    project = project_of(owner)
    keys = owner.manage.v1.projects.keys
    asked = {"comment": "by the SDK", "scopes": ["usage:write"], "tags": ["x"], "time_to_live_in_seconds": 600}
    made = keys.create(project_id=project, request=asked)
    assert heard(client(server, http, api_key=made.key)) == "hello world"
    assert keys.get(project_id=project, key_id=made.api_key_id).item.member.api_key.comment == "by the SDK"
    keys.delete(project_id=project, key_id=made.api_key_id)
    with pytest.raises(ApiError) as caught:
        heard(client(server, http, api_key=made.key))
    assert caught.value.status_code == 401


def test_the_command_line_lists_the_keys_of_the_sdk(data: Path, owner: DeepgramClient) -> None:
    owner.manage.v1.projects.keys.create(project_id=project_of(owner), request={"comment": "shared", "scopes": ["member"]})
    accounts = Accounts(SqlKeyStore(open_database(f"sqlite:///{data / 'whisperapi.db'}")), lambda: None)  # type: ignore[arg-type,return-value]
    assert "shared" in [key.name for key in accounts.list()]
    accounts.close()


def test_a_granted_token_transcribes_and_manages_nothing(
    server: RunningServer, http: httpx.Client, owner: DeepgramClient
) -> None:
    granted = owner.auth.v1.tokens.grant(ttl_seconds=60)
    assert granted.expires_in == 60
    holder = client(server, http, access_token=granted.access_token)
    assert heard(holder) == "hello world"
    with pytest.raises(ApiError) as caught:
        holder.manage.v1.projects.list()
    assert caught.value.status_code == 401


def test_every_reading_call_of_manage_is_understood(owner: DeepgramClient) -> None:
    heard(owner, tag=["reading"])
    project, manage = project_of(owner), owner.manage.v1
    assert manage.projects.get(project_id=project).name == "whisperapi"
    model = manage.models.list().stt[0]
    assert manage.models.get(model_id=model.uuid_).name == model.name
    assert manage.projects.models.get(project_id=project, model_id=model.uuid_).name == model.name
    member = manage.projects.members.list(project_id=project).members[0]
    assert manage.projects.members.scopes.list(project_id=project, member_id=member.member_id).scopes == ["owner"]
    assert manage.projects.members.invites.list(project_id=project).invites == []
    request = manage.projects.requests.list(project_id=project, limit=1, status="succeeded").requests[0]
    assert manage.projects.requests.get(project_id=project, request_id=request.request_id).request.code == 200
    assert manage.projects.usage.get(project_id=project, tag="reading").results[0]["requests"] == 1  # untyped in the SDK
    assert manage.projects.usage.breakdown.get(project_id=project, grouping="models").results[0].grouping.models
    assert "reading" in manage.projects.usage.fields.list(project_id=project).tags
    balance = manage.projects.billing.balances.list(project_id=project).balances[0]
    assert manage.projects.billing.balances.get(project_id=project, balance_id=balance.balance_id).amount == 0


def test_sums_equal_the_requests_made_after_the_server_was_killed(tmp_path: Path, http: httpx.Client) -> None:
    made = 12

    def requests_and_a_crash() -> None:
        with running_server(tmp_path, WORKERS="1", THREADS="1") as server:
            caller = client(server, http, api_key=server.key)
            for _ in range(made):
                heard(caller, tag=["before the crash"])
            server.process.kill()
            server.process.wait()

    with pytest.raises(AssertionError, match="exit status -9"):
        requests_and_a_crash()
    counted = cli(tmp_path, "usage", "--json")["total"]
    assert counted["requests"] == made
    assert counted["audio_seconds"] == pytest.approx(made * 1.303, abs=0.1)
