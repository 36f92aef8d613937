"""Integration codes: a service verifies a code that it received."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from countersign.flows.changes.integration_codes import verify_code
from countersign.web.api.verifications import RequesterBody
from countersign.web.http.authentication import application_of
from countersign.web.http.json_body import decoded, json_of
from countersign.web.http.timestamps import instant

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response


class VerifyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A verification request: the code, and the address that it was used from, as the service saw it."""

    code: Annotated[str, Meta(min_length=1, max_length=200)]
    requester: RequesterBody = RequesterBody()

    def __repr__(self) -> str:
        """Hide the code."""
        return "VerifyBody()"


class Active(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer. For an invalid code, `active` alone."""

    active: bool
    subject: str = ""
    scopes: tuple[str, ...] = ()
    expires_at: str = ""


_verify: Final = msgspec.json.Decoder(VerifyBody).decode
_encode: Final = msgspec.json.Encoder().encode


async def verify(web: WebContext, req: Request, resp: Response) -> None:
    """POST /v1/integration-codes/verify."""
    application = await application_of(web, req)
    body = decoded(_verify, await json_of(req))
    where = web.accounts.place(body.requester.ip) or body.requester.ip
    used_from = f"{application.site or application.name}{f', {where}' if where else ''}"
    found = await verify_code(web.accounts, body.code, used_from)
    if found is None:
        resp.json(_encode(Active(active=False)))
    else:
        resp.json(_encode(Active(True, found.account, found.scopes, instant(found.expires_at))))
