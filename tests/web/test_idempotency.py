"""Idempotency keys: carried out once, answered alike."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from tests.web.client import Client, assert_problem
from tests.web.conftest import CodeOf, change, wrong

from countersign.store.engine.database import Sql
from countersign.web.app import make_app
from countersign.wiring import Runtime, close_runtime, open_runtime

KEY = {"idempotency-key": "order-1"}


async def test_the_same_request_under_the_same_key_gets_the_first_answer(client: Client, runtime: Runtime) -> None:
    """H2: to the byte, and nothing is done twice."""
    body = {"to": "ada@example.org"}
    first = await client.post("/v1/verifications", body, headers=KEY)
    assert first.status == 201
    await change(runtime, "UPDATE challenges SET sent_at = sent_at - 60000, guesses = 3")
    again = await client.post("/v1/verifications", body, headers=KEY)
    assert (again.status, again.body, again.headers) == (first.status, first.body, first.headers)
    assert (await client.get(f"/v1/verifications/{first.json['id']}")).json["sends_left"] == 4


async def test_another_body_under_the_same_key_is_refused(client: Client) -> None:
    """H2: 422, and nothing is done."""
    await client.post("/v1/verifications", {"to": "ada@example.org"}, headers=KEY)
    other = await client.post("/v1/verifications", {"to": "bob@example.org"}, headers=KEY)
    assert_problem(other, 422, "key-reused")


async def test_another_path_under_the_same_key_is_refused(client: Client) -> None:
    """H2: the digest covers the whole request."""
    begun = await client.begin()
    path = f"/v1/verifications/{begun['id']}"
    assert (await client.post(f"{path}/cancel", {}, headers=KEY)).status == 200
    assert_problem(await client.post(f"{path}/resend", {}, headers=KEY), 422, "key-reused")


async def test_a_repeated_guess_is_counted_once(client: Client, code_of: CodeOf) -> None:
    """H2: a retry after a lost answer spends nothing."""
    begun = await client.begin()
    code = await code_of(begun["id"])
    path = f"/v1/verifications/{begun['id']}/check"
    answers = [await client.post(path, {"code": wrong(code)}, headers=KEY) for _ in range(3)]
    assert {answer.body for answer in answers} == {answers[0].body}
    assert answers[0].json["guesses_left"] == 4
    right = [await client.post(path, {"code": code}, headers={"idempotency-key": "2"}) for _ in range(2)]
    assert right[0].body == right[1].body
    assert right[1].json["status"] == "approved"


async def test_a_request_in_flight_is_not_begun_again(client: Client, runtime: Runtime) -> None:
    """H2: in flight 409, with a word on when to come back; exactly one is carried out."""
    body = {"to": "ada@example.org"}
    answers = await asyncio.gather(*(client.post("/v1/verifications", body, headers=KEY) for _ in range(20)))
    done = [answer for answer in answers if answer.status == 201]
    assert len(done) == 1
    for answer in answers:
        if answer.status != 201:
            assert_problem(answer, 409, "in-flight")
            assert answer.headers["retry-after"] == "1"
    assert await count(runtime, "challenges") == 1
    assert (await client.post("/v1/verifications", body, headers=KEY)).body == done[0].body


async def test_between_two_programs_the_ledger_decides(client: Client, runtime: Runtime) -> None:
    """H2: a second program knows nothing of what is in flight in the first; both give the one answer."""
    neighbour = await open_runtime(runtime.settings)
    second = Client(make_app(neighbour, worker_alive=lambda: True), client.key)
    body = {"to": "ada@example.org"}
    keys = [{"idempotency-key": f"k{n}"} for n in range(10)]
    asked = [which.post("/v1/verifications", body, headers=key) for key in keys for which in (client, second)]
    answers = await asyncio.gather(*asked)
    for n in range(0, 20, 2):
        assert answers[n].status in {200, 201}
        assert (answers[n].status, answers[n].json["id"]) == (answers[n + 1].status, answers[n + 1].json["id"])
    assert sum(answer.status == 201 for answer in answers) == 2
    assert await count(runtime, "challenges") == 1
    await close_runtime(neighbour)


async def test_a_refusal_that_time_lifts_is_not_kept(client: Client, runtime: Runtime) -> None:
    """H2: the same request, sent again when it may be, is judged anew."""
    begun = await client.begin()
    path = f"/v1/verifications/{begun['id']}/resend"
    assert_problem(await client.post(path, {}, headers=KEY), 429, "too-soon")
    await change(runtime, "UPDATE challenges SET sent_at = sent_at - 30000")
    assert (await client.post(path, {}, headers=KEY)).status == 200


async def test_a_key_is_its_applications_own(client: Client, other: Client) -> None:
    """H2: another application may use the same word."""
    mine = await client.post("/v1/verifications", {"to": "ada@example.org"}, headers=KEY)
    theirs = await other.post("/v1/verifications", {"to": "bob@example.org"}, headers=KEY)
    assert (mine.status, theirs.status) == (201, 201)


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "\u00e9"])
async def test_a_key_that_does_not_print_is_refused(client: Client, key: str) -> None:
    answer = await client.post("/v1/verifications", {"to": "ada@example.org"}, headers={"idempotency-key": key})
    assert_problem(answer, 400, "malformed")
    assert answer.json["field"] == "Idempotency-Key"


async def test_what_is_kept_of_a_check_does_not_give_the_code_away(
    client: Client, runtime: Runtime, code_of: CodeOf
) -> None:
    """C8: a plain hash of a body with six digits would be guessed in a second."""
    begun = await client.begin()
    code = await code_of(begun["id"])
    path = f"/v1/verifications/{begun['id']}/check"
    await client.post(path, raw=f'{{"code":"{code}"}}'.encode(), headers=KEY)

    async def kept() -> list[bytes]:
        rows = await Sql("SELECT request, outcome FROM answers")
        return [bytes(part) for row in rows for part in row]

    for part in await runtime.core.database.read(kept):
        assert code.encode() not in part
        assert hashlib.sha256(f'{{"code":"{code}"}}'.encode()).digest()[:16] not in part


async def test_keys_are_let_go_of_when_a_request_fails(client: Client) -> None:
    for _ in range(2):
        answer = await client.post("/v1/verifications", {"to": "ada@example.org", "purpose": "wed"}, headers=KEY)
        assert_problem(answer, 403, "purpose-not-allowed")


async def count(runtime: Runtime, table: str) -> int:
    """Return how many rows a table has."""

    async def steps() -> int:
        rows = await Sql(f"SELECT count(*) FROM {table}")  # noqa: S608 - a name of ours
        return int(rows[0][0])

    return await runtime.core.database.read(steps)
