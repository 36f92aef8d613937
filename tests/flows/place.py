"""A place where flows can be tried: a real database, real keys, a clock that stands still, and carriers that keep what they were handed."""

from __future__ import annotations

import contextlib
import itertools
import secrets
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from tests.clock import FixedClock

from countersign.domain.accounts.risk import RiskPolicy
from countersign.domain.delivery.delivery import Accepted, Delivery, Message
from countersign.domain.delivery.route import unweighted
from countersign.domain.policy import InstallationPolicy
from countersign.domain.shared.application import Application, ApplicationMode
from countersign.domain.shared.contact import Channel, parse_contact
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications.challenge import Action, Challenge, ChallengeState, Requester
from countersign.domain.verifications.code import derive
from countersign.domain.verifications.lanes import Lane
from countersign.flows.accounts.context import AccountContext
from countersign.flows.context import CoreContext, own_application
from countersign.flows.delivery.claim import claim_due
from countersign.flows.delivery.context import DeliveryContext
from countersign.flows.delivery.send import record_results, send
from countersign.flows.verifications.begin import BeginRequest, begin_challenge
from countersign.flows.verifications.cancel import cancel_challenge
from countersign.flows.verifications.check import check_challenge
from countersign.flows.verifications.resend import resend_code
from countersign.flows.verifications.results import Done, Outcome, Refused
from countersign.geolocation import GeoDatabase
from countersign.keys import Keyring, new_file
from countersign.links import links_of
from countersign.passwords import Passwords
from countersign.store.engine.connect import open_database
from countersign.store.engine.database import Rows, Sql
from countersign.store.ledger.event_log import Chain, Log
from countersign.store.ledger.ledger import MAX_WAITING, Ledger
from countersign.store.tables import challenges, deliveries, events

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from countersign.flows.verifications.idempotency import IdempotencyKey
    from countersign.store.engine.database import Database

SHOP = Application("app_shop", 0, "shop", ApplicationMode.TEST, "Shop", "shop.example", (), b"shop's key")
BANK = Application("app_bank", 0, "bank", ApplicationMode.TEST, "Bank", "bank.example", (), b"bank's key")

OWN = own_application("Verify", "verify.example")
LINKS = links_of("https://verify.example")

UNLIMITED = InstallationPolicy(destination=(), requester=())
"""The rules of an installation without budgets, for tests about something else."""


class Carrier:
    """A provider that does what it was told to, in turn, and keeps every message; left alone it accepts them."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.words: deque[Accepted | Exception] = deque()
        self._numbers = itertools.count(1)

    async def send(self, message: Message) -> Accepted:
        """Keep the message; give or raise the next word."""
        self.sent.append(message)
        word = self.words.popleft() if self.words else Accepted(f"m{next(self._numbers)}")
        if isinstance(word, Exception):
            raise word
        return word

    async def close(self) -> None:
        """Nothing is kept open."""


@dataclass
class Observed:
    """What a ledger said of its batches: how many commands each had, and how often a message was owed."""

    sizes: list[int] = field(default_factory=list)
    owed: int = 0


@dataclass
class Place:
    """A house with everything it stands on."""

    core: CoreContext
    accounts: AccountContext
    clock: FixedClock
    delivery: DeliveryContext
    carriers: dict[str, Carrier]
    observed: Observed

    @property
    def database(self) -> Database:
        """Return the database."""
        return self.core.database

    @property
    def keyring(self) -> Keyring:
        """Return the keys."""
        return self.core.keyring

    @property
    def inbox(self) -> Carrier:
        """Return the carrier of test keys."""
        return self.carriers["inbox"]

    async def begin(
        self,
        to: str = "ada@example.org",
        *,
        application: Application = SHOP,
        channel: Channel | None = None,
        purpose: str = "sign_in",
        subject: str = "user-42",
        action: Action | None = None,
        ip: str = "",
        device: str = "",
        lane: Lane | None = None,
        once: IdempotencyKey | None = None,
    ) -> Outcome:
        """Ask for a code."""
        asked = BeginRequest(
            parse_contact(to), channel, purpose, subject, action or Action(), "en", Requester(ip, "", device), lane=lane
        )
        return await begin_challenge(self.core, application, asked, once)

    async def begun(self, to: str = "ada@example.org", **asked: Any) -> Challenge:
        """Ask for a code, which must be granted."""
        return done(await self.begin(to, **asked)).challenge

    async def answer(self, challenge: Challenge, typed: str, application: Application = SHOP) -> Outcome:
        """Type something for a challenge."""
        return await check_challenge(self.core, application, challenge.id, typed)

    async def resend(
        self, challenge: Challenge, channel: Channel | None = None, application: Application = SHOP
    ) -> Outcome:
        """Ask for another message."""
        return await resend_code(self.core, application, challenge.id, channel)

    async def cancel(self, challenge: Challenge, application: Application = SHOP) -> Outcome:
        """End a challenge."""
        return await cancel_challenge(self.core, application, challenge.id)

    def code(self, challenge: Challenge, round_: int | None = None) -> str:
        """Return the code of a challenge, as its message would show it."""
        round_ = challenge.round if round_ is None else round_
        key = self.keyring.named(challenge.terms.kid).code
        return derive(key, challenge.id, round_, challenge.terms.policy.shape).reveal()

    def wrong(self, challenge: Challenge) -> str:
        """Return a code of the right shape that is not the challenge's."""
        code = self.code(challenge)
        return code[:-1] + ("0" if code[-1] != "0" else "1")

    async def stored(self, challenge: Challenge) -> Challenge:
        """Return the challenge as it stands in the database."""
        found = await self.database.read(challenges.find, challenge.id)
        assert found is not None
        return found

    async def deliveries(self, challenge: Challenge) -> list[Delivery]:
        """Return the messages of a challenge."""
        return await self.database.read(deliveries.list_by_owner, challenge.id)

    async def events(self, challenge: Challenge) -> list[Event]:
        """Return what the log has on a challenge."""
        return [
            event for event in await self.database.read(events.list_between, 0, 1 << 62) if event.owner == challenge.id
        ]

    async def kinds(self, challenge: Challenge) -> Counter[EventKind]:
        """Count what the log has on a challenge, by kind; of one millisecond's events of two lanes none is the first."""
        return Counter(event.kind for event in await self.events(challenge))

    async def deliver(self, most: int = 100) -> int:
        """Do one round of a worker's work; return how many messages it carried."""
        parcels = await claim_due(self.delivery, most)
        await record_results(self.delivery, [await send(self.delivery, parcel) for parcel in parcels])
        return len(parcels)

    async def count(self, table: str) -> int:
        """Return how many rows a table has."""
        rows = await self.database.read(query, f"SELECT count(*) FROM {table}")  # noqa: S608 - names are ours
        found: int = rows[0][0]
        return found

    async def change(self, sql: str, *args: object) -> None:
        """Change the database behind the program's back."""
        await self.database.run(query, sql, *args)


