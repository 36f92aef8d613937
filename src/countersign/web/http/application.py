"""The ASGI application: Falcon with one entry, one exit and one place for errors, for API, OAuth and pages alike."""

from __future__ import annotations

import secrets
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import falcon
import falcon.asgi
import structlog

from countersign.domain.shared import identifier
from countersign.errors import InputError, NotFoundError, OverloadedError, PeerUnavailableError, UnavailableError
from countersign.logs import scrub
from countersign.store.engine.committed import commits_so_far, watch_commits
from countersign.web.http.audience import is_person
from countersign.web.http.csrf import SAFE
from countersign.web.http.hot_routes import HotRoutes
from countersign.web.http.problems import AnsweredError, ProblemError, of_error
from countersign.web.http.request import Receive, Request, Scope, Send
from countersign.web.http.response import HSTS, MOVED_PERMANENTLY, Response
from countersign.web.http.router import ErrorPage, Guard, Resource, Responder, Router, Routes
from countersign.web.http.tidy_address import tidy_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.web.http.context import WebContext

NOTED_EVERY: Final = 1.0
"""Seconds between two log lines about an outage. Each counts the requests that failed since the last line."""

PAGES: Final = "pages"
"""The name of every page in metrics: a page's address may hold a secret of its reader."""

_API: Final = "/v1/"
_NOT_FOUND: Final = 404
_PROBLEMS: Final = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "not_json"}
_NO_BODY_YET: Final = {"type": "http.request", "body": b"", "more_body": True}

_log = structlog.get_logger("countersign.web")


