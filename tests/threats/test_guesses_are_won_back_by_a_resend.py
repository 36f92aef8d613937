"""Somebody asks for message after message, hoping that each brings new guesses, more time, or a second right code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.clock import MINUTE, SECOND
from tests.flows.place import done, place_at, refused

from countersign.domain.policy import InstallationPolicy
from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.challenge import ChallengeState, Refusal
from countersign.domain.verifications.purpose import Policy, ResendMode

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("resend", list(ResendMode))
@pytest.mark.parametrize("how", ["resend", "begin again", "redirect"])
async def test_no_new_message_brings_a_guess_back(
    sqlite_url: str, tmp_path: Path, resend: ResendMode, how: str
) -> None:
    """C5: a resend, a new code or a new session gives none back."""
    rules = InstallationPolicy(policies={"sign_in": Policy(resend=resend)}, destination=(), requester=())
    async with place_at(sqlite_url, tmp_path, rules=rules) as place:
        challenge = await place.begun("+14155550123", device="session 5")
        for left in (4, 3, 2, 1):
            refused(await place.answer(challenge, place.wrong(challenge)))
            place.clock.forward(30 * SECOND)
            if how == "resend":
                again = done(await place.resend(challenge))
            elif how == "redirect":
                again = done(await place.resend(challenge, Channel.VOICE if left % 2 else Channel.SMS))
            else:
                again = done(await place.begin("+14155550123", device=f"session {left}", ip=f"203.0.113.{left}"))
            assert again.challenge.id == challenge.id
            assert again.challenge.guesses_left == left
            assert again.challenge.expires_at == challenge.expires_at
        refused(await place.answer(challenge, place.wrong(challenge)))
        stored = await place.stored(challenge)
        assert stored.state is ChallengeState.EXHAUSTED
        for round_ in range(5):
            assert refused(await place.answer(challenge, place.code(challenge, round_))).refusal is Refusal.EXHAUSTED


async def test_a_resend_at_the_last_second_brings_no_more_time(sqlite_url: str, tmp_path: Path) -> None:
    """C2: the message that arrives late holds a code that is over."""
    rules = InstallationPolicy(destination=(), requester=())
    async with place_at(sqlite_url, tmp_path, rules=rules) as place:
        challenge = await place.begun()
        place.clock.forward(10 * MINUTE - 1)
        done(await place.resend(challenge))
        place.clock.forward(1)
        assert refused(await place.answer(challenge, place.code(challenge))).refusal is Refusal.EXPIRED
        assert await place.deliver() == 0
