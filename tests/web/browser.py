"""A browser over the application: it keeps cookies, opens pages, reads their hidden fields, and sends forms."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec
from tests.web.client import Client

from countersign.domain.verifications.code import derive
from countersign.store.engine.database import Rows, Sql
from countersign.store.tables import challenges

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from countersign.wiring import Runtime

PASSWORD = "correct horse battery"


class Page(msgspec.Struct):
    """What came back: the status, where it leads, and its text."""

    status: int
    location: str
    text: str

    def hidden(self, action: str) -> dict[str, str]:
        """Return the hidden fields of the form that is sent to `action`."""
        form = re.search(rf'<form[^>]* action="{re.escape(action)}"[^>]*>(.*?)</form>', self.text, re.DOTALL)
        assert form is not None, (action, self.text)
        found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form[1])
        return {name: unescape(value) for name, value in found}


class Browser:
    """One person's browser."""

    def __init__(
        self, app: Callable[..., Awaitable[None]], runtime: Runtime, *, language: str = "en", peer: str = "192.0.2.1"
    ) -> None:
        self._client = Client(app, peer=peer)
        self._app = app
        self._runtime = runtime
        self._language = language
        self.cookies: dict[str, str] = {}

    async def get(self, path: str) -> Page:
        """Open a page."""
        return await self._ask("GET", path, b"")

    async def post(self, path: str, **fields: str) -> Page:
        """Send a form, as a page of ours does."""
        return await self._ask("POST", path, urlencode(fields).encode())

    async def sign_up(self, address: str = "ada@example.org") -> None:
        """Create an account and prove its contact."""
        begun = await self.post("/sign-up", name="Ada", identifier=address, password=PASSWORD)
        assert begun.location == "/verify", begun
        proved = await self.post("/verify", code=await self.code())
        assert proved.location == "/account", proved

    async def code(self) -> str:
        """Return the code of the newest challenge."""
        rows = await self._runtime.core.database.read(_newest)
        found = await self._runtime.core.database.read(challenges.find, rows[0][0])
        assert found is not None
        key = self._runtime.core.keyring.named(found.terms.kid).code
        return derive(key, found.id, found.round, found.terms.policy.shape).reveal()

    async def _ask(self, method: str, path: str, body: bytes) -> Page:
        headers = {
            "host": "localhost:8000",
            "accept-language": self._language,
            "user-agent": "Firefox",
            "cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
        }
        if method == "POST":
            headers |= {
                "content-type": "application/x-www-form-urlencoded",
                "content-length": str(len(body)),
                "origin": "http://localhost:8000",
                "sec-fetch-site": "same-origin",
            }
        events: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(event: dict[str, Any]) -> None:
            events.append(event)

        await self._app(self._client.scope(method, path, headers), receive, send)
        start, *rest = events
        location = ""
        for name, value in start["headers"]:
            if name.lower() == b"set-cookie":
                self._keep(value.decode("latin-1"))
            elif name.lower() == b"location":
                location = value.decode("latin-1")
        text = b"".join(event.get("body", b"") for event in rest).decode()
        return Page(start["status"], location, text)

    def _keep(self, cookie: str) -> None:
        pair, _, attributes = cookie.partition(";")
        name, _, value = pair.partition("=")
        if "Max-Age=0" in attributes:
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value


async def _newest() -> Rows:
    return await Sql("SELECT id FROM challenges ORDER BY begun_at DESC, id DESC LIMIT 1")