class WebApplication(falcon.asgi.App[Request, Response]):
    """Falcon's application. `mount` adds a table of routes; `hot_routes` are those that the server may answer without Falcon.

    `error_page` answers a person who meets a problem on a page, or at an address where there is nothing (semantics J5).
    """

    def __init__(self, web: WebContext, error_page: ErrorPage | None = None) -> None:
        super().__init__(request_type=Request, response_type=Response, router=Router())
        self.web = web
        self._error_page = error_page
        self._pages: set[str] = set()
        self._opened: set[str] = set()
        self.hot_routes = HotRoutes(self)
        self.req_options.strip_url_path_trailing_slash = False
        self.add_middleware(self)
        self.add_error_handler(Exception, self.answer_error)
        self.add_error_handler(falcon.HTTPError, self.answer_error)
        self.add_sink(self._not_found, "/")
        self._debug = web.settings.log.level == "debug"
        self._watches_proxies = web.settings.public_url.startswith("https://")
        self._outages = 0
        self._noted_at = -NOTED_EVERY

    async def __call__(  # type: ignore[override] # as Falcon's own, whose base is a WSGI application
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serve one request.

        Falcon waits for the first part of a body before it looks at a request. Ours asks for none until a handler reads, so that a
        sender without a key is refused before it sends a body (RFC 9110, 10.1.1).
        """
        if scope["type"] == "http":
            watch_commits()
            await super().__call__(scope, _from_the_second_event(receive), send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    def mount(self, routes: Routes, *, guard: Guard | None = None, label: str = "") -> None:
        """Add routes.

        Args:
            routes: the handlers by path and method.
            guard: looks at each request first, and raises ProblemError for one that must not be carried out.
            label: the name of all these routes in metrics; left out, each is named by its path.
        """
        last = next(reversed(routes), "")
        for path, methods in routes.items():
            guarded = {
                method: responder if guard is None else self._guarded(responder, guard)
                for method, responder in methods.items()
            }
            if label == PAGES:
                self._pages.add(path)
                if "GET" in methods and "{" not in path:
                    self._opened.add(path)
            resource = Resource(label or path.replace("{path_id}", "{}"), guarded)
            self.add_route(path, resource, compile=path == last)  # compiled now, so that no request waits for it

    def _guarded(self, responder: Responder, guard: Guard) -> Responder:
        async def guarded(req: Request, resp: Response, **params: str) -> None:
            req.page_words = self.web.page_words
            guard(req)
            if req.method not in SAFE:
                await req.body()  # whole, or nothing is carried out, also where the handler reads no field
            await responder(req, resp, **params)

        return guarded

    async def _not_found(self, req: Request, resp: Response | None, **_: str) -> None:
        if not req.path.startswith(_API):
            self.web.cross_origin.check_page(req)
            page = tidy_path(req.path, self._opened) if req.method in {"GET", "HEAD"} else ""
            if page and resp is not None:
                resp.redirect(f"{page}?{req.query_string}" if req.query_string else page)
                resp.status = MOVED_PERMANENTLY
                return
        raise ProblemError("not_found")

    async def process_response(self, req: Request, resp: Response, resource: object, _: bool) -> None:  # noqa: FBT001 - Falcon's
        """Complete a response. Falcon calls this after every request."""
        unknown = _API if req.path.startswith(_API) else PAGES
        self.complete(req, resp, resource.label if isinstance(resource, Resource) else unknown)

    def complete(self, req: Request, resp: Response, label: str) -> None:
        """Add the header that depends on TLS, and count the request."""
        if self._watches_proxies:
            self._note_unnamed_proxy(req)
        if self.web.proxies.is_tls(req.scope):
            resp.set_header(*HSTS)
        status, took = resp.status_code, time.perf_counter() - req.began
        self.web.metrics.request(label, status, took)
        if self._debug:
            _log.debug(
                "request", method=req.method, route=_shown_route(req, label, status), status=status, took=round(took, 6)
            )

    def _note_unnamed_proxy(self, req: Request) -> None:
        """Log, once, a proxy in front that is not trusted: everybody behind it has one address, and one stranger shuts out all."""
        if peer := self.web.proxies.unnamed_proxy(req.scope):
            self._watches_proxies = False
            _log.warning("proxy_not_trusted", peer=peer, remedy=f"Set COUNTERSIGN_TRUSTED_PROXIES={peer}.")

    async def answer_error(self, req: Request, resp: Response, error: Exception, _: dict[str, Any]) -> None:
        """Answer an exception of a handler: people get a page, programs the JSON. Falcon calls this with every exception."""
        answer: AnsweredError
        match error:
            case AnsweredError():
                answer = error
            case UnavailableError():
                self._note(error)
                # What reads changes nothing, even if it renewed a session on its way.
                answer = of_error(error, committed=req.method not in SAFE and commits_so_far())
            case InputError() | NotFoundError():
                answer = of_error(error)
            case falcon.HTTPError():
                status = error.status_code
                answer = ProblemError(_PROBLEMS.get(status, "malformed"), status=status)
            case _:
                answer = broken(error)
        if isinstance(answer, ProblemError) and self._error_page is not None and self._is_for_people(req):
            try:
                await self._error_page(req, resp, answer)
            except Exception as failed:  # noqa: BLE001 - whatever keeps the page from being shown, the problem is told
                broken(failed)
            else:
                return
        answer.write(resp)

    def _is_for_people(self, req: Request) -> bool:
        """Return True for a page, and for an address without any route, that a person opens."""
        template = req.uri_template
        is_page = template in self._pages if template else not req.path.startswith(_API)
        return is_page and is_person(req)

    def _note(self, outage: UnavailableError) -> None:
        """Log an outage for the operator, at most once a second, since an outage affects every request."""
        self._outages += 1
        if not isinstance(outage, OverloadedError | PeerUnavailableError):
            self.web.writes.failed()
        if time.monotonic() - self._noted_at >= NOTED_EVERY:
            self._noted_at = time.monotonic()
            _log.warning("unavailable", detail=scrub(str(outage)), requests=self._outages)
            self._outages = 0


def broken(error: Exception) -> ProblemError:
    """Return the response to a fault of ours, and log its type and place under a reference. Its message may hold a secret."""
    reference = f"ref_{secrets.token_hex(8)}"
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    place = [f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}" for frame in frames]
    _log.error("broken", reference=reference, kind=type(error).__name__, place=place)
    return ProblemError("internal", reference=reference)


def _shown_route(req: Request, label: str, status: int) -> str:
    """Return the route for a log line.

    Only an id of ours is repeated: a careless caller puts a code or a contact in its place, and what follows the first part of a
    page's address may be a reference that only its reader should have.
    """
    parts = req.path.split("/")
    if label == PAGES:
        return "/" + parts[1] if status != _NOT_FOUND else "/?"
    return label.replace("{}", parts[3]) if "{}" in label and identifier.is_identifier("ver", parts[3]) else label


def _from_the_second_event(receive: Receive) -> Receive:
    first = True

    async def receive_on_demand() -> Mapping[str, Any]:
        nonlocal first
        if first:
            first = False
            return _NO_BODY_YET
        return await receive()

    return receive_on_demand
