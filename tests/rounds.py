"""How often tests repeat what goes wrong by chance: a kill, a race, a crowd.

`make test` repeats enough to see that everything still works; `ROUNDS=full make test` repeats as often as the documents say.
"""

from __future__ import annotations

import os
from typing import Final

FULL: Final = "full"
SHARE: Final = 5
"""Of so many rounds `make test` runs one."""


def is_full() -> bool:
    """Return True if everything is to be tried."""
    return os.environ.get("ROUNDS") == FULL


def rounds(full: int, share: int = SHARE) -> int:
    """Return how many rounds to run, of `full`."""
    return full if is_full() else max(1, full // share)
