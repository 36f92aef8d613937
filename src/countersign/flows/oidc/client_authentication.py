"""Read what a client signed: its authentication at the OAuth endpoints, or an authorization request. Each JWT is accepted once.

Sources: RFC 7523 and OpenID Connect Core 1.0, 9 (`private_key_jwt`); RFC 9101 (request objects).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from countersign.client_keys import unverified_subject, verify
from countersign.domain.oidc.authorization_request import AuthorizationErrorResponse, error_of
from countersign.domain.oidc.client_jwt import assertion_fault, request_object_fault, request_parameters
from countersign.store.tables import applications, single_use

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.domain.shared.application import Application
    from countersign.flows.accounts.context import AccountContext


async def authenticate_by_assertion(
    context: AccountContext, assertion: str, client_id: str, endpoint: str
) -> Application | None:
    """Return the client that signed this assertion, or None.

    `client_id` is that of the request, empty if it names none, and `endpoint` is the address that the client posts to. The assertion may be
    addressed to our issuer, to the token endpoint or to `endpoint` (RFC 9126, 2).
    """
    subject = unverified_subject(assertion)
    if not subject or client_id not in {"", subject}:
        return None
    client = await context.database.read(applications.find, subject)
    if client is None or client.removed_at is not None:
        return None
    signed = verify(assertion, client.jwks)
    if signed is None:
        return None
    fault = assertion_fault(
        signed.claims,
        signed.type,
        client_id=client.id,
        audiences={context.links.issuer, context.links.token, endpoint},
        now=context.now() // 1_000,
    )
    if fault or not await _take(context, "client assertion", client, signed.claims):
        return None
    return client


async def read_request_object(
    context: AccountContext, client: Application, params: Mapping[str, str]
) -> dict[str, str] | AuthorizationErrorResponse:
    """Return the parameters of a request object, `params["request"]`, or the error response to it.

    The parameters beside it do not count (RFC 9101, 6.3). They only say where the error response may be sent.
    """
    signed = verify(params["request"], client.jwks)
    if signed is None:
        return _invalid(params, client, "no registered key of the application signed it by ES256, RS256 or PS256")
    fault = request_object_fault(
        signed.claims,
        signed.type,
        client_id=client.id,
        issuer=context.links.issuer,
        now=context.now() // 1_000,
    )
    if fault:
        return _invalid(params, client, fault)
    parameters = request_parameters(signed.claims)
    if parameters is None:
        return _invalid(params, client, "a parameter is neither text, nor a number, nor a list")
    if not await _take(context, "request object", client, signed.claims):
        return _invalid(params, client, "it was used before")
    return parameters


async def _take(context: AccountContext, label: str, client: Application, claims: Mapping[str, Any]) -> bool:
    """Use a JWT up; return False if its `jti` was used before."""
    key = context.keyring.blind_index(label, client.id, claims["jti"])
    issued_at = (int(claims["iat"]) + 1) * 1_000 if "iat" in claims else None
    return await context.database.run(single_use.take, key, (int(claims["exp"]) + 1) * 1_000, issued_at)


def _invalid(params: Mapping[str, str], client: Application, fault: str) -> AuthorizationErrorResponse:
    return error_of(params, client, "invalid_request_object", f"The request object is not valid: {fault}.")