async def query(sql: str, *args: object) -> Rows:
    """One statement as a transaction."""
    return await Sql(sql, args)


def says(message: Message, code: str) -> bool:
    """Say whether a message shows this code, in one piece or two."""
    return code in message.text.replace(" ", "")


def done(outcome: Outcome) -> Done:
    """Return an outcome that must be Done."""
    assert isinstance(outcome, Done), outcome
    return outcome


def refused(outcome: Outcome) -> Refused:
    """Return an outcome that must be Refused."""
    assert isinstance(outcome, Refused), outcome
    return outcome


def approvals(outcomes: Sequence[Outcome]) -> list[Challenge]:
    """Return the challenges that these answers approved."""
    return [
        one.challenge for one in outcomes if isinstance(one, Done) and one.challenge.state is ChallengeState.APPROVED
    ]


def refusals(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Count the refusals by name."""
    counted: dict[str, int] = {}
    for one in outcomes:
        if isinstance(one, Refused):
            counted[one.refusal.value] = counted.get(one.refusal.value, 0) + 1
    return counted


@contextlib.asynccontextmanager
async def place_at(
    url: str,
    folder: Path,
    *,
    clock: FixedClock | None = None,
    rules: InstallationPolicy = UNLIMITED,
    live: tuple[str, ...] = (),
    bound: int = MAX_WAITING,
    owed: Callable[[], None] | None = None,
    risk: RiskPolicy | None = None,
    places: GeoDatabase | None = None,
    through: Callable[[Database], Database] | None = None,
) -> AsyncIterator[Place]:
    """Open a migrated database as a place; keys are made in `folder` unless another place made them there before.

    `live` names further carriers beside the inbox, and is the route of every channel for live keys. All statements go `through` a database
    that passes them on, if one is given.
    """
    database = open_database(url)
    await database.open()
    if through is not None:
        database = through(database)
    clock = clock or FixedClock()
    path = folder / "keys.json"
    if not path.exists():
        new_file(path, 0)
    keyring = Keyring(path, clock)
    observed = Observed()

    def told(size: int, _waited: float, _took: float) -> None:
        observed.sizes.append(size)

    def due() -> None:
        observed.owed += 1

    def log() -> Log:
        return Log(Chain(_writer, keyring.link))

    ledger = Ledger(
        database.ledger_connections(), log=log, clock=clock, deliveries_due=owed or due, observe_batch=told, bound=bound
    )
    ledger.open()
    if live:
        rules = msgspec.structs.replace(rules, routes=dict.fromkeys(Channel, unweighted(*live)))
    core = CoreContext(
        database, ledger, keyring, rules, LINKS, OWN, places or GeoDatabase(), clock, secrets.token_bytes
    )
    carriers = {name: Carrier() for name in ("inbox", *live)}
    claims, records, receipts = log(), log(), log()
    post = DeliveryContext(core, carriers, lambda: 0.0, claims, records, receipts)
    passwords = Passwords(2)
    context = AccountContext(core, log(), passwords, risk or RiskPolicy(), 8, (OWN.site, "verify"))
    try:
        yield Place(core, context, clock, post, carriers, observed)
    finally:
        passwords.close()
        await ledger.close()
        await database.close()


def _writer() -> str:
    return f"w{secrets.token_hex(6)}"
