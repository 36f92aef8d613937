"""Protection against cross-origin requests that change something by a cookie or a form (semantics H5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from countersign.web.http.problems import ProblemError

if TYPE_CHECKING:
    from countersign.web.http.request import Request

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, 9.2.1)."""
_OURS: Final = frozenset({"same-origin", "none"})
_THIS_MACHINE: Final = re.compile(r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?", re.ASCII)
"""An origin of this machine, whole: what is only parsed leniently lets `localhost:8300.evil.example` pass."""


class CrossOriginGuard:
    """Knows the origin of our pages: that of `public_url`, and in development any port of this machine."""

    def __init__(self, public_url: str, *, development: bool) -> None:
        parts = urlsplit(public_url)
        self._scheme = parts.scheme
        self._own = f"{parts.scheme}://{parts.netloc}".lower()
        self._development = development

    def check(self, req: Request) -> None:
        """Raise ProblemError for a state-changing request that another site's page sent."""
        if self.refuses(req):
            raise ProblemError("cross_origin")

    def check_page(self, req: Request) -> None:
        """Raise ProblemError as `check` does. In development, also for a host other than this machine's or that of `public_url`.

        So a site that points its own name at 127.0.0.1 (DNS rebinding) reads neither the test key nor the inbox.
        """
        self.check_host(req)
        self.check(req)

    def check_host(self, req: Request) -> None:
        """Raise ProblemError, in development, for a host other than this machine's or that of `public_url`."""
        host = req.get_header("Host") if self._development else None
        if host is not None and not self._is_own(f"{self._scheme}://{host.lower()}"):
            raise ProblemError("misdirected")

    def refuses(self, req: Request) -> bool:
        """Return True if a request changes something and was sent by another site's page.

        Browsers send Origin with every POST, and Sec-Fetch-Site where they are new enough; what sends neither is no browser, and
        bears nobody's cookies.
        """
        if req.method in SAFE:
            return False
        site = req.get_header("Sec-Fetch-Site")
        if site is not None and site not in _OURS:
            return True
        origin = req.get_header("Origin")
        return origin is not None and not self._is_own(origin.lower())

    def _is_own(self, origin: str) -> bool:
        if origin == self._own:
            return True
        return self._development and _THIS_MACHINE.fullmatch(origin) is not None
