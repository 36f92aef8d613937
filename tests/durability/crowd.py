"""A crowd: people who ask for codes and answer them while processes die, and who remember every word they were told."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import msgspec
from tests.durability.wire import BrokenError, Heard, Wire

if TYPE_CHECKING:
    from tests.durability.installation import Installation
    from tests.durability.sender import Sender

    from countersign.domain.shared.event import Event

AGAIN = 0.03
"""Seconds before somebody tries again whose connection broke, or who was told to come back."""


class Case(msgspec.Struct):
    """One verification, as far as its people know: what was promised, and what each answer said."""

    id: str
    to: str
    mail: bool
    guesses_left: list[int] = msgspec.field(default_factory=list)
    wrong_sent: int = 0
    right_sent: int = 0
    approvals: int = 0
    unanswered: int = 0
    refusals: list[str] = msgspec.field(default_factory=list)


class Crowd:
    """So many people at once, on as many connections, each beginning one verification after the other."""

    def __init__(self, installation: Installation, people: int = 10, pause: float = 0.04) -> None:
        self._installation = installation
        self._people = people
        self._pause = pause
        self._over = asyncio.Event()
        self.cases: list[Case] = []
        self.statuses: Counter[int] = Counter()
        self.broken = 0
        self.begins_unanswered = 0

    @contextlib.asynccontextmanager
    async def busy(self) -> AsyncIterator[Crowd]:
        """Have them come until the block ends; then everybody finishes what they were at."""
        self._over.clear()
        people = [asyncio.create_task(self._live()) for _ in range(self._people)]
        try:
            yield self
            self._over.set()
            await asyncio.gather(*people)
        finally:
            for person in people:
                person.cancel()
            await asyncio.gather(*people, return_exceptions=True)

    async def begin_one(self) -> None:
        """Begin one verification, and leave it at that."""
        wire = Wire(self._installation.port, self._installation.key)
        while not self.cases:
            case = await self._begin(wire)
            self.cases += [case] if case is not None else []
        wire.close()

    async def _live(self) -> None:
        wire, other = (Wire(self._installation.port, self._installation.key) for _ in range(2))
        try:
            while not self._over.is_set():
                case = await self._begin(wire)
                if case is not None:
                    self.cases.append(case)
                    await self._go_on(case, wire, other)
                await asyncio.sleep(self._pause * random.uniform(0.5, 1.5))
        finally:
            wire.close()
            other.close()
            await asyncio.sleep(0)

    async def _begin(self, wire: Wire) -> Case | None:
        """Begin, with an idempotency key as a careful client does; the same request again until there is an answer."""
        mail = random.random() < 0.5
        to = f"{secrets.token_hex(5)}@example.org" if mail else f"+1415{random.randrange(2_010_000, 9_999_999)}"
        body = {"to": to, "subject": secrets.token_hex(5)}
        key = secrets.token_hex(8)
        while True:
            heard = await self._ask(wire, "/v1/verifications", body, {"Idempotency-Key": key})
            if heard is None or heard.status in {503, 409}:
                self.begins_unanswered += 1
                if self._over.is_set() and heard is None:
                    return None
                await asyncio.sleep(AGAIN)
                continue
            if heard.status == 422:
                return None  # a number that nobody can have
            assert heard.status == 201, heard.body
            return Case(heard.json["id"], to, mail)

    async def _go_on(self, case: Case, wire: Wire, other: Wire) -> None:
        """Some leave it at that, some guess wrong, some answer right, and some answer right twice at once."""
        plan = random.random()
        if plan < 0.3:
            return
        for _ in range(random.choice((0, 1, 2, 5) if plan < 0.6 else (0, 0, 1))):
            await self._check(case, wire, right=False)
        if plan > 0.5:
            await asyncio.gather(
                *(self._check(case, each, right=True) for each in ((wire, other) if plan > 0.75 else (wire,)))
            )

    async def _check(self, case: Case, wire: Wire, *, right: bool) -> None:
        code = self._installation.code_of(case.id) if right else self._installation.wrong_for(case.id)
        case.right_sent += right
        case.wrong_sent += not right
        heard = await self._ask(wire, f"/v1/verifications/{case.id}/check", {"code": code})
        if heard is None or heard.status == 503:
            case.unanswered += 1
            return
        told = heard.json
        if told.get("refusal") == "wrong_code":
            case.guesses_left.append(told["guesses_left"])
            assert not right, "a right answer was called wrong"
        elif heard.status == 200:
            assert told["status"] == "approved"
            assert told["proof"]
            assert right, "a wrong answer was approved"
            case.approvals += 1
        else:
            assert heard.status == 409, heard.body
            case.refusals.append(told["refusal"])

    async def _ask(self, wire: Wire, path: str, body: object, headers: dict[str, str] | None = None) -> Heard | None:
        try:
            heard = await wire.post(path, body, headers=headers)
        except BrokenError:
            self.broken += 1
            await asyncio.sleep(AGAIN)
            return None
        self.statuses[heard.status] += 1
        assert heard.status < 500 or heard.status == 503, heard.body
        if heard.status == 503:
            assert int(heard.headers["retry-after"]) >= 1
        return heard


async def settle(installation: Installation, within: float = 60.0) -> None:
    """Wait until no message is owed any more. What a killed worker held is due when its lease ends: that minute is let pass at once."""
    await asyncio.sleep(2.0)  # whoever lives and could not write down what it sent does so first
    await installation.change("UPDATE deliveries SET due_at = due_at - 60000 WHERE state = 'sending'")
    async with asyncio.timeout(within):
        while (await installation.rows("SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL"))[0][0]:  # noqa: ASYNC110 - another process moves it
            await asyncio.sleep(0.1)


async def hold_to_account(crowd: Crowd, installation: Installation, sent: Counter[str]) -> dict[str, int]:
    """Compare what people were told with what the database holds and what was sent (by the message's key); return the figures."""
    stored = {
        id_: (state, guesses)
        for id_, state, guesses in await installation.rows("SELECT id, state, guesses FROM challenges")
    }
    messages = {
        owner: (state, reason)
        for owner, state, reason in await installation.rows(
            "SELECT owner, state, reason FROM deliveries WHERE number = 1"
        )
    }
    events = await installation.events()
    approved_events = _owners(events, "challenge.approved")
    counted_events = Counter(
        event.owner
        for event in events
        if event.kind.value in {"challenge.approved", "challenge.refused", "challenge.exhausted"}
    )
    dropped = 0
    for case in crowd.cases:
        assert case.id in stored, "a verification that was promised is not in the database"
        state, guesses = stored[case.id]
        # C3: never two approvals, and none that the database does not hold.
        assert case.approvals <= 1, case
        assert approved_events[case.id] == (state == "approved"), (case, state)
        if case.approvals:
            assert state == "approved", (case, state)
        if state == "approved":
            assert case.right_sent
        if "already_approved" in case.refusals:
            assert case.approvals or case.unanswered, case
        # C5: no guess is given back: each answer showed another number, and all of them are counted.
        assert len(set(case.guesses_left)) == len(case.guesses_left), case
        assert guesses >= len(case.guesses_left) + case.approvals, (case, guesses)
        assert guesses <= min(5, case.wrong_sent + case.right_sent), (case, guesses)
        assert counted_events[case.id] == guesses, (case, guesses)
        # D1: the message was sent, unless nobody wanted it any more.
        if f"{case.id}.1.0" not in sent:
            assert messages[case.id] == ("dropped", "ended"), (case, messages[case.id])
            assert state in {"approved", "exhausted"}, (case, state)
            dropped += 1
    # Nothing was sent for what is not in the database, and what was sent twice bore the same key.
    assert {key.split(".")[0] for key in sent} <= stored.keys()
    assert all(key.endswith(".1.0") for key in sent)
    installation.ran("events", "verify")
    return {
        "promised": len(crowd.cases),
        "approved": sum(case.approvals for case in crowd.cases),
        "wrong": sum(len(case.guesses_left) for case in crowd.cases),
        "checks without an answer": sum(case.unanswered for case in crowd.cases),
        "judged without an answer": sum(
            stored[case.id][1] - len(case.guesses_left) - case.approvals for case in crowd.cases
        ),
        "begins repeated": crowd.begins_unanswered,
        "connections broken": crowd.broken,
        "answered 503": crowd.statuses[503],
        "dropped": dropped,
        "sent": len(sent),
        "sent twice under one key": sum(count - 1 for count in sent.values()),
    }


async def exhaust_some(crowd: Crowd, installation: Installation, most: int = 40) -> None:
    """C5: whoever was left pending gets only what is left of five guesses, whatever died in between."""
    wire = Wire(installation.port, installation.key)
    states: dict[str, str] = dict(await installation.rows("SELECT id, state FROM challenges"))
    pending = [case for case in crowd.cases if case.guesses_left and states[case.id] == "pending"][:most]
    for case in pending:
        told: list[str] = []
        for _ in range(7):
            heard = await wire.post(f"/v1/verifications/{case.id}/check", {"code": installation.wrong_for(case.id)})
            told.append(heard.json["refusal"])
        assert told.count("wrong_code") + len(case.guesses_left) <= 5, case
        assert told[-1] == "exhausted"
    wire.close()


def _owners(events: list[Event], kind: str) -> Counter[str]:
    return Counter(event.owner for event in events if event.kind.value == kind)


def sent_by(sender: Sender, installation: Installation) -> Counter[str]:
    """Return how often each message came, having seen that each shows the code of its verification."""
    for message in sender.posted:
        assert installation.code_of(message.owner) in message.text.replace(" ", "")  # mail shows it in two groups
    return sender.keys
