"""The page at /sign-up: a name, a contact, a password; then the code that proves the contact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon

from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.password import PasswordFault
from countersign.flows.accounts.context import CodeRequested, InvalidInput
from countersign.flows.sign_in.sign_up import sign_up
from countersign.flows.verifications.results import Refused
from countersign.messages.language.catalogue import mark
from countersign.web.http.forms import fields_of, spoken
from countersign.web.http.problems import seconds

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from countersign.messages.language.catalogue import Language
    from countersign.web.pages.session_guard import Door

FAULTS: Final = {
    PasswordFault.TOO_SHORT.value: mark("Use at least {least} characters."),
    PasswordFault.TOO_LONG.value: mark("Use at most 256 characters."),
    PasswordFault.COMMON.value: mark("This password is among those that everybody tries first. Choose another one."),
    PasswordFault.BREACHED.value: mark("This password is known from a break-in somewhere else. Choose another one."),
    PasswordFault.MADE_OF_NAMES.value: mark("This password is made of your name or ours. Choose another one."),
}
_NAME: Final = mark("Tell us what to call you, in at most 80 characters.")
_CONTACTS: Final = {
    "malformed": mark("Write an e-mail address, or a mobile number that begins with + and its country code.")
}
_UNUSABLE: Final = mark("We cannot send codes there. Use another address or a mobile number.")


def fault_of_contact(reason: str, language: Language) -> str:
    """Return what is wrong with an address or number that was typed, in words."""
    return language.say(_CONTACTS.get(reason, _UNUSABLE))


class SignUpPage:
    """GET shows the form, POST asks for the code."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def on_get(self, req: Request, resp: Response) -> None:
        """Show the form."""
        self._show(req, resp, {}, {}, req.get_param("return_to") or "")

    on_head = on_get

    async def on_post(self, req: Request, resp: Response) -> None:
        """Begin to open an account; whether the contact has one already cannot be told from the answer."""
        fields = await fields_of(req)
        wanted = fields.get("return_to", "")
        asked = await sign_up(
            self._door.accounts,
            self._door.browser(req),
            fields.get("name", ""),
            fields.get("identifier", ""),
            fields.get("password", ""),
            InterruptedRequest(path=await self._door.return_to(wanted)),
        )
        match asked:
            case CodeRequested():
                self._door.to_verify(resp, asked)
            case InvalidInput(faults):
                resp.status = falcon.HTTP_422
                self._show(req, resp, fields, faults, wanted)
            case Refused():
                if asked.retry_after:
                    resp.status = falcon.HTTP_429
                    resp.set_header("Retry-After", str(seconds(asked.retry_after)))
                    self._door.refuse(req, resp, asked)
                else:
                    resp.status = falcon.HTTP_422
                    self._show(req, resp, fields, {"identifier": "unusable"}, wanted)

    def _show(
        self, req: Request, resp: Response, fields: dict[str, str], faults: dict[str, str], return_to: str
    ) -> None:
        language = spoken(req)
        self._door.show(
            req,
            resp,
            "sign_up.html",
            name=fields.get("name", ""),
            identifier=fields.get("identifier", ""),
            return_to=return_to,
            least=str(self._door.accounts.password_min_length),
            faults={field: self._words(field, fault, language) for field, fault in faults.items()},
        )

    def _words(self, field: str, fault: str, language: Language) -> str:
        if field == "identifier":
            return fault_of_contact(fault, language)
        return language.say(FAULTS.get(fault, _NAME), least=str(self._door.accounts.password_min_length))
