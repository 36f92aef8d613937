"""The page at /sign-up: a name, a contact and a password, then the code that proves the contact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.flows.accounts.context import CodeRequested, InvalidInput
from countersign.flows.sign_in.sign_up import sign_up
from countersign.flows.verifications.results import Refused
from countersign.messages.language.catalogue import mark
from countersign.web.http.browser import language_of
from countersign.web.http.forms import fields_of
from countersign.web.pages.shared.destinations import origin_of, return_to, to_verification, with_origin
from countersign.web.pages.shared.first_visit import drops_cookies, name_browser
from countersign.web.pages.shared.flash import keep_flash, take_flash
from countersign.web.pages.shared.rendering import show
from countersign.web.pages.shared.word_pages import show_cookies_needed, show_refusal
from countersign.web.pages.shared.wordings import PASSWORD_FAULTS, fault_of_contact
from countersign.web.pages.sign_in.sign_in import MAX_IDENTIFIER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.messages.language.catalogue import Language
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

_FIELDS: Final = ("name", "identifier", "password")
MAX_NAME: Final = 160
"""Characters of a name that the form is filled with again."""
_NAME: Final = mark("Enter your name in 80 characters or fewer.")


class SignUpPage:
    """GET shows the form, POST asks for the code."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, req: Request, resp: Response) -> None:
        """Show the form, filled with what was typed if something is wrong with it."""
        said = take_flash(self._web, req, resp, "/sign-up")
        name_browser(self._web, req, resp)
        faults = {field: said[f"{field}_fault"] for field in _FIELDS if f"{field}_fault" in said}
        await self._show(req, resp, said, faults, req.get_param("return_to") or "")

    async def post(self, req: Request, resp: Response) -> None:
        """Begin to create an account. The answer does not reveal whether the contact has one already."""
        fields = await fields_of(req)
        wanted = fields.get("return_to", "")
        if drops_cookies(self._web, req, fields):
            show_cookies_needed(self._web, req, resp, with_origin("/sign-up", wanted))
            return
        then = InterruptedRequest(path=await return_to(self._web, wanted))
        asked = await sign_up(
            self._web.accounts,
            self._web.browser(req),
            fields.get("name", ""),
            fields.get("identifier", ""),
            fields.get("password", ""),
            then,
        )
        match asked:
            case CodeRequested():
                to_verification(req, resp, asked)
            case InvalidInput(faults):
                self._again(resp, fields, faults, then.path)
            case Refused():
                if asked.retry_after:
                    show_refusal(self._web, req, resp, asked)
                else:
                    self._again(resp, fields, {"identifier": asked.reason or "unusable"}, then.path)

    def _again(self, resp: Response, fields: Mapping[str, str], faults: Mapping[str, str], path: str) -> None:
        """Redirect to the form, filled again. The password is not kept."""
        said = {f"{field}_fault": fault for field, fault in faults.items()}
        said |= {"name": fields.get("name", "")[:MAX_NAME], "identifier": fields.get("identifier", "")[:MAX_IDENTIFIER]}
        keep_flash(self._web, resp, "/sign-up", said)
        resp.redirect(with_origin("/sign-up", path))

    async def _show(
        self, req: Request, resp: Response, fields: Mapping[str, str], faults: dict[str, str], wanted: str
    ) -> None:
        language, origin = language_of(req), await origin_of(self._web, wanted)
        show(
            self._web,
            req,
            resp,
            "sign_up.html",
            name=fields.get("name", ""),
            identifier=fields.get("identifier", "" if fields else origin.login_hint),
            return_to=wanted,
            asking=origin.asking,
            sign_in=with_origin("/sign-in", origin.path),
            origin=origin,
            form_action=origin.form_action,
            least=str(self._web.accounts.password_min_length),
            faults={field: self._words(field, fault, language) for field, fault in faults.items()},
        )

    def _words(self, field: str, fault: str, language: Language) -> str:
        if field == "identifier":
            return fault_of_contact(fault, language)
        return language.say(PASSWORD_FAULTS.get(fault, _NAME), least=str(self._web.accounts.password_min_length))
