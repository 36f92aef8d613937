"""Flash messages: what came of a form, shown once on the page to which its POST redirects (semantics J2).

A message is sealed, and kept in a cookie of the browser that sent the form. So a reload repeats nothing, and nobody else reads it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import falcon
import msgspec

from countersign.errors import CountersignError
from countersign.web.http.cookies import FLASH, drop, keep

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

KEPT: Final = 1_800
"""Seconds: a form that a sign-in interrupted waits for as long as the sign-in may take."""
MAX_VALUE: Final = 900
"""Characters that are kept of each value: whatever is longer was not typed by a person."""
MAX_VALUES: Final = 8
_FAULTS: Final = frozenset({"wrong", "refusal", "passkey", "fault"})
"""The values that say that something was wrong, besides those whose name ends in `_fault`."""
_MAX_COOKIE: Final = 3_800
_BOUND_TO: Final = "flash message"


class FlashMessage(msgspec.Struct, frozen=True):
    """What the page at `path` shows once. `at` (ms) is when the form was sent."""

    path: str
    at: int
    values: dict[str, str]

    def __repr__(self) -> str:
        """Leave out what was typed."""
        return f"FlashMessage({self.path})"


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(FlashMessage).decode


def keep_flash(web: WebContext, resp: Response, path: str, values: Mapping[str, str]) -> None:
    """Keep what the page at `path` shows once. No secret may be among `values`: no password and no code."""
    kept = {name: value[:MAX_VALUE] for name, value in list(values.items())[:MAX_VALUES] if value}
    message = FlashMessage(path, web.accounts.now(), kept)
    text = _encode(message).decode()
    sealed = base64.urlsafe_b64encode(web.keyring.seal(text, _BOUND_TO)).rstrip(b"=").decode()
    if len(sealed) <= _MAX_COOKIE:
        keep(resp, FLASH, sealed, KEPT)


def redirect_with(web: WebContext, resp: Response, path: str, values: Mapping[str, str], query: str = "") -> None:
    """Redirect to the page at `path`, which shows `values` once."""
    keep_flash(web, resp, path, values)
    resp.redirect(f"{path}?{query}" if query else path)


def read_flash(web: WebContext, req: Request, path: str) -> Mapping[str, str]:
    """Return what the page at `path` says of the last form; empty if there is nothing for it."""
    message = _read(web, req)
    return message.values if message is not None and message.path == path else {}


def take_flash(web: WebContext, req: Request, resp: Response, path: str) -> Mapping[str, str]:
    """Return what the page at `path` shows once, and forget it; empty if there is nothing for it. A fault makes the answer 422."""
    values = read_flash(web, req, path)
    if values:
        drop(resp, FLASH)
    if values.keys() & _FAULTS or any(name.endswith("_fault") for name in values):
        # A password manager keeps no password whose form comes back with such a status.
        resp.status = falcon.HTTP_422
    return values


def _read(web: WebContext, req: Request) -> FlashMessage | None:
    written = req.get_cookie_values(FLASH) or []
    if len(written) != 1 or len(written[0]) > _MAX_COOKIE:
        return None
    try:
        sealed = base64.urlsafe_b64decode(written[0] + "=" * (-len(written[0]) % 4))
        message = _decode(web.keyring.unseal(sealed, _BOUND_TO).encode("utf-8", "surrogatepass"))
    except (binascii.Error, ValueError, CountersignError, msgspec.DecodeError):
        return None
    return message if web.accounts.now() < message.at + KEPT * 1_000 else None
