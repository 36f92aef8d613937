"""HTTP/1 on one connection: uvicorn's protocol, with time limits, bounds, strict framing, and a short way for the hot routes.

What is added to `HttpToolsProtocol`:

- a request's headers and its body must come within a time, and an idle or stuck connection is closed;
- headers are bounded, and so is what a client may send ahead (pipelining);
- shapes that a proxy in front could read otherwise are refused: both Content-Length and Transfer-Encoding, no Host or two, trailers;
- a client of HTTP/1.0 is never sent chunks;
- a request on a hot route that has come whole is answered without an ASGI application.
"""

from __future__ import annotations

import asyncio
import enum
import math
import urllib.parse
from typing import TYPE_CHECKING, Any, Final, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from countersign.web.http.problems import ProblemError
from countersign.web.http.response import Response

if TYPE_CHECKING:
    from uvicorn._types import HTTPScope
    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from countersign.web.http.application import WebApplication
    from countersign.web.http.hot_routes import HotRoute
    from countersign.web.http.request import Scope

HEADERS_WITHIN: Final = 10.0
"""Seconds for the headers of a request, from its first byte or from the start of the connection."""

BODY_WITHIN: Final = 10.0
"""Seconds for a body after its headers."""

IDLE_FOR: Final = 75.0
"""Seconds that an idle connection is kept. Proxies close theirs earlier, so that no request meets a closed connection."""

STUCK_FOR: Final = 60.0
"""Seconds after which a client that reads nothing is disconnected."""

CONNECTIONS: Final = 8_192
"""Maximum number of connections of one process, idle ones included. Above half of it, idle connections are kept only briefly."""

MAX_HEAD: Final = 32 * 1024
"""Maximum size of a request line with headers, in bytes."""

MAX_HEADERS: Final = 100
MAX_AHEAD: Final = 64
"""Maximum number of pipelined requests."""


class _Awaiting(enum.Enum):
    """The part of a request that the connection waits for."""

    REQUEST = enum.auto()
    HEADERS = enum.auto()
    BODY = enum.auto()


