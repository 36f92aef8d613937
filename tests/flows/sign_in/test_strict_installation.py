"""A strict installation in the flows: no level of a sent code opens it, and no wish of a browser gives trust."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.flows.authenticators import app_code, enrols_app
from tests.flows.people import ADA, Visitor, ada, alive

from countersign.domain.accounts.session import (
    Level,
    Method,
    ProofRequirement,
    SessionProof,
    SignInPolicy,
    is_enrolment_only,
)
from countersign.domain.shared.event import EventKind
from countersign.flows.accounts.context import CodeRequested, SignedIn
from countersign.store.tables import devices, events
from countersign.totp import STEP

if TYPE_CHECKING:
    from tests.flows.place import Place


STRICT = SignInPolicy(session_lifetime=3_600_000, trusts_browsers=False, sent_codes=False)
PHONE = "+14155550123"


@pytest.fixture
def strict(home: Place) -> Place:
    """A place where a sent code is not enough, and no browser is trusted."""
    home.accounts = msgspec.structs.replace(home.accounts, sign_in_policy=STRICT)
    return home


@pytest.mark.parametrize(
    ("method", "opens"),
    [
        (Method.PASSWORD, False),
        (Method.TRUSTED_DEVICE, False),
        (Method.MAIL_CODE, False),
        (Method.SMS_CODE, False),
        (Method.VOICE_CODE, False),
        (Method.APP_CODE, True),
        (Method.RECOVERY_CODE, True),
        (Method.PASSKEY, True),
        (Method.SECURITY_KEY, True),
    ],
)
async def test_no_sent_code_opens_a_strict_installation(strict: Place, method: Method, *, opens: bool) -> None:
    """S10: neither by mail nor by phone, however it was proved."""
    session = await alive(await ada(strict))
    now = strict.clock()
    proved = msgspec.structs.replace(session, proofs=(SessionProof(Method.PASSWORD, now), SessionProof(method, now)))
    assert is_enrolment_only(proved, STRICT, now) is not opens
    assert not is_enrolment_only(proved, SignInPolicy(), now)


async def test_a_code_to_the_phone_lets_in_to_enrol_only(strict: Place) -> None:
    """S10."""
    visitor = await ada(strict, PHONE)
    assert is_enrolment_only(await alive(visitor), STRICT, strict.clock())
    strict.clock.forward(61_000)
    again = Visitor(strict)
    await again.is_let_in(PHONE)
    assert is_enrolment_only(await alive(again), STRICT, strict.clock())


async def trusted(place: Place, account: str) -> tuple[int, int]:
    """Return how many browsers the account trusts, and how often the log says that one was."""
    known = await place.database.read(devices.list_active, account)
    log = await place.database.read(events.list_between, 0, 1 << 62)
    return (
        sum(one.trusted_at is not None for one in known),
        sum(event.kind is EventKind.DEVICE_TRUSTED for event in log),
    )


async def test_no_wish_of_a_browser_is_stored_where_none_is_trusted(strict: Place) -> None:
    """S4, S7: it would come alive if the setting were turned back, and have budgets of its own until then."""
    visitor = await ada(strict)
    account = (await alive(visitor)).account
    strict.clock.forward(61_000)
    await visitor.is_let_in(remember=True)
    assert await trusted(strict, account) == (0, 0)
    assert isinstance(await visitor.steps_up(ProofRequirement(Level.MAIL_CODE, 0)), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code(ADA), remember=True), SignedIn)
    assert await trusted(strict, account) == (0, 0)
    secret = await enrols_app(visitor)
    strict.clock.forward(5 * STEP)
    other = Visitor(strict)
    assert isinstance(await other.signs_in(), CodeRequested)
    assert isinstance(await app_code(other, secret), SignedIn)
    assert await trusted(strict, account) == (0, 0)
    strict.accounts = msgspec.structs.replace(strict.accounts, sign_in_policy=SignInPolicy())
    assert isinstance(await visitor.signs_in(), CodeRequested)


async def test_where_browsers_may_be_trusted_the_same_wish_is_stored(home: Place) -> None:
    """Otherwise the test above would show nothing."""
    visitor = await ada(home)
    account = (await alive(visitor)).account
    home.clock.forward(61_000)
    await visitor.is_let_in(remember=True)
    assert await trusted(home, account) == (1, 1)


async def test_the_code_that_set_an_app_up_signs_nobody_in(home: Place) -> None:
    """RFC 6238, 5.2: it was shown once, to whoever looked over a shoulder too."""
    visitor = await ada(home)
    secret = await enrols_app(visitor)
    thief = Visitor(home)
    assert isinstance(await thief.signs_in(), CodeRequested)
    assert not isinstance(await app_code(thief, secret), SignedIn)
    assert not isinstance(await app_code(thief, secret, -1), SignedIn)
    home.clock.forward(STEP)
    assert isinstance(await app_code(thief, secret), SignedIn)
