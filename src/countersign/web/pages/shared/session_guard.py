"""The session guard: admits signed-in persons to their pages, and asks for a stronger proof where one is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from countersign.domain.accounts.login_flow import MAX_INTERRUPTED_CHARACTERS, InterruptedRequest
from countersign.domain.accounts.session import Level, ProofRequirement, Session, is_enrolment_only, satisfies
from countersign.flows.accounts.context import CodeRequested
from countersign.flows.accounts.sessions import find_session
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.sign_in.step_up import step_up
from countersign.store.tables import accounts, applications, grants
from countersign.web.http.problems import ProblemError
from countersign.web.pages.shared.destinations import page_of, to_verification
from countersign.web.pages.shared.done_words import SESSION_ENDED
from countersign.web.pages.shared.flash import keep_flash
from countersign.web.pages.shared.word_pages import show_refusal

if TYPE_CHECKING:
    from countersign.domain.accounts.account import Account
    from countersign.domain.shared.application import Application
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

METHODS: Final = "/account/methods"
SIGNED_OUT: Final = "signed_out"
"""What the page of a form says, after a sign-in, if the session had ended while the form was filled in."""

_NEVER_KEPT: Final = frozenset({"password", "current", "code", "credential", "sealed", "flow", "seen"})


async def _find_reader(session: Session) -> tuple[Account | None, Application | None]:
    application = await grants.find_last_application(session.account, session.id)
    return await accounts.find(session.account), await applications.find(application) if application else None


class SessionGuard:
    """Admits signed-in persons, and asks for what is missing. The interrupted request continues afterwards, once (semantics U1)."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def session(self, req: Request, resp: Response, then: InterruptedRequest) -> Session | None:
        """Return the session, or redirect to the sign-in and return None."""
        session = await find_session(self._web.accounts, self._web.browser(req))
        if session is None:
            self._keep_form(req, resp, then)
            return None
        if is_enrolment_only(
            session, self._web.accounts.sign_in_policy, self._web.accounts.now()
        ) and not then.path.startswith(METHODS):
            await self._closed(req, resp, session, then)
            return None
        await self._learn_reader(req, session)
        return session

    async def _learn_reader(self, req: Request, session: Session) -> None:
        """Note whose times the page shows, unless the browser has told its zone, and from which application the person came."""
        account, application = await self._web.database.read(_find_reader, session)
        if account is not None:
            req.account_timezone = account.timezone
        if application is not None and application.removed_at is None and application.redirect_uris:
            parts = urlsplit(application.redirect_uris[0])
            req.application = (application.site, f"{parts.scheme}://{parts.netloc}/")

    def _keep_form(self, req: Request, resp: Response, then: InterruptedRequest) -> None:
        """Lead to the sign-in, and from there back to the page of the form, which is filled again but not sent.

        Whoever signs in may be another person than the one who typed it.
        """
        page, ended = page_of(then), ""
        if then.method == "POST":
            keep_flash(self._web, resp, page, {name: text for name, text in then.fields if name not in _NEVER_KEPT})
        if req.method == "POST":
            page, ended = f"{page}?done={SIGNED_OUT}", f"&done={SESSION_ENDED}"
        resp.redirect(f"/sign-in?return_to={quote(page, safe='/')}{ended}")

    async def _closed(self, req: Request, resp: Response, session: Session, then: InterruptedRequest) -> None:
        """Ask for the app or passkey that this installation requires, or lead to its enrolment."""
        snapshot = await self._web.database.read(find_snapshot, session.account)
        if snapshot is not None and snapshot.strong:
            await self.ask_for(req, resp, session, ProofRequirement(Level.APP_CODE), then)
        else:
            resp.redirect(f"{METHODS}?done=enrol")

    async def admits(
        self, req: Request, resp: Response, session: Session, need: ProofRequirement, then: InterruptedRequest
    ) -> bool:
        """Return True if the session satisfies the requirement.

        Otherwise ask for the proof; the request continues afterwards (semantics U1).
        """
        if satisfies(session, need, self._web.accounts.now()):
            return True
        await self.ask_for(req, resp, session, need, then)
        return False

    async def ask_for(
        self, req: Request, resp: Response, session: Session, need: ProofRequirement, then: InterruptedRequest
    ) -> None:
        """Ask for the missing proof. The request continues afterwards, once (semantics U1)."""
        if sum(len(name) + len(value) for name, value in then.fields) > MAX_INTERRUPTED_CHARACTERS:
            raise ProblemError("too_large")
        asked = await step_up(self._web.accounts, self._web.browser(req), session, need, then)
        if isinstance(asked, CodeRequested):
            to_verification(req, resp, asked)
        else:
            show_refusal(self._web, req, resp, asked)
