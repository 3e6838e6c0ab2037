"""Deepgram's management routes: who may call them, what they say, and the shape of what they refuse (contract 4)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app.domain.project import PROJECT_ID
from tests.support.app import Stage, staged

OURS = f"/v1/projects/{PROJECT_ID}"
MEMBER = "2f9b87bc-9915-590c-847d-41b634d0e398"
WAV = Path(__file__).parents[1] / "audio" / "hello-world.wav"

ROUTES = [
    ("GET", "", "project:read"),
    ("PATCH", "", "project:write"),
    ("DELETE", "", "project:write:destroy"),
    ("DELETE", "/leave", "project:read"),
    ("GET", "/models", "project:read"),
    ("GET", "/models/selftest", "project:read"),
    ("GET", "/keys", "keys:read"),
    ("POST", "/keys", "keys:write"),
    ("GET", f"/keys/{MEMBER}", "keys:read"),
    ("DELETE", f"/keys/{MEMBER}", "keys:write"),
    ("GET", "/members", "members:read"),
    ("DELETE", f"/members/{MEMBER}", "members:write:kick"),
    ("GET", f"/members/{MEMBER}/scopes", "members:read:scopes"),
    ("PUT", f"/members/{MEMBER}/scopes", "members:write:scopes"),
    ("GET", "/invites", "members:read:invites"),
    ("POST", "/invites", "members:write:invites"),
    ("DELETE", "/invites/a@b.c", "members:write:invites"),
    ("GET", "/requests", "usage:read"),
    ("GET", f"/requests/{MEMBER}", "usage:read"),
    ("GET", "/usage", "usage:read"),
    ("GET", "/usage/breakdown", "usage:read"),
    ("GET", "/usage/fields", "usage:read"),
    ("GET", "/balances", "billing:read"),
    ("GET", f"/balances/{MEMBER}", "billing:read"),
    ("GET", "/purchases", "billing:read"),
    ("GET", "/billing/breakdown", "billing:read"),
    ("GET", "/billing/fields", "billing:read"),
    ("GET", "/self-hosted/distribution/credentials", "project:read"),
    ("GET", "/selfhosted/distribution/credentials", "project:read"),
    ("GET", "/onprem/distribution/credentials", "project:read"),
    ("POST", "/self-hosted/distribution/credentials", "project:write"),
    ("GET", f"/self-hosted/distribution/credentials/{MEMBER}", "project:read"),
    ("DELETE", f"/self-hosted/distribution/credentials/{MEMBER}", "project:write"),
]
REFUSED = {("PATCH", ""), ("DELETE", ""), ("DELETE", "/leave"), ("POST", "/invites")} | {
    ("DELETE", f"/members/{MEMBER}"),
    ("PUT", f"/members/{MEMBER}/scopes"),
    ("POST", "/self-hosted/distribution/credentials"),
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("management")) as found:
        yield found


def with_scopes(stage: Stage, *scopes: str) -> dict[str, str]:
    _, secret = stage.accounts.create("a key", scopes)
    return {"Authorization": f"Token {secret}"}


def assert_error(answer: Any, status: int, code: str, message: str | None = None, category: str | None = None) -> None:
    body = answer.json()
    assert (answer.status_code, body["err_code"]) == (status, code)
    assert body["request_id"] == answer.headers["dg-request-id"]
    assert body["err_msg"] == answer.headers["dg-error"]
    if message is not None:
        assert body["err_msg"] == message
    if category is not None:
        assert body["category"] == category
        assert body["message"] == body["err_msg"]
        assert body["details"]


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
class TestEachRoute:
    def test_wants_its_scope_and_no_other(self, stage: Stage, method: str, path: str, scope: str) -> None:
        others = sorted({other for _, _, other in ROUTES} - {scope})
        refused = stage.client.request(method, OURS + path, headers=with_scopes(stage, *others, "usage:write"))
        assert_error(refused, 401, "INSUFFICIENT_PERMISSIONS", "User does not have sufficient permissions.")
        answer = stage.client.request(method, OURS + path, headers=with_scopes(stage, scope))
        assert answer.json().get("err_code") != "INSUFFICIENT_PERMISSIONS"
        if (method, path) in REFUSED:
            assert_error(answer, 403, "FORBIDDEN", category="FORBIDDEN")

    def test_refuses_who_is_nobody(self, stage: Stage, method: str, path: str, scope: str) -> None:
        answer = stage.client.request(method, OURS + path, headers={"Authorization": "Token " + "0" * 40})
        assert_error(answer, 401, "INVALID_AUTH", "Authentication failed.", "UNAUTHORIZED")

    def test_knows_no_other_project(self, stage: Stage, method: str, path: str, scope: str) -> None:
        answer = stage.client.request(method, f"/v1/projects/{uuid4()}{path}")
        message = "A project with the submitted ID cannot be found."
        assert_error(answer, 404, "PROJECT_NOT_FOUND", message, "NOT_FOUND")


def test_a_token_opens_no_management_route(stage: Stage) -> None:
    token = stage.client.post("/v1/auth/grant").json()["access_token"]
    for method, path, _ in ROUTES:
        answer = stage.client.request(method, OURS + path, headers={"Authorization": f"Bearer {token}"})
        assert_error(answer, 401, "INSUFFICIENT_PERMISSIONS")


@pytest.mark.parametrize(
    ("path", "length_or_place"),
    [("/v1/projects/abc", "found 3"), ("/v1/projects/xyz", "found `x` at 1"), (f"{OURS}/keys/1", "found 1")],
)
def test_a_malformed_id_is_named_as_such(stage: Stage, path: str, length_or_place: str) -> None:
    answer = stage.client.get(path)
    assert answer.status_code == 404
    assert answer.json()["err_msg"].startswith("UUID parsing failed: ")
    assert answer.json()["err_msg"].endswith(length_or_place)


def test_an_unknown_route_below_a_project_is_a_404_like_any_other(stage: Stage) -> None:
    assert_error(stage.client.get(f"{OURS}/nothing"), 404, "NOT_FOUND")
    assert_error(stage.client.put(f"{OURS}/keys"), 405, "METHOD_NOT_ALLOWED")


def test_the_project_is_one_and_names_itself_in_the_header(stage: Stage) -> None:
    answer = stage.client.get("/v1/projects")
    assert answer.json() == {"projects": [{"project_id": PROJECT_ID, "name": "whisperapi"}]}
    assert answer.headers["dg-project-id"] == PROJECT_ID
    assert stage.client.get(OURS).json()["project_id"] == PROJECT_ID


def test_its_models_are_those_of_the_server(stage: Stage) -> None:
    models = stage.client.get(f"{OURS}/models").json()
    assert models == stage.client.get("/v1/models").json()
    found = stage.client.get(f"{OURS}/models/{models['stt'][0]['uuid']}").json()
    assert found["name"] == models["stt"][0]["name"]
    assert_error(stage.client.get(f"{OURS}/models/{uuid4()}"), 404, "NOT_FOUND", category="NOT_FOUND")


def test_there_is_one_member_one_empty_balance_and_nothing_to_pay(stage: Stage) -> None:
    member = stage.client.get(f"{OURS}/members").json()["members"][0]
    assert (member["member_id"], member["scopes"]) == (MEMBER, ["owner"])
    assert stage.client.get(f"{OURS}/members/{MEMBER}/scopes").json() == {"scopes": ["owner"]}
    assert_error(stage.client.get(f"{OURS}/members/{uuid4()}/scopes"), 404, "NOT_FOUND")
    assert stage.client.get(f"{OURS}/invites").json() == {"invites": []}
    balance = stage.client.get(f"{OURS}/balances").json()["balances"][0]
    assert balance["amount"] == 0.0
    assert stage.client.get(f"{OURS}/balances/{balance['balance_id']}").json() == balance
    assert_error(stage.client.get(f"{OURS}/balances/{uuid4()}"), 404, "NOT_FOUND")
    assert stage.client.get(f"{OURS}/purchases").json() == {"orders": []}
    for grouping in ("", "?grouping=line_item", "?grouping=deployment&grouping=tags"):
        assert stage.client.get(f"{OURS}/billing/breakdown{grouping}").json()["results"] == []
    assert stage.client.get(f"{OURS}/onprem/distribution/credentials").json() == {"distribution_credentials": []}


def test_without_keys_everybody_is_the_owner(tmp_path: Path) -> None:
    with staged(tmp_path, auth=False) as open_stage:
        open_stage.client.headers["Authorization"] = "Token whatever"
        assert open_stage.client.get(f"{OURS}/members").status_code == 200
        assert open_stage.client.post("/v1/auth/grant").status_code == 200


class TestKeys:
    def create(self, stage: Stage, **changes: object) -> Any:
        asked: dict[str, object] = {"comment": "made here", "scopes": ["usage:write"]} | changes
        return stage.client.post(f"{OURS}/keys", json={name: value for name, value in asked.items() if value is not None})

    def test_one_is_made_listed_used_and_deleted(self, stage: Stage) -> None:
        made = self.create(stage, tags=["a", "b"], time_to_live_in_seconds=600).json()
        assert (made["comment"], made["scopes"], made["tags"]) == ("made here", ["usage:write"], ["a", "b"])
        shown = {name: value for name, value in made.items() if name != "key"}
        one = stage.client.get(f"{OURS}/keys/{made['api_key_id']}").json()
        assert one["api_key"] == one["item"]["member"]["api_key"] == shown
        assert one["member"]["member_id"] == MEMBER
        listed = stage.client.get(f"{OURS}/keys").json()["api_keys"]
        assert shown in [each["api_key"] for each in listed]
        assert made["key"] not in stage.client.get(f"{OURS}/keys").text
        use = {"Authorization": f"Token {made['key']}"}
        assert stage.client.post("/v1/listen", content=WAV.read_bytes(), headers=use).status_code == 200
        assert stage.client.delete(f"{OURS}/keys/{made['api_key_id']}").json()["message"]
        assert stage.client.post("/v1/listen", content=WAV.read_bytes(), headers=use).status_code == 401
        assert_error(stage.client.get(f"{OURS}/keys/{made['api_key_id']}"), 404, "NOT_FOUND")
        assert_error(stage.client.delete(f"{OURS}/keys/{made['api_key_id']}"), 404, "NOT_FOUND")
        assert made["api_key_id"] not in stage.client.get(f"{OURS}/keys").text

    def test_it_ends_when_it_was_told_to(self, stage: Stage) -> None:
        made = self.create(stage, expiration_date="2031-01-31T12:00:00.1Z").json()
        assert made["expiration_date"] == "2031-01-31T12:00:00.100Z"
        assert stage.client.get(f"{OURS}/keys?status=expired").json()["api_keys"] == []
        assert made["api_key_id"] in stage.client.get(f"{OURS}/keys?status=active").text

    @pytest.mark.parametrize(
        "changes",
        [
            {"expiration_date": "2031-01-31", "time_to_live_in_seconds": 60},
            {"expiration_date": "2001-01-31"},
            {"expiration_date": "tomorrow"},
            {"expiration_date": 5},
            {"time_to_live_in_seconds": 0},
            {"time_to_live_in_seconds": True},
            {"time_to_live_in_seconds": "60"},
            {"time_to_live_in_seconds": 10**12},
            {"comment": None},
            {"comment": " "},
            {"comment": 3},
            {"comment": "x" * 201},
            {"scopes": None},
            {"scopes": []},
            {"scopes": "member"},
            {"scopes": ["no:such"]},
            {"tags": "a"},
            {"tags": [1]},
            {"tags": ["x" * 129]},
        ],
    )
    def test_what_cannot_be_made_is_a_400_that_says_why(self, stage: Stage, changes: dict[str, object]) -> None:
        before = len(stage.accounts.list())
        assert_error(self.create(stage, **changes), 400, "Bad Request")
        assert len(stage.accounts.list()) == before

    @pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff"])
    def test_a_body_that_is_no_object_is_a_400(self, stage: Stage, body: bytes) -> None:
        assert_error(stage.client.post(f"{OURS}/keys", content=body), 400, "Bad Request")

    def test_a_body_without_end_is_not_read(self, stage: Stage) -> None:
        assert_error(stage.client.post(f"{OURS}/keys", content=b" " * 70_000), 413, "PAYLOAD_TOO_LARGE")

    @pytest.mark.parametrize("scopes", [["admin"], ["owner"], ["usage:read", "billing:read"], ["self-hosted:products"]])
    def test_nobody_gives_away_more_than_they_have(self, stage: Stage, scopes: list[str]) -> None:
        member = with_scopes(stage, "member")
        answer = stage.client.post(f"{OURS}/keys", json={"comment": "x", "scopes": scopes}, headers=member)
        assert_error(answer, 403, "FORBIDDEN")
        everything = ["member"] if "admin" in scopes else ["usage:write"]
        allowed = stage.client.post(f"{OURS}/keys", json={"comment": "x", "scopes": everything}, headers=member)
        assert allowed.status_code == 200
