"""A session: what proofs are worth, for how long, and how they are told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from countersign.domain.accounts.session import (
    LASTS,
    LEVELS,
    Level,
    Method,
    ProofRequirement,
    Session,
    SessionProof,
    amr_of,
    auth_time_of,
    level_of,
    meets,
    with_approval_used,
    with_proof,
)
from countersign.domain.verifications.challenge import Action

NOW = 1_795_435_200_000
PROOFS = st.lists(
    st.builds(SessionProof, method=st.sampled_from(Method), at=st.integers(NOW - 2 * LASTS, NOW)), max_size=5
).map(tuple)


def session(*proofs: SessionProof) -> Session:
    return Session(b"m", "ses_1", "acc_1", b"d", NOW, "", "", "", proofs, NOW, NOW + LASTS)


def at(method: Method, ago: int = 0) -> SessionProof:
    return SessionProof(method, NOW - ago)


def test_levels_have_their_public_names_weakest_first() -> None:
    assert list(LEVELS) == [
        f"urn:countersign:acr:{name}"
        for name in ("password", "trusted-device", "mail-code", "phone-code", "app-code", "passkey")
    ]


def test_a_code_by_mail_is_a_second_proof_and_is_told_as_the_weaker_one() -> None:
    """S10."""
    mail = session(at(Method.PASSWORD), at(Method.MAIL_CODE))
    phone = session(at(Method.PASSWORD), at(Method.SMS_CODE))
    assert level_of(mail, NOW) is Level.MAIL_CODE < level_of(phone, NOW) is Level.PHONE_CODE
    assert amr_of(mail, NOW) == ["pwd", "mail", "otp", "mfa"]
    assert amr_of(phone, NOW) == ["pwd", "sms", "otp", "mfa"]


def test_two_proofs_over_one_channel_are_not_two_factors() -> None:
    """U4: nor do a text and a call to one phone make more than one."""
    assert "mfa" not in amr_of(session(at(Method.MAIL_CODE, 1_000), at(Method.MAIL_CODE)), NOW)
    assert "mfa" not in amr_of(session(at(Method.SMS_CODE), at(Method.VOICE_CODE)), NOW)
    assert level_of(session(at(Method.SMS_CODE), at(Method.VOICE_CODE)), NOW) is Level.PHONE_CODE


def test_trust_is_nothing_that_was_shown() -> None:
    """S5."""
    trusted = session(at(Method.PASSWORD), at(Method.TRUSTED_DEVICE))
    assert level_of(trusted, NOW) is Level.TRUSTED_DEVICE
    assert "mfa" not in amr_of(trusted, NOW)
    assert not meets(
        session(at(Method.PASSWORD, 60_000), at(Method.TRUSTED_DEVICE)), ProofRequirement(Level.PASSWORD, 30), NOW
    )


@given(PROOFS, st.sampled_from(Level), st.one_of(st.none(), st.integers(0, 100_000)))
def test_a_need_is_met_by_a_proof_that_is_strong_and_fresh_enough_and_by_nothing_else(
    proofs: tuple[SessionProof, ...], level: Level, max_age: int | None
) -> None:
    """U1, U3."""
    one = session(*proofs)
    need = ProofRequirement(level, max_age)
    if meets(one, need, NOW):
        assert level_of(one, NOW, max_age) >= level
    assert level_of(one, NOW) <= max([Level.PASSWORD, *(level_of(session(proof), NOW) for proof in proofs)])
    assert level_of(one, NOW + 3 * LASTS) is Level.PASSWORD


@given(PROOFS)
def test_a_level_is_told_for_as_long_as_it_lasts(proofs: tuple[SessionProof, ...]) -> None:
    """U3: and `auth_time` is the newest true event."""
    one = session(*proofs)
    assert auth_time_of(one) == max((proof.at for proof in proofs), default=NOW) // 1_000
    for proof in proofs:
        assert level_of(session(proof), proof.at + LASTS + 1) is Level.PASSWORD


def test_an_act_is_approved_for_itself_and_once() -> None:
    """U2."""
    need = ProofRequirement(Level.MAIL_CODE, None, Action("Pay €1", "h"))
    proof = SessionProof(Method.MAIL_CODE, NOW, need.digest)
    one = with_proof(session(at(Method.PASSWORD)), b"new", proof)
    assert one.mark == b"new"
    assert meets(one, need, NOW)
    assert not meets(one, ProofRequirement(Level.PHONE_CODE, None, need.action), NOW)
    assert not meets(one, ProofRequirement(Level.MAIL_CODE, None, Action("Pay €1", "other")), NOW)
    assert not meets(with_approval_used(one, need), need, NOW)
    assert meets(with_approval_used(one, need), ProofRequirement(Level.MAIL_CODE, 60), NOW)
    assert ProofRequirement().digest == ""
