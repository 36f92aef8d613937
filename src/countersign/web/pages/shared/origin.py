"""Where the latest login flow of a browser came from, so that whoever comes too late finds the way back (semantics J1)."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.accounts.login_flow import InterruptedRequest, LoginFlow, LoginFlowKind
from countersign.errors import CountersignError
from countersign.web.http.cookies import ORIGIN, keep
from countersign.web.pages.shared.word_pages import HOME

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

KEPT: Final = 7_200
"""Seconds."""
_MAX_COOKIE: Final = 3_800
_BOUND_TO: Final = "origin of a flow"


class FlowOrigin(msgspec.Struct, frozen=True, omit_defaults=True):
    """The kind of a flow, and the request that it interrupted, without its fields. `at` is in ms."""

    kind: LoginFlowKind
    interrupted: InterruptedRequest
    at: int


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(FlowOrigin).decode


def keep_origin_of(web: WebContext, req: Request, resp: Response, flow: LoginFlow) -> None:
    """Keep where a flow came from, unless that is kept already, or is the account itself."""
    then = InterruptedRequest(flow.interrupted.method, flow.interrupted.path)
    known = find_origin(web, req)
    is_known = known is not None and (known.kind, known.interrupted) == (flow.kind, then)
    leads_home = flow.kind in {LoginFlowKind.SIGN_UP, LoginFlowKind.SIGN_IN} and then.path == HOME
    if not is_known and not (leads_home and known is None):
        keep_origin(web, resp, flow.kind, then)


def keep_origin(web: WebContext, resp: Response, kind: LoginFlowKind, interrupted: InterruptedRequest) -> None:
    """Keep where a flow came from. It is sealed: an address may hold what an application has asked for."""
    text = _encode(FlowOrigin(kind, interrupted, web.accounts.now())).decode()
    sealed = base64.urlsafe_b64encode(web.keyring.seal(text, _BOUND_TO)).rstrip(b"=").decode()
    if len(sealed) <= _MAX_COOKIE:
        keep(resp, ORIGIN, sealed, KEPT)


def find_origin(web: WebContext, req: Request) -> FlowOrigin | None:
    """Return where the latest flow of this browser came from; None if that is not known any more."""
    written = req.get_cookie_values(ORIGIN) or []
    if len(written) != 1 or len(written[0]) > _MAX_COOKIE:
        return None
    try:
        sealed = base64.urlsafe_b64decode(written[0] + "=" * (-len(written[0]) % 4))
        origin = _decode(web.keyring.unseal(sealed, _BOUND_TO))
    except (binascii.Error, ValueError, CountersignError, msgspec.DecodeError):
        return None
    return origin if web.accounts.now() < origin.at + KEPT * 1_000 else None
