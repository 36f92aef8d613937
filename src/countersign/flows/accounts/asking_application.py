"""The application on whose behalf a person is here, found by the path at which the person goes on (semantics J6).

What a link says of it is believed only as far as the operator registered it: the application, its name and its redirect URI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

import msgspec

from countersign.messages.custom.sanitize import MAX_SITE, one_line
from countersign.store.tables import applications

if TYPE_CHECKING:
    from countersign.domain.accounts.login_flow import InterruptedRequest
    from countersign.domain.shared.application import Application
    from countersign.flows.accounts.context import AccountContext

MAX_PARAMETERS: Final = 40


def authorization_parameters(context: AccountContext, path: str) -> dict[str, str]:
    """Return the parameters of the authorization request at `path`; none if it is another path, or malformed."""
    where, _, query = path.partition("?")
    if where != context.links.authorize:
        return {}
    try:
        pairs = parse_qsl(query, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        return {}
    return dict(reversed(pairs))


async def find_asking_application(context: AccountContext, path: str) -> Application | None:
    """Return the application to which the authorization request at `path` leads back, or None."""
    params = authorization_parameters(context, path)
    if not params:
        return None
    client = await context.database.read(applications.find, params.get("client_id", ""))
    if client is None or client.removed_at is not None or params.get("redirect_uri", "") not in client.redirect_uris:
        return None
    return client


def shown_name(context: AccountContext, client: Application | None) -> str:
    """Return the registered name of an application for people; empty if there is none, or if it is this very site."""
    site = one_line(client.site, MAX_SITE) if client is not None else ""
    return "" if site.casefold() == context.own.site.casefold() else site


async def with_asker(context: AccountContext, interrupted: InterruptedRequest) -> InterruptedRequest:
    """Return the request with the name of the application that it leads back to, for the pages and messages of its flow."""
    asker = shown_name(context, await find_asking_application(context, interrupted.path))
    return msgspec.structs.replace(interrupted, asker=asker)
