"""Somebody makes up a "this wasn't me" link, to end a challenge that is another's."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from tests.clock import FixedClock
from tests.flows.place import Place

from countersign.domain.verifications.challenge import ChallengeState
from countersign.flows.verifications.cancel import find_reported, is_genuine, not_me_reference, report_challenge
from countersign.flows.verifications.results import Missing
from countersign.keys import Keyring, new_file


def mark(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.fixture
def thief(tmp_path: Path) -> Keyring:
    new_file(tmp_path / "thief.json", 0)
    return Keyring(tmp_path / "thief.json", FixedClock())


async def test_a_link_without_the_mark_of_our_keys_ends_nothing(place: Place, thief: Keyring) -> None:
    """R3: the address holds no secret of the challenge, and cannot be computed from its id."""
    victim, mine = await place.begun(), await place.begun("eve@example.org")
    own = not_me_reference(place.keyring, mine.id)
    genuine = not_me_reference(place.keyring, victim.id)
    forged = [
        victim.id,
        f"{victim.id}.",
        f"{victim.id}.{own.partition('.')[2]}",
        f"{victim.id}.{mark(hashlib.sha256(victim.id.encode()).digest()[:16])}",
        f"{victim.id}.{mark(bytes(16))}",
        genuine[:-4],
        genuine[:-1] + ("A" if genuine[-1] != "A" else "Q"),
        genuine + "AAAA",
        genuine.upper(),
        not_me_reference(thief, victim.id),
    ]
    for reference in forged:
        assert await find_reported(place.core, reference) is None, reference
        assert await report_challenge(place.core, reference) == Missing()
    assert (await place.stored(victim)).state is ChallengeState.PENDING


async def test_a_genuine_link_names_its_own_challenge_and_gives_nothing_away(place: Place) -> None:
    """C8: neither code nor contact stands in an address."""
    challenge = await place.begun()
    reference = not_me_reference(place.keyring, challenge.id)
    assert place.code(challenge) not in reference
    assert "ada" not in reference
    found = await find_reported(place.core, reference)
    assert found is not None
    assert found.id == challenge.id


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


async def test_every_character_of_a_mark_counts(place: Place) -> None:
    """R3: base64 leaves bits of its last character unused, and decoders skip what is no letter of theirs; no twin opens anything."""
    victim = await place.begun()
    genuine = not_me_reference(place.keyring, victim.id)
    twins = [genuine[:-1] + letter for letter in ALPHABET if letter != genuine[-1]]
    twins += [genuine + sign for sign in ("=", "==", " ", "\n", ".", "\u00e9", "\ud800")]
    twins += [genuine[:-5] + sign + genuine[-5:] for sign in ("\n", "!", " ")]
    twins += [genuine.replace("_", "/").replace("-", "+") + "=", f"{victim.id}\n.{genuine.partition('.')[2]}"]
    for twin in twins:
        assert not is_genuine(place.keyring, twin), twin
        assert await find_reported(place.core, twin) is None
        assert await report_challenge(place.core, twin) == Missing()
    assert await find_reported(place.core, genuine) is not None
