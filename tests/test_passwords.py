"""Passwords: hashed with what is asked for, verified in the same time for nobody, and looked up among those that are known."""

from __future__ import annotations

import asyncio
import hashlib
import statistics
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from countersign.errors import OverloadedError, SettingsError
from countersign.passwords import WAITING, Passwords

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    """Give two threads."""
    made = Passwords(2)
    yield made
    made.close()


async def test_a_hash_is_argon2id_with_the_least_parameters_and_a_salt_of_its_own(passwords: Passwords) -> None:
    """S9."""
    one, other = await passwords.hash("correct horse"), await passwords.hash("correct horse")
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert one != other
    Argon2id.verify_phc_encoded(b"correct horse", one)
    assert (await passwords.verify("correct horse", one)).right
    assert not (await passwords.verify("correct horsf", one)).right


@pytest.mark.parametrize("password", ["pass\0word!", "\ud800 half", "🔑" * 256, " " * 8])
async def test_every_text_is_a_password(passwords: Passwords, password: str) -> None:
    """S9."""
    hashed = await passwords.hash(password)
    assert (await passwords.verify(password, hashed)).right
    assert not (await passwords.verify(password + " ", hashed)).right


async def test_a_hash_of_weaker_parameters_is_right_and_stale(passwords: Passwords) -> None:
    """S9."""
    weak = Argon2id(salt=b"s" * 16, length=32, iterations=1, lanes=1, memory_cost=8_192).derive_phc_encoded(b"correct")
    found = await passwords.verify("correct", weak)
    assert found.right
    assert found.stale
    assert not (await passwords.verify("correct", await passwords.hash("correct"))).stale


async def test_nobody_takes_as_long_as_somebody(passwords: Passwords) -> None:
    """S1: within the noise of the same against the same."""
    hashed = await passwords.hash("correct horse")

    async def took(known: str | None) -> float:
        began = time.perf_counter()
        assert not (await passwords.verify("wrong", known)).right
        return time.perf_counter() - began

    some, none = [], []
    for _ in range(12):
        some.append(await took(hashed))
        none.append(await took(None))
    assert 0.6 < statistics.median(none) / statistics.median(some) < 1.6


async def test_more_than_can_be_served_are_turned_away(passwords: Passwords) -> None:
    """S1, H1: a bounded queue, and an error that says so."""
    outcomes = await asyncio.gather(
        *(passwords.verify("x", None) for _ in range(2 * WAITING + 10)), return_exceptions=True
    )
    assert sum(isinstance(outcome, OverloadedError) for outcome in outcomes) == 10
    assert not (await passwords.verify("x", None)).right


async def test_common_passwords_are_known_in_any_case(passwords: Passwords) -> None:
    """S9."""
    assert await passwords.known_fault("PassWord1") == "common"
    assert await passwords.known_fault("correct horse battery") == ""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
async def test_breached_passwords_are_found_wherever_they_stand(tmp_path: Path, end: str) -> None:
    """S9: at both ends of the file and between, in a file with counts, and nothing else is found."""
    known = [f"breached password {number}" for number in range(500)]
    digests = sorted(hashlib.sha1(word.encode(), usedforsecurity=False).hexdigest().upper() for word in known)
    path = tmp_path / "pwned.txt"
    path.write_text(end.join(f"{digest}:{number}" for number, digest in enumerate(digests)) + end, newline="")
    passwords = Passwords(1, path)
    try:
        assert {await passwords.known_fault(word) for word in known} == {"breached"}
        assert {await passwords.known_fault(f"{word}!") for word in known} == {""}
    finally:
        passwords.close()


@pytest.mark.parametrize("text", ["", "not digests\n", "5BAA61E4\n"])
def test_a_file_that_holds_something_else_stops_the_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pwned.txt"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"passwords\.breached_file"):
        Passwords(1, path)
