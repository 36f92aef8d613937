"""Pushed authorization requests (RFC 9126): take one from an authenticated client, and find it when the user's browser brings it.

A request that waits for a proof of the user is stored under a new reference, as it continues afterwards. So what a client has pushed or
signed never stands in an address, and is answered once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import msgspec

from countersign.domain.oidc.authorization_request import (
    NO_CLIENT,
    PARAMETERS,
    PUSHED_LIFETIME,
    REQUEST_URI_PREFIX,
    AuthorizationErrorResponse,
    AuthorizationRequest,
    RequestSource,
    continued_query,
    error_of,
    parse_authorization_request,
)
from countersign.flows.oidc.client_authentication import read_request_object
from countersign.messages.custom.sanitize import MAX_SUMMARY, one_line
from countersign.store.tables import applications, pushed_requests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.domain.shared.application import Application
    from countersign.flows.accounts.context import AccountContext

CONTINUED_LIFETIME: Final = 60 * 60_000
"""Milliseconds that a request waits for the user: long enough to sign up, and to prove a contact."""
MIN_MAX_AGE_SECONDS: Final = 60
"""A request that continues after a proof accepts a proof of this age in seconds, however small its `max_age` is. Otherwise a `max_age` of
0 would ask for a proof again and again."""
MAX_REQUEST_URI: Final = 200

_CREDENTIALS: Final = frozenset({"client_secret", "client_assertion", "client_assertion_type", "request"})
_encode: Final = msgspec.json.Encoder().encode


class StoredRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """The parameters of a request. `is_continued`: the browser has brought it before, and it waits for a proof of the user."""

    client_id: str = msgspec.field(name="client")
    params: dict[str, str]
    source: RequestSource
    is_continued: bool = msgspec.field(name="continued", default=False)

    def __repr__(self) -> str:
        """Leave out the parameters: they may name a contact."""
        return f"StoredRequest({self.client_id})"


class ReceivedRequest(msgspec.Struct, frozen=True):
    """An authorization request as the browser brought it.

    `params` are its parameters wherever they came from. `key` and `request_uri` are those of the stored request that ends with the
    authorization code; empty if there is none.
    """

    client: Application
    params: Mapping[str, str]
    source: RequestSource
    key: bytes = b""
    request_uri: str = ""

    def __repr__(self) -> str:
        """Leave out the parameters and the reference: whoever has the reference continues the request."""
        return f"ReceivedRequest({self.client.id})"

    def parse(self) -> AuthorizationRequest | AuthorizationErrorResponse:
        """Return the valid request, or the error response to it."""
        return _parse(self.params, self.client, self.source)


class PushedRequest(msgspec.Struct, frozen=True):
    """A request that was pushed: its reference, and the seconds for which that is valid."""

    request_uri: str
    expires_in: int

    def __repr__(self) -> str:
        """Hide the reference."""
        return "PushedRequest(hidden)"


_decode: Final = msgspec.json.Decoder(StoredRequest).decode


def _parse(
    params: Mapping[str, str], client: Application, source: RequestSource
) -> AuthorizationRequest | AuthorizationErrorResponse:
    request = parse_authorization_request(params, client, source)
    if isinstance(request, AuthorizationErrorResponse) or request.requirement.action.is_empty:
        return request
    # A message leaves out whatever could be mistaken for a link. Something must be left of the act (semantics P4).
    if one_line(request.requirement.action.summary, MAX_SUMMARY):
        return request
    return error_of(params, client, "invalid_authorization_details", "Nothing of the summary can stand in a message.")


async def push_request(
    context: AccountContext, client: Application, params: Mapping[str, str]
) -> PushedRequest | AuthorizationErrorResponse:
    """Store the request of an authenticated client, and return its reference, or the error response.

    `params` are the parameters that the client posted. A request object among them replaces all others (RFC 9126, 3).
    """
    if "request_uri" in params:
        return AuthorizationErrorResponse("invalid_request", "A pushed request refers to no other request.")
    if params.get("client_id", client.id) != client.id:
        return AuthorizationErrorResponse("invalid_request", "client_id is not that of the authenticated application.")
    if "request" in params:
        signed = await read_request_object(context, client, params)
        if isinstance(signed, AuthorizationErrorResponse):
            return signed
        params = signed
    kept = {name: value for name, value in params.items() if name not in _CREDENTIALS} | {"client_id": client.id}
    request = _parse(kept, client, RequestSource.PUSHED)
    if isinstance(request, AuthorizationErrorResponse):
        return request
    uri = await _store(context, StoredRequest(client.id, kept, RequestSource.PUSHED), PUSHED_LIFETIME)
    return PushedRequest(uri, PUSHED_LIFETIME // 1_000)


async def receive_request(
    context: AccountContext, params: Mapping[str, str]
) -> ReceivedRequest | AuthorizationErrorResponse:
    """Return the request that a browser brings, by value, signed, or by reference. `params` are those of the query.

    A reference is used up by its first visit, and so is a signed request.
    """
    client = await context.database.read(applications.find, params.get("client_id", ""))
    if client is None or client.removed_at is not None:
        return NO_CLIENT
    if "request" in params and "request_uri" in params:
        return error_of(params, client, "invalid_request", "A request comes by value or by reference, not by both.")
    if "request_uri" in params:
        return await _find(context, client, params)
    if "request" in params:
        signed = await read_request_object(context, client, params)
        if isinstance(signed, AuthorizationErrorResponse):
            return signed
        return ReceivedRequest(client, signed, RequestSource.SIGNED)
    return ReceivedRequest(client, params, RequestSource.QUERY)


async def _find(
    context: AccountContext, client: Application, params: Mapping[str, str]
) -> ReceivedRequest | AuthorizationErrorResponse:
    uri = params["request_uri"]
    unknown = error_of(params, client, "invalid_request_uri", "The request_uri is unknown, used or expired.")
    if not uri.startswith(REQUEST_URI_PREFIX) or len(uri) > MAX_REQUEST_URI:
        return unknown
    key = context.token_hash(uri.removeprefix(REQUEST_URI_PREFIX))
    sealed = await context.database.read(pushed_requests.find, key, context.now())
    if sealed is None:
        return unknown
    stored = _decode(context.keyring.unseal(sealed, key.hex()))
    if stored.client_id != client.id:
        return unknown
    if stored.is_continued:
        return ReceivedRequest(client, stored.params, stored.source, key, uri)
    if not await context.database.run(pushed_requests.delete, key):
        return unknown
    return ReceivedRequest(client, stored.params, stored.source)


async def find_continued(
    context: AccountContext, client: Application, params: Mapping[str, str]
) -> dict[str, str] | None:
    """Return the parameters of a stored request that waits for the user, or None. It goes on waiting."""
    uri = params.get("request_uri", "")
    if not uri.startswith(REQUEST_URI_PREFIX) or len(uri) > MAX_REQUEST_URI:
        return None
    key = context.token_hash(uri.removeprefix(REQUEST_URI_PREFIX))
    sealed = await context.database.read(pushed_requests.find, key, context.now())
    if sealed is None:
        return None
    stored = _decode(context.keyring.unseal(sealed, key.hex()))
    return stored.params if stored.client_id == client.id and stored.is_continued else None


async def path_to_continue(context: AccountContext, received: ReceivedRequest) -> str:
    """Return the path of the same request as it continues after the proof: it does not ask for the same proof again."""
    kept = {name: value for name, value in received.params.items() if name != "prompt"}
    if kept.get("max_age", "").isdigit():
        kept["max_age"] = str(max(int(kept["max_age"]), MIN_MAX_AGE_SECONDS))
    if received.source is RequestSource.QUERY:
        return f"{context.links.authorize}?{continued_query(kept)}"
    uri = received.request_uri
    if not uri:
        stored = StoredRequest(received.client.id, kept, received.source, is_continued=True)
        uri = await _store(context, stored, CONTINUED_LIFETIME)
    # The pages look at the redirect_uri to know which form-action they must allow; the request itself is the stored one.
    visible = {"client_id": received.client.id, "redirect_uri": kept.get("redirect_uri", ""), "request_uri": uri}
    return f"{context.links.authorize}?{urlencode(visible)}"


async def _store(context: AccountContext, request: StoredRequest, lifetime: int) -> str:
    """Store what counts of a request, sealed, and return the reference under which it is found."""
    params = {name: value for name, value in request.params.items() if name in PARAMETERS}
    request = msgspec.structs.replace(request, params=params)
    secret = context.secret()
    key = context.token_hash(secret)
    sealed = context.keyring.seal(_encode(request).decode(), key.hex())
    await context.database.run(pushed_requests.add, key, sealed, context.now() + lifetime)
    return REQUEST_URI_PREFIX + secret
