"""What sessions are shown of contacts, and where codes may go, by names that differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.people import ADA, Visitor, ada, alive

from countersign.domain.accounts.session import Level, ProofRequirement
from countersign.domain.verifications.challenge import Action
from countersign.flows.accounts.contact_names import contact_names
from countersign.flows.accounts.context import CodeRequested, SignedIn

if TYPE_CHECKING:
    from tests.flows.place import Place

SECOND = "ada.lovelace@example.org"


async def test_a_code_shows_contacts_whole_and_a_trusted_browser_shows_masks(home: Place) -> None:
    """A10: the thief of a browser learns no address."""
    owner = await ada(home)
    await owner.adds(SECOND)
    second = await owner.contact(SECOND)
    names = await contact_names(home.accounts, await alive(owner))
    assert names.whole
    assert set(names.shown.values()) == {ADA, SECOND}
    assert not any(address in repr(names) for address in (ADA, SECOND))

    await owner.is_let_in(remember=True)
    trusted = Visitor(home, owner.browser)
    assert isinstance(await trusted.signs_in(), SignedIn)
    masked = await contact_names(home.accounts, await alive(trusted))
    assert not masked.whole
    assert set(masked.shown.values()) == {"a…@example.org", "ad…ce@example.org"}
    assert masked.masks == names.masks
    assert masked.of_stored("a***@example.org") == "a***@example.org"  # two have this mask: none is guessed
    assert masked.of_stored("a***@example.org", second.blind_index) == "ad…ce@example.org"


async def test_the_ways_of_a_step_up_differ_and_those_of_a_sign_in_tell_strangers_nothing(home: Place) -> None:
    """A10: who has a password alone sees the narrow mask."""
    owner = await ada(home)
    await owner.adds(SECOND)
    assert isinstance(await owner.steps_up(ProofRequirement(Level.MAIL_CODE, None, Action("Act", "x"))), CodeRequested)
    seen = await owner.sees()
    assert seen is not None
    assert {way.masked for way in seen.contact_methods} == {"a…@example.org", "ad…ce@example.org"}
    stranger = Visitor(home)
    assert isinstance(await stranger.signs_in(), CodeRequested)
    seen = await stranger.sees()
    assert seen is not None
    assert {way.masked for way in seen.contact_methods} == {"a***@example.org"}
