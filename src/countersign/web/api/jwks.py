"""The public keys that proofs are checked with (RFC 7517)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.web.http.request import Reply

if TYPE_CHECKING:
    from countersign.web.http.context import Desk
    from countersign.web.http.request import Call

CACHE: Final = b"public, max-age=30"
"""Half of the time between a rotation and the new key's use (keys.ACTIVATION_DELAY): nobody meets a key they could not know."""


async def jwks(desk: Desk, _: Call) -> Reply:
    """GET /.well-known/jwks.json."""
    return Reply(200, msgspec.json.encode(desk.core.keyring.jwks()), cache=CACHE)
