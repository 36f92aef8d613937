"""The response: Falcon's, with the security headers set from the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import falcon.asgi

if TYPE_CHECKING:
    from falcon import ResponseOptions

Headers: TypeAlias = tuple[tuple[str, str], ...]

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
SEE_OTHER: Final = 303
MOVED_PERMANENTLY: Final = 301

DEFAULTS: Final = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
)
"""Headers of every response unless a handler sets other values. Pages do, because they need styles and scripts."""

HSTS: Final = ("Strict-Transport-Security", "max-age=31536000")
"""An additional header of every response over TLS."""


class Response(falcon.asgi.Response):
    """A response of the API, of OAuth or of a page: a status, headers, and a body or an event stream."""

    def __init__(self, options: ResponseOptions | None = None) -> None:
        super().__init__(options=options)
        self.set_headers(DEFAULTS)

    def json(self, body: bytes, status: int = 200, headers: Headers = ()) -> None:
        """Respond with JSON that is encoded already."""
        self.write(body, JSON, status, headers)

    def write(self, body: bytes, media_type: str, status: int = 200, headers: Headers = ()) -> None:
        """Respond with these bytes. An earlier body is replaced; its headers stay."""
        self.status = status
        self.text = None
        self.data = body
        self.delete_header("Content-Encoding")
        self.content_type = media_type
        if headers:
            self.set_headers(headers)

    def redirect(self, location: str) -> None:
        """Redirect the browser by GET (303 See Other)."""
        self.status = SEE_OTHER
        self.set_header("Location", location)
