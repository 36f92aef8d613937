"""The check-up with literals: what is left after each loss, and where nothing is."""

from __future__ import annotations

import pytest

from countersign.domain.accounts.check_up import Holdings, Loss, LossOutcome, Verdict, Way, WayKind, check_up

MAIL, OTHER, PHONE = "ada@example.org", "ada@example.net", "+14155550123"
WAIT = Way(WayKind.WAITING)


def after(held: Holdings, loss: Loss) -> LossOutcome:
    return next(one for one in check_up(held) if one.loss is loss)


def quick(held: Holdings, loss: Loss) -> tuple[Way, ...]:
    return tuple(one for one in after(held, loss).ways if one is not WAIT and one.kind is not WayKind.WAITING)


def test_only_what_somebody_has_can_be_lost() -> None:
    assert [one.loss for one in check_up(Holdings(mailboxes=(MAIL,)))] == [Loss.MAILBOX, Loss.PASSWORD]
    assert [one.loss for one in check_up(Holdings(phones=(PHONE,)))] == [
        Loss.PHONE,
        Loss.PASSWORD,
        Loss.PHONE_AND_PASSWORD,
    ]
    assert Loss.DEVICE in [one.loss for one in check_up(Holdings(mailboxes=(MAIL,), bound_passkeys=("Key",)))]
    assert Loss.DEVICE not in [one.loss for one in check_up(Holdings(mailboxes=(MAIL,), synced_passkeys=("Key",)))]


def test_a_mailbox_alone() -> None:
    held = Holdings(mailboxes=(MAIL,))
    assert after(held, Loss.PASSWORD) == LossOutcome(Loss.PASSWORD, (Way(WayKind.CODE, (MAIL,)), WAIT), Verdict.SAFE)
    assert after(held, Loss.MAILBOX) == LossOutcome(Loss.MAILBOX, (WAIT,), Verdict.SLOW)


def test_where_no_wait_is_offered_nothing_is_left() -> None:
    """R8."""
    held = Holdings(mailboxes=(MAIL,), waits=False)
    assert after(held, Loss.MAILBOX) == LossOutcome(Loss.MAILBOX, (), Verdict.SHUT_OUT)


def test_a_mailbox_and_a_phone_stand_in_for_one_another() -> None:
    held = Holdings(mailboxes=(MAIL,), phones=(PHONE,))
    assert quick(held, Loss.PHONE) == (Way(WayKind.CODE, (MAIL,)),)
    assert quick(held, Loss.MAILBOX) == (Way(WayKind.CODE, (PHONE,)),)
    assert quick(held, Loss.PASSWORD) == (Way(WayKind.CODE, (MAIL, PHONE)),)


def test_a_lost_phone_and_a_forgotten_password_are_a_dead_end_without_recovery_codes() -> None:
    """A11: the mailbox sets the password, and then does not let in alone."""
    held = Holdings(mailboxes=(MAIL,), phones=(PHONE,))
    assert after(held, Loss.PHONE_AND_PASSWORD) == LossOutcome(Loss.PHONE_AND_PASSWORD, (WAIT,), Verdict.SLOW)
    with_code = Holdings(mailboxes=(MAIL,), phones=(PHONE,), recovery_codes=1)
    assert after(with_code, Loss.PHONE_AND_PASSWORD).verdict is Verdict.SAFE
    two_boxes = Holdings(mailboxes=(MAIL, OTHER), phones=(PHONE,))
    assert quick(two_boxes, Loss.PHONE_AND_PASSWORD) == (Way(WayKind.CODE, (MAIL, OTHER)),)


def test_an_app_closes_codes_and_is_gone_with_the_phone() -> None:
    """A11: with no recovery codes, nothing but the wait is left."""
    held = Holdings(mailboxes=(MAIL,), apps=("My phone",))
    assert after(held, Loss.PHONE) == LossOutcome(Loss.PHONE, (WAIT,), Verdict.SLOW)
    assert quick(held, Loss.MAILBOX) == (Way(WayKind.APP, ("My phone",)),)
    assert quick(held, Loss.PASSWORD) == (Way(WayKind.APP, ("My phone",)),)
    kept = Holdings(mailboxes=(MAIL,), apps=("My phone",), recovery_codes=10)
    assert quick(kept, Loss.PHONE) == (Way(WayKind.RECOVERY_CODE),)
    assert quick(kept, Loss.PHONE_AND_PASSWORD) == (Way(WayKind.RECOVERY_CODE),)


def test_the_last_recovery_code_does_not_do_two_things() -> None:
    """R4: one sets the password, another lets in."""
    held = Holdings(phones=(PHONE,), apps=("My phone",), recovery_codes=1)
    assert after(held, Loss.PHONE_AND_PASSWORD).verdict is Verdict.SLOW
    assert after(Holdings(phones=(PHONE,), recovery_codes=2), Loss.PHONE_AND_PASSWORD).verdict is Verdict.SAFE


def test_a_passkey_lets_in_alone_and_may_have_been_on_the_phone() -> None:
    """U4."""
    held = Holdings(mailboxes=(MAIL,), phones=(PHONE,), bound_passkeys=("Laptop",))
    assert after(held, Loss.PHONE) == LossOutcome(
        Loss.PHONE, (Way(WayKind.BOUND_PASSKEY, ("Laptop",)), WAIT), Verdict.UNSURE
    )
    assert after(held, Loss.DEVICE) == LossOutcome(Loss.DEVICE, (WAIT,), Verdict.SLOW)
    assert quick(held, Loss.PASSWORD) == (Way(WayKind.PASSKEY, ("Laptop",)),)
    synced = Holdings(mailboxes=(MAIL,), phones=(PHONE,), synced_passkeys=("Cloud",))
    assert after(synced, Loss.PHONE_AND_PASSWORD).verdict is Verdict.SAFE


@pytest.mark.parametrize("loss", list(Loss))
def test_recovery_codes_and_a_second_contact_leave_no_loss_without_a_way(loss: Loss) -> None:
    held = Holdings(
        mailboxes=(MAIL,), phones=(PHONE,), apps=("App",), bound_passkeys=("Key",), recovery_codes=2, waits=False
    )
    assert after(held, loss).verdict is Verdict.SAFE
