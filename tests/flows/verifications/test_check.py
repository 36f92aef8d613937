"""Answer: a guess is spent for good, the right one approves once, and the approval can be proved."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from joserfc import jwk, jwt
from tests.clock import MINUTE, NOON, SECOND, FixedClock
from tests.flows.place import BANK, SHOP, Place, done, place_at, refused, says

from countersign.domain.policy import InstallationPolicy
from countersign.domain.shared.event import EventKind
from countersign.domain.verifications.challenge import Action, ChallengeState, Refusal
from countersign.domain.verifications.code import Alphabet, CodeShape
from countersign.domain.verifications.purpose import Policy, ResendMode
from countersign.flows.verifications.check import CheckCommand, sign_proof
from countersign.flows.verifications.get import get_challenge
from countersign.flows.verifications.results import Missing
from countersign.keys import rotate_file, to_hash

if TYPE_CHECKING:
    from pathlib import Path


async def test_the_right_code_approves_and_the_approval_is_durable(each_place: Place, clock: FixedClock) -> None:
    place = each_place
    challenge = await place.begun()
    clock.forward(MINUTE)
    approved = done(await place.answer(challenge, place.code(challenge))).challenge
    assert (approved.state, approved.ended_at, approved.guesses) == (ChallengeState.APPROVED, NOON + MINUTE, 1)
    assert await place.stored(challenge) == approved
    assert await place.kinds(challenge) == {EventKind.CHALLENGE_BEGUN: 1, EventKind.CHALLENGE_APPROVED: 1}


async def test_a_spent_guess_survives_a_refusal(each_place: Place) -> None:
    """C5: it is written before anybody hears of it."""
    place = each_place
    challenge = await place.begun()
    for left in (4, 3, 2, 1, 0):
        answer = refused(await place.answer(challenge, place.wrong(challenge)))
        assert answer.refusal is Refusal.WRONG_CODE
        assert answer.challenge is not None
        assert answer.challenge.guesses_left == left
        assert (await place.stored(challenge)).guesses_left == left
    spent = refused(await place.answer(challenge, place.code(challenge)))
    assert spent.refusal is Refusal.EXHAUSTED
    assert await place.kinds(challenge) == {
        EventKind.CHALLENGE_BEGUN: 1,
        EventKind.CHALLENGE_REFUSED: 4,
        EventKind.CHALLENGE_EXHAUSTED: 1,
    }


async def test_a_code_is_accepted_once(each_place: Place) -> None:
    """C3: whoever sends it again hears that it was approved already, and gets nothing for it."""
    place = each_place
    challenge = await place.begun()
    done(await place.answer(challenge, place.code(challenge)))
    for typed in (place.code(challenge), place.wrong(challenge)):
        assert refused(await place.answer(challenge, typed)).refusal is Refusal.ALREADY_APPROVED
    assert (await place.stored(challenge)).guesses == 1


@pytest.mark.parametrize(
    ("after", "refusal"), [(9 * MINUTE + 59 * SECOND, None), (10 * MINUTE + SECOND, Refusal.EXPIRED)]
)
async def test_a_code_is_worth_nothing_ten_minutes_after_its_first_message(
    each_place: Place, clock: FixedClock, after: int, refusal: Refusal | None
) -> None:
    """C2: and a resend does not extend it."""
    place = each_place
    challenge = await place.begun()
    clock.forward(9 * MINUTE)
    done(await place.resend(challenge))
    clock.forward(after - 9 * MINUTE)
    outcome = await place.answer(challenge, place.code(challenge))
    assert getattr(outcome, "refusal", None) is refusal
    if refusal is not None:
        stored = await place.stored(challenge)
        assert (stored.state, stored.ended_at, stored.guesses) == (ChallengeState.EXPIRED, NOON + 10 * MINUTE, 0)
        assert (await place.kinds(challenge))[EventKind.CHALLENGE_EXPIRED] == 1


async def test_an_unknown_challenge_and_another_applications_are_alike(place: Place) -> None:
    """C4: an application cannot even learn that it exists."""
    challenge = await place.begun()
    assert await place.answer(challenge, place.code(challenge), BANK) == Missing()
    assert await place.cancel(challenge, BANK) == Missing()
    assert await place.resend(challenge, application=BANK) == Missing()
    assert await get_challenge(place.core, BANK, challenge.id) is None
    seen = await get_challenge(place.core, SHOP, challenge.id)
    assert seen is not None
    assert seen.challenge == challenge, "nothing was spent"


async def test_typing_like_a_person_is_forgiven(sqlite_url: str, tmp_path: Path) -> None:
    """C9: in every flow."""
    rules = InstallationPolicy(
        policies={"sign_in": Policy(CodeShape(8, Alphabet.ALPHANUMERIC))}, destination=(), requester=()
    )
    async with place_at(sqlite_url, tmp_path, rules=rules) as place:
        challenge = await place.begun()
        code = place.code(challenge)
        done(await place.answer(challenge, f" {code[:4].lower()}-{code[4:].lower()} "))


@pytest.mark.parametrize(
    ("resend", "right"), [(ResendMode.SAME, {0}), (ResendMode.NEW, {1}), (ResendMode.OVERLAP, {0, 1})]
)
async def test_which_codes_work_after_a_resend_is_the_policys_word(
    sqlite_url: str, tmp_path: Path, resend: ResendMode, right: set[int]
) -> None:
    """C7: guesses and expiry are shared in each."""
    rules = InstallationPolicy(policies={"sign_in": Policy(resend=resend)}, destination=(), requester=())
    async with place_at(sqlite_url, tmp_path, rules=rules) as place:
        for round_ in range(3):
            challenge = await place.begun(action=Action(hash=str(round_)))
            refused(await place.answer(challenge, place.wrong(challenge)))
            place.clock.forward(30 * SECOND)
            again = done(await place.resend(challenge)).challenge
            assert (again.guesses_left, again.expires_at) == (4, challenge.expires_at)
            outcome = await place.answer(challenge, place.code(challenge, round_))
            assert (getattr(outcome, "refusal", None) is None) == (round_ in right)


async def test_an_approval_can_be_proved_to_a_site_that_knows_the_address(place: Place) -> None:
    """C4: the proof names application, subject, purpose and action."""
    challenge = await place.begun(purpose="step_up", action=Action("Pay 10 EUR", "abc"))
    approved = done(await place.answer(challenge, place.code(challenge))).challenge
    signed = sign_proof(place.core, approved)
    claims = jwt.decode(
        signed, jwk.KeySet.import_key_set(json.loads(json.dumps(place.keyring.jwks()))), algorithms=["ES256"]
    ).claims
    assert (claims["aud"], claims["sub"], claims["jti"]) == ("app_shop", "user-42", challenge.id)
    assert (claims["purpose"], claims["action"]) == ("step_up", {"summary": "Pay 10 EUR", "hash": "abc"})
    assert claims["to_hash"] == to_hash("ada@example.org")
    assert claims["iat"] == NOON // 1_000
    assert "ada" not in str(claims)
    assert sign_proof(place.core, await place.stored(challenge)) == signed


async def test_a_rotation_under_way_breaks_neither_the_code_nor_the_proof(
    place: Place, clock: FixedClock, tmp_path: Path
) -> None:
    """O2: a challenge keeps the key it was begun with."""
    challenge = await place.begun()
    code = place.code(challenge)
    rotate_file(tmp_path / "keys.json", clock())
    clock.forward(2 * MINUTE)
    place.keyring._looked_at = 0.0
    other = await place.begun("eve@example.org")
    assert other.terms.kid != challenge.terms.kid
    assert await place.deliver() == 2
    assert says(place.inbox.sent[0], code)
    approved = done(await place.answer(challenge, code)).challenge
    assert place.keyring.verified(sign_proof(place.core, approved)) is not None
    done(await place.answer(other, place.code(other)))


async def test_the_command_shows_a_log_nothing_of_what_was_typed(place: Place) -> None:
    """C8: its repr is the challenge's id."""
    assert repr(CheckCommand("ver_1", "app_1", "918273", place.keyring)) == "CheckCommand(ver_1)"
