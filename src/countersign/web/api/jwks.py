"""The public keys that verify proofs (RFC 7517)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

CACHE: Final = "public, max-age=30"
"""Half of the time between a rotation and the first use of the new key (keys.ACTIVATION_DELAY), so that no client meets an unknown key."""


async def jwks(web: WebContext, _: Request, resp: Response) -> None:
    """GET /.well-known/jwks.json."""
    resp.json(msgspec.json.encode(web.keyring.jwks()), headers=(("Cache-Control", CACHE),))
