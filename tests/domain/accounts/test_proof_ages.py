"""How long a proof counts: an approval for minutes, a level for the session's hours, and none that is of the future or another epoch."""

from __future__ import annotations

import msgspec
import pytest

from countersign.domain.accounts.session import (
    APPROVAL_LIFETIME,
    SESSION_LIFETIME,
    Level,
    Method,
    ProofRequirement,
    Session,
    SessionProof,
    current_level,
    in_epoch,
    into_epoch,
    satisfies,
)
from countersign.domain.verifications.challenge import Action

NOW = 1_800_000_000_000
ACT = ProofRequirement(Level.MAIL_CODE, None, Action("Pay 5", "5"))


def session(*proofs: SessionProof) -> Session:
    """Return a session with these proofs."""
    return Session(b"t", "ses_1", "acc_1", b"d", NOW, "", "", "", proofs, NOW, NOW + SESSION_LIFETIME)


@pytest.mark.parametrize(("age", "counts"), [(0, True), (APPROVAL_LIFETIME, True), (APPROVAL_LIFETIME + 1, False)])
def test_an_approval_is_worth_something_for_minutes(age: int, *, counts: bool) -> None:
    """U1."""
    approved = session(SessionProof(Method.MAIL_CODE, NOW - age, ACT.action_digest))
    assert satisfies(approved, ACT, NOW) is counts


@pytest.mark.parametrize(("age", "level"), [(SESSION_LIFETIME, Level.APP_CODE), (SESSION_LIFETIME + 1, Level.PASSWORD)])
def test_a_level_ends_after_the_hours_of_a_session(age: int, level: Level) -> None:
    """U3."""
    assert current_level(session(SessionProof(Method.APP_CODE, NOW - age)), NOW) is level


def test_a_proof_of_the_future_counts_for_nothing() -> None:
    """A clock that ran ahead and was set back leaves no proof that lasts for longer."""
    ahead = session(SessionProof(Method.APP_CODE, NOW + 1), SessionProof(Method.MAIL_CODE, NOW + 1, ACT.action_digest))
    assert current_level(ahead, NOW) is Level.PASSWORD
    assert not satisfies(ahead, ACT, NOW)
    assert not satisfies(ahead, ProofRequirement(Level.MAIL_CODE, 900), NOW)


def test_proofs_of_another_epoch_count_for_nothing() -> None:
    """A8: the session stays, at the lowest level."""
    proved = session(SessionProof(Method.APP_CODE, NOW))
    assert in_epoch(proved, proved.epoch) == proved
    after = in_epoch(proved, proved.epoch + 1)
    assert (after.proofs, after.epoch, current_level(after, NOW)) == ((), proved.epoch + 1, Level.PASSWORD)


def test_a_session_that_changes_its_account_keeps_what_still_stands() -> None:
    """P3, A8: the proofs by a contact or an authenticator that has ended are left behind."""
    proofs = (
        SessionProof(Method.PASSWORD, NOW),
        SessionProof(Method.MAIL_CODE, NOW, source="con_gone"),
        SessionProof(Method.SMS_CODE, NOW, source="con_left"),
    )
    before = msgspec.structs.replace(session(), proofs=proofs, epoch=3)
    after = into_epoch(before, 4, frozenset({"con_gone", "fac_gone"}))
    assert after == msgspec.structs.replace(before, proofs=(proofs[0], proofs[2]), epoch=4)
    assert into_epoch(before, 4, frozenset()).proofs == proofs
