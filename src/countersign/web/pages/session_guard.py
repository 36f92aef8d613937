"""The door: what every page of an account does with a browser: know it, keep its secrets, send it on, and ask it for more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, quote, urlsplit

import falcon
import msgspec

from countersign import links
from countersign.domain.accounts.login_flow import MAX_INTERRUPTED_CHARACTERS, InterruptedRequest
from countersign.domain.accounts.session import Level, ProofRequirement, Session, is_enrolment_only, satisfies
from countersign.flows.accounts.context import AccountContext, BrowserContext, CodeRequested, SignedIn
from countersign.flows.accounts.sessions import find_session
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.sign_in.step_up import step_up
from countersign.flows.verifications.results import Refused
from countersign.messages.language.catalogue import Language
from countersign.store.tables import applications
from countersign.web.http.cookies import (
    DEVICE,
    DEVICE_KEPT,
    SESSION,
    SESSION_KEPT,
    VISIT,
    VISIT_KEPT,
    browser_of,
    drop,
    keep,
)
from countersign.web.http.forms import spoken, wish_of
from countersign.web.http.problems import seconds
from countersign.web.http.templates import show

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from countersign.flows.accounts.context import NoEligibleMethod
    from countersign.wiring import Runtime

HOME: Final = links.ACCOUNT
METHODS: Final = "/account/methods"
MAX_RETURN: Final = 4_000


class Door:
    """The gate as pages use it."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    @property
    def accounts(self) -> AccountContext:
        """Return the gate."""
        return self.runtime.accounts

    def browser(self, req: Request) -> BrowserContext:
        """Return who asks, with the language they read."""
        return msgspec.structs.replace(browser_of(req), locale=wish_of(req))

    def show(self, req: Request, resp: Response, template: str, **values: object) -> Language:
        """Answer with a page in the reader's language; `say` and `count` speak it."""
        language = spoken(req)
        resp.set_header("Vary", "Accept-Language, Cookie")
        settings = self.runtime.settings
        show(
            resp,
            template,
            lang=language.tag,
            direction=language.direction,
            site=settings.site,
            own_host=settings.host,
            say=language.say,
            count=language.count,
            **values,
        )
        return language

    async def return_to(self, wanted: str) -> str:
        """Return where a person wants to go afterwards: a path of ours or a registered address of an application, else their account."""
        if not 0 < len(wanted) <= MAX_RETURN or not wanted.isascii() or not wanted.isprintable() or "\\" in wanted:
            return HOME
        if wanted.startswith("/") and not wanted.startswith("//"):
            return wanted
        known = await self.accounts.database.read(applications.list_all)
        return wanted if any(wanted in application.redirects for application in known) else HOME

    async def leads_to(self, path: str) -> str:
        """Return the origin that a path of ours leads to in the end, where it is an application's registered one; else nothing."""
        where, _, query = path.partition("?")
        if where != links.AUTHORIZE:
            return ""
        asked = parse_qs(query)
        wanted, client = asked.get("redirect_uri", [""])[0], asked.get("client_id", [""])[0]
        found = await self.accounts.database.read(applications.find, client)
        if found is None or found.removed_at is not None or wanted not in found.redirects:
            return ""
        parts = urlsplit(wanted)
        return f"{parts.scheme}://{parts.netloc}"

    def to_verify(self, resp: Response, begun: CodeRequested) -> None:
        """Keep the secrets of a flow that has begun, and send the browser to the verification screen."""
        keep(resp, DEVICE, begun.device, DEVICE_KEPT)
        keep(resp, VISIT, begun.flow, VISIT_KEPT)
        self.see(resp, "/verify")

    def enter(self, resp: Response, entered: SignedIn) -> None:
        """Keep the secrets of a session that has begun or was raised; the flow that led here has ended."""
        keep(resp, SESSION, entered.session, SESSION_KEPT)
        keep(resp, DEVICE, entered.device, DEVICE_KEPT)
        drop(resp, VISIT)

    def see(self, resp: Response, where: str) -> None:
        """Send the browser to an address by GET."""
        resp.status = falcon.HTTP_303
        resp.set_header("Location", where)

    async def session(self, req: Request, resp: Response, then: InterruptedRequest) -> Session | None:
        """Return who is signed in; else send the browser to sign in, and return None."""
        session = await find_session(self.accounts, self.browser(req))
        if session is None:
            self.see(resp, f"/sign-in?return_to={quote(then.path if then.method == 'GET' else HOME, safe='/')}")
            return None
        if is_enrolment_only(session, self.accounts.sign_in_policy, self.accounts.now()) and not then.path.startswith(
            METHODS
        ):
            await self._shut(req, resp, session, then)
            return None
        return session

    async def _shut(self, req: Request, resp: Response, session: Session, then: InterruptedRequest) -> None:
        """Ask for the app or passkey that this installation lets in by, or lead to where one is enrolled."""
        holdings = await self.accounts.database.read(find_snapshot, session.account)
        if holdings is not None and holdings.strong:
            await self.ask_for(req, resp, session, ProofRequirement(Level.APP_CODE), then)
        else:
            self.see(resp, f"{METHODS}?done=enrol")

    async def admits(
        self, req: Request, resp: Response, session: Session, need: ProofRequirement, then: InterruptedRequest
    ) -> bool:
        """Say whether a session may go on with this; else ask for what it lacks: the request goes on afterwards (semantics U1)."""
        if satisfies(session, need, self.accounts.now()):
            return True
        await self.ask_for(req, resp, session, need, then)
        return False

    async def ask_for(
        self, req: Request, resp: Response, session: Session, need: ProofRequirement, then: InterruptedRequest
    ) -> None:
        """Ask a session for what it lacks; the request goes on afterwards, once (semantics U1)."""
        if sum(len(name) + len(value) for name, value in then.fields) > MAX_INTERRUPTED_CHARACTERS:
            raise falcon.HTTPContentTooLarge
        asked = await step_up(self.accounts, self.browser(req), session, need, then)
        if isinstance(asked, CodeRequested):
            self.to_verify(resp, asked)
        else:
            self.refuse(req, resp, asked)

    def refuse(self, req: Request, resp: Response, refused: Refused | NoEligibleMethod) -> None:
        """Tell why nothing can be asked for now."""
        language = spoken(req)
        if isinstance(refused, Refused):
            title = language.say("Please wait a moment")
            sentence = language.say("Too many codes were asked for. Try again in a few minutes.")
            resp.status = falcon.HTTP_429
            resp.set_header("Retry-After", str(seconds(refused.retry_after)))
        else:
            title = language.say("This needs a stronger proof")
            sentence = language.say("None of your contacts is strong enough for what you want to do.")
            resp.status = falcon.HTTP_403
        self.show(
            req,
            resp,
            "word.html",
            tone="warn",
            title=title,
            sentence=sentence,
            link=HOME,
            label=language.say("To your account"),
        )

    async def unavailable(self, req: Request, resp: Response, error: Exception, _: object) -> None:
        """Tell that something is down or full, and when to come again (semantics H1)."""
        language = spoken(req)
        resp.status = falcon.HTTP_503
        resp.set_header("Retry-After", str(getattr(error, "retry_after", 1)))
        self.show(
            req,
            resp,
            "word.html",
            tone="warn",
            title=language.say("Not available just now"),
            sentence=language.say("Too much is going on, or something is being mended. Try again in a moment."),
            link=req.path if req.method == "GET" else HOME,
            label=language.say("Try again"),
        )
