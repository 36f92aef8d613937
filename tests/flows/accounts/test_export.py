"""Everything that is stored about a person, for that person and nobody else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.flows.authenticators import recovery_codes
from tests.flows.people import ADA, PASSWORD, Visitor, ada, alive

from countersign.domain.accounts.session import ProofRequirement
from countersign.flows.accounts.context import CodeRequested, SignedIn
from countersign.flows.accounts.export import check_export, export_account

if TYPE_CHECKING:
    from tests.flows.place import Place

ACT = "Download everything we store about you"


async def exported(owner: Visitor) -> bytes:
    """Download the data, with the proof that it needs."""
    missing = await check_export(owner.place.accounts, await alive(owner), ACT)
    assert isinstance(missing, ProofRequirement)
    assert isinstance(await owner.steps_up(missing), CodeRequested)
    assert isinstance(await owner.types(await owner.code()), SignedIn)
    assert await check_export(owner.place.accounts, await alive(owner), ACT) is None
    found = await export_account(owner.place.accounts, owner.browser, await alive(owner), ACT)
    assert isinstance(found, bytes)
    return found


async def test_it_holds_everything_and_no_secret(home: Place) -> None:
    """A10: contacts whole, the history, and neither a hash nor a code nor anything of another account."""
    await ada(home, "grace@example.org")
    owner = await ada(home)
    await owner.adds("+14155550123")
    codes = await recovery_codes(owner)
    found = await exported(owner)
    held = json.loads(found)
    assert held["account"]["name"] == "Ada"
    assert [one["address"] for one in held["contacts"]] == [ADA, "+14155550123"]
    assert {one["what"] for one in held["messages"]} >= {"sign_up", "step_up", "bind_contact", "contact_added"}
    assert all(one["sent"] for one in held["messages"] if one["what"] == "step_up")
    assert len(held["sessions"]) == len(held["browsers"]) == 1
    assert {one["kind"] for one in held["activity"]} >= {"account.created", "change.applied"}
    assert {one["kind"] for one in held["log"]} >= {"account.created"}
    assert len(held["ways_to_confirm"]) == len(codes)
    text = found.decode()
    for secret in (PASSWORD, "argon2", *codes, owner.browser.session, owner.browser.device, "grace", "token"):
        assert secret not in text, secret


async def test_it_needs_a_proof_each_time_and_is_told(home: Place) -> None:
    """P2: the approval is used up."""
    owner = await ada(home)
    await exported(owner)
    again = await export_account(home.accounts, owner.browser, await alive(owner), ACT)
    assert isinstance(again, ProofRequirement)
    assert await owner.told("Your account data was downloaded")
