"""Integration codes: a service asks what one that it was handed opens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from countersign.flows.changes.integration_codes import verify_code
from countersign.web.api.verifications import RequesterBody
from countersign.web.http.authentication import caller
from countersign.web.http.body import decoded, json_of
from countersign.web.http.request import Reply
from countersign.web.http.templates import instant

if TYPE_CHECKING:
    from countersign.web.http.context import Desk
    from countersign.web.http.request import Call


class VerifyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a verification brings: the code, and where it was used from, as the service saw it."""

    code: Annotated[str, Meta(min_length=1, max_length=200)]
    requester: RequesterBody = RequesterBody()

    def __repr__(self) -> str:
        """Hide the code."""
        return "VerifyBody()"


class Active(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is answered; for a code that opens nothing, that alone."""

    active: bool
    subject: str = ""
    scopes: tuple[str, ...] = ()
    expires_at: str = ""


_verify: Final = msgspec.json.Decoder(VerifyBody).decode
_encode: Final = msgspec.json.Encoder().encode


async def verify(desk: Desk, call: Call) -> Reply:
    """POST /v1/integration-codes/verify."""
    application = await caller(desk, call)
    body = decoded(_verify, await json_of(call))
    context = desk.runtime.accounts
    where = context.place(body.requester.ip) or body.requester.ip
    used_from = f"{application.site or application.name}{f', {where}' if where else ''}"
    found = await verify_code(context, body.code, used_from)
    if found is None:
        return Reply(200, _encode(Active(active=False)))
    return Reply(200, _encode(Active(True, found.account, found.scopes, instant(found.expires_at))))
