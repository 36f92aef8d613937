"""The hot routes: beginning a verification and checking a code, answered by the same handlers without Falcon's routing.

The server hands a request over here when it has come whole. What is left out is Falcon's application (its router, its middleware, two
ASGI events): half of what the web layer costs on these two routes. Decision 0038 has the figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from countersign.store.engine.committed import watch_commits
from countersign.web.http.request import Request
from countersign.web.http.response import Response
from countersign.web.http.router import Responder, Routes

if TYPE_CHECKING:
    from countersign.web.http.application import WebApplication
    from countersign.web.http.request import Scope


class HotRoute(msgspec.Struct, frozen=True):
    """A POST path with at most one variable part, as the text before and after it."""

    before: bytes
    after: bytes
    label: str
    responder: Responder


class HotRoutes:
    """Finds and answers the requests of hot routes."""

    def __init__(self, app: WebApplication) -> None:
        self._app = app
        self._routes: list[HotRoute] = []

    def add(self, routes: Routes, *paths: str) -> None:
        """Add the POST handlers of these paths, which may have `{path_id}` as one of their parts."""
        for path in paths:
            before, _, after = path.encode().partition(b"{path_id}")
            self._routes.append(HotRoute(before, after, path.replace("{path_id}", "{}"), routes[path]["POST"]))

    def find(self, raw_path: bytes) -> tuple[HotRoute, str] | None:
        """Return the route of a raw path with the variable part, or None if it is not a hot route."""
        for route in self._routes:
            if not route.after:
                if raw_path == route.before:
                    return route, ""
            elif raw_path.startswith(route.before) and raw_path.endswith(route.after):
                path_id = raw_path[len(route.before) : -len(route.after)]
                if path_id.isalnum() or path_id.replace(b"_", b"").isalnum():
                    return route, path_id.decode("ascii")
        return None

    async def answer(self, route: HotRoute, path_id: str, scope: Scope, body: bytes) -> Response:
        """Return the response to a request whose body is complete."""
        app = self._app
        watch_commits()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        req, resp = Request(scope, receive, None, app.req_options), Response(options=app.resp_options)
        try:
            if path_id:
                await route.responder(req, resp, path_id=path_id)
            else:
                await route.responder(req, resp)
        except Exception as error:  # noqa: BLE001 - as Falcon does
            await app.answer_error(req, resp, error, {})
        app.complete(req, resp, route.label)
        return resp
