"""The request: Falcon's, with one reader for every body."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import falcon.asgi

from countersign.messages.custom.page_words import OUR_WORDS, PageWords
from countersign.web.http.problems import ProblemError

if TYPE_CHECKING:
    from falcon import RequestOptions

Scope: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]

MAX_BODY: Final = 64 * 1024
"""Maximum size of a body in bytes. A longer one is refused with 413 (semantics H3)."""

_MAX_LENGTH_DIGITS: Final = 12
"""Digits of a Content-Length that are read as a number."""


class Request(falcon.asgi.Request):
    """A request to the API, to OAuth or to a page.

    `receive` gives the next ASGI event of the connection; `began` is when the request arrived, in seconds of `time.perf_counter`.
    `account_timezone` is the time zone of the account that is signed in, where the browser has told none. `application` is the name and the
    address of the application from which the person came last, if that is known.
    `page_words` are the operator's words, where a page answers.
    `flow_mark` is the mark of the login flow that its form names; empty if it names none.
    """

    page_words: PageWords = OUR_WORDS

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        first_event: Any = None,  # noqa: ANN401 - a private type of Falcon's
        options: RequestOptions | None = None,
    ) -> None:
        super().__init__(scope, receive, first_event, options)
        self.receive = receive
        self.began = time.perf_counter()
        self.account_timezone = ""
        self.application: tuple[str, str] | None = None
        self._whole: bytes | None = None
        self.flow_mark = ""

    async def body(self, most: int = MAX_BODY) -> bytes:
        """Return the whole body, never a part of it (semantics A9). A second call returns the same.

        The server ends a connection whose body takes too long, so this waits for no longer than that.

        Args:
            most: the length in bytes from which on a body is refused.

        Raises:
            ProblemError: `too_large` for a longer body, before it is read where its length is given; `timed_out` if the sender
                hung up, or was cut off by the server, before the body was complete; `malformed` for two lengths, or one
                that is shorter than what came.
        """
        if self._whole is None:
            self._whole = await self._read_whole(most)
        if len(self._whole) > most:
            raise ProblemError("too_large")
        return self._whole

    async def _read_whole(self, most: int) -> bytes:
        length = self._length()
        if length is not None and length > most:
            raise ProblemError("too_large")
        body = await self._read(most)
        if length is not None and len(body) != length:
            # A form that broke off reads like a whole one: the last field is only shorter.
            raise ProblemError("timed_out" if len(body) < length else "malformed")
        return body

    def _length(self) -> int | None:
        """Return the length in bytes that the sender announced, or None. Raises ProblemError for two, or one that is no number."""
        values = [value for name, value in self.scope["headers"] if name == b"content-length"]
        if not values:
            return None
        length: bytes = values[0]
        if len(values) > 1:
            raise ProblemError("malformed")
        if not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS:
            raise ProblemError("too_large")
        return int(length)

    async def _read(self, most: int) -> bytes:
        parts = bytearray()
        while True:
            event = await self.receive()
            if event["type"] == "http.disconnect":
                raise ProblemError("timed_out")
            part: bytes = event.get("body", b"")
            if len(parts) + len(part) > most:
                raise ProblemError("too_large")
            if not event.get("more_body"):
                return bytes(parts) + part if parts else part
            parts += part

    def __repr__(self) -> str:
        """Show only what may appear in a log."""
        return f"Request({self.method})"
