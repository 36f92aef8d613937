"""The buttons of the verification screen: the code once more, in another way, anew, or to another address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.account import ContactMethod
from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.challenge import Refusal
from countersign.flows.accounts.context import InvalidInput
from countersign.flows.sign_in.change_address import change_address
from countersign.flows.sign_in.renew import renew_code
from countersign.flows.sign_in.verify import resend_flow_code, use_another_method
from countersign.flows.verifications.results import Done, Refused
from countersign.web.http.forms import fields_of, is_form
from countersign.web.pages.shared.flow_mark import is_of_other_flow, show_other_flow
from countersign.web.pages.shared.over import answer_over
from countersign.web.pages.sign_in.presses import is_pressed_twice
from countersign.web.pages.sign_in.verification_faults import keep_refusal, to_screen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.flows.accounts.context import FlowNotFound
    from countersign.flows.verifications.results import Outcome
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response


_AUTHENTICATORS: Final = {
    "/verify/app": AuthenticatorKind.APP.value,
    "/verify/passkey": AuthenticatorKind.PASSKEY.value,
    "/verify/recovery-code": AuthenticatorKind.RECOVERY_CODE.value,
}


class CodeRequestForms:
    """Each acts once, however often it is pressed, and redirects to the screen (semantics J2, J4)."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def to_screen(self, req: Request, resp: Response) -> None:
        """Lead to the screen: whoever reloads the address of a form, or opens it again, repeats nothing."""
        to_screen(self._web, req, resp, {}, _AUTHENTICATORS.get(req.path, ""))

    async def resend(self, req: Request, resp: Response) -> None:
        """Send it again."""
        fields = await self._fields(req, resp)
        if fields is not None:
            await self._answer(req, resp, await resend_flow_code(self._web.accounts, self._web.browser(req)))

    async def renew(self, req: Request, resp: Response) -> None:
        """Send a new one in place of one that is over."""
        fields = await self._fields(req, resp)
        if fields is not None:
            await self._answer(req, resp, await renew_code(self._web.accounts, self._web.browser(req)))

    async def another_way(self, req: Request, resp: Response) -> None:
        """Send it to the `contact` and by the `channel` of the button."""
        fields = await self._fields(req, resp)
        if fields is None:
            return
        try:
            way = ContactMethod(fields.get("contact", ""), Channel(fields.get("channel", "")), "")
        except ValueError:
            outcome: Outcome | FlowNotFound = Refused(Refusal.CHANNEL_NOT_ALLOWED)
        else:
            outcome = await use_another_method(self._web.accounts, self._web.browser(req), way)
        await self._answer(req, resp, outcome)

    async def change_address(self, req: Request, resp: Response) -> None:
        """Send the code of a sign-up to the address that the person meant."""
        fields = await self._fields(req, resp)
        if fields is None:
            return
        typed = fields.get("identifier", "")
        outcome = await change_address(self._web.accounts, self._web.browser(req), typed)
        if isinstance(outcome, InvalidInput):
            fault = outcome.faults["identifier"]
            to_screen(self._web, req, resp, {"address": typed, "address_fault": fault})
        elif isinstance(outcome, Refused) and not outcome.retry_after:
            to_screen(self._web, req, resp, {"address": typed, "address_fault": "unusable"})
        else:
            await self._answer(req, resp, outcome)

    async def _fields(self, req: Request, resp: Response) -> Mapping[str, str] | None:
        """Return the fields of a form that is to act; None if it was answered already."""
        fields = await fields_of(req) if is_form(req) else {}
        if is_of_other_flow(self._web, req, fields):
            show_other_flow(self._web, req, resp)
            return None
        if await is_pressed_twice(self._web, req, fields):
            to_screen(self._web, req, resp, {})
            return None
        return fields

    async def _answer(self, req: Request, resp: Response, outcome: Outcome | FlowNotFound) -> None:
        match outcome:
            case Done():
                self._web.database.notify()
                to_screen(self._web, req, resp, {"sent": "yes"})
            case Refused():
                keep_refusal(self._web, req, resp, outcome)
            case _:
                await answer_over(self._web, req, resp)