class HttpProtocol(HttpToolsProtocol):
    """One connection. The server calls `close_if_late` once a second."""

    app: WebApplication

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._awaiting = _Awaiting.REQUEST
        self._late_at = math.inf
        self._stuck_since = math.inf
        self._head_bytes = 0
        self._hosts = 0
        self._framings = 0
        self._chunked = False
        self._stopping = False
        self._hot: tuple[HotRoute, str] | None = None
        self._hot_body: list[bytes] = []

    # ---- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection unless there are too many."""
        super().connection_made(transport)
        self._late_at = self.loop.time() + HEADERS_WITHIN
        if len(self.connections) > CONNECTIONS:
            self._refuse(ProblemError("unavailable", retry_after=1))

    def data_received(self, data: bytes) -> None:
        """Parse received bytes."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.cycle.keep_alive = False  # what follows is another protocol
        except httptools.HttpParserError:
            self._refuse(ProblemError("malformed"))
            return
        if self._hot is not None:
            self._begin_cycle()  # its body is incomplete: the application reads it
        if self._awaiting is _Awaiting.HEADERS:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD:
                self._refuse(ProblemError("malformed", status=431))
                return
        if not self._late_at:
            self._late_at = self.loop.time() + (BODY_WITHIN if self._awaiting is _Awaiting.BODY else HEADERS_WITHIN)

    def pause_writing(self) -> None:
        """Record that the client does not read."""
        super().pause_writing()
        self._stuck_since = self.loop.time()

    def resume_writing(self) -> None:
        """Record that the client reads again."""
        super().resume_writing()
        self._stuck_since = math.inf

    def shutdown(self) -> None:
        """Finish requests in flight, then close."""
        self._stopping = True
        if self._awaiting is not _Awaiting.HEADERS and self._is_answered():
            self.transport.close()
        elif self.cycle is not None:
            self.cycle.keep_alive = False

    def close_if_late(self, now: float) -> None:
        """Close the connection if what it waits for is late. `now` is the event loop's time in seconds."""
        if now - self._stuck_since > STUCK_FOR:
            self.transport.abort()
        elif (
            now > self._late_at and not self.pipeline
        ):  # with pipelined requests waiting, we are the ones who do not read
            if self.transport.is_closing():
                self.transport.abort()
            elif self._awaiting is _Awaiting.BODY and not self.cycle.response_complete:
                self._refuse(ProblemError("timed_out"))
            else:
                self.transport.close()

    # ---- the parser's callbacks

    def on_message_begin(self) -> None:
        """Start a request."""
        super().on_message_begin()
        self._awaiting = _Awaiting.HEADERS
        self._late_at = 0.0
        self._head_bytes = self._hosts = self._framings = 0
        self._chunked = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header. Trailers after the body are dropped."""
        if self._awaiting is not _Awaiting.HEADERS:
            return  # a trailer: a proxy in front looks at headers only
        super().on_header(name, value)
        name = self.headers[-1][0]
        if name == b"host":
            self._hosts += 1
        elif name in {b"content-length", b"transfer-encoding"}:
            self._framings += 1
            self._chunked = name == b"transfer-encoding"

    def on_headers_complete(self) -> None:
        """Check the head of a request, and start to answer it unless it is on a hot route."""
        version, scope = self.parser.get_http_version(), self.scope
        if version not in {"1.0", "1.1"}:
            raise ValueError("Another HTTP than is spoken here.")
        if self._hosts != 1 and (self._hosts or version == "1.1"):
            raise ValueError("A request names one host (RFC 9112, 3.2).")
        if self._framings > 1 or (version == "1.0" and self._chunked):
            raise ValueError("A body has one length (RFC 9112, 6.3).")
        if len(self.headers) > MAX_HEADERS or len(self.pipeline) >= MAX_AHEAD or not self.url.isascii():
            raise ValueError("More than is taken, or not spelled as an address is.")
        parsed = httptools.parse_url(self.url)
        path: str = parsed.path.decode("ascii")
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["path"] = urllib.parse.unquote(path) if "%" in path else path
        scope["raw_path"] = parsed.path
        scope["query_string"] = parsed.query or b""
        self._awaiting = _Awaiting.BODY
        self._late_at = 0.0
        if scope["method"] == "POST" and version == "1.1" and self._is_answered():
            self._hot = self.app.hot_routes.find(parsed.path)
        if self._hot is None:
            self._begin_cycle()

    def on_body(self, body: bytes) -> None:
        """Store a part of a body."""
        if self._hot is None:
            super().on_body(body)
        else:
            self._hot_body.append(body)

    def on_message_complete(self) -> None:
        """Record that a request is complete. A request on a hot route is answered now."""
        self._awaiting = _Awaiting.REQUEST
        self._late_at = math.inf
        if self._hot is None:
            super().on_message_complete()
            if self.cycle.response_complete:
                self._await_next()
            return
        (route, path_id), body = self._hot, b"".join(self._hot_body)
        self._hot, self._hot_body = None, []
        exchange = WholeExchange(keep_alive=self._keeps_alive())
        self.cycle = exchange
        task = self.loop.create_task(self._answer_hot(exchange, route, path_id, self.scope, body))
        exchange.task = task
        self.tasks.add(task)

    # ---- answering

    def _begin_cycle(self) -> None:
        """Hand the request to the application, now or after the earlier requests of this connection."""
        answered, self._hot = self._is_answered(), None
        self.cycle = Cycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=self._keeps_alive(),
            on_response=self.on_response_complete,
        )
        for part in self._hot_body:
            self.on_body(part)
        self._hot_body = []
        if answered:
            self._start_asgi_task(self.cycle, self.app)  # type: ignore[arg-type]
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))  # type: ignore[arg-type]

    async def _answer_hot(
        self, exchange: WholeExchange, route: HotRoute, path_id: str, scope: HTTPScope, body: bytes
    ) -> None:
        try:
            response = await self.app.hot_routes.answer(route, path_id, cast("Scope", scope), body)
            if self.flow.write_paused and not exchange.disconnected:
                await self.flow.drain()
            if not exchange.disconnected:
                self._write(response, keep_alive=exchange.keep_alive)
                exchange.response_complete = True
                if not exchange.keep_alive:
                    self.transport.close()
        except BaseException:
            self.transport.abort()
            raise
        finally:
            self.tasks.discard(exchange.task)
        self.on_response_complete()

    def on_response_complete(self) -> None:
        """Continue with the next pipelined request, or wait for one."""
        self.server_state.total_requests += 1
        if self._awaiting is _Awaiting.REQUEST:
            self._await_next()
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._late_at = math.inf if self._awaiting is _Awaiting.REQUEST else self.loop.time() + BODY_WITHIN
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)

    def _await_next(self) -> None:
        if self._stopping:
            self.transport.close()
        crowded = len(self.connections) > CONNECTIONS // 2
        self._late_at = self.loop.time() + (HEADERS_WITHIN if crowded else IDLE_FOR)

    def _is_answered(self) -> bool:
        """Return True if every received request has its response."""
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr] # None before the first

    def _keeps_alive(self) -> bool:
        # An HTTP/1.0 connection ends after each response, so its client needs no word about it.
        return not self._stopping and self.parser.get_http_version() == "1.1" and self.parser.should_keep_alive()

    def _refuse(self, problem: ProblemError) -> None:
        """Answer the current request with a problem and close. Complete requests before it are answered first."""
        self._hot, self._hot_body = None, []
        cycle = self.cycle
        if not self._is_answered():
            if self._awaiting is not _Awaiting.BODY:
                self.flow.pause_reading()
                cycle.keep_alive = False
                return
            cycle.disconnected = True  # the application of this request learns that the sender has gone
            cycle.message_event.set()
        if not self.pipeline and (self._is_answered() or not cycle.response_started):
            response = Response()
            problem.write(response)
            self._write(response, keep_alive=False)
        self.transport.close()
        self._late_at = self.loop.time() + HEADERS_WITHIN

    def _write(self, response: Response, *, keep_alive: bool) -> None:
        body = response.data or b""
        head = "".join([f"{name}: {value}\r\n" for name, value in response.headers.items()])
        parts = [STATUS_LINE[response.status_code]]
        for name, value in self.server_state.default_headers:
            parts += (name, b": ", value, b"\r\n")
        parts += (head.encode("latin-1"), b"content-length: %d\r\n" % len(body))
        parts += (b"\r\n" if keep_alive else b"connection: close\r\n\r\n", body)
        self.transport.write(b"".join(parts))


class Cycle(RequestResponseCycle):
    """One request answered by the application. Over HTTP/1.0, a response without a length ends with the connection."""

    _bare = False

    async def send(self, message: Any) -> None:  # noqa: ANN401 - uvicorn's types of messages are private
        """Send a part of the response."""
        if self._bare:
            await self._send_bare(message)
            return
        if message["type"] == "http.response.start" and self.scope["http_version"] == "1.0":
            self._bare = all(name != b"content-length" for name, _ in message["headers"])
            if self._bare:
                self.response_started = True
                lines = [b"%b: %b\r\n" % header for header in (*self.default_headers, *message["headers"])]
                self.transport.write(b"".join([STATUS_LINE[message["status"]], *lines, b"connection: close\r\n\r\n"]))
                return
        await super().send(message)

    async def _send_bare(self, message: Any) -> None:  # noqa: ANN401 - as above
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if self.scope["method"] != "HEAD":
            self.transport.write(message.get("body", b""))
        if not message.get("more_body"):
            self.response_complete = True
            self.message_event.set()
            self.transport.close()
            self.on_response()


_UNUSED: Final = asyncio.Event()
"""Never waited for: the body is complete."""


class WholeExchange(RequestResponseCycle):
    """One request on a hot route, with the attributes that uvicorn's connection reads."""

    def __init__(self, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        self.message_event = _UNUSED
        self.task: asyncio.Task[None]
