"""Races through the API: many requests at once on one verification."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from tests.web.client import Client
from tests.web.conftest import CodeOf, wrong


@pytest.mark.parametrize("many", [50, 100])
async def test_of_many_right_answers_one_is_accepted(client: Client, code_of: CodeOf, many: int) -> None:
    """C3: exactly one approval; the others hear `already_approved`."""
    begun = await client.begin()
    body = {"code": await code_of(begun["id"])}
    path = f"/v1/verifications/{begun['id']}/check"
    answers = await asyncio.gather(*(client.post(path, body) for _ in range(many)))
    assert Counter(answer.status for answer in answers) == {200: 1, 409: many - 1}
    assert [answer.json["status"] for answer in answers if answer.status == 200] == ["approved"]
    assert {answer.json["refusal"] for answer in answers if answer.status == 409} == {"already_approved"}


async def test_a_hundred_wrong_answers_make_five_comparisons(client: Client, code_of: CodeOf) -> None:
    """C5: counted before they are compared, however many come at once; and the right one comes too late."""
    begun = await client.begin()
    code = await code_of(begun["id"])
    path = f"/v1/verifications/{begun['id']}/check"
    answers = await asyncio.gather(*(client.post(path, {"code": wrong(code)}) for _ in range(100)))
    assert Counter(answer.status for answer in answers) == {200: 5, 409: 95}
    assert sorted(answer.json["guesses_left"] for answer in answers if answer.status == 200) == [0, 1, 2, 3, 4]
    assert (await client.post(path, {"code": code})).json["refusal"] == "exhausted"


async def test_a_resend_gives_no_guess_back(client: Client, code_of: CodeOf) -> None:
    """C5: neither a resend nor a begin that continues."""
    begun = await client.begin()
    path = f"/v1/verifications/{begun['id']}"
    await client.post(f"{path}/check", {"code": wrong(await code_of(begun["id"]))})
    await client.post(f"{path}/resend")
    assert (await client.begin())["guesses_left"] == 4


async def test_many_begins_at_once_are_one_verification(client: Client) -> None:
    answers = await asyncio.gather(*(client.post("/v1/verifications", {"to": "ada@example.org"}) for _ in range(50)))
    assert Counter(answer.status for answer in answers) == {201: 1, 200: 49}
    assert len({answer.json["id"] for answer in answers}) == 1


async def test_either_the_cancel_or_the_answer_wins(client: Client, code_of: CodeOf) -> None:
    for n in range(10):
        begun = await client.begin(subject=f"u{n}")
        path = f"/v1/verifications/{begun['id']}"
        body = {"code": await code_of(begun["id"])}
        calls = [client.post(f"{path}/cancel"), client.post(f"{path}/check", body)]
        canceled, checked = await asyncio.gather(*calls[:: 1 if n % 2 else -1])
        assert sorted([canceled.status, checked.status]) == [200, 409]
        ended = (await client.get(path)).json["status"]
        winner = canceled if canceled.status == 200 else checked
        assert ended == winner.json["status"]
