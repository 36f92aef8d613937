"""Forms by which a signed-in person changes the account. A form continues by itself after the proof that it needed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from countersign.domain.accounts.change import ChangeRefusal
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import ProofRequirement, Session
from countersign.flows.accounts.account_language import account_language
from countersign.flows.accounts.context import BrowserContext, CodeRequested
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.submit import SubmitResult, submit_change
from countersign.flows.verifications.results import Refused
from countersign.messages.language.catalogue import Language
from countersign.web.http.browser import language_of
from countersign.web.http.forms import fields_of
from countersign.web.http.request import Request
from countersign.web.http.response import Response
from countersign.web.pages.shared.destinations import to_verification
from countersign.web.pages.shared.word_pages import show_change_refusal, show_refusal

if TYPE_CHECKING:
    from countersign.domain.accounts.change import ChangeRequest
    from countersign.web.http.context import WebContext
    from countersign.web.http.router import Responder
    from countersign.web.pages.shared.session_guard import SessionGuard


class Submission(msgspec.Struct, frozen=True):
    """A submitted form of a signed-in person, now or continued after a proof. `resp` gets the answer.

    `act_language` is the language of the account, in which the act is named (semantics P4).
    """

    req: Request
    resp: Response
    browser: BrowserContext
    session: Session
    path: str
    fields: Mapping[str, str]
    act_language: Language

    @property
    def language(self) -> Language:
        """Return the person's language."""
        return language_of(self.req)

    @property
    def then(self) -> InterruptedRequest:
        """Return the form as it continues after the proof."""
        return InterruptedRequest("POST", self.path, tuple(self.fields.items()))


Act: TypeAlias = Callable[[Submission], Awaitable[None]]
"""Carries out a form, and answers."""


class ChangeForms:
    """Reads the forms of the account's pages, and answers with the outcome of the changes."""

    def __init__(self, web: WebContext, guard: SessionGuard) -> None:
        self._web = web
        self._guard = guard

    def post(self, path: str, act: Act, *, page: str = "") -> Responder:
        """Return the handler of the form at `path`.

        Args:
            path: where the form is sent to.
            act: does what it asks for.
            page: the page that is shown after a sign-in, if that was needed first; left out, the form itself is remembered.
        """

        async def post(req: Request, resp: Response) -> None:
            fields = await fields_of(req)
            then = InterruptedRequest("GET", page) if page else InterruptedRequest("POST", path, tuple(fields.items()))
            session = await self._guard.session(req, resp, then)
            if session is not None:
                language = await account_language(self._web.accounts, session, language_of(req))
                await act(Submission(req, resp, self._web.browser(req), session, path, fields, language))

        return post

    async def submit(self, form: Submission, request: ChangeRequest) -> Applied | None:
        """Submit a change. Returns it if it was applied at once; otherwise answers as `settle` does."""
        request = msgspec.structs.replace(request, interrupted=form.then)
        return await self.settle(form, await submit_change(self._web.accounts, form.browser, form.session, request))

    async def settle(self, form: Submission, outcome: SubmitResult) -> Applied | None:
        """Return an applied change. Otherwise answer with the missing proof or the refusal, and return None."""
        match outcome:
            case Applied():
                self._web.database.notify()
                return outcome
            case ProofRequirement():
                await self._guard.ask_for(form.req, form.resp, form.session, outcome, form.then)
            case CodeRequested():
                self._web.database.notify()
                to_verification(form.req, form.resp, outcome)
            case ChangeRefusal():
                show_change_refusal(self._web, form.req, form.resp, outcome)
            case Refused():
                show_refusal(self._web, form.req, form.resp, outcome)
        return None
