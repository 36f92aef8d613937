"""The deletion of an account by its owner: when it is due, and what ends the wish. Pure rules on the account's row.

none --its owner asks for it, with a proof---> waiting
waiting --its owner cancels it---------------> none
waiting --the account changes (its epoch)----> none
waiting --its delay is over------------------> the account is erased
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

if TYPE_CHECKING:
    from countersign.domain.accounts.account import Account

DAY: Final = 86_400_000


class DeletionPolicy(msgspec.Struct, frozen=True):
    """How long an account waits to be deleted, in milliseconds."""

    delay: int = 14 * DAY


class DeletionRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """The wish to delete an account. It counts in the epoch in which it was made, and in no other (semantics A8).

    `asked_at` is in milliseconds since the epoch of the clock, `epoch` that of the account.
    """

    asked_at: int = msgspec.field(name="asked", default=0)
    epoch: int = 0


def is_deletion_pending(account: Account) -> bool:
    """Return True if the account waits to be deleted: asked for in its present epoch, and not canceled."""
    return account.deletion_at is not None and account.deletion.epoch == account.epoch


def is_deletion_due(account: Account, now: int) -> bool:
    """Return True if the account is to be erased at `now` (ms). A closed account is kept: somebody may be taking it back."""
    return is_deletion_pending(account) and account.open and now >= (account.deletion_at or 0)


def with_deletion(account: Account, now: int, *, delay: int, undoable_until: int) -> Account:
    """Return the account with its deletion asked for at `now` (ms).

    It waits for `delay` (ms), and in any case until the last change can no longer be undone (`undoable_until`, ms). Otherwise a thief would
    delete what the owner of a contact that was removed lately could still take back.
    """
    due = max(now + delay, undoable_until)
    return replace(account, deletion_at=due, deletion=DeletionRequest(asked_at=now, epoch=account.epoch))


def without_deletion(account: Account) -> Account:
    """Return the account with its deletion canceled."""
    return replace(account, deletion_at=None, deletion=DeletionRequest())
