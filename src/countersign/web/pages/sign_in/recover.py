"""The pages at /recover: a forgotten password, and what is left to who has lost everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon

from countersign.domain.accounts.change import ChangeRefusal
from countersign.flows.accounts.context import CodeRequested, FlowNotFound, InvalidInput
from countersign.flows.changes.apply import Applied
from countersign.flows.sign_in.recover import begin_delayed_recovery, may_reset_password, recover, reset_password
from countersign.web.http.cookies import SESSION, VISIT, drop
from countersign.web.http.forms import fields_of, spoken
from countersign.web.http.problems import seconds
from countersign.web.pages.sign_in.sign_up import FAULTS, fault_of_contact

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from countersign.flows.verifications.results import Refused
    from countersign.messages.language.catalogue import Language
    from countersign.web.pages.continue_flow import Onward

PATH: Final = "/recover"


class RecoverPage:
    """GET shows the form, POST sends a code; below it a new password is chosen, or a waiting time begun."""

    def __init__(self, onward: Onward) -> None:
        self._onward = onward
        self._door = onward.door

    async def on_get(self, req: Request, resp: Response) -> None:
        """Ask whose account it is."""
        self._show(req, resp, "recover.html", {}, {})

    on_head = on_get

    async def on_post(self, req: Request, resp: Response) -> None:
        """Send a code; the answer is the same whether there is an account or not (semantics R1)."""
        fields = await fields_of(req)
        asked = await recover(self._door.accounts, self._door.browser(req), fields.get("identifier", ""))
        self._asked(req, resp, "recover.html", fields, asked)

    async def on_get_lost(self, req: Request, resp: Response) -> None:
        """Explain the waiting time, and ask for a new contact."""
        self._show(req, resp, "lost.html", {}, {})

    async def on_post_lost(self, req: Request, resp: Response) -> None:
        """Have the new contact proved."""
        fields = await fields_of(req)
        asked = await begin_delayed_recovery(
            self._door.accounts, self._door.browser(req), fields.get("identifier", ""), fields.get("contact", "")
        )
        self._asked(req, resp, "lost.html", fields, asked)

    async def on_get_password(self, req: Request, resp: Response) -> None:
        """Ask for the new password, where it was proved whose account it is."""
        if await may_reset_password(self._door.accounts, self._door.browser(req)):
            self._show(req, resp, "new_password.html", {}, {})
        else:
            self._onward.nothing(req, resp)

    async def on_post_password(self, req: Request, resp: Response) -> None:
        """Replace the password, and lead to the sign-in: nobody is signed in by this (semantics R2)."""
        fields = await fields_of(req)
        outcome = await reset_password(
            self._door.accounts, self._door.browser(req), fields.get("password", ""), fields.get("current", "")
        )
        language = spoken(req)
        match outcome:
            case InvalidInput(faults):
                resp.status = falcon.HTTP_422
                self._show(req, resp, "new_password.html", {}, faults)
            case Applied():
                self._door.accounts.database.announce()
                drop(resp, VISIT)
                drop(resp, SESSION)
                self._onward.word(
                    req,
                    resp,
                    "good",
                    language.say("You have a new password"),
                    language.say("Everybody is signed out, and all your contacts are told. Sign in with it now."),
                    ("/sign-in", language.say("Sign in")),
                )
            case ChangeRefusal():
                self._onward.refused(req, resp, outcome)
            case FlowNotFound():
                self._onward.nothing(req, resp)

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
                self._door.accounts.database.announce()
                self._door.to_verify(resp, asked)
            case InvalidInput(faults):
                resp.status = falcon.HTTP_422
                self._show(req, resp, template, fields, faults)
            case _ if asked.retry_after:
                resp.status = falcon.HTTP_429
                resp.set_header("Retry-After", str(seconds(asked.retry_after)))
                self._door.refuse(req, resp, asked)
            case _:
                resp.status = falcon.HTTP_422
                field = "contact" if "contact" in fields else "identifier"
                self._show(req, resp, template, fields, {field: "unusable"})

    def _show(
        self, req: Request, resp: Response, template: str, fields: dict[str, str], faults: dict[str, str]
    ) -> None:
        language, least = spoken(req), str(self._door.accounts.password_min_length)
        self._door.show(
            req,
            resp,
            template,
            identifier=fields.get("identifier", ""),
            contact=fields.get("contact", ""),
            least=least,
            faults={field: _words(field, fault, language, least) for field, fault in faults.items()},
        )


def _words(field: str, fault: str, language: Language, least: str) -> str:
    if field == "current":
        return language.say("This is not the password. Leave it empty if you do not know it.")
    return language.say(FAULTS[fault], least=least) if field == "password" else fault_of_contact(fault, language)
