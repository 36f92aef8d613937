"""Somebody walks away with the whole database and its WAL, but not with the key file."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import sqlite3
from typing import TYPE_CHECKING

from tests.clock import FixedClock
from tests.flows.place import place_at

from countersign.domain.verifications.challenge import Action
from countersign.domain.verifications.code import CodeShape, derive
from countersign.keys import Keyring, new_file

if TYPE_CHECKING:
    from pathlib import Path

    from tests.flows.place import Place

    from countersign.domain.verifications.challenge import Challenge

SECRETS = ("ada.lovelace@example.org", "+14155550123", "ada.lovelace", "4155550123")


def loot(folder: Path) -> dict[str, bytes]:
    """Return every file of the database, while the program runs."""
    return {path.name: path.read_bytes() for path in folder.glob("countersign.db*")}


def numbers_in(raw: bytes) -> set[bytes]:
    """Return every run of exactly six digits that stands by itself."""
    spaced = bytes(byte if 48 <= byte <= 57 else 32 for byte in raw)
    return {word for word in spaced.split() if len(word) == 6}


async def live(place: Place) -> list[Challenge]:
    """Leave challenges under way in every way: delivered, guessed at, resent."""
    begun = []
    for number in range(40):
        to = SECRETS[0] if number % 2 else SECRETS[1]
        challenge = await place.begun(to, action=Action("Change e-mail", str(number)), subject=f"user-{number}")
        if number % 3 == 0:
            await place.answer(challenge, place.wrong(challenge))
        begun.append(challenge)
    await place.deliver()
    return begun


async def test_no_file_of_the_database_holds_a_code_or_a_contact(sqlite_url: str, tmp_path: Path) -> None:
    """C8: not in the rows, not in the WAL, not in the queue, not in the log, and no digest of a code either."""
    async with place_at(sqlite_url, tmp_path) as place:
        challenges = await live(place)
        files = loot(tmp_path)
        assert "countersign.db-wal" in files
        assert sum(map(len, files.values())) > 50_000, "the loot is too small to show anything"
        codes = {place.code(challenge).encode() for challenge in challenges}
        for name, raw in files.items():
            assert not codes & numbers_in(raw), name
            for secret in SECRETS:
                assert secret.encode() not in raw, f"a contact stands in {name}"
                assert secret.encode("utf-16-le") not in raw
            for code in codes:
                for digest in ("sha256", "sha1", "md5"):
                    assert hashlib.new(digest, code).digest() not in raw
                    assert hashlib.new(digest, code).hexdigest().encode() not in raw


async def test_every_code_fits_every_stolen_challenge_equally_well(sqlite_url: str, tmp_path: Path) -> None:
    """C8: trying all codes against the loot tells nothing, since nothing in it depends on the code."""
    async with place_at(sqlite_url, tmp_path) as place:
        challenge = await place.begun(SECRETS[0])
        code = place.code(challenge)
        raw = await asyncio.to_thread(lambda: b"".join(loot(tmp_path).values()))
        with sqlite3.connect(f"file:{tmp_path / 'countersign.db'}?mode=ro", uri=True) as thief:
            row = thief.execute("SELECT * FROM challenges").fetchone()
        thief.close()
        public = [value if isinstance(value, bytes) else str(value).encode() for value in row]
        for guess in {code, *(f"{number:06}" for number in range(0, 1_000_000, 4_999))}:
            for part in public:
                made = (
                    hashlib.sha256(part + guess.encode()),
                    hmac.new(part, guess.encode(), "sha256"),
                    hmac.new(guess.encode(), part, "sha256"),
                )
                assert not any(digest.digest() in raw or digest.hexdigest().encode() in raw for digest in made)


async def test_without_the_key_file_the_same_derivation_gives_other_codes(sqlite_url: str, tmp_path: Path) -> None:
    """C8: the thief has the program too, and a key of their own."""
    new_file(tmp_path / "thief.json", 0)
    thief = Keyring(tmp_path / "thief.json", FixedClock())
    async with place_at(sqlite_url, tmp_path) as place:
        challenges = await live(place)
        shape = CodeShape()
        hits = sum(derive(thief.primary.code, one.id, 0, shape).reveal() == place.code(one) for one in challenges)
        assert hits <= 1, "one in a million each"


async def test_a_contact_cannot_be_looked_up_by_who_has_a_list_of_all(sqlite_url: str, tmp_path: Path) -> None:
    """C8: blind indexes are keyed, so a list of addresses does not find its rows."""
    async with place_at(sqlite_url, tmp_path) as place:
        await live(place)
        raw = b"".join(loot(tmp_path).values())
    for secret in SECRETS[:2]:
        for digest in ("sha256", "blake2b", "md5"):
            found = hashlib.new(digest, secret.encode()).digest()
            assert found not in raw
            assert found[:16] not in raw
        assert hashlib.blake2b(secret.encode(), digest_size=16).digest() not in raw
