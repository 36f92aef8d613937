"""The screens at /verify for an authenticator app's code or a recovery code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.login_flow import LoginFlowKind
from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.code import CodeShape
from countersign.flows.accounts.authenticator import RECOVERY_CODE_LENGTH, InvalidCode, MalformedCode
from countersign.flows.accounts.location_check import UnlikelyLocation
from countersign.flows.sign_in.authenticator import ProofResult, prove_with_app, prove_with_recovery_code
from countersign.flows.sign_in.verify import VerificationView, view_flow
from countersign.flows.verifications.results import Refused
from countersign.messages.content.risk_reasons import reason
from countersign.messages.language.catalogue import Language, mark
from countersign.totp import DIGITS
from countersign.web.http.browser import language_of
from countersign.web.http.forms import fields_of
from countersign.web.pages.shared.asking_application import remember_application
from countersign.web.pages.shared.continue_flow import AGAIN
from countersign.web.pages.shared.destinations import leads_to
from countersign.web.pages.shared.flow_mark import is_of_other_flow, show_other_flow
from countersign.web.pages.shared.rendering import show
from countersign.web.pages.shared.word_pages import show_no_flow, too_many_requests
from countersign.web.pages.shared.wordings import fault_of_code, fault_of_contact
from countersign.web.pages.sign_in.lost import way_on

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.pages.shared.continue_flow import ContinueFlow

METHODS: Final = {
    AuthenticatorKind.APP: mark("Use your authenticator app"),
    AuthenticatorKind.PASSKEY: mark("Use a passkey"),
    AuthenticatorKind.RECOVERY_CODE: mark("Use a recovery code"),
}
TITLES: Final = {
    AuthenticatorKind.APP: mark("Enter the code of your authenticator app"),
    AuthenticatorKind.PASSKEY: mark("Use your passkey"),
    AuthenticatorKind.RECOVERY_CODE: mark("Enter a recovery code"),
}
SENTENCES: Final = {
    AuthenticatorKind.APP: mark("Open the app: it shows six digits that change every half minute."),
    AuthenticatorKind.PASSKEY: mark("Your device asks you to confirm, with your finger, your face or its PIN."),
    AuthenticatorKind.RECOVERY_CODE: mark("One of those that you wrote down. Each works once."),
}

WAYS: Final = {
    Channel.EMAIL: mark("E-mail to {to}"),
    Channel.SMS: mark("SMS to {to}"),
    Channel.VOICE: mark("Call {to}"),
    Channel.WHATSAPP: mark("WhatsApp to {to}"),
}
"""How a code may be requested instead."""


def methods_shown(view: VerificationView, language: Language) -> list[tuple[str, str]]:
    """Return the available authenticators by their names in the address, with the texts for people."""
    return [(kind.value, language.say(METHODS[kind])) for kind in view.authenticators]


class AuthenticatorPage:
    """POST to /verify/app or /verify/recovery-code checks the input. The screens are shown at /verify?by=..."""

    def __init__(self, web: WebContext, continue_flow: ContinueFlow) -> None:
        self._web = web
        self._continue_flow = continue_flow

    def is_meant(self, req: Request, view: VerificationView) -> bool:
        """Return True if one of these screens was requested."""
        return req.get_param("by") in {kind.value for kind in view.authenticators}

    async def post_app(self, req: Request, resp: Response) -> None:
        """Check a code of the app."""
        fields = await fields_of(req)
        if is_of_other_flow(self._web, req, fields):
            show_other_flow(self._web, req, resp)
            return
        proved = await prove_with_app(
            self._web.accounts,
            self._web.browser(req),
            fields.get("code", ""),
            remember=remembers(fields),
            confirmed=is_sure(fields),
        )
        await self._answer(req, resp, proved, AuthenticatorKind.APP)

    async def post_recovery_code(self, req: Request, resp: Response) -> None:
        """Use a recovery code."""
        fields = await fields_of(req)
        if is_of_other_flow(self._web, req, fields):
            show_other_flow(self._web, req, resp)
            return
        proved = await prove_with_recovery_code(
            self._web.accounts,
            self._web.browser(req),
            fields.get("code", ""),
            remember=remembers(fields),
            confirmed=is_sure(fields),
        )
        await self._answer(req, resp, proved, AuthenticatorKind.RECOVERY_CODE)

    async def _answer(self, req: Request, resp: Response, proved: ProofResult, kind: AuthenticatorKind) -> None:
        language = language_of(req)
        match proved:
            case MalformedCode():
                resp.status = falcon.HTTP_422
                await self.again(req, resp, kind, _shape_of(kind, language))
            case InvalidCode(left):
                resp.status = falcon.HTTP_422
                fault = language.count(
                    "This is not the code. You have {number} guess left.",
                    "This is not the code. You have {number} guesses left.",
                    left,
                )
                await self.again(req, resp, kind, fault)
            case UnlikelyLocation():
                resp.status = falcon.HTTP_409
                await self.again(req, resp, kind, "", proved)
            case Refused():
                resp.status = falcon.HTTP_409
                if proved.retry_after:
                    too_many_requests(resp, proved)
                await self.again(req, resp, kind, language.say("Too many wrong codes were entered. Use another way."))
            case _:
                await self._continue_flow.go(req, resp, proved)

    async def again(
        self, req: Request, resp: Response, kind: AuthenticatorKind, fault: str, far: UnlikelyLocation | None = None
    ) -> None:
        """Show the screen again with the fault."""
        view = await view_flow(self._web.accounts, self._web.browser(req))
        if view is None:
            show_no_flow(self._web, req, resp)
        else:
            await self.screen(req, resp, view, kind=kind, fault=fault, far=far)

    async def screen(
        self,
        req: Request,
        resp: Response,
        view: VerificationView,
        *,
        kind: AuthenticatorKind | None = None,
        fault: str = "",
        far: UnlikelyLocation | None = None,
    ) -> None:
        """Show the screen of the requested authenticator, or of the first available one."""
        language, flow = language_of(req), view.flow
        remember_application(req, flow.interrupted.path)
        wanted = req.get_param("by") or ""
        if kind is None:
            kind = next((one for one in view.authenticators if one.value == wanted), None)
        if kind is None:
            kind = view.authenticators[0] if view.authenticators else AuthenticatorKind.RECOVERY_CODE
        show(
            self._web,
            req,
            resp,
            "prove.html",
            title=language.say(TITLES[kind]),
            sentence=language.say(SENTENCES[kind]),
            kind=kind.value,
            summary=flow.requirement.action.summary,
            asker=flow.requirement.action.asker,
            asking=flow.interrupted.asker,
            reason=reason(flow.risk_findings, language),
            fault=fault or _why_no_message(view, language),
            far=far,
            methods=[(name, label) for name, label in methods_shown(view, language) if name != kind.value],
            ways=[
                (way.contact, way.channel.value, language.say(WAYS[way.channel], to=f"\u2066{way.masked}\u2069"))
                for way in view.contact_methods
            ],
            sent=view.challenge is not None,
            form_action=await leads_to(self._web, flow.interrupted.path),
            may_remember=self._web.accounts.sign_in_policy.trusts_browsers and flow.kind is LoginFlowKind.SIGN_IN,
            lost=way_on(self._web, view, kind, language),
            again=AGAIN[flow.kind],
        )


def _shape_of(kind: AuthenticatorKind, language: Language) -> str:
    """Return what a code of an app, or a recovery code, looks like."""
    if kind is AuthenticatorKind.APP:
        return fault_of_code(CodeShape(DIGITS), language)
    return language.say("A recovery code has {length} letters and digits.", length=str(RECOVERY_CODE_LENGTH))


def _why_no_message(view: VerificationView, language: Language) -> str:
    """Return why no code was sent for a recovery, which goes on without one; empty if one was. It depends on no account."""
    if view.flow.kind is not LoginFlowKind.RECOVER or view.challenge is not None:
        return ""
    if not view.contact_methods:
        return fault_of_contact("unusable", language)
    return language.say("Too many codes were asked for. Try again in a few minutes.")


def remembers(fields: Mapping[str, str]) -> bool:
    """Return True if the person wants this browser to be trusted."""
    return fields.get("remember", "") not in {"", "no"}


def is_sure(fields: Mapping[str, str]) -> bool:
    """Return True if the person confirmed that they requested the code themselves, from another place."""
    return fields.get("far") == "yes"
