"""The rules of changes: their notices, what an undo restores, and which contact is the primary one."""

from __future__ import annotations

from msgspec.structs import replace

from countersign.domain.accounts.account import Account, AccountSnapshot, OwnedContact
from countersign.domain.accounts.authenticator import Authenticator, AuthenticatorKind
from countersign.domain.accounts.change import RULES, ChangeEffect, ChangeKind, revert, with_primary
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.contact import ContactKind

NOW = 1_000


def contact(id_: str, added_at: int, *, primary: bool = False, ended_at: int | None = None) -> OwnedContact:
    """Return a contact of the account."""
    return OwnedContact(
        "acc", id_, added_at, ContactKind.MAIL, id_.encode(), b"", id_, 1, primary=primary, ended_at=ended_at
    )


def authenticator(id_: str, ended_at: int | None = None) -> Authenticator:
    """Return an app of the account."""
    return Authenticator("acc", id_, AuthenticatorKind.APP, 1, b"", b"", b"", ended_at=ended_at)


def history(*contacts: OwnedContact, authenticators: tuple[Authenticator, ...] = ()) -> AccountSnapshot:
    """Return a history of the account."""
    return AccountSnapshot(Account("acc", 0, b"", "en", b"", 0), contacts, authenticators)


def test_every_kind_of_change_that_notifies_has_a_notice_of_its_own() -> None:
    """S6."""
    notices = {kind.value for kind in NoticeKind}
    assert set(RULES) == set(ChangeKind)
    assert {kind.value for kind in ChangeKind if RULES[kind].notifies} <= notices
    assert not {kind.value for kind in ChangeKind if not RULES[kind].notifies} & notices


def test_reverting_ends_what_was_added_and_restores_what_was_ended() -> None:
    """A2."""
    before = history(contact("old", 1, ended_at=500), contact("new", 2, primary=True))
    after = revert(before, ChangeEffect(contacts_added=("new",), contacts_ended=("old",)), NOW)
    assert [(one.id, one.ended_at, one.primary) for one in after.contacts] == [
        ("old", None, False),
        ("new", NOW, False),
    ]
    assert [one.id for one in after.active_contacts] == ["old"]
    assert before.contacts[1].ended_at is None


def test_reverting_restores_authenticators_too() -> None:
    before = history(contact("c", 1, primary=True), authenticators=(authenticator("lost", 500), authenticator("made")))
    after = revert(before, ChangeEffect(factors_added=("made",), factors_ended=("lost",)), NOW)
    assert [(one.id, one.ended_at) for one in after.authenticators] == [("lost", None), ("made", NOW)]
    assert after.contacts == before.contacts


def test_the_contact_that_was_primary_before_is_primary_again() -> None:
    before = history(contact("first", 1), contact("second", 2, primary=True))
    after = revert(before, ChangeEffect(primary="first"), NOW)
    assert [one.primary for one in after.contacts] == [True, False]
    # One that has ended since is not made the primary one.
    gone = history(contact("first", 1, ended_at=5), contact("second", 2, primary=True))
    assert [one.primary for one in revert(gone, ChangeEffect(primary="first"), NOW).contacts] == [False, False]


def test_without_a_primary_contact_the_oldest_active_one_becomes_it() -> None:
    left = history(contact("gone", 1, ended_at=5), contact("younger", 3), contact("older", 2))
    assert [one.id for one in with_primary(left).contacts if one.primary] == ["older"]
    kept = replace(left, contacts=(*left.contacts, contact("chosen", 9, primary=True)))
    assert with_primary(kept) == kept
    assert with_primary(history(contact("gone", 1, ended_at=5))).active_contacts == ()


def test_what_a_log_shows_of_a_request_is_its_kind() -> None:
    from countersign.domain.accounts.change import ChangeRequest

    assert (
        repr(ChangeRequest(ChangeKind.PASSWORD_CHANGED, password="$argon2id$secret"))
        == "ChangeRequest(password_changed)"
    )
