"""Tokens over the wire: handed out, used on REST and WebSocket, refused; and keys for the asking, for development."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.support.app import Stage, staged

WAV = Path(__file__).parents[1] / "audio" / "hello-world.wav"
LIVE = "/v1/listen?encoding=linear16&sample_rate=16000"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("auth")) as found:
        yield found


class TestGrant:
    @pytest.mark.parametrize(
        ("body", "lives"), [(b"", 30), (b"{}", 30), (b'{"ttl_seconds": 60}', 60), (b'{"ttl_seconds": 1.0}', 1)]
    )
    def test_hands_out_a_token_for_as_long_as_asked(self, stage: Stage, body: bytes, lives: int) -> None:
        answer = stage.client.post("/v1/auth/grant", content=body)
        assert answer.status_code == 200
        assert set(answer.json()) == {"access_token", "expires_in"}
        assert answer.json()["expires_in"] == lives

    @pytest.mark.parametrize("ttl", ["0", "3601", "-5", "1.5", '"60"', "true", "[]", "1e999"])
    def test_refuses_other_times(self, stage: Stage, ttl: str) -> None:
        answer = stage.client.post("/v1/auth/grant", content=f'{{"ttl_seconds": {ttl}}}')
        assert (answer.status_code, answer.json()["err_code"]) == (400, "Bad Request")

    def test_wants_all_that_a_member_may_do(self, stage: Stage) -> None:
        _, secret = stage.accounts.create("weak", ("usage:write",))
        answer = stage.client.post("/v1/auth/grant", headers={"Authorization": f"Token {secret}"})
        assert (answer.status_code, answer.json()["err_code"], answer.json()["err_msg"]) == (
            403,
            "FORBIDDEN",
            "Insufficient permissions.",
        )

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Token"])
    def test_a_token_transcribes_recordings(self, stage: Stage, scheme: str) -> None:
        token = stage.client.post("/v1/auth/grant").json()["access_token"]
        use = {"Authorization": f"{scheme} {token}"}
        assert stage.client.post("/v1/listen", content=WAV.read_bytes(), headers=use).status_code == 200
        assert (
            stage.client.post(
                "/v1/listen", content=WAV.read_bytes(), headers={"Authorization": use["Authorization"] + "x"}
            ).status_code
            == 401
        )

    def test_a_token_streams_as_header_and_as_subprotocol(self, stage: Stage) -> None:
        token = stage.client.post("/v1/auth/grant").json()["access_token"]
        browser = TestClient(stage.app)
        with browser.websocket_connect(LIVE, subprotocols=["bearer", token]) as socket:
            assert socket.accepted_subprotocol == "bearer"
            socket.send_json({"type": "CloseStream"})
        with browser.websocket_connect(LIVE, headers={"Authorization": f"bearer {token}"}) as socket:
            socket.send_json({"type": "CloseStream"})


class TestCheck:
    def test_says_what_a_key_may_do(self, stage: Stage) -> None:
        key, secret = stage.accounts.create("laptop")
        found = stage.client.get("/v1/auth/token", headers={"Authorization": f"Token {secret}"}).json()
        assert (found["api_key_id"], found["scopes"], found["comment"]) == (key.key_id, ["member"], "laptop")
        assert found["created"].endswith("Z")
        assert found["accessor"]

    def test_says_what_a_token_may_do(self, stage: Stage) -> None:
        token = stage.client.post("/v1/auth/grant").json()["access_token"]
        found = stage.client.get("/v1/auth/token", headers={"Authorization": f"Bearer {token}"}).json()
        assert found["scopes"] == ["usage:write"]
        assert found["expiration_date"].endswith("Z")

    @pytest.mark.parametrize("header", ["Token nobody", "Bearer a.b.c", "Basic x", ""])
    def test_refuses_what_opens_nothing(self, stage: Stage, header: str) -> None:
        answer = stage.client.get("/v1/auth/token", headers={"Authorization": header})
        assert answer.status_code == 401
        assert answer.json()["category"] == "UNAUTHORIZED"


class TestTestTokens:
    def client(self, stage: Stage, host: str = "127.0.0.1", url: str = "http://127.0.0.1:7860") -> TestClient:
        return TestClient(stage.app, base_url=url, client=(host, 1))

    def test_there_are_none_unless_they_are_switched_on(self, stage: Stage) -> None:
        for path in ("/v1/auth/test-token", "/v1/auth"):
            assert self.client(stage).post(path).status_code == 404

    def test_programs_on_this_machine_get_a_key_for_an_hour(self, tmp_path: Path) -> None:
        with staged(tmp_path, test_tokens=True) as on:
            for path in ("/v1/auth/test-token", "/v1/auth"):
                made = self.client(on).post(path).json()
                assert made["scopes"] == ["usage:write"]
                assert made["expiration_date"]
                use = {"Authorization": f"Token {made['key']}"}
                assert on.client.post("/v1/listen", content=WAV.read_bytes(), headers=use).status_code == 200
                assert on.client.get("/v1/projects", headers=use).status_code == 401
            assert self.client(on, "::1", "http://[::1]:7860").post("/v1/auth").status_code == 200
            assert self.client(on).post("/v1/auth", headers={"Origin": "http://localhost:3000"}).status_code == 200

    @pytest.mark.parametrize(
        ("host", "url", "headers"),
        [
            ("192.168.1.5", "http://127.0.0.1:7860", {}),
            ("127.0.0.1", "http://rebound.example:7860", {}),
            ("127.0.0.1", "http://127.0.0.1:7860", {"Origin": "https://page.example"}),
            ("127.0.0.1", "http://127.0.0.1:7860", {"Origin": "null"}),
            ("127.0.0.1", "http://127.0.0.1:7860", {"X-Forwarded-For": "192.168.1.5"}),
            ("127.0.0.1", "http://127.0.0.1:7860", {"Forwarded": "for=192.168.1.5"}),
        ],
    )
    def test_nobody_else_does(self, tmp_path: Path, host: str, url: str, headers: dict[str, str]) -> None:
        with staged(tmp_path, test_tokens=True) as on:
            answer = self.client(on, host, url).post("/v1/auth/test-token", headers=headers)
            assert (answer.status_code, answer.json()["err_code"]) == (403, "FORBIDDEN")
            assert list(on.accounts.list()) == []
