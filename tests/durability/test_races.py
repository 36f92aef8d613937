"""Races through HTTP, over connections to two processes that serve one PostgreSQL: the database alone can decide them."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import TypeAlias

import pytest
import pytest_asyncio
from tests.durability.installation import Installation, installed, webhook_config
from tests.durability.sender import SECRET
from tests.durability.wire import Heard, Wire
from tests.peers.postgres import PostgresServer

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

CONNECTIONS = 100

Request: TypeAlias = tuple[str, object]
"""A path, and a body to post."""
NOWHERE = "http://127.0.0.1:9/"
"""The discard port: what is sent does not matter here."""


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, durable_server: PostgresServer) -> Iterator[Installation]:
    """Two processes that serve, and none that delivers; a resend is allowed after a second."""
    config = webhook_config(NOWHERE, SECRET, "[purposes.sign_in]\nresend_after = 1\nsends = 10\n")
    url = durable_server.url(durable_server.create())
    with installed(tmp_path_factory.mktemp("races"), url, config=config) as made:
        started = made.serve("--workers", "2", "--no-worker")
        assert len(started.children()) == 2
        yield made
        assert started.stop() == 0


class Everybody:
    """A hundred connections, spread over the processes by the kernel."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.wires = [Wire(installation.port, installation.key) for _ in range(CONNECTIONS)]

    async def begin(self, **more: object) -> str:
        """Begin a verification and return its id."""
        heard = await self.wires[0].post("/v1/verifications", {"to": f"{secrets.token_hex(5)}@example.org", **more})
        assert heard.status == 201, heard.body
        id_: str = heard.json["id"]
        return id_

    async def at_once(self, *requests: Request, headers: dict[str, str] | None = None) -> list[Heard]:
        """Send each request on a connection of its own, all at once, in an order of chance; return the answers in theirs."""
        wires = random.sample(self.wires, len(requests))
        return await asyncio.gather(
            *(wire.post(path, body, headers=headers) for wire, (path, body) in zip(wires, requests, strict=True))
        )


@pytest_asyncio.fixture
async def everybody(installation: Installation) -> AsyncIterator[Everybody]:
    """Open every connection, so that a race is not decided by who connects first."""
    made = Everybody(installation)
    served = await asyncio.gather(*(wire.get("/health/live") for wire in made.wires))
    assert {heard.status for heard in served} == {200}
    yield made
    for wire in made.wires:
        wire.close()
    await asyncio.sleep(0)


def check(id_: str, code: str) -> Request:
    """Return a check as a request."""
    return f"/v1/verifications/{id_}/check", {"code": code}


async def test_a_hundred_wrong_guesses_at_once_make_five_comparisons(everybody: Everybody) -> None:
    """C5: five answers say wrong_code, each with another number of guesses left; the rest hear exhausted."""
    for _ in range(5):
        id_ = await everybody.begin()
        answers = await everybody.at_once(*[check(id_, everybody.installation.wrong_for(id_))] * 100)
        assert Counter(answer.json["refusal"] for answer in answers) == {"wrong_code": 5, "exhausted": 95}
        compared = [answer for answer in answers if answer.status == 200]
        assert sorted(answer.json["guesses_left"] for answer in compared) == [0, 1, 2, 3, 4]
        sql = f"SELECT state, guesses FROM challenges WHERE id = '{id_}'"  # noqa: S608 - an id of ours
        ((state, guesses),) = await everybody.installation.rows(sql)
        assert (state, guesses) == ("exhausted", 5)
        late = await everybody.at_once(check(id_, everybody.installation.code_of(id_)))
        assert late[0].json["refusal"] == "exhausted"


@pytest.mark.parametrize("many", [50, 100])
async def test_of_many_right_answers_at_once_one_is_an_approval(everybody: Everybody, many: int) -> None:
    """C3: one approval with one proof; every other answer is already_approved."""
    for _ in range(5):
        id_ = await everybody.begin()
        answers = await everybody.at_once(*[check(id_, everybody.installation.code_of(id_))] * many)
        assert Counter(answer.status for answer in answers) == {200: 1, 409: many - 1}
        assert [answer.json["status"] for answer in answers if answer.status == 200] == ["approved"]
        assert {answer.json["refusal"] for answer in answers if answer.status == 409} == {"already_approved"}
        approvals = [
            event
            for event in await everybody.installation.events()
            if event.owner == id_ and event.kind == "challenge.approved"
        ]
        assert len(approvals) == 1


async def test_right_and_wrong_answers_at_once_are_judged_in_one_order(everybody: Everybody) -> None:
    """C3, C5: with 4 wrong ones among 50 the right one always wins once; no more than 4 comparisons failed before it."""
    for _ in range(5):
        id_ = await everybody.begin()
        right, wrong = everybody.installation.code_of(id_), everybody.installation.wrong_for(id_)
        requests = [check(id_, right)] * 46 + [check(id_, wrong)] * 4
        answers = await everybody.at_once(*requests)
        assert sum(answer.json["status"] == "approved" for answer in answers if answer.status == 200) == 1
        assert not any(answer.json.get("refusal") == "exhausted" for answer in answers)


