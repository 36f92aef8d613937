"""Dependencies shared by all flows: database, ledger, keys, policy, links, clock and randomness."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from countersign.domain.policy import InstallationPolicy
from countersign.domain.shared.application import Application, ApplicationMode
from countersign.geolocation import GeoDatabase
from countersign.keys import Keyring
from countersign.links import Links
from countersign.store.engine.database import Database
from countersign.store.ledger.ledger import Ledger

OWN_ID: Final = "app_own"
"""The application in whose name our own pages ask for codes: it has no row and no key, so nobody else can ask in its name."""


class CoreContext(msgspec.Struct, frozen=True):
    """What every flow needs. The contexts of delivery and of accounts contain it.

    `clock()` returns milliseconds since the epoch; `random_bytes(n)` returns n random bytes. `own` is the application of our own
    pages.
    """

    database: Database
    ledger: Ledger
    keyring: Keyring
    policy: InstallationPolicy
    links: Links
    own: Application
    geolocation: GeoDatabase
    clock: Callable[[], int]
    random_bytes: Callable[[int], bytes]

    def now(self) -> int:
        """Return the time in milliseconds since the epoch."""
        return self.clock()


def own_application(site: str, host: str) -> Application:
    """Return the application of our own pages; `site` is its name in messages, `host` the host that people see."""
    return Application(OWN_ID, 0, "", ApplicationMode.LIVE, site, host, (), b"")
