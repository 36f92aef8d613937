"""How often tests repeat what goes wrong by chance: a kill, a race, a crowd.

`make test` repeats enough to see that everything still works. `ROUNDS=full make test` repeats as often as the documents say, and tries all
variants (tests.parallel). `ROUNDS=long` tries histories for an hour on top.
"""

from __future__ import annotations

import os
from typing import Final

FULL: Final = "full"
LONG: Final = "long"
SHARE: Final = 5
"""Of so many rounds `make test` runs one."""


def is_full() -> bool:
    """Return True if everything is to be tried."""
    return os.environ.get("ROUNDS") in {FULL, LONG}


def rounds(full: int, share: int = SHARE, *, long: int | None = None) -> int:
    """Return how many rounds to run, of `full`; of `long`, if everything is to be tried at length."""
    if long is not None and os.environ.get("ROUNDS") == LONG:
        return long
    return full if is_full() else max(1, full // share)