async def test_a_resend_against_answers_gives_no_guess_back(everybody: Everybody) -> None:
    """C5: twenty resends among eighty wrong guesses change nothing: five comparisons, and then the end."""
    id_ = await everybody.begin()
    await asyncio.sleep(1.1)  # until a message may be asked for again
    wrong = check(id_, everybody.installation.wrong_for(id_))
    resend: Request = (f"/v1/verifications/{id_}/resend", {})
    answers = await everybody.at_once(*[wrong] * 80, *[resend] * 20)
    said = Counter(answer.json.get("refusal", "") for answer in answers[:80])
    assert said == {"wrong_code": 5, "exhausted": 75}
    assert sum(answer.status == 200 for answer in answers[80:]) <= 1
    assert {answer.status for answer in answers[80:]} <= {200, 409, 429}


async def test_a_resend_against_the_right_answer_ends_with_one_approval(everybody: Everybody) -> None:
    """C3, D1: whichever comes first, the answer counts once, and a message that was owed to an ended verification is dropped later."""
    for _ in range(3):
        id_ = await everybody.begin()
        await asyncio.sleep(1.1)
        right = check(id_, everybody.installation.code_of(id_))
        answers = await everybody.at_once(*[right] * 20, *[(f"/v1/verifications/{id_}/resend", {})] * 20)
        assert sum(answer.status == 200 for answer in answers[:20]) == 1
        resent = sum(answer.status == 200 for answer in answers[20:])
        assert resent <= 1
        ((sends,),) = await everybody.installation.rows(f"SELECT sends FROM challenges WHERE id = '{id_}'")  # noqa: S608
        owed = await everybody.installation.rows(f"SELECT number FROM deliveries WHERE owner = '{id_}'")  # noqa: S608
        assert sends == len(owed) == 1 + resent


async def test_a_cancel_against_the_right_answer_has_one_winner(everybody: Everybody) -> None:
    """C3: either every answer hears canceled, or one is approved and every cancel hears so."""
    winners: Counter[str] = Counter()
    for _ in range(12):
        id_ = await everybody.begin()
        right = check(id_, everybody.installation.code_of(id_))
        cancel: Request = (f"/v1/verifications/{id_}/cancel", {})
        order = [right] * 5 + [cancel] * 5
        random.shuffle(order)
        answers = await everybody.at_once(*order)
        answered = [answer for answer, request in zip(answers, order, strict=True) if request is right]
        canceled = [answer for answer, request in zip(answers, order, strict=True) if request is cancel]
        approved = sum(answer.status == 200 for answer in answered)
        if approved:
            assert approved == 1
            assert {answer.json["refusal"] for answer in canceled} == {"already_approved"}
            winners["answer"] += 1
        else:
            assert {answer.json["refusal"] for answer in answered} == {"canceled"}
            assert {answer.status for answer in canceled} == {200}
            winners["cancel"] += 1
    print(f"\nwinners: {dict(winners)}")  # noqa: T201 - shown with -s or -rP


async def test_one_idempotency_key_on_many_connections_begins_one_verification(everybody: Everybody) -> None:
    """H2: the first answer again, or 409 while it is in flight; one challenge and one message in the database."""
    before = {}
    for table in ("challenges", "deliveries"):
        ((before[table],),) = await everybody.installation.rows(f"SELECT count(*) FROM {table}")  # noqa: S608
    for n in range(5):
        to = f"same{n}@example.org"
        request = ("/v1/verifications", {"to": to, "subject": f"s{n}"})
        answers = await everybody.at_once(*[request] * 60, headers={"Idempotency-Key": f"key-{n}"})
        assert {answer.status for answer in answers} <= {201, 409}
        assert len({answer.json["id"] for answer in answers if answer.status == 201}) == 1
        again = (await everybody.at_once(request, headers={"Idempotency-Key": f"key-{n}"}))[0]
        assert again.status == 201
        first = next(answer for answer in answers if answer.status == 201)
        assert {name: value for name, value in again.json.items() if name != "delivery"} == {
            name: value for name, value in first.json.items() if name != "delivery"
        }
    for table in ("challenges", "deliveries"):
        ((after,),) = await everybody.installation.rows(f"SELECT count(*) FROM {table}")  # noqa: S608
        assert after == before[table] + 5


async def test_one_idempotency_key_on_many_checks_spends_one_guess(everybody: Everybody) -> None:
    """H2, C5: a client that repeats a check because the answer was lost loses no guess by it."""
    id_ = await everybody.begin()
    answers = await everybody.at_once(
        *[check(id_, everybody.installation.wrong_for(id_))] * 60, headers={"Idempotency-Key": "one"}
    )
    assert {answer.status for answer in answers} <= {200, 409}
    assert {answer.json["guesses_left"] for answer in answers if answer.status == 200} == {4}
    ((guesses,),) = await everybody.installation.rows(f"SELECT guesses FROM challenges WHERE id = '{id_}'")  # noqa: S608
    assert guesses == 1


async def test_many_begins_at_once_for_the_same_person_are_one_verification(everybody: Everybody) -> None:
    """C4, C5: no fresh guesses by beginning again, also where the begins meet in two processes."""
    ((before,),) = await everybody.installation.rows("SELECT count(*) FROM challenges")
    requests = [("/v1/verifications", {"to": "ada@example.org", "subject": "ada"})] * 100
    answers = await everybody.at_once(*requests)
    assert Counter(answer.status for answer in answers) == {201: 1, 200: 99}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert await everybody.installation.rows("SELECT count(*) FROM challenges") == [(before + 1,)]
