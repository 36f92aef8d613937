"""How a recovery code is stored: by a keyed hash that forgives how people type it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from countersign.flows.accounts.authenticator import recovery_code_hash

if TYPE_CHECKING:
    from tests.flows.place import Place

CODE = "abcd-ef01-2345-6789"


@pytest.mark.parametrize(
    "typed", ["ABCD-EF01-2345-6789", " abcd ef01 2345 6789 ", "abcdefol23456789", "abcd\u2013efoi-2345-6789"]
)
def test_a_recovery_code_is_the_same_however_it_is_typed(place: Place, typed: str) -> None:
    assert recovery_code_hash(place.accounts, typed) == recovery_code_hash(place.accounts, CODE)


def test_another_recovery_code_has_another_hash_and_the_code_does_not_stand_in_it(place: Place) -> None:
    stored = recovery_code_hash(place.accounts, CODE)
    assert stored != recovery_code_hash(place.accounts, CODE.replace("9", "8"))
    assert b"abcd" not in stored
