"""A recovery that was proved is worth nothing once somebody else has chosen a password, and a claim nothing before its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.flows.changes.test_delayed_recovery import claims
from tests.flows.people import Visitor, ada

from countersign.domain.accounts.change import RECOVERY_WAIT, ChangeKind, ChangeRefusal, ChangeRequest
from countersign.flows.accounts.context import CodeRequested, FlowNotFound, InvalidCredentials, InvalidInput
from countersign.flows.changes.apply import Applied, apply_change
from countersign.flows.changes.request import pending_request
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.store.tables import changes

if TYPE_CHECKING:
    from tests.flows.place import Place

BETTER = "a better battery staple"
THIEFS = "the thief's own words"


async def proves(visitor: Visitor) -> None:
    """Begin a recovery and prove it."""
    visitor.place.clock.forward(61_000)
    assert isinstance(await visitor.recovers(), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code()), PasswordResetAllowed)


async def test_of_two_proved_recoveries_the_second_replaces_nothing(home: Place) -> None:
    """A5: a thief who has read the mail too does not replace what the owner has just chosen."""
    await ada(home)
    owner, thief = Visitor(home), Visitor(home)
    await proves(owner)
    await proves(thief)
    home.clock.forward(1_000)
    assert isinstance(await owner.chooses(BETTER), Applied)
    assert isinstance(await thief.chooses(THIEFS), FlowNotFound)
    assert isinstance(await Visitor(home).signs_in(password=THIEFS), InvalidCredentials)
    assert isinstance(await Visitor(home).signs_in(password=BETTER), CodeRequested)


async def test_a_proved_recovery_ends_when_the_password_is_changed_from_a_session(home: Place) -> None:
    """A5."""
    owner, thief = await ada(home), Visitor(home)
    await proves(thief)
    home.clock.forward(61_000)
    hashed = await home.accounts.passwords.hash(BETTER)
    wanted = ChangeRequest(ChangeKind.PASSWORD_CHANGED, summary="Change it", password=hashed)
    assert isinstance(await owner.changes(wanted), Applied)
    assert isinstance(await thief.chooses(THIEFS), FlowNotFound)
    assert isinstance(await Visitor(home).signs_in(password=BETTER), CodeRequested)


async def test_a_claim_is_not_applied_a_millisecond_before_its_time(home: Place) -> None:
    """R5: where it is written, and not only where it is begun."""
    owner = await ada(home)
    claimant = await claims(home)
    session = await owner.session()
    assert session is not None
    (claim,) = await home.database.read(changes.list_open, session.account, home.clock())
    hashed = await home.accounts.passwords.hash(BETTER)
    request = msgspec.structs.replace(pending_request(home.accounts, claim), password=hashed)
    home.clock.forward(RECOVERY_WAIT - (home.clock() - claim.asked_at) - 1)
    assert await apply_change(home.accounts, claimant.browser, request) is ChangeRefusal.NOT_PENDING
    assert isinstance(await Visitor(home).signs_in(), CodeRequested)
    home.clock.forward(1)
    assert isinstance(await apply_change(home.accounts, claimant.browser, request), Applied)
    assert isinstance(await Visitor(home).signs_in(), InvalidCredentials)


async def test_a_claim_that_is_over_is_not_applied(home: Place) -> None:
    """R5."""
    owner = await ada(home)
    claimant = await claims(home)
    session = await owner.session()
    assert session is not None
    (claim,) = await home.database.read(changes.list_open, session.account, home.clock())
    request = msgspec.structs.replace(pending_request(home.accounts, claim), password="x")
    home.clock.forward(claim.until - home.clock())
    assert await apply_change(home.accounts, claimant.browser, request) is ChangeRefusal.NOT_PENDING


async def test_a_disabled_account_is_not_recovered_and_its_mailbox_is_told_as_a_strangers_is(home: Place) -> None:
    """R1: neither begun nor finished; the browser sees what it always sees."""
    await ada(home)
    late = Visitor(home)
    await proves(late)
    await home.change("UPDATE accounts SET disabled_at = $1", home.clock())
    assert isinstance(await late.chooses(BETTER), FlowNotFound)
    home.clock.forward(61_000)
    visitor = Visitor(home)
    assert isinstance(await visitor.recovers(), CodeRequested)
    assert "No account found" in (await visitor.reads()).text
    view = await visitor.sees()
    assert view is not None
    assert view.challenge is not None
    assert not isinstance(await visitor.types(home.code(view.challenge)), PasswordResetAllowed)


@pytest.mark.parametrize("weak", ["short", "password123", "Ada-1815", "verify-2026", "ada@example.org"])
async def test_a_recovery_sets_no_password_that_a_sign_up_would_refuse(home: Place, weak: str) -> None:
    """S9: neither a common one, nor one made of the person's name, of the site's, or of the address."""
    await ada(home)
    visitor = Visitor(home)
    await proves(visitor)
    refused = await visitor.chooses(weak)
    assert isinstance(refused, InvalidInput)
    assert set(refused.faults) == {"password"}
    assert isinstance(await visitor.chooses(BETTER), Applied)


async def test_a_password_is_the_same_however_its_letters_were_put_together(home: Place) -> None:
    """S9: an umlaut typed as one sign or as two."""
    await ada(home)
    visitor = Visitor(home)
    await proves(visitor)
    assert isinstance(await visitor.chooses("ein gru\u0308nes Pferd"), Applied)
    assert isinstance(await Visitor(home).signs_in(password="ein gr\u00fcnes Pferd"), CodeRequested)
    again = Visitor(home)
    await proves(again)
    assert isinstance(await again.chooses(BETTER, "ein gr\u00fcnes Pferd"), Applied)
