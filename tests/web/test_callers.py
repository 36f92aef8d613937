"""Who calls is known by a key in the Authorization header, and by nothing else."""

from __future__ import annotations

import pytest
from tests.web.client import Client, assert_problem
from tests.web.conftest import CodeOf

from countersign.web.http.application import WebApplication
from countersign.wiring import Runtime

UNKNOWN = "csk_test_" + "a" * 39


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {UNKNOWN}",
        "Bearer csk_live_",
        f"Bearer {'csk_test_' + 'a' * 5000}",
        "Bearer \x00",
        "Bearer \u00ff\u00fe",
        "Basic Y3NrX3Rlc3Q6",
        f"AccessToken {UNKNOWN}",
        UNKNOWN,
    ],
)
async def test_whatever_is_wrong_with_a_key_the_answer_is_the_same(app: WebApplication, header: str | None) -> None:
    """H1: 401 with WWW-Authenticate, alike for missing, malformed and unknown."""
    stranger = Client(app)
    expected = await stranger.post("/v1/verifications", {"to": "ada@example.org"})
    headers = {} if header is None else {"authorization": header}
    answer = await stranger.post("/v1/verifications", {"to": "ada@example.org"}, headers=headers)
    assert_problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == 'Bearer realm="countersign"'
    assert (answer.body, answer.headers) == (expected.body, expected.headers)


async def test_a_key_is_read_from_nowhere_else(app: WebApplication, client: Client) -> None:
    """I2: not from the query, a cookie, another header or the body."""
    stranger = Client(app)
    body = {"to": "ada@example.org"}
    for path, headers in [
        (f"/v1/verifications?key={client.key}&access_token={client.key}", {}),
        ("/v1/verifications", {"cookie": f"key={client.key}; access_token={client.key}"}),
        ("/v1/verifications", {"x-api-key": client.key}),
        ("/v1/verifications", {"proxy-authorization": f"Bearer {client.key}"}),
    ]:
        assert_problem(await stranger.post(path, body, headers=headers), 401, "unauthorized")
    assert_problem(await stranger.post("/v1/verifications", {**body, "key": client.key}), 401, "unauthorized")


async def test_neither_key_nor_code_nor_proof_stands_for_the_other(
    app: WebApplication, client: Client, code_of: CodeOf
) -> None:
    """I2: a key is no code, and a code, an id or a proof is no key."""
    begun = await client.begin()
    code = await code_of(begun["id"])
    path = f"/v1/verifications/{begun['id']}/check"
    as_code = await client.post(path, {"code": client.key})
    assert_problem(as_code, 400, "malformed")
    proof = (await client.post(path, {"code": code})).json["proof"]
    for thing in (code, begun["id"], proof, "csk_test_" + code):
        assert_problem(await Client(app, thing).get(f"/v1/verifications/{begun['id']}"), 401, "unauthorized")


async def test_a_stranger_is_refused_before_the_body_is_read(app: WebApplication) -> None:
    answer = await Client(app).post("/v1/verifications", raw=b"\xff" * 100_000)
    assert_problem(answer, 401, "unauthorized")


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
async def test_the_scheme_is_read_in_any_case(app: WebApplication, client: Client, scheme: str) -> None:
    stranger = Client(app)
    answer = await stranger.post(
        "/v1/verifications", {"to": "a@example.org"}, headers={"authorization": f"{scheme} {client.key}"}
    )
    assert answer.status == 201


async def test_a_test_key_reaches_the_inbox_alone(client: Client, runtime: Runtime) -> None:
    begun = await client.begin("+14155552671")
    told = (await client.get(f"/v1/verifications/{begun['id']}")).json
    assert [delivery["provider"] for delivery in told["deliveries"]] == ["inbox"]
    assert runtime.inbox is not None
