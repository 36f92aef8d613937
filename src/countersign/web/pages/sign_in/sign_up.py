"""The page at /sign-up: a name, a contact and a password, then the code that proves the contact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon

from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.flows.accounts.context import CodeRequested, InvalidInput
from countersign.flows.oidc.asking_client import find_asking_client
from countersign.flows.sign_in.sign_up import sign_up
from countersign.flows.verifications.results import Refused
from countersign.messages.language.catalogue import mark
from countersign.web.http.browser import language_of
from countersign.web.http.forms import fields_of
from countersign.web.pages.shared.destinations import return_to, to_verification
from countersign.web.pages.shared.rendering import show
from countersign.web.pages.shared.word_pages import show_refusal
from countersign.web.pages.shared.wordings import PASSWORD_FAULTS, fault_of_contact

if TYPE_CHECKING:
    from countersign.messages.language.catalogue import Language
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

_NAME: Final = mark("Tell us what to call you, in at most 80 characters.")


class SignUpPage:
    """GET shows the form, POST asks for the code."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, req: Request, resp: Response) -> None:
        """Show the form."""
        wanted = req.get_param("return_to") or ""
        hint = (await find_asking_client(self._web.accounts, wanted)).login_hint
        await self._show(req, resp, {"identifier": hint}, {}, wanted)

    async def post(self, req: Request, resp: Response) -> None:
        """Begin to create an account. The answer does not reveal whether the contact has one already."""
        fields = await fields_of(req)
        wanted = fields.get("return_to", "")
        asked = await sign_up(
            self._web.accounts,
            self._web.browser(req),
            fields.get("name", ""),
            fields.get("identifier", ""),
            fields.get("password", ""),
            InterruptedRequest(path=await return_to(self._web, wanted)),
        )
        match asked:
            case CodeRequested():
                to_verification(resp, asked)
            case InvalidInput(faults):
                resp.status = falcon.HTTP_422
                await self._show(req, resp, fields, faults, wanted)
            case Refused():
                if asked.retry_after:
                    show_refusal(self._web, req, resp, asked)
                else:
                    resp.status = falcon.HTTP_422
                    await self._show(req, resp, fields, {"identifier": asked.reason or "unusable"}, wanted)

    async def _show(
        self, req: Request, resp: Response, fields: dict[str, str], faults: dict[str, str], wanted: str
    ) -> None:
        language = language_of(req)
        show(
            self._web,
            req,
            resp,
            "sign_up.html",
            name=fields.get("name", ""),
            identifier=fields.get("identifier", ""),
            return_to=wanted,
            asking=(await find_asking_client(self._web.accounts, wanted)).site,
            least=str(self._web.accounts.password_min_length),
            faults={field: self._words(field, fault, language) for field, fault in faults.items()},
        )

    def _words(self, field: str, fault: str, language: Language) -> str:
        if field == "identifier":
            return fault_of_contact(fault, language)
        return language.say(PASSWORD_FAULTS.get(fault, _NAME), least=str(self._web.accounts.password_min_length))
