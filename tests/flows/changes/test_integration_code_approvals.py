"""What approves an integration code, on which account it opens anything, and what its owner sees of its use."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.flows.changes.test_delayed_recovery import claims
from tests.flows.integration_codes import approved, made
from tests.flows.people import ADA, Visitor, ada, alive

from countersign.domain.accounts.change import DAY, RECOVERY_WAIT, ChangeRefusal
from countersign.domain.accounts.integration_code import LAST_USED_INTERVAL
from countersign.domain.accounts.session import ProofRequirement
from countersign.flows.accounts.context import CodeRequested, SignedIn
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.delayed_recovery import send_reminders
from countersign.flows.changes.integration_codes import list_codes, make_code, rotate_code, verify_code
from countersign.flows.sign_in.complete import PasswordResetAllowed

if TYPE_CHECKING:
    from tests.flows.place import Place

    from countersign.domain.accounts.session import Session
    from countersign.flows.changes.submit import SubmitResult

NEW = "ada@elsewhere.example"


async def makes(
    visitor: Visitor, name: str = "Bookkeeping", scopes: tuple[str, ...] = ("read",), days: int = 30
) -> SubmitResult:
    outcome, _ = await make_code(
        visitor.place.accounts, visitor.browser, await alive(visitor), name, scopes, days=days, summary="Make it"
    )
    return outcome


async def test_what_was_approved_is_this_name_these_scopes_and_this_lifetime(home: Place) -> None:
    """U2, I1: an approval of a month of reading makes no year of writing."""
    visitor = await ada(home)
    need = await makes(visitor)
    assert isinstance(need, ProofRequirement)
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code(ADA)), SignedIn)
    assert isinstance(await makes(visitor, scopes=("read", "write")), ProofRequirement)
    assert isinstance(await makes(visitor, days=365), ProofRequirement)
    assert isinstance(await makes(visitor, name="Another"), ProofRequirement)
    assert isinstance(await makes(visitor), Applied)
    assert isinstance(await makes(visitor), ProofRequirement)


@pytest.mark.parametrize("column", ["locked_at", "disabled_at"])
async def test_a_code_of_a_closed_account_opens_nothing(home: Place, column: str) -> None:
    """I2, S6."""
    code = await made(await ada(home))
    assert await verify_code(home.accounts, code, "a test") is not None
    await home.change(f"UPDATE accounts SET {column} = 5")  # noqa: S608 - names are ours
    assert await verify_code(home.accounts, code, "a test") is None
    await home.change(f"UPDATE accounts SET {column} = NULL")  # noqa: S608 - as above
    assert await verify_code(home.accounts, code, "a test") is not None


async def test_its_owner_sees_the_last_use_to_the_minute(home: Place) -> None:
    """I3."""
    visitor = await ada(home)
    code, account = await made(visitor), (await alive(visitor)).account
    first = home.clock()
    await verify_code(home.accounts, code, "here")
    home.clock.forward(LAST_USED_INTERVAL - 1)
    await verify_code(home.accounts, code, "there")
    (seen,) = await list_codes(home.accounts, account)
    assert (seen.last_used_at, seen.last_used_from) == (first, "here")
    home.clock.forward(1)
    await verify_code(home.accounts, code, "there")
    (seen,) = await list_codes(home.accounts, account)
    assert (seen.last_used_at, seen.last_used_from) == (home.clock(), "there")


async def test_rotating_a_code_that_ends_soon_gives_it_no_more_time(home: Place) -> None:
    """I3: the old one lives a day longer at most, and never longer than it would have."""
    visitor = await ada(home)
    code, account = await made(visitor, days=30), (await alive(visitor)).account
    home.clock.forward(30 * DAY - 3_600_000)
    await visitor.is_let_in()
    (before,) = await list_codes(home.accounts, account)
    home.clock.forward(61_000)

    async def rotates(session: Session) -> SubmitResult:
        outcome, _ = await rotate_code(home.accounts, visitor.browser, session, before.id, "Rotate it")
        return outcome

    assert isinstance(await approved(visitor, rotates), Applied)
    home.clock.forward(before.expires_at - home.clock() - 1)
    assert await verify_code(home.accounts, code, "a test") is not None
    home.clock.forward(1)
    assert await verify_code(home.accounts, code, "a test") is None


async def test_in_the_time_after_a_claim_no_code_is_made(home: Place) -> None:
    """R5: whoever took an account over by waiting opens no back door of months."""
    await ada(home)
    claimant = await claims(home)
    home.clock.forward(RECOVERY_WAIT)
    assert isinstance(await claimant.recovers(NEW), CodeRequested)
    assert isinstance(await claimant.types(await claimant.code(NEW)), PasswordResetAllowed)
    assert isinstance(await claimant.chooses("a better battery staple"), Applied)
    home.clock.forward(61_000)
    assert isinstance(await claimant.signs_in(ADA, "a better battery staple"), CodeRequested)
    assert isinstance(await claimant.types(await claimant.code(NEW)), SignedIn)
    assert await makes(claimant) is ChangeRefusal.REDUCED
    home.clock.forward(7 * DAY)
    assert isinstance(await claimant.signs_in(ADA, "a better battery staple"), CodeRequested)
    assert isinstance(await claimant.types(await claimant.code(NEW)), SignedIn)
    assert isinstance(await makes(claimant), ProofRequirement)


async def test_of_many_workers_one_reminds(home: Place) -> None:
    """R5: every contact is told once a day."""
    await ada(home)
    await claims(home)
    home.clock.forward(DAY)
    told = await home.count("notices")
    assert sum(await asyncio.gather(*(send_reminders(home.accounts) for _ in range(5)))) == 1
    assert await home.count("notices") == told + 1
