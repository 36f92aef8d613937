"""A browser for tests of pages over HTTP: it keeps its cookies, sends forms as the pages do, and reads codes as its person would."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tests.web.client import Client

from countersign.domain.verifications.code import derive
from countersign.flows.accounts.context import BrowserContext
from countersign.flows.accounts.sessions import find_session
from countersign.flows.sign_in.verify import view_flow
from countersign.web.app import make_app
from countersign.web.http.cookies import DEVICE, FLOW, SESSION

if TYPE_CHECKING:
    from tests.web.client import Answer

    from countersign.domain.accounts.session import Session
    from countersign.flows.sign_in.verify import VerificationView
    from countersign.wiring import Runtime

ADA = "ada@example.org"
PASSWORD = "correct horse battery"
FORM = {"content-type": "application/x-www-form-urlencoded"}
OWN = {"origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}


class PageBrowser:
    """One browser of one person."""

    def __init__(self, runtime: Runtime, peer: str = "127.0.0.1", *, language: str = "") -> None:
        self.runtime = runtime
        self._language = {"accept-language": language} if language else {}
        self.client = Client(make_app(runtime, worker_alive=lambda: True), peer=peer)
        self.cookies: dict[str, str] = {}

    async def get(self, path: str, **headers: str) -> Answer:
        """Open a page."""
        return self._kept(await self.client.get(path, headers={**self._cookie(), **headers}))

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        """Send a form."""
        raw = urlencode(fields).encode()
        sent = {**FORM, **OWN, **self._cookie(), **headers}
        return self._kept(await self.client.post(path, raw=raw, headers=sent))

    async def submits(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        """Send a form, and open the page to which the answer redirects."""
        answer = await self.post(path, fields, **headers)
        assert answer.status == 303, answer.body
        return await self.get(answer.headers["location"], **headers)

    async def signs_up(self, to: str = ADA, **fields: str) -> Answer:
        """Create an account."""
        await self.post("/sign-up", {"name": "Ada", "identifier": to, "password": PASSWORD, **fields})
        return await self.types()

    async def signs_in(self, to: str = ADA, **fields: str) -> Answer:
        """Give identifier and password."""
        return await self.post("/sign-in", {"identifier": to, "password": PASSWORD, **fields})

    async def types(self, **fields: str) -> Answer:
        """Type the code that is waited for."""
        return await self.post("/verify", {"code": await self.code(), **fields})

    @property
    def context(self) -> BrowserContext:
        """Return what the flows know of this browser."""
        return BrowserContext(
            session=self.cookies.get(SESSION, ""),
            device=self.cookies.get(DEVICE, ""),
            flow=self.cookies.get(FLOW, ""),
        )

    async def session(self) -> Session | None:
        """Return the session of this browser."""
        return await find_session(self.runtime.accounts, self.context)

    async def sees(self) -> VerificationView | None:
        """Return what its verification screen is about."""
        return await view_flow(self.runtime.accounts, self.context)

    async def code(self) -> str:
        """Return the code that this browser's flow waits for, as its message would show it."""
        view = await self.sees()
        assert view is not None
        assert view.challenge is not None
        terms = view.challenge.terms
        key = self.runtime.core.keyring.named(terms.kid).code
        return derive(key, view.challenge.id, view.challenge.round, terms.policy.shape).reveal()

    def _cookie(self) -> dict[str, str]:
        kept = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        return {**self._language, **kept}

    def _kept(self, answer: Answer) -> Answer:
        for line in answer.cookies:
            name, _, value = line.partition(";")[0].partition("=")
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return answer


async def signed_up(runtime: Runtime, to: str = ADA, peer: str = "127.0.0.1") -> PageBrowser:
    """Return the browser of a person who has just opened an account."""
    browser = PageBrowser(runtime, peer)
    answer = await browser.signs_up(to)
    assert answer.status == 303, answer.body
    assert await browser.session() is not None
    return browser
