"""Keys that are retired: what they may still do, until when, and what is refused afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.clock import MINUTE, NOON, FixedClock

from countersign.errors import SettingsError
from countersign.keys import (
    LATE_READER,
    LONGEST_CODE,
    LONGEST_TOKEN,
    REREAD_AFTER,
    Keyring,
    close_keys,
    new_file,
    read_file,
    retire_key,
    rotate_file,
)

if TYPE_CHECKING:
    from pathlib import Path

CLAIMS: dict[str, Any] = {"sub": "user-42"}


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "keys.json"
    new_file(made, NOON)
    return made


def published(keyring: Keyring) -> set[str]:
    keyring._looked_at -= REREAD_AFTER + 1
    return {key["kid"] for key in keyring.jwks()["keys"]}


def test_the_active_key_is_not_retired(path: Path, clock: FixedClock) -> None:
    """K1: and the answer says what to do first."""
    (old,) = read_file(path).keys
    with pytest.raises(SettingsError, match="countersign keys rotate"):
        retire_key(path, old.kid, clock())
    rotate_file(path, clock())
    with pytest.raises(SettingsError, match="is the active key"):
        retire_key(path, old.kid, clock())
    with pytest.raises(SettingsError, match="There is no key k00000000"):
        retire_key(path, "k00000000", clock())
    assert all(key.retired_at is None for key in read_file(path).keys)


def test_a_retired_key_leaves_the_published_keys_when_its_longest_token_has_ended(
    path: Path, clock: FixedClock
) -> None:
    """K1: a token that it signed in its last moment is right until it ends; the same bytes are refused afterwards."""
    running = Keyring(path, clock)
    old = running.primary
    new, _ = rotate_file(path, clock())
    clock.forward(MINUTE + LONGEST_CODE)
    proof, identity = old.sign(CLAIMS), old.sign_identity(CLAIMS)
    retire_key(path, old.kid, clock())
    assert published(running) == {old.kid, f"{old.kid}-id", new, f"{new}-id"}
    assert running.signing(old.kid).kid == running.primary.kid == new, "a retired key signs nothing"
    clock.forward(LONGEST_TOKEN)
    assert (running.verified(proof), running.verified_identity(identity)) == (CLAIMS, CLAIMS)
    clock.forward(LATE_READER)
    for keyring in (running, Keyring(path, clock)):
        assert published(keyring) == {new, f"{new}-id"}
        assert keyring.verified(proof) is None
        assert keyring.verified_identity(identity) is None
        assert keyring.verified(running.primary.sign(CLAIMS)) == CLAIMS


def test_a_key_that_was_replaced_long_ago_leaves_at_once(path: Path, clock: FixedClock) -> None:
    """K1: its last token ended before it was retired."""
    running = Keyring(path, clock)
    old = running.primary.kid
    new, _ = rotate_file(path, clock())
    clock.forward(60 * MINUTE)
    assert published(running) == {old, f"{old}-id", new, f"{new}-id"}, "it is published until it is retired"
    retire_key(path, old, clock())
    assert published(running) == {new, f"{new}-id"}


def test_a_retired_key_still_opens_what_it_sealed_until_it_is_closed(path: Path, clock: FixedClock) -> None:
    """K1: codes and seals that are under way go on, and then nothing of it is accepted."""
    running = Keyring(path, clock)
    old = running.primary.kid
    sealed = running.seal("ada@example.org", "acc_1")
    rotate_file(path, clock())
    clock.forward(MINUTE)
    retire_key(path, old, clock())
    close_keys(path, lambda _: [old], clock())
    published(running)
    assert running.unseal(sealed, "acc_1") == "ada@example.org"
    clock.forward(LONGEST_CODE + LATE_READER - 1)
    assert running.named(old).code
    clock.forward(1)
    for keyring in (running, Keyring(path, clock)):
        with pytest.raises(SettingsError, match="was retired"):
            keyring.unseal(sealed, "acc_1")
        with pytest.raises(SettingsError, match="was retired"):
            keyring.named(old)
        assert [key.state for key in keyring.states()] == ["closed", "in_use"]


def test_a_key_that_is_not_retired_is_not_closed(path: Path, clock: FixedClock) -> None:
    """K1."""
    (old,) = read_file(path).keys
    rotate_file(path, clock())
    clock.forward(60 * MINUTE)
    assert close_keys(path, lambda stored: [key.kid for key in stored.keys], clock()) == []
    assert Keyring(path, clock).named(old.kid).kid == old.kid


def test_a_key_that_is_retired_before_its_time_never_signs(path: Path, clock: FixedClock) -> None:
    """K1: as when the copy of a new key got lost."""
    running = Keyring(path, clock)
    old = running.primary.kid
    lost, _ = rotate_file(path, clock())
    retire_key(path, lost, clock())
    clock.forward(60 * MINUTE)
    assert published(running) == {old, f"{old}-id"}
    assert running.primary.kid == old
    with pytest.raises(SettingsError, match="is the active key"):
        retire_key(path, old, clock())


def test_retiring_twice_changes_nothing(path: Path, clock: FixedClock) -> None:
    """K1: the time of the first stays."""
    (old,) = read_file(path).keys
    rotate_file(path, clock())
    clock.forward(60 * MINUTE)
    first = retire_key(path, old.kid, clock())
    clock.forward(MINUTE)
    assert retire_key(path, old.kid, clock()) == first


def test_a_file_that_has_retired_every_key_does_not_start(path: Path, clock: FixedClock) -> None:
    """O2."""
    path.write_bytes(path.read_bytes().replace(b'"seals": 2', b'"seals": 2, "retired_at": 1'))
    with pytest.raises(SettingsError, match="retired every key"):
        Keyring(path, clock)


def test_each_seal_has_a_key_of_its_own(path: Path, clock: FixedClock) -> None:
    """K3: no two begin alike, and a key of an older release goes on as before until it is replaced."""
    new = Keyring(path, clock)
    assert new.primary.by_record
    seals = {new.primary.seal(b"ada@example.org", b"acc_1")[:25] for _ in range(2_000)}
    assert len(seals) == 2_000
    assert {one[:1] for one in seals} == {b"\x02"}
    path.write_bytes(path.read_bytes().replace(b',\n      "seals": 2', b""))
    older = Keyring(path, clock)
    assert not older.primary.by_record
    assert len(older.primary.seal(b"x", b"")) == 12 + 1 + 16, "as the release before opens it"
    assert older.unseal(new.seal("ada", "acc_1"), "acc_1") == new.unseal(older.seal("ada", "acc_1"), "acc_1") == "ada"


def test_a_checkpoint_of_a_retired_key_is_told_from_one_of_a_published_key(path: Path, clock: FixedClock) -> None:
    """K1, O1: whoever has the leaked key signs a log of their own, and it counts only if a later checkpoint names it."""
    running = Keyring(path, clock)
    old = running.primary
    signed = old.sign(CLAIMS)
    assert running.verified_checkpoint(signed) == (CLAIMS, True)
    rotate_file(path, clock())
    clock.forward(MINUTE + LONGEST_CODE)
    retire_key(path, old.kid, clock())
    clock.forward(LONGEST_TOKEN + LATE_READER)
    assert published(running).isdisjoint({old.kid})
    assert running.verified_checkpoint(signed) == (CLAIMS, False)
    assert running.verified_checkpoint(signed + "x") == (None, False)
