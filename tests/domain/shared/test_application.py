"""Applications: which keys work when, and what an app hash looks like."""

from __future__ import annotations

import msgspec
import pytest
from tests.clock import NOON

from countersign.domain.shared.application import ROTATION_OVERLAP, Application, ApplicationMode, is_app_hash

SHOP = Application("app_1", 0, "shop", ApplicationMode.LIVE, "Shop", "shop.example", (), b"new")
ROTATED = msgspec.structs.replace(SHOP, old_key_hash=b"old", old_until=NOON + ROTATION_OVERLAP)


def test_the_previous_key_works_for_a_day_after_a_rotation() -> None:
    assert ROTATED.accepts(b"new", NOON)
    assert ROTATED.accepts(b"old", NOON + ROTATION_OVERLAP - 1)
    assert not ROTATED.accepts(b"old", NOON + ROTATION_OVERLAP)
    assert not ROTATED.accepts(b"another", NOON)


def test_no_key_of_a_removed_application_works() -> None:
    removed = msgspec.structs.replace(ROTATED, removed_at=NOON)
    assert not removed.accepts(b"new", NOON)
    assert not removed.accepts(b"old", NOON)


def test_only_a_live_application_sends() -> None:
    assert SHOP.live
    assert not msgspec.structs.replace(SHOP, mode=ApplicationMode.TEST).live


@pytest.mark.parametrize(
    ("text", "valid"),
    [("FA+9qCX9VSu", True), ("FA+9qCX9VS", False), ("FA+9qCX9VSuu", False), ("FA-9qCX9VSu", False), ("", False)],
)
def test_an_app_hash_is_eleven_characters_of_base64(text: str, *, valid: bool) -> None:
    assert is_app_hash(text) is valid
