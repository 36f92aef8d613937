"""The pages at /recover: a forgotten password, and delayed recovery for a person without any contact."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon

from countersign.domain.accounts.change import ChangeRefusal
from countersign.flows.accounts.context import CodeRequested, FlowNotFound, InvalidInput
from countersign.flows.changes.apply import Applied
from countersign.flows.sign_in.recover import (
    RecoveryNotOffered,
    begin_delayed_recovery,
    find_recovered_address,
    recover,
    reset_password,
)
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import FLOW, SESSION, drop
from countersign.web.http.forms import fields_of
from countersign.web.pages.shared.destinations import to_verification
from countersign.web.pages.shared.flow_mark import is_of_other_flow, show_other_flow
from countersign.web.pages.shared.rendering import show
from countersign.web.pages.shared.word_pages import show_change_refusal, show_no_flow, show_refusal, show_word
from countersign.web.pages.shared.wordings import PASSWORD_FAULTS, fault_of_contact
from countersign.web.pages.sign_in.own_recovery import own_recovery_shown

if TYPE_CHECKING:
    from countersign.flows.verifications.results import Refused
    from countersign.messages.language.catalogue import Language
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response


class RecoverPage:
    """GET shows the form, POST sends a code. Below it a new password is chosen, or delayed recovery begins."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, req: Request, resp: Response) -> None:
        """Ask for the identifier."""
        self._show(req, resp, "recover.html", {}, {})

    async def post(self, req: Request, resp: Response) -> None:
        """Send a code. The answer is the same without an account (semantics R1)."""
        fields = await fields_of(req)
        asked = await recover(self._web.accounts, self._web.browser(req), fields.get("identifier", ""))
        self._asked(req, resp, "recover.html", fields, asked)

    async def get_lost(self, req: Request, resp: Response) -> None:
        """Explain the waiting time, and ask for a new contact."""
        if not self._web.accounts.recovery_policy.delayed:
            self._not_offered(req, resp)
            return
        self._show(req, resp, "lost.html", {}, {})

    async def post_lost(self, req: Request, resp: Response) -> None:
        """Send a code to the new contact."""
        fields = await fields_of(req)
        asked = await begin_delayed_recovery(
            self._web.accounts, self._web.browser(req), fields.get("identifier", ""), fields.get("contact", "")
        )
        if isinstance(asked, RecoveryNotOffered):
            self._not_offered(req, resp)
        else:
            self._asked(req, resp, "lost.html", fields, asked)

    def _not_offered(self, req: Request, resp: Response) -> None:
        """Say that there is no delayed recovery here, and what to do instead (semantics R8)."""
        language, site = language_of(req), self._web.settings.site
        resp.status = falcon.HTTP_404
        show_word(
            self._web,
            req,
            resp,
            "warn",
            language.say("An account without contacts cannot be recovered here"),
            language.say(
                "You need one of its contacts, or a recovery code. If you have neither, ask the people of {site}: they can tell you what to do.",
                site=site,
            ),
            ("/recover", language.say("Recover your account")),
        )

    async def get_password(self, req: Request, resp: Response) -> None:
        """Ask for the new password once the person proved the account."""
        if address := await find_recovered_address(self._web.accounts, self._web.browser(req)):
            self._show(req, resp, "new_password.html", {"username": address}, {})
        else:
            show_no_flow(self._web, req, resp)

    async def post_password(self, req: Request, resp: Response) -> None:
        """Replace the password, and lead to the sign-in. It signs nobody in (semantics R2)."""
        fields = await fields_of(req)
        if is_of_other_flow(self._web, req, fields):
            show_other_flow(self._web, req, resp)
            return
        outcome = await reset_password(
            self._web.accounts, self._web.browser(req), fields.get("password", ""), fields.get("current", "")
        )
        language = language_of(req)
        match outcome:
            case InvalidInput(faults):
                resp.status = falcon.HTTP_422
                address = await find_recovered_address(self._web.accounts, self._web.browser(req))
                self._show(req, resp, "new_password.html", {"username": address}, faults)
            case Applied():
                self._web.database.notify()
                drop(resp, FLOW)
                drop(resp, SESSION)
                show_word(
                    self._web,
                    req,
                    resp,
                    "good",
                    language.say("You have a new password"),
                    language.say("Everybody is signed out, and all your contacts are told. Sign in with it now."),
                    ("/sign-in", language.say("Sign in")),
                )
            case ChangeRefusal():
                show_change_refusal(self._web, req, resp, outcome)
            case FlowNotFound():
                show_no_flow(self._web, req, resp)

    def _asked(
        self,
        req: Request,
        resp: Response,
        template: str,
        fields: dict[str, str],
        asked: CodeRequested | InvalidInput | Refused,
    ) -> None:
        match asked:
            case CodeRequested():
                self._web.database.notify()
                to_verification(resp, asked)
            case InvalidInput(faults):
                resp.status = falcon.HTTP_422
                self._show(req, resp, template, fields, faults)
            case _ if asked.retry_after:
                show_refusal(self._web, req, resp, asked)
            case _:
                resp.status = falcon.HTTP_422
                field = "contact" if "contact" in fields else "identifier"
                self._show(req, resp, template, fields, {field: "unusable"})

    def _show(
        self, req: Request, resp: Response, template: str, fields: dict[str, str], faults: dict[str, str]
    ) -> None:
        language, least = language_of(req), str(self._web.accounts.password_min_length)
        show(
            self._web,
            req,
            resp,
            template,
            identifier=fields.get("identifier", ""),
            contact=fields.get("contact", ""),
            username=fields.get("username", ""),
            least=least,
            policy=self._web.accounts.recovery_policy,
            own=own_recovery_shown(self._web, req) if template == "lost.html" else None,
            faults={field: _words(field, fault, language, least) for field, fault in faults.items()},
        )


def _words(field: str, fault: str, language: Language, least: str) -> str:
    if field == "current":
        return language.say("This is not the password. Leave it empty if you do not know it.")
    return (
        language.say(PASSWORD_FAULTS[fault], least=least) if field == "password" else fault_of_contact(fault, language)
    )
