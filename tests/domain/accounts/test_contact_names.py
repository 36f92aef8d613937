"""What an owner is shown of contacts: enough to tell them apart, and no two alike."""

from __future__ import annotations

import pytest

from countersign.domain.accounts.contact_names import sees_whole, telling_mask, telling_masks
from countersign.domain.accounts.session import Method, Session, SessionProof
from countersign.domain.shared.contact import parse_contact

HOUR = 3_600_000


def session(*proofs: SessionProof) -> Session:
    """Return a session with these proofs."""
    return Session(b"", "ses_1", "acc_1", b"", 0, "", "", "", proofs, 0, 100 * HOUR)


@pytest.mark.parametrize(
    ("address", "mask"),
    [
        ("joanna57@example.org", "jo…57@example.org"),
        ("ada@example.org", "a…@example.org"),
        ("ad@example.org", "a…@example.org"),
        ("a@example.org", "a…@example.org"),
        ("adam@example.org", "a…m@example.org"),
        ("+14155550123", "+1415***0123"),
    ],
)
def test_a_mask_shows_the_ends_and_hides_the_middle(address: str, mask: str) -> None:
    """A10: at least two characters of a local part are hidden, unless it has fewer."""
    assert telling_mask(parse_contact(address)) == mask


def test_no_two_contacts_of_an_account_have_one_mask() -> None:
    """A10: alike ones are numbered in their order."""
    typed = ("joanna57@example.org", "jo-and-me-57@example.org", "else@example.org")
    masks = telling_masks([parse_contact(one) for one in typed])

    assert len(set(masks)) == 3


def test_whole_contacts_need_a_code_and_no_password_or_trust_is_enough() -> None:
    """A10: for as long as the level lasts that the code gave; where there is an app, a code by mail is not enough."""
    bare = session(SessionProof(Method.PASSWORD, 0), SessionProof(Method.TRUSTED_DEVICE, 0))
    proved = session(SessionProof(Method.PASSWORD, 0), SessionProof(Method.MAIL_CODE, 0))
    assert not sees_whole(bare, strong=False, now=1)
    assert sees_whole(proved, strong=False, now=12 * HOUR)
    assert not sees_whole(proved, strong=False, now=12 * HOUR + 1)
    assert not sees_whole(proved, strong=True, now=1)
    assert not sees_whole(session(SessionProof(Method.MAIL_CODE, 0, "an act")), strong=False, now=1)
