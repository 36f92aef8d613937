"""A client's JWT: accepted once, from this client, also by fifty requests at the same moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.flows.oidc.test_authorize import asked, shop
from tests.flows.signing import assertion_claims, jwks, request_claims, signed

from countersign.domain.oidc.authorization_request import AuthorizationErrorResponse
from countersign.domain.shared.application import Application
from countersign.flows.maintenance.applications import set_application_keys
from countersign.flows.oidc.client_authentication import authenticate_by_assertion, read_request_object

if TYPE_CHECKING:
    from tests.flows.place import Place

__all__ = ["shop"]

PAR = "https://verify.example/oauth/par"


async def test_fifty_uses_of_one_assertion_authenticate_once(home: Place, shop: Application) -> None:
    """P5, C3."""
    await set_application_keys(home.database, home.accounts.log, "shop", 1, jwks=jwks())
    assertion = signed(assertion_claims(shop.id, home.core.links.issuer, home.clock()))
    found = await asyncio.gather(
        *(authenticate_by_assertion(home.accounts, assertion, shop.id, PAR) for _ in range(50))
    )
    assert [one.id for one in found if one is not None] == [shop.id]


async def test_fifty_uses_of_one_request_object_are_taken_once(home: Place, shop: Application) -> None:
    """P5, C3."""
    client = await set_application_keys(home.database, home.accounts.log, shop.name, 1, jwks=jwks())
    request = signed(request_claims(asked(client), client.id, home.core.links.issuer, home.clock()))
    found = await asyncio.gather(*(read_request_object(home.accounts, client, {"request": request}) for _ in range(50)))
    assert sum(not isinstance(one, AuthorizationErrorResponse) for one in found) == 1


async def test_keys_that_were_replaced_sign_nothing_more(home: Place, shop: Application) -> None:
    """P5."""
    await set_application_keys(home.database, home.accounts.log, "shop", 1, jwks=jwks())
    await set_application_keys(home.database, home.accounts.log, "shop", 2, jwks="")
    assertion = signed(assertion_claims(shop.id, home.core.links.issuer, home.clock()))
    assert await authenticate_by_assertion(home.accounts, assertion, "", PAR) is None
