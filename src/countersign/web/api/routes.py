"""The routes of the API: for applications, and for the programs of a signed-in person."""

from __future__ import annotations

from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from countersign.web.api import (
    changes,
    clock,
    health,
    integration_codes,
    jwks,
    me,
    oidc,
    receipts,
    verification_events,
    verifications,
)

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.http.router import Responder, Routes

HOT: Final = ("/v1/verifications", "/v1/verifications/{path_id}/check")
"""The routes that carry nearly all of the load."""

_CONTRACT: Final = (files("countersign.web") / "openapi.yaml").read_bytes()


def routes(web: WebContext) -> Routes:
    """Return the routes that need an application's key, a provider's signature, or nothing."""

    def on(handler: Responder) -> Responder:
        return partial(handler, web)

    return {
        "/v1/verifications": {"POST": on(verifications.begin)},
        "/v1/verifications/{path_id}": {"GET": on(verifications.get)},
        "/v1/verifications/{path_id}/check": {"POST": on(verifications.check)},
        "/v1/verifications/{path_id}/resend": {"POST": on(verifications.resend)},
        "/v1/verifications/{path_id}/cancel": {"POST": on(verifications.cancel)},
        "/v1/verifications/{path_id}/events": {"GET": on(verification_events.events)},
        "/v1/integration-codes/verify": {"POST": on(integration_codes.verify)},
        "/v1/receipts/{path_id}": {"GET": on(receipts.greeting), "POST": on(receipts.receipt)},
        "/test/clock": {"GET": on(clock.read), "POST": on(clock.move)},
        "/.well-known/jwks.json": {"GET": on(jwks.jwks)},
        "/.well-known/openid-configuration": {"GET": on(oidc.configuration)},
        oidc.PUSH: {"POST": on(oidc.push)},
        "/oauth/token": {"POST": on(oidc.token)},
        "/oauth/userinfo": {"GET": on(oidc.userinfo), "POST": on(oidc.userinfo)},
        "/oauth/introspect": {"POST": on(oidc.introspect)},
        "/oauth/revoke": {"POST": on(oidc.revoke)},
        "/openapi.yaml": {"GET": contract},
        "/health/live": {"GET": on(health.live)},
        "/health/ready": {"GET": health.Readiness(web).ready},
        "/metrics": {"GET": on(health.metrics)},
    }


def browser_routes(web: WebContext) -> Routes:
    """Return the routes that a session cookie opens too."""

    def on(handler: Responder) -> Responder:
        return partial(handler, web)

    return {
        "/v1/me/contacts": {"GET": on(me.contacts), "POST": on(changes.change_contacts)},
        "/v1/me/devices": {"GET": on(me.devices), "POST": on(changes.forget_devices)},
        "/v1/me/sessions": {"GET": on(me.sessions), "POST": on(changes.end_sessions)},
        "/v1/me/methods": {"GET": on(me.methods), "POST": on(changes.change_methods)},
        "/v1/me/integration-codes": {"GET": on(me.integration_codes), "POST": on(changes.change_integration_codes)},
        "/v1/me/changes": {"GET": on(me.changes_of), "POST": on(changes.change_changes)},
        "/v1/me/activity": {"GET": on(me.activity)},
    }


async def contract(_: Request, resp: Response) -> None:
    """GET /openapi.yaml."""
    resp.write(_CONTRACT, "application/yaml")
