"""Somebody got a person to read out a code, and uses it for something else."""

from __future__ import annotations

from typing import Any

import pytest
from tests.flows.place import BANK, SHOP, Place, done, refused

from countersign.domain.verifications.challenge import Action, Refusal
from countersign.flows.verifications.results import Missing

OTHERS: dict[str, dict[str, Any]] = {
    "purpose": {"purpose": "recover"},
    "subject": {"subject": "eve"},
    "destination": {"to": "eve@example.org"},
    "summary": {"action": Action("Pay 10 EUR to Eve", "abc")},
    "hash of the action": {"action": Action("Pay 10 EUR to Bob", "abd")},
    "application": {"application": BANK},
}


@pytest.mark.parametrize("differs", OTHERS)
async def test_a_code_approves_nothing_but_what_it_was_sent_for(place: Place, differs: str) -> None:
    """C4: challenge, purpose, subject, destination, action and application."""
    read_out = await place.begun(action=Action("Pay 10 EUR to Bob", "abc"))
    asked: dict[str, Any] = {"action": Action("Pay 10 EUR to Bob", "abc"), **OTHERS[differs]}
    other = await place.begun(**asked)
    assert other.id != read_out.id
    assert place.code(other) != place.code(read_out), "a chance of one in a million says: run it again"
    application = BANK if differs == "application" else SHOP
    assert refused(await place.answer(other, place.code(read_out), application)).refusal is Refusal.WRONG_CODE
    done(await place.answer(read_out, place.code(read_out)))


async def test_another_application_cannot_answer_at_all(place: Place) -> None:
    """C4: nor learn whether the code was right."""
    challenge = await place.begun()
    for typed in (place.code(challenge), place.wrong(challenge)):
        assert await place.answer(challenge, typed, BANK) == Missing()
    assert (await place.stored(challenge)).guesses == 0


async def test_a_changed_action_takes_the_worth_from_a_code_in_flight(place: Place) -> None:
    """C4, U2: another amount is another challenge; the message of the first says what the first was for."""
    first = await place.begun(action=Action("Pay 10 EUR to Bob", "10"))
    second = await place.begun(action=Action("Pay 9000 EUR to Bob", "9000"))
    await place.deliver()
    texts = {message.key.split(".")[0]: message.text for message in place.inbox.sent}
    assert "Pay 10 EUR to Bob" in texts[first.id]
    assert "Pay 9000 EUR to Bob" in texts[second.id]
    refused(await place.answer(second, place.code(first)))


async def test_a_contact_moved_to_another_row_cannot_be_opened_there(place: Place) -> None:
    """C4: who can write to the database cannot turn a victim's code to an address of their own."""
    mine, theirs = await place.begun("eve@example.org"), await place.begun()
    await place.change(
        "UPDATE challenges SET terms = (SELECT terms FROM challenges WHERE id = $1) WHERE id = $2", mine.id, theirs.id
    )
    assert await place.deliver() == 2
    assert [message.to for message in place.inbox.sent] == ["eve@example.org"]
    assert mine.id in place.inbox.sent[0].key
