"""Somebody registers an address that reads like the victim's, to be taken for them."""

from __future__ import annotations

import pytest
from tests.flows.place import Place, done

from countersign.domain.shared.contact import parse_contact
from countersign.errors import InputError

VICTIM = "ada@example.org"


@pytest.mark.parametrize(
    "typed",
    [
        "\u0430da@example.org",
        "ad\u0430@example.org",
        "ada@ex\u0430mple.org",
        "ada@examp\u217ce.org",
        "ada@ex\u0430mple.\u043erg",
        "ada@exam\u03c1le.org",
        "\uff41da@example.org",
        "a\u200bda@example.org",
        "ada@example.org\u202e",
        "ada@xn--exmple-4nf.org",
        "\u1d00da@example.org",
        "ada@example\u3002org",
        "ADA@EXAMPLE.ORG",
        "ada@\uff45xample.org",
    ],
)
def test_a_look_alike_is_refused_or_is_the_victims_own_address_or_visibly_another(typed: str) -> None:
    """A6: never a second contact that a person would read as the first."""
    try:
        contact = parse_contact(typed)
    except InputError:
        return
    if contact.address != VICTIM:
        assert contact.masked.partition("***")[2] == "@example.org"
        assert contact.address[0] not in "a\uff41\u0430", "it begins with the victim's letter in another dress"


@pytest.mark.parametrize("typed", ["ADA@example.org", " ada@EXAMPLE.org", "ada@example\uff0eorg"])
async def test_the_same_address_in_another_dress_is_the_same_contact_in_every_count(place: Place, typed: str) -> None:
    """A6: it continues the victim's challenge, and wins no budget and no guesses."""
    first = await place.begun(VICTIM)
    again = done(await place.begin(typed))
    assert again.continued
    assert again.challenge.id == first.id


async def test_a_message_goes_to_the_canonical_address_and_not_to_what_was_typed(place: Place) -> None:
    """A6: what a mail server makes of capitals or a Kelvin sign is not left to it."""
    await place.begun("\u212aay@Example.ORG")
    await place.deliver()
    assert [message.to for message in place.inbox.sent] == ["kay@example.org"]
