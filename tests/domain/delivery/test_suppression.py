"""Suppressions: which failure replaces which."""

from __future__ import annotations

from countersign.domain.delivery.delivery import Reason
from countersign.domain.delivery.suppression import DURATION, is_superseded_by, lift, new_suppression


def test_what_comes_again_prolongs_nothing_and_a_complaint_outweighs() -> None:
    first = new_suppression(b"k", "a***@example.org", Reason.UNKNOWN_RECIPIENT, "first", 1_000)
    again = new_suppression(b"k", "a***@example.org", Reason.UNKNOWN_RECIPIENT, "first", 2_000)
    complaint = new_suppression(b"k", "a***@example.org", Reason.BLOCKED, "first", 2_000)
    assert is_superseded_by(None, first, 0)
    assert not is_superseded_by(first, again, 1_500)
    assert is_superseded_by(first, complaint, 1_500)
    assert not is_superseded_by(complaint, again, 1_500)
    assert not is_superseded_by(lift(first, 1_800), again, 1_800)
    assert is_superseded_by(lift(first, 1_800), again, 1_801)
    assert DURATION[Reason.BLOCKED] > DURATION[Reason.UNKNOWN_RECIPIENT]
