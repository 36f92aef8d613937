"""When a deletion is due, and what ends it."""

from __future__ import annotations

from msgspec.structs import replace

from countersign.domain.accounts.account import Account
from countersign.domain.accounts.deletion import (
    DAY,
    is_deletion_due,
    is_deletion_pending,
    with_deletion,
    without_deletion,
)

ACCOUNT = Account("acc_1", 0, b"", "en", b"", 0, epoch=3)


def test_a_deletion_waits_for_its_delay_and_for_what_can_be_undone() -> None:
    """A2: whichever is later."""
    assert with_deletion(ACCOUNT, 100, delay=DAY, undoable_until=50).deletion_at == 100 + DAY
    assert with_deletion(ACCOUNT, 100, delay=DAY, undoable_until=9 * DAY).deletion_at == 9 * DAY


def test_a_deletion_counts_in_its_epoch_alone() -> None:
    """A8: and a closed account is kept."""
    asked = with_deletion(ACCOUNT, 0, delay=DAY, undoable_until=0)
    assert not is_deletion_pending(ACCOUNT)
    assert is_deletion_pending(asked)
    assert not is_deletion_due(asked, DAY - 1)
    assert is_deletion_due(asked, DAY)
    assert not is_deletion_due(replace(asked, epoch=4), DAY)
    assert not is_deletion_due(replace(asked, locked_at=1), DAY)
    assert not is_deletion_pending(without_deletion(asked))
