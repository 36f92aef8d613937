"""The settings of `[events]`: how long the event log is kept."""

from __future__ import annotations

from typing import Annotated

import msgspec

from countersign.domain.shared.month import LogRetention
from countersign.setting import Described


class EventSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[events]`."""

    keep_months: Annotated[
        int,
        msgspec.Meta(ge=0, le=1_200),
        Described(
            "Full months of the event log that are kept beside the present one; older ones are dropped. 0 keeps all of them. Only a month"
            " is dropped of which `countersign events confirm` was told that its export is kept elsewhere."
        ),
    ] = 0
    drop_unexported: Annotated[
        bool,
        Described("Whether months older than that are dropped although nobody confirmed that their export is kept."),
    ] = False

    @property
    def retention(self) -> LogRetention:
        """Return these settings as the upkeep uses them."""
        return LogRetention(self.keep_months, self.drop_unexported)
