"""A walker: a browser without a screen, which keeps cookies, follows what it is sent to, and posts forms as pages of its own would."""

from __future__ import annotations

import re
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Final, Self

import httpx2

if TYPE_CHECKING:
    from tests.peers.pair import Pair

PASSWORD: Final = "correct horse battery"


class Walker:
    """One person with one browser, at the shop and at Countersign."""

    def __init__(self, pair: Pair, to: str) -> None:
        self.pair = pair
        self.to = to
        self.last_code = ""
        # localhost counts as safe for secure cookies in browsers, and so it does here.
        jar = CookieJar(DefaultCookiePolicy(secure_protocols=("http", "https")))
        self._client = httpx2.Client(cookies=jar, follow_redirects=True, trust_env=False, timeout=20)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the connections."""
        self._client.close()

    def get(self, address: str, *, follow: bool = True) -> httpx2.Response:
        """Open a page; a path is one of the shop's."""
        return self._client.get(self._whole(address), follow_redirects=follow)

    def post(self, address: str, fields: dict[str, str] | None = None, **headers: str) -> httpx2.Response:
        """Send a form from a page of the same site, or with other headers."""
        where = self._whole(address)
        origin = "/".join(where.split("/")[:3])
        sent = {"Origin": origin, "Sec-Fetch-Site": "same-origin", **headers}
        return self._client.post(where, data=fields or {}, headers=sent)

    def open_account(self, name: str = "Ada") -> httpx2.Response:
        """Come from the shop, open an account, and come back to it."""
        page = self.get("/sign-in")
        filled = {"name": name, "identifier": self.to, "password": PASSWORD, "return_to": return_to(page)}
        self.post(f"{self.pair.provider}/sign-up", filled)
        return self.type_code(remember="yes")

    def sign_in(self, page: httpx2.Response) -> httpx2.Response:
        """Give address and password on Countersign's page, to which the shop had sent."""
        filled = {"identifier": self.to, "password": PASSWORD, "return_to": return_to(page)}
        return self.post(f"{self.pair.provider}/sign-in", filled)

    def sign_out(self) -> httpx2.Response:
        """Sign out at the shop, and so at Countersign."""
        return self.post("/sign-out")

    def type_code(self, **fields: str) -> httpx2.Response:
        """Type the newest code."""
        self.last_code = self.pair.code(self.to, self.last_code)
        return self.post(f"{self.pair.provider}/verify", {"code": self.last_code, **fields})

    def put(self, *teas: str) -> None:
        """Put teas into the cart."""
        for tea in teas:
            assert self.post("/cart", {"tea": tea}).status_code == 200

    def _whole(self, address: str) -> str:
        return address if address.startswith("http") else self.pair.shop + address


def return_to(page: httpx2.Response) -> str:
    """Return where a page of Countersign goes on to."""
    found = re.search(r'name="return_to" value="([^"]*)"', page.text)
    assert found, page.text
    return found[1].replace("&amp;", "&")
