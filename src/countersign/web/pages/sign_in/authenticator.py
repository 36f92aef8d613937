"""The screens at /verify for an authenticator app's code or a recovery code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.login_flow import LoginFlowKind
from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.code import CodeShape
from countersign.flows.accounts.authenticator import (
    GUESSES_PER_FLOW,
    RECOVERY_CODE_LENGTH,
    InvalidCode,
    MalformedCode,
    read_app_code,
    read_recovery_code,
)
from countersign.flows.accounts.location_check import UnlikelyLocation, check_location
from countersign.flows.sign_in.authenticator import ProofResult, prove_with_app, prove_with_recovery_code
from countersign.flows.sign_in.verify import VerificationView, view_flow
from countersign.flows.verifications.results import Refused
from countersign.messages.content.risk_reasons import reason
from countersign.messages.language.catalogue import Language, mark
from countersign.totp import DIGITS
from countersign.web.http.browser import language_of
from countersign.web.http.forms import fields_of
from countersign.web.pages.shared.destinations import again, origin_of, page_of
from countersign.web.pages.shared.flash import take_flash
from countersign.web.pages.shared.flow_mark import flow_query, is_of_other_flow, show_other_flow
from countersign.web.pages.shared.rendering import show
from countersign.web.pages.shared.wordings import fault_of_code, fault_of_contact
from countersign.web.pages.sign_in.lost import way_on
from countersign.web.pages.sign_in.presses import is_pressed_twice, seen_of
from countersign.web.pages.sign_in.verification_faults import PATH, fault_of, keep_refusal, to_screen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.domain.accounts.account import ContactMethod
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
    AuthenticatorKind.APP: mark("Enter the code from your authenticator app"),
    AuthenticatorKind.PASSKEY: mark("Use your passkey"),
    AuthenticatorKind.RECOVERY_CODE: mark("Enter a recovery code"),
}
SENTENCES: Final = {
    AuthenticatorKind.APP: mark("Open the app. It shows a 6-digit code that changes every 30 seconds."),
    AuthenticatorKind.PASSKEY: mark("Your device will ask you to confirm with your fingerprint, your face or its PIN."),
    AuthenticatorKind.RECOVERY_CODE: mark("Enter one of the recovery codes you saved. Each works once."),
}

WAYS: Final = {
    Channel.EMAIL: mark("Email to {to}"),
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
        if await is_pressed_twice(self._web, req, fields):
            await self._answer_again(req, resp, fields, AuthenticatorKind.APP)
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
        if await is_pressed_twice(self._web, req, fields):
            await self._answer_again(req, resp, fields, AuthenticatorKind.RECOVERY_CODE)
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
        match proved:
            case MalformedCode():
                to_screen(self._web, req, resp, {"shape_fault": "yes"}, kind.value)
            case InvalidCode(left):
                to_screen(self._web, req, resp, {"wrong": str(left)}, kind.value)
            case UnlikelyLocation():
                to_screen(self._web, req, resp, {"far": "yes"}, kind.value)
            case Refused():
                keep_refusal(self._web, req, resp, proved, kind.value)
            case _:
                await self._continue_flow.go(req, resp, proved)

    async def _answer_again(
        self, req: Request, resp: Response, fields: Mapping[str, str], kind: AuthenticatorKind
    ) -> None:
        """Answer the second of two presses as the first was answered: that answer never arrives."""
        view = await view_flow(self._web.accounts, self._web.browser(req))
        if _is_malformed(fields.get("code", ""), kind):
            to_screen(self._web, req, resp, {"shape_fault": "yes"}, kind.value)
            return
        counted = view is not None and seen_of(view) != fields.get("seen")
        left = GUESSES_PER_FLOW - view.flow.guesses if view is not None else 0
        to_screen(self._web, req, resp, {"wrong": str(left)} if counted else {}, kind.value)

    async def screen(self, req: Request, resp: Response, view: VerificationView) -> None:
        """Show the screen of the requested authenticator, or of the first available one, with what came of the last form."""
        language, flow = language_of(req), view.flow
        wanted = req.get_param("by") or ""
        kind = next((one for one in view.authenticators if one.value == wanted), None)
        if kind is None:
            kind = view.authenticators[0] if view.authenticators else AuthenticatorKind.RECOVERY_CODE
        said = take_flash(self._web, req, resp, PATH)
        origin = await origin_of(self._web, page_of(flow.interrupted))
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
            fault=_fault_of(said, kind, language) or _why_no_message(view, language),
            far=check_location(self._web.accounts, self._web.browser(req), flow) if "far" in said else None,
            methods=[(name, label) for name, label in methods_shown(view, language) if name != kind.value],
            ways=[shown for _, shown in ways_shown(view, language)],
            sent=view.challenge is not None,
            seen=seen_of(view),
            origin=origin,
            cancels=True,
            flow_query=flow_query(self._web, req),
            form_action=origin.form_action,
            may_remember=self._web.accounts.sign_in_policy.trusts_browsers and flow.kind is LoginFlowKind.SIGN_IN,
            lost=way_on(self._web, view, kind, language, origin.path, flow_query(self._web, req)),
            again=again(flow.kind, flow.interrupted),
        )


def ways_shown(view: VerificationView, language: Language) -> list[tuple[ContactMethod, tuple[str, str, str]]]:
    """Return the ways in which a message may be sent, each with what its button sends and says."""
    return [
        (way, (way.contact, way.channel.value, language.say(WAYS[way.channel], to=f"\u2066{way.masked}\u2069")))
        for way in view.contact_methods
    ]


def _fault_of(said: Mapping[str, str], kind: AuthenticatorKind, language: Language) -> str:
    """Return what was wrong with the last form, in words. No contact is meant here, unlike on the screen of a code that was sent."""
    if said.get("passkey"):
        return language.say("This passkey is not on your account, or you did not confirm. Try again.")
    if said.get("refusal"):
        return language.say("Too many wrong codes were entered. Use another way.")
    if said.get("shape_fault"):
        return _shape_of(kind, language)
    return fault_of(said, language)


def _shape_of(kind: AuthenticatorKind, language: Language) -> str:
    """Return what a code of an app, or a recovery code, looks like."""
    if kind is AuthenticatorKind.APP:
        return fault_of_code(CodeShape(DIGITS), language)
    return language.say("A recovery code has {length} letters and digits.", length=str(RECOVERY_CODE_LENGTH))


def _is_malformed(typed: str, kind: AuthenticatorKind) -> bool:
    """Return True for what cannot be such a code."""
    return (read_app_code if kind is AuthenticatorKind.APP else read_recovery_code)(typed) is None


def _why_no_message(view: VerificationView, language: Language) -> str:
    """Return why no code was sent for a recovery, which goes on without one; empty if one was. It depends on no account."""
    if view.flow.kind is not LoginFlowKind.RECOVER or view.challenge is not None:
        return ""
    if not view.contact_methods:
        return fault_of_contact("unusable", language)
    return language.say("Too many codes were requested. Try again in a few minutes.")


def remembers(fields: Mapping[str, str]) -> bool:
    """Return True if the person wants this browser to be trusted."""
    return fields.get("remember", "") not in {"", "no"}


def is_sure(fields: Mapping[str, str]) -> bool:
    """Return True if the person confirmed that they requested the code themselves, from another place."""
    return fields.get("far") == "yes"
