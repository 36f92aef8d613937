"""A session: what proofs are worth, for how long, and how they are told."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.domain.accounts.session import (
    LEVEL_OF_ACR,
    SESSION_LIFETIME,
    Level,
    Method,
    ProofRequirement,
    Session,
    SessionProof,
    SignInPolicy,
    amr_values,
    auth_time,
    authentication_event,
    current_level,
    is_enrolment_only,
    satisfies,
    with_approval_used,
    with_proof,
)
from countersign.domain.verifications.challenge import Action

NOW = 1_795_435_200_000
PROOFS = st.lists(
    st.builds(SessionProof, method=st.sampled_from(Method), proved_at=st.integers(NOW - 2 * SESSION_LIFETIME, NOW)),
    max_size=5,
).map(tuple)


def session(*proofs: SessionProof) -> Session:
    return Session(b"m", "ses_1", "acc_1", b"d", NOW, "", "", "", proofs, NOW, NOW + SESSION_LIFETIME)


def at(method: Method, ago: int = 0) -> SessionProof:
    return SessionProof(method, NOW - ago)


def test_levels_have_their_public_names_weakest_first() -> None:
    assert list(LEVEL_OF_ACR) == [
        f"urn:countersign:acr:{name}"
        for name in ("password", "trusted-device", "mail-code", "phone-code", "app-code", "passkey")
    ]


def test_a_code_by_mail_is_a_second_factor_at_a_lower_level_than_one_by_phone() -> None:
    """S10."""
    mail = session(at(Method.PASSWORD), at(Method.MAIL_CODE))
    phone = session(at(Method.PASSWORD), at(Method.SMS_CODE))
    assert current_level(mail, NOW) is Level.MAIL_CODE < current_level(phone, NOW) is Level.PHONE_CODE
    assert amr_values(mail, NOW) == ["pwd", "mail", "otp", "mfa"]
    assert amr_values(phone, NOW) == ["pwd", "sms", "otp", "mfa"]


def test_two_proofs_over_one_channel_are_not_two_factors() -> None:
    """U4: nor do a text and a call to one phone make more than one."""
    assert "mfa" not in amr_values(session(at(Method.MAIL_CODE, 1_000), at(Method.MAIL_CODE)), NOW)
    assert "mfa" not in amr_values(session(at(Method.SMS_CODE), at(Method.VOICE_CODE)), NOW)
    assert current_level(session(at(Method.SMS_CODE), at(Method.VOICE_CODE)), NOW) is Level.PHONE_CODE


def test_trust_in_a_browser_is_no_proof_by_the_user() -> None:
    """S5."""
    trusted = session(at(Method.PASSWORD), at(Method.TRUSTED_DEVICE))
    assert current_level(trusted, NOW) is Level.TRUSTED_DEVICE
    assert "mfa" not in amr_values(trusted, NOW)
    assert not satisfies(
        session(at(Method.PASSWORD, 60_000), at(Method.TRUSTED_DEVICE)), ProofRequirement(Level.PASSWORD, 30), NOW
    )


@given(PROOFS, st.sampled_from(Level), st.one_of(st.none(), st.integers(0, 100_000)))
def test_only_a_proof_that_is_strong_and_fresh_enough_satisfies_a_requirement(
    proofs: tuple[SessionProof, ...], level: Level, max_age: int | None
) -> None:
    """U1, U3."""
    one = session(*proofs)
    if satisfies(one, ProofRequirement(level, max_age), NOW):
        assert current_level(one, NOW, max_age) >= level
    assert current_level(one, NOW) <= max([Level.PASSWORD, *(current_level(session(proof), NOW) for proof in proofs)])
    assert current_level(one, NOW + 3 * SESSION_LIFETIME) is Level.PASSWORD


@given(PROOFS)
def test_a_level_is_reported_as_long_as_its_proof_is_valid(proofs: tuple[SessionProof, ...]) -> None:
    """U3: and `auth_time` is the newest true event."""
    one = session(*proofs)
    assert auth_time(one) == max((proof.proved_at for proof in proofs), default=NOW) // 1_000
    for proof in proofs:
        assert current_level(session(proof), proof.proved_at + SESSION_LIFETIME + 1) is Level.PASSWORD


def test_an_approval_counts_for_its_own_action_and_once() -> None:
    """U2."""
    requirement = ProofRequirement(Level.MAIL_CODE, None, Action("Pay €1", "h"))
    proof = SessionProof(Method.MAIL_CODE, NOW, requirement.action_digest)
    one = with_proof(session(at(Method.PASSWORD)), b"new", proof)
    assert one.token_hash == b"new"
    assert satisfies(one, requirement, NOW)
    assert not satisfies(one, ProofRequirement(Level.PHONE_CODE, None, requirement.action), NOW)
    assert not satisfies(one, ProofRequirement(Level.MAIL_CODE, None, Action("Pay €1", "other")), NOW)
    assert not satisfies(with_approval_used(one, requirement), requirement, NOW)
    assert ProofRequirement().action_digest == ""


ACT = ProofRequirement(Level.MAIL_CODE, None, Action("Pay €1", "h"), "con_1", "app_shop", "payment")
OTHER_ACTS = [
    msgspec.structs.replace(ACT, client_id="app_two"),
    msgspec.structs.replace(ACT, client_id=""),
    msgspec.structs.replace(ACT, kind="contact_removed"),
    msgspec.structs.replace(ACT, excluded_contact=""),
    msgspec.structs.replace(ACT, excluded_contact="con_2"),
    msgspec.structs.replace(ACT, action=Action("Pay €2", "h")),
    msgspec.structs.replace(ACT, action=Action("Pay €1", "i")),
    msgspec.structs.replace(ACT, action=Action("Pay €1h", "")),
    msgspec.structs.replace(ACT, action=Action("Pay €1\0h", "")),
    msgspec.structs.replace(ACT, client_id="", kind="client:app_shop"),
]


@pytest.mark.parametrize("other", OTHER_ACTS)
def test_an_approval_is_worth_nothing_to_another_audience(other: ProofRequirement) -> None:
    """P1: another client, our own pages, another kind, another exclusion, another act; and the other way round."""
    for given_for, asked_for in ((ACT, other), (other, ACT)):
        proof = SessionProof(Method.PASSKEY, NOW, given_for.action_digest)
        assert satisfies(session(proof), given_for, NOW)
        assert not satisfies(session(proof), asked_for, NOW)
        assert not satisfies(with_approval_used(session(proof), given_for), asked_for, NOW)
        assert with_approval_used(session(proof), asked_for) == session(proof)


def test_no_client_is_our_own_pages_whatever_its_id_is() -> None:
    """P1."""
    own = msgspec.structs.replace(ACT, client_id="")
    assert own.action_digest != msgspec.structs.replace(ACT, client_id="own").action_digest


def test_a_challenge_keeps_the_act_with_its_audience() -> None:
    """P1: its code joins no challenge of another audience."""
    kept = ACT.challenge_action
    assert (kept.summary, kept.hash, kept.digest) == ("Pay €1", "h", ACT.action_digest)
    assert kept != msgspec.structs.replace(ACT, client_id="app_two").challenge_action


def test_parts_of_an_act_cannot_be_shifted_into_one_another() -> None:
    """P1: what stands in one part cannot be taken for the beginning of the next."""
    digests = {
        ProofRequirement(Level.MAIL_CODE, None, Action(summary, hash_), without, client, kind).action_digest
        for client, kind, without, summary, hash_ in (
            ("a", "b", "c", "d", "e"),
            ("ab", "", "c", "d", "e"),
            ("a", "bc", "", "d", "e"),
            ("a", "b", "cd", "", "e"),
            ("a", "b", "c", "de", ""),
            ("", "ab", "c", "d", "e"),
        )
    }
    assert len(digests) == 6


@given(PROOFS, st.sampled_from(Method), st.one_of(st.none(), st.integers(0, 100_000)))
def test_the_approval_of_an_act_changes_nothing_else(
    proofs: tuple[SessionProof, ...], method: Method, max_age: int | None
) -> None:
    """P2: no level, no freshness, no method and no time, neither before it is used nor after."""
    before = session(*proofs)
    after = session(*proofs, SessionProof(method, NOW, ACT.action_digest))
    for one in (after, with_approval_used(after, ACT)):
        assert current_level(one, NOW, max_age) is current_level(before, NOW, max_age)
        assert amr_values(one, NOW) == amr_values(before, NOW)
        assert auth_time(one) == auth_time(before)
        for level in Level:
            requirement = ProofRequirement(level, max_age)
            assert satisfies(one, requirement, NOW) is satisfies(before, requirement, NOW)


def test_an_approval_takes_no_other_proof_away() -> None:
    """P2: the proof of the session by the same method stays, and so do approvals of other acts until they run out."""
    signed_in = session(at(Method.PASSWORD), at(Method.MAIL_CODE, 600_000))
    first = SessionProof(Method.MAIL_CODE, NOW, ACT.action_digest)
    approved = with_proof(signed_in, b"new", first)
    assert current_level(approved, NOW) is Level.MAIL_CODE
    twice = with_proof(approved, b"newer", SessionProof(Method.MAIL_CODE, NOW + 1, OTHER_ACTS[0].action_digest))
    assert satisfies(twice, ACT, NOW + 1)
    assert satisfies(twice, OTHER_ACTS[0], NOW + 1)
    later = with_proof(twice, b"last", SessionProof(Method.MAIL_CODE, NOW + 400_000))
    assert [proof.action_digest for proof in later.proofs] == ["", ""]


def test_an_approval_is_reported_in_the_answer_to_its_act_alone() -> None:
    """P2, U3."""
    one = session(at(Method.PASSWORD, 3_600_000), SessionProof(Method.MAIL_CODE, NOW, ACT.action_digest))
    answer = authentication_event(one, ACT, NOW)
    assert (answer.acr, answer.auth_time) == (Level.MAIL_CODE.acr, NOW // 1_000)
    assert answer.amr == ("pwd", "mail", "otp", "mfa")
    for requirement in (ProofRequirement(), OTHER_ACTS[0], ProofRequirement(max_age=100_000)):
        other = authentication_event(one, requirement, NOW)
        assert (other.acr, other.amr) == (Level.PASSWORD.acr, ("pwd",))
        assert other.auth_time == NOW // 1_000 - 3_600


def test_a_level_older_than_the_requested_age_is_not_reported() -> None:
    """U3."""
    one = session(at(Method.APP_CODE, 7_200_000), at(Method.MAIL_CODE))
    assert authentication_event(one, ProofRequirement(max_age=300), NOW).acr == Level.MAIL_CODE.acr
    assert authentication_event(one, ProofRequirement(), NOW).acr == Level.APP_CODE.acr


def test_an_approval_of_an_older_release_counts_for_nothing() -> None:
    """P1: it says neither who asked nor for what kind of act."""
    digest = hashlib.sha256(f"{ACT.action.summary}\0{ACT.action.hash}".encode()).hexdigest()
    old = session(SessionProof(Method.PASSKEY, NOW, digest))
    assert not satisfies(old, ACT, NOW)
    assert current_level(old, NOW) is Level.PASSWORD


@pytest.mark.parametrize(
    ("sent_codes", "method", "only"),
    [
        (True, Method.MAIL_CODE, False),
        (False, Method.MAIL_CODE, True),
        (False, Method.APP_CODE, False),
        (False, Method.PASSKEY, False),
    ],
)
def test_where_sent_codes_are_not_enough_such_a_session_may_only_enrol(
    *, sent_codes: bool, method: Method, only: bool
) -> None:
    """S10."""
    signed_in = session(at(Method.PASSWORD), at(method))
    assert is_enrolment_only(signed_in, SignInPolicy(sent_codes=sent_codes), NOW) is only


def test_proofs_are_stored_under_names_that_do_not_change() -> None:
    stored = b'{"method":"mail_code","at":5,"action":"x"}'
    assert msgspec.json.encode(SessionProof(Method.MAIL_CODE, 5, "x")) == stored
    assert msgspec.json.decode(stored, type=SessionProof) == SessionProof(Method.MAIL_CODE, 5, "x")
