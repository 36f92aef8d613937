"""The web application: every route of the API on one screen, the pages beside it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import falcon
import falcon.asgi

from countersign.web import pages
from countersign.web.api import (
    changes,
    clock,
    events_stream,
    health,
    integration_codes,
    jwks,
    me,
    receipts,
    verifications,
)
from countersign.web.api import oidc as oauth
from countersign.web.http.context import Desk
from countersign.web.http.problems import problem
from countersign.web.http.request import Call, Reply
from countersign.web.http.router import Endpoint, Front, Routes, broken

if TYPE_CHECKING:
    from countersign.wiring import Runtime

_CONTRACT: Final = files("countersign.web") / "openapi.yaml"


def routes() -> Routes:
    """Return every route of the API; `{}` is the id or the name in it."""
    return {
        "/v1/verifications": {"POST": verifications.begin},
        "/v1/verifications/{}": {"GET": verifications.get},
        "/v1/verifications/{}/check": {"POST": verifications.check},
        "/v1/verifications/{}/resend": {"POST": verifications.resend},
        "/v1/verifications/{}/cancel": {"POST": verifications.cancel},
        "/v1/verifications/{}/events": {"GET": events_stream.events},
        "/v1/me/contacts": {"GET": me.contacts, "POST": changes.change_contacts},
        "/v1/me/devices": {"GET": me.devices, "POST": changes.forget_devices},
        "/v1/me/sessions": {"GET": me.sessions, "POST": changes.end_sessions},
        "/v1/me/methods": {"GET": me.methods, "POST": changes.change_methods},
        "/v1/me/integration-codes": {"GET": me.integration_codes, "POST": changes.change_integration_codes},
        "/v1/me/changes": {"GET": me.changes_of, "POST": changes.change_changes},
        "/v1/me/activity": {"GET": me.activity},
        "/v1/integration-codes/verify": {"POST": integration_codes.verify},
        "/v1/receipts/{}": {"GET": receipts.greeting, "POST": receipts.receipt},
        "/test/clock": {"GET": clock.read, "POST": clock.move},
        "/.well-known/jwks.json": {"GET": jwks.jwks},
        "/.well-known/openid-configuration": {"GET": oauth.configuration},
        "/oauth/token": {"POST": oauth.token},
        "/oauth/userinfo": {"GET": oauth.who, "POST": oauth.who},
        "/oauth/introspect": {"POST": oauth.look_into},
        "/oauth/revoke": {"POST": oauth.let_go},
        "/openapi.yaml": {"GET": _contract()},
        "/health/live": {"GET": health.live},
        "/health/ready": {"GET": health.Readiness()},
        "/metrics": {"GET": health.metrics},
    }


def make_app(runtime: Runtime, *, worker_alive: Callable[[], bool]) -> Front:
    """Return the ASGI application that serves a Runtime; `worker_alive` says whether messages are being delivered."""
    app = falcon.asgi.App()
    app.req_options.strip_url_path_trailing_slash = False
    app.set_error_serializer(_serialize)
    app.add_error_handler(Exception, _last_resort)
    pages.add_routes(app, runtime)
    return Front(Desk(runtime, worker_alive), routes(), app)


def _contract() -> Endpoint:
    reply = Reply(200, _CONTRACT.read_bytes(), b"application/yaml")

    async def contract(_: Desk, __: Call) -> Reply:
        return reply

    return contract


def _serialize(_: falcon.asgi.Request, response: falcon.asgi.Response, error: falcon.HTTPError) -> None:
    """Say what a page's address could not do as the API would; the page itself answers what it can."""
    names = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "not_json"}
    _fill(response, problem(names.get(error.status_code, "malformed"), status=error.status_code))


async def _last_resort(_: falcon.asgi.Request, response: falcon.asgi.Response, error: Exception, __: object) -> None:
    reply = broken(error)
    response.status = reply.status
    _fill(response, reply)


def _fill(response: falcon.asgi.Response, reply: Reply) -> None:
    response.data = reply.body
    response.content_type = reply.type.decode()
