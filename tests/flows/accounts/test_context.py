"""What the account flows share: secrets and their hashes, ids, and what a log may show of a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.shared.contact import parse_contact
from countersign.flows.accounts.context import BrowserContext, CodeRequested, SignedIn

if TYPE_CHECKING:
    from tests.flows.place import Place


def test_a_secret_is_new_each_time_and_stored_as_a_keyed_hash(place: Place) -> None:
    first, second = place.accounts.secret(), place.accounts.secret()
    assert first != second
    assert len(first) == 43
    assert place.accounts.token_hash(first) != place.accounts.token_hash(second)
    assert first.encode() not in place.accounts.token_hash(first)


def test_no_secret_has_no_hash_that_another_could_have(place: Place) -> None:
    assert place.accounts.token_hash("") == b""


def test_a_contact_is_found_by_one_hash_however_it_is_typed(place: Place) -> None:
    found = place.accounts.blind_index(parse_contact("Ada@Example.ORG"))
    assert found == place.accounts.blind_index(parse_contact("ada@example.org"))
    assert found != place.accounts.blind_index(parse_contact("eve@example.org"))


def test_an_address_of_which_nothing_is_known_has_no_place(place: Place) -> None:
    assert place.accounts.place("") == ""
    assert place.accounts.place("203.0.113.9") == ""


def test_the_contexts_hold_the_same_core(place: Place) -> None:
    assert place.accounts.core is place.delivery.core is place.core
    assert place.accounts.database is place.delivery.database is place.core.database
    assert place.accounts.now() == place.delivery.now() == place.clock()


def test_secrets_of_a_browser_stand_in_no_log() -> None:
    shown = [
        repr(BrowserContext(session="s3cret", device="s3cret", flow="s3cret")),
        repr(CodeRequested("s3cret", "s3cret")),
        repr(SignedIn("s3cret", "s3cret", "acc_1", InterruptedRequest())),
    ]
    assert not any("s3cret" in text for text in shown)
