"""Origins: a request that changes something by a cookie or a form is refused when another site's page sent it (semantics H5)."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from countersign.web.http.request import Scope

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS: Final = frozenset({b"same-origin", b"none"})
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Origins:
    """The origin that pages have: that of `public_url`, and in development any port of this machine."""

    def __init__(self, public_url: str, *, development: bool) -> None:
        parts = urlsplit(public_url)
        self._scheme = parts.scheme
        self._own = f"{parts.scheme}://{parts.netloc}".lower()
        self._development = development

    def refuses(self, scope: Scope) -> bool:
        """Say whether a request must not be carried out.

        Browsers send Origin with every POST, and Sec-Fetch-Site where they are new enough; what sends neither is no browser, and
        bears nobody's cookies.
        """
        if scope["method"] in _SAFE:
            return False
        headers = dict(scope["headers"])
        site = headers.get(b"sec-fetch-site")
        if site is not None and site not in _OURS:
            return True
        origin = headers.get(b"origin")
        return origin is not None and not self._is_own(origin.decode("latin-1").lower())

    def misdirected(self, scope: Scope) -> bool:
        """Say whether a page of development was asked for under a name that is not this machine's nor `public_url`'s.

        So a site that points its own name at 127.0.0.1 (DNS rebinding) reads neither the test key nor the inbox.
        """
        if not self._development:
            return False
        host = dict(scope["headers"]).get(b"host")
        return host is not None and not self._is_own(f"{self._scheme}://{host.decode('latin-1').lower()}")

    def _is_own(self, origin: str) -> bool:
        if origin == self._own:
            return True
        try:
            return self._development and urlsplit(origin).hostname in _LOOPBACK
        except ValueError:
            return False
