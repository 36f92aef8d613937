"""Sign-up: the contact is proved before there is an account, and the page does not tell whether there was one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.flows.people import ADA, PASSWORD, Visitor, ada

from countersign.domain.accounts.session import Level, current_level
from countersign.flows.accounts.context import CodeRequested, InvalidInput, SignedIn
from countersign.flows.verifications.results import Refused

if TYPE_CHECKING:
    from tests.flows.place import Place


async def test_there_is_no_account_before_its_contact_is_proved(home: Place) -> None:
    visitor = Visitor(home)
    assert isinstance(await visitor.signs_up(), CodeRequested)
    assert await home.count("accounts") == 0
    assert await visitor.session() is None
    assert isinstance(await visitor.types(await visitor.code()), SignedIn)
    assert await home.count("accounts") == 1
    session = await visitor.session()
    assert session is not None
    assert current_level(session, home.clock()) is Level.MAIL_CODE


async def test_the_owner_of_a_known_contact_is_notified_and_the_page_shows_no_difference(home: Place) -> None:
    await ada(home)
    known, new = Visitor(home), Visitor(home)
    assert isinstance(await known.signs_up(), CodeRequested)
    assert isinstance(await new.signs_up("grace@example.org"), CodeRequested)
    seen, other = await known.sees(), await new.sees()
    assert seen is not None
    assert seen.challenge is not None
    assert other is not None
    assert other.challenge is not None
    assert seen.challenge.guesses_left == other.challenge.guesses_left
    assert len(seen.contact_methods) == len(other.contact_methods)
    letter = await known.reads()
    assert letter.subject == "You already have an account at Verify"
    assert not any(
        part.isdigit() and len(part) >= 3 for part in letter.text.split() if ":" not in part and "." not in part
    )


async def test_no_code_is_right_for_a_known_contact(home: Place) -> None:
    await ada(home)
    thief = Visitor(home)
    await thief.signs_up()
    seen = await thief.sees()
    assert seen is not None
    assert seen.challenge is not None
    outcome = await thief.types(home.code(seen.challenge))
    assert isinstance(outcome, Refused)
    assert outcome.refusal.value == "wrong_code"
    assert await thief.session() is None
    assert await home.count("accounts") == 1


@pytest.mark.parametrize(
    ("name", "identifier", "password", "field", "fault"),
    [
        ("", ADA, PASSWORD, "name", "malformed"),
        ("x" * 81, ADA, PASSWORD, "name", "malformed"),
        ("Ada\nBcc: x", ADA, PASSWORD, "name", "malformed"),
        ("Ada", "ada", PASSWORD, "identifier", "malformed"),
        ("Ada", "+1900555", PASSWORD, "identifier", "impossible_number"),
        ("Ada", ADA, "short", "password", "too_short"),
        ("Ada", ADA, "x" * 257, "password", "too_long"),
        ("Ada", ADA, "password1", "password", "common"),
        ("Ada Lovelace", ADA, "Lovelace1815", "password", "made_of_names"),
        ("Ada", ADA, "verify2026", "password", "made_of_names"),
    ],
)
async def test_every_fault_of_the_input_is_named_and_nothing_is_sent(
    home: Place, name: str, identifier: str, password: str, field: str, fault: str
) -> None:
    """S9."""
    outcome = await Visitor(home).signs_up(identifier, password, name)
    assert isinstance(outcome, InvalidInput)
    found = outcome.faults[field]
    assert found == fault or (field == "identifier" and fault == "impossible_number" and found)
    assert await home.count("challenges") == 0
