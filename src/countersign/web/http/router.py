"""The front: every request comes in here, meets its endpoint or the pages, and leaves with the headers that all answers bear."""

from __future__ import annotations

import asyncio
import secrets
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import structlog

from countersign.domain.shared import identifier
from countersign.errors import InputError, NotFoundError, UnavailableError
from countersign.logs import scrub
from countersign.web.http.body_timeout import BODY_WITHIN, Patience
from countersign.web.http.context import Desk
from countersign.web.http.csrf import Origins
from countersign.web.http.problems import ProblemError, of_error, problem
from countersign.web.http.request import Call, Header, Receive, Reply, Scope, Send, Stream

Endpoint: TypeAlias = Callable[[Desk, Call], Awaitable[Reply | Stream]]
Routes: TypeAlias = Mapping[str, Mapping[str, Endpoint]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

NOTED_EVERY: Final = 1.0
"""Seconds between two lines of log about an outage; each counts the requests that met it since the last."""

_OPEN: Final = "{}"
_OWN: Final = "/v1/me/"
_NOT_FOUND: Final = 404
_ALWAYS: Final[tuple[Header, ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
_STRICT: Final[Header] = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_NO_STORE: Final[Header] = (b"cache-control", b"no-store")
_HSTS: Final[Header] = (b"strict-transport-security", b"max-age=31536000")

_log = structlog.get_logger("countersign.web")


class Front:
    """An ASGI application: the API's routes by a look-up in one table, and everything else by the pages.

    A route is a path whose fourth part may be left open (`/v1/verifications/{}/check`); that is all an API of ours needs, and a fifth of
    what a framework's router and request objects cost on each call.
    """

    def __init__(self, desk: Desk, routes: Routes, pages: Application) -> None:
        self.desk = desk
        self._patience = Patience()
        self.routes = routes
        self._pages = pages
        settings = desk.runtime.settings
        self._origins = Origins(settings.public_url, development=settings.development)
        self._debug = settings.log_level == "debug"
        self._outages = 0
        self._noted_at = -NOTED_EVERY
        self._plain = (*_ALWAYS, _STRICT)
        self._secure = (*_ALWAYS, _STRICT, _HSTS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1000})
            return
        began = time.perf_counter()
        matched = self._match(scope["path"])
        if matched is None:
            await self._page(scope, receive, send, began)
            return
        route, it, row = matched
        method: str = scope["method"]
        head = method == "HEAD"
        endpoint = row.get("GET" if head else method)
        if endpoint is None:
            reply: Reply | Stream = _no_such(row)
        elif route.startswith(_OWN) and self._origins.refuses(scope):
            # These are let in by a cookie, which a browser sends from wherever it was told to (semantics H5).
            reply = problem("cross_origin")
        else:
            reply = await self._carried_out(endpoint, Call(scope, receive, it, self._patience))
        always = self._secure if self.desk.proxies.is_tls(scope) else self._plain
        if type(reply) is Reply:
            await _answer(send, reply, always, head=head)
            status = reply.status
        else:
            assert isinstance(reply, Stream)  # noqa: S101 - the only other kind
            await _stream(receive, send, reply, always, head=head)
            status = 200
        took = time.perf_counter() - began
        self.desk.stats.request(route, status, took)
        if self._debug:
            # A careless caller puts a code or a contact where an id belongs: only what has an id's form is repeated.
            shown = it if identifier.is_identifier("ver", it) else ""
            _log.debug("request", method=method, route=route, id=shown, status=status, took=round(took, 6))

    def _match(self, path: str) -> tuple[str, str, Mapping[str, Endpoint]] | None:
        """Return the route, the part it leaves open, and its endpoints by method; None for what the pages may know."""
        row = self.routes.get(path)
        if row is not None:
            return path, "", row
        parts = path.split("/")
        if len(parts) > 3:  # noqa: PLR2004 - "", "v1", what, which
            it, parts[3] = parts[3], _OPEN
            route = "/".join(parts)
            row = self.routes.get(route)
            if row is not None:
                return route, it, row
        return ("/v1/", "", {}) if path.startswith("/v1/") else None

    async def _carried_out(self, endpoint: Endpoint, call: Call) -> Reply | Stream:
        try:
            return await endpoint(self.desk, call)
        except ProblemError as refused:
            return refused.reply()
        except UnavailableError as error:
            self._note(error)
            return of_error(error)
        except (InputError, NotFoundError) as error:
            return of_error(error)
        except Exception as error:  # noqa: BLE001 - the last resort: the caller hears that it broke, and the log where
            return broken(error)

    def _note(self, outage: UnavailableError) -> None:
        """Tell the operator what the caller is not told; once in a while, since an outage meets every request."""
        self._outages += 1
        if time.monotonic() - self._noted_at >= NOTED_EVERY:
            self._noted_at = time.monotonic()
            _log.warning("unavailable", detail=scrub(str(outage)), requests=self._outages)
            self._outages = 0

    async def _page(self, scope: Scope, receive: Receive, send: Send, began: float) -> None:
        tls = self.desk.proxies.is_tls(scope)
        if self._origins.misdirected(scope):
            await _answer(send, problem("misdirected"), self._plain, head=False)
            return
        if self._origins.refuses(scope):
            await _answer(send, problem("cross_origin"), self._secure if tls else self._plain, head=False)
            return
        # Pages learn who asks, and over what, from here: no other word on it is to be believed (semantics H6).
        scope = {**scope, "client": (self.desk.proxies.client(scope), 0), "scheme": "https" if tls else "http"}
        status = 0

        async def with_headers(event: dict[str, Any]) -> None:
            nonlocal status
            if event["type"] == "http.response.start":
                status = event["status"]
                headers = list(event.get("headers", ()))
                there = {name for name, _ in headers}
                wanted = (*self._plain, _NO_STORE) if not tls else (*self._secure, _NO_STORE)
                headers += [header for header in wanted if header[0] not in there]
                event = {**event, "headers": headers}
            await send(event)

        await self._pages(scope, receive if scope["method"] == "GET" else _in_time(receive), with_headers)
        self.desk.stats.request("pages", status, time.perf_counter() - began)
        if self._debug:
            # What follows the first part of a page's address may be a reference that only its reader should have, and an address
            # that is none of ours may be anything, a code too.
            page = "/" + scope["path"].split("/")[1] if status != _NOT_FOUND else "/?"
            _log.debug("request", method=scope["method"], route=page, status=status)


def _no_such(row: Mapping[str, Endpoint]) -> Reply:
    """Return the answer where no endpoint takes a method; without any endpoint there is no such address."""
    if not row:
        return problem("not_found")
    allowed = ", ".join([*row, "HEAD"] if "GET" in row else row)
    return problem("method_not_allowed", headers=((b"allow", allowed.encode()),))


def broken(error: Exception) -> Reply:
    """Return the answer to a fault of ours, and note its kind and place under a reference; what it says may be anybody's secret."""
    reference = f"ref_{secrets.token_hex(8)}"
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    place = [f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}" for frame in frames]
    _log.error("broken", reference=reference, kind=type(error).__name__, place=place)
    return problem("internal", more={"reference": reference})


def _in_time(receive: Receive) -> Receive:
    """Return a `receive` that takes a sender whose body does not come in time for one who hung up."""
    until = time.monotonic() + BODY_WITHIN
    whole = False

    async def receive_in_time() -> dict[str, Any]:
        nonlocal whole
        if whole:
            return await receive()
        try:
            async with asyncio.timeout(until - time.monotonic()):
                event = await receive()
        except TimeoutError:
            return {"type": "http.disconnect"}
        whole = not event.get("more_body")
        return event

    return receive_in_time


async def _answer(send: Send, reply: Reply, always: tuple[Header, ...], *, head: bool) -> None:
    headers: list[Header] = [(b"cache-control", reply.cache), *always, *reply.headers]
    if reply.body:
        headers += ((b"content-type", reply.type), (b"content-length", b"%d" % len(reply.body)))
    elif reply.status != 204:  # noqa: PLR2004
        headers.append((b"content-length", b"0"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else reply.body})


async def _stream(receive: Receive, send: Send, stream: Stream, always: tuple[Header, ...], *, head: bool) -> None:
    """Send a stream until it ends or its reader has gone."""
    headers = [_NO_STORE, *always, (b"content-type", stream.type), (b"x-accel-buffering", b"no")]
    gone = asyncio.create_task(_gone(receive))
    try:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if not head:
            async for chunk in stream.chunks:
                if gone.done():
                    return
                if chunk:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except OSError:
        return  # hung up while we spoke
    finally:
        gone.cancel()
        await stream.chunks.aclose()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
