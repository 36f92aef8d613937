"""The house: what every flow stands on."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from countersign.domain.policy import InstallationPolicy
from countersign.keys import Keyring
from countersign.store.engine.database import Database
from countersign.store.ledger.ledger import Ledger


class CoreContext(msgspec.Struct, frozen=True):
    """A ledger, a database to read from, keys, rules, and where time and chance come from.

    `clock` returns milliseconds since the epoch; `chance(n)` returns n random bytes.
    """

    database: Database
    ledger: Ledger
    keyring: Keyring
    rules: InstallationPolicy
    clock: Callable[[], int]
    chance: Callable[[int], bytes]
