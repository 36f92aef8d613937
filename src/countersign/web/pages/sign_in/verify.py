"""The verification screen at /verify: the state of the message, the code, and every other way to get one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.login_flow import LoginFlowKind
from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.challenge import ChallengeState, Refusal
from countersign.domain.verifications.code import Alphabet, read
from countersign.flows.accounts.location_check import UnlikelyLocation, check_location
from countersign.flows.sign_in.renew import RENEWABLE
from countersign.flows.sign_in.verify import VerificationView, check_code, view_flow
from countersign.flows.verifications.results import MALFORMED, Refused
from countersign.messages.content.risk_reasons import reason
from countersign.messages.language.catalogue import mark
from countersign.messages.language.datetimes import span
from countersign.web.http.browser import language_of
from countersign.web.http.forms import fields_of
from countersign.web.http.timestamps import instant
from countersign.web.pages.shared.asking_application import remember_application
from countersign.web.pages.shared.destinations import again, origin_of, page_of
from countersign.web.pages.shared.flash import take_flash
from countersign.web.pages.shared.flow_mark import FIELD, flow_query, is_of_other_flow, show_other_flow
from countersign.web.pages.shared.origin import keep_origin_of
from countersign.web.pages.shared.over import show_over
from countersign.web.pages.shared.readings import suggestion_of
from countersign.web.pages.shared.rendering import show
from countersign.web.pages.shared.support import support_of
from countersign.web.pages.shared.wordings import fault_of_code, fault_of_contact
from countersign.web.pages.sign_in.authenticator import AuthenticatorPage, is_sure, methods_shown, remembers, ways_shown
from countersign.web.pages.sign_in.code_help import help_of, typed_contact
from countersign.web.pages.sign_in.lost import way_on
from countersign.web.pages.sign_in.presses import is_pressed_twice, seen_of
from countersign.web.pages.sign_in.progress import progress
from countersign.web.pages.sign_in.verification_faults import PATH, fault_of, keep_refusal, to_screen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.domain.verifications.challenge import Challenge
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.pages.shared.continue_flow import ContinueFlow

BY: Final = {
    Channel.EMAIL: mark("by email"),
    Channel.SMS: mark("by SMS"),
    Channel.VOICE: mark("by phone call"),
    Channel.WHATSAPP: mark("by WhatsApp"),
}
TITLES: Final = {
    LoginFlowKind.SIGN_UP: mark("Confirm your email address or phone number"),
    LoginFlowKind.SIGN_IN: mark("Enter your security code to sign in"),
    LoginFlowKind.STEP_UP: mark("Confirm it’s you"),
    LoginFlowKind.BIND_CONTACT: mark("Confirm your email address or phone number"),
    LoginFlowKind.RECOVER: mark("Recover your account"),
    LoginFlowKind.DELAYED_RECOVERY: mark("Confirm your email address or phone number"),
}
ENDED: Final = {
    ChallengeState.EXPIRED: (
        mark("This code has expired"),
        mark("It worked for {time}. We can send you a new one."),
    ),
    ChallengeState.EXHAUSTED: (
        mark("No tries left"),
        mark("Too many wrong codes were entered, so this one no longer works. We can send you a new one."),
    ),
    ChallengeState.CANCELED: (
        mark("This code was stopped"),
        mark("Someone who received it said they did not ask for it."),
    ),
    ChallengeState.APPROVED: (
        mark("This code was used"),
        mark("Each code works once. If you’re not signed in, start again."),
    ),
}
CHANGED_AT: Final = {LoginFlowKind.SIGN_UP: "/verify/address", LoginFlowKind.RECOVER: "/recover"}
"""Where a wrong address is changed, for the flows in which one was typed and nothing else is asked for again."""
_MALFORMED: Final = {"shape_fault": "yes", "typed": "yes"}


class VerifyPage:
    """GET shows the screen, POST checks the code."""

    def __init__(self, web: WebContext, continue_flow: ContinueFlow, authenticator: AuthenticatorPage) -> None:
        self._web = web
        self._continue_flow = continue_flow
        self._authenticator = authenticator

    async def get(self, req: Request, resp: Response) -> None:
        """Show the flow that is under way, or the way on from one that is over."""
        mark = req.get_param(FIELD)
        if is_of_other_flow(self._web, req, {FIELD: mark} if mark else {}):
            show_other_flow(self._web, req, resp)
            return
        view = await view_flow(self._web.accounts, self._web.browser(req))
        if view is None:
            await show_over(self._web, req, resp)
            return
        keep_origin_of(self._web, req, resp, view.flow)
        remember_application(req, view.flow.interrupted.path)
        if view.challenge is None or self._authenticator.is_meant(req, view):
            await self._authenticator.screen(req, resp, view)
        else:
            await self._screen(req, resp, view, view.challenge)

    async def post(self, req: Request, resp: Response) -> None:
        """Check the code. What is wrong with it is said on the screen, to which the answer redirects (semantics J2)."""
        fields = await fields_of(req)
        if is_of_other_flow(self._web, req, fields):
            show_other_flow(self._web, req, resp)
            return
        if await is_pressed_twice(self._web, req, fields):
            await self._answer_again(req, resp, fields)
            return
        outcome = await check_code(
            self._web.accounts,
            self._web.browser(req),
            fields.get("code", ""),
            remember=remembers(fields),
            confirmed=is_sure(fields),
        )
        match outcome:
            case UnlikelyLocation():
                to_screen(self._web, req, resp, {"far": "yes"})
            case Refused(reason=why, challenge=challenge) if why == MALFORMED and challenge is not None:
                to_screen(self._web, req, resp, _MALFORMED)
            case Refused(refusal, challenge) if refusal is Refusal.WRONG_CODE and challenge is not None:
                self._say_wrong(req, resp, fields, challenge)
            case Refused():
                keep_refusal(self._web, req, resp, outcome)
            case _:
                await self._continue_flow.go(req, resp, outcome)

    async def _answer_again(self, req: Request, resp: Response, fields: Mapping[str, str]) -> None:
        """Answer the second of two presses as the first was answered: that answer never arrives."""
        view = await view_flow(self._web.accounts, self._web.browser(req))
        if view is None or view.challenge is None:
            to_screen(self._web, req, resp, {})
        elif read(fields.get("code", ""), view.challenge.terms.policy.shape) is None:
            to_screen(self._web, req, resp, _MALFORMED)
        elif seen_of(view) != fields.get("seen"):
            self._say_wrong(req, resp, fields, view.challenge)
        else:
            to_screen(self._web, req, resp, {})

    def _say_wrong(self, req: Request, resp: Response, fields: Mapping[str, str], challenge: Challenge) -> None:
        values = {"wrong": str(challenge.guesses_left), "typed": "yes" if fields.get("code") else ""}
        to_screen(self._web, req, resp, values)

    async def _screen(self, req: Request, resp: Response, view: VerificationView, challenge: Challenge) -> None:
        """Show the screen in its current state, with what came of the last form."""
        language, now, flow = language_of(req), self._web.accounts.now(), view.flow
        state = challenge.state_at(now)
        said = take_flash(self._web, req, resp, PATH)
        shape = challenge.terms.policy.shape
        fault = fault_of_code(shape, language) if "shape_fault" in said else fault_of(said, language)
        origin = await origin_of(self._web, page_of(flow.interrupted))
        query = flow_query(self._web, req)
        leads = {
            "origin": origin,
            "cancels": True,
            "again": again(flow.kind, flow.interrupted),
            "flow_query": query,
        }
        if state in RENEWABLE or (state is not ChallengeState.PENDING and not flow.is_switching_method):
            title, sentence = ENDED[state]
            time = span(challenge.terms.policy.lifetime, language.locale)
            show(
                self._web,
                req,
                resp,
                "ended.html",
                title=language.say(title),
                sentence=language.say(sentence, time=time),
                fault="" if "wrong" in said else fault,
                renewable=state in RENEWABLE,
                seen=seen_of(view),
                form_action=origin.form_action,
                **leads,
            )
            return
        told = help_of(self._web, view, challenge, language, now)
        known = progress(view, told, language, now)
        typed = typed_contact(view)
        change = "#identifier" if flow.kind in CHANGED_AT else again(flow.kind, flow.interrupted)
        show(
            self._web,
            req,
            resp,
            "verify.html",
            title=language.say(TITLES[flow.kind]),
            to=typed or challenge.terms.to_masked,
            suggestion=suggestion_of(flow.address, language),
            by=language.say(BY[challenge.channel]),
            reason=reason(flow.risk_findings, language),
            summary=flow.requirement.action.summary,
            asker=flow.requirement.action.asker,
            asking=flow.interrupted.asker,
            known=known,
            fault=fault,
            sent="sent" in said,
            far=check_location(self._web.accounts, self._web.browser(req), flow) if "far" in said else None,
            typed="typed" in said,
            numeric=shape.alphabet is Alphabet.DIGITS,
            length=shape.length,
            guesses=challenge.guesses_left if challenge.guesses else None,
            seen=seen_of(view),
            resend_in=max(0, -(-(challenge.resend_at - now) // 1_000)),
            resend_at=instant(challenge.resend_at + 999),
            sends_left=0 if known.gone else challenge.sends_left,
            help=told,
            change=(change, language.say("Use another email address or phone number")) if typed else None,
            support=support_of(self._web),
            ways=[
                shown
                for way, shown in ways_shown(view, language)
                if (way.contact, way.channel) != (flow.owned_contact, challenge.channel)
                and not (known.gone and way.contact == flow.owned_contact)
            ],
            form_action=origin.form_action,
            methods=methods_shown(view, language),
            may_remember=self._web.accounts.sign_in_policy.trusts_browsers
            and flow.kind in {LoginFlowKind.SIGN_UP, LoginFlowKind.SIGN_IN},
            lost=way_on(self._web, view, challenge.channel, language, origin.path, query),
            wrong_address=flow.kind in CHANGED_AT,
            changes_at=CHANGED_AT.get(flow.kind, ""),
            address=said.get("address", typed),
            address_fault=fault_of_contact(said["address_fault"], language) if "address_fault" in said else "",
            **leads,
        )
