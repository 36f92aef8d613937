"""The settings of `[accounts]`: what people may do with their own accounts."""

from typing import Annotated

import msgspec

from countersign.domain.accounts.deletion import DAY, DeletionPolicy
from countersign.setting import Described


class AccountSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[accounts]`."""

    deletion_days: Annotated[
        int,
        msgspec.Meta(ge=1, le=30),
        Described(
            "Days from the moment when people ask for the deletion of their accounts to the deletion. Every contact is told, and can stop it."
            " It takes longer while a change of the account can still be undone. Regulation (EU) 2016/679, article 12(3), has a month."
        ),
    ] = 14

    @property
    def deletion(self) -> DeletionPolicy:
        """Return this setting as the flows use it."""
        return DeletionPolicy(delay=self.deletion_days * DAY)
