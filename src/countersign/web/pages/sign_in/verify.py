"""The verification screen at /verify: the state of the message, the code, and every other way to get one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon
import msgspec

from countersign.domain.accounts.account import ContactMethod
from countersign.domain.accounts.login_flow import LoginFlowKind
from countersign.domain.delivery.delivery import Delivery
from countersign.domain.shared.contact import Channel, stored_contact
from countersign.domain.shared.network import network_of
from countersign.domain.verifications.challenge import ChallengeState, Refusal
from countersign.domain.verifications.code import Alphabet
from countersign.flows.accounts.context import FlowNotFound
from countersign.flows.accounts.location_check import UnlikelyLocation
from countersign.flows.accounts.login_flow import is_other_flow
from countersign.flows.sign_in.verify import (
    VerificationView,
    check_code,
    resend_flow_code,
    use_another_method,
    view_flow,
)
from countersign.flows.verifications.results import MALFORMED, Done, Refused
from countersign.messages.content.hints import hint
from countersign.messages.content.risk_reasons import reason
from countersign.messages.language.catalogue import Language, mark
from countersign.messages.language.datetimes import span
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import FLOW, drop
from countersign.web.http.event_stream import PER_BROWSER, PER_NETWORK, Snapshot
from countersign.web.http.forms import fields_of, is_form
from countersign.web.http.problems import ProblemError, seconds
from countersign.web.http.timestamps import instant
from countersign.web.pages.shared.asking_application import remember_application
from countersign.web.pages.shared.continue_flow import AGAIN
from countersign.web.pages.shared.destinations import leads_to
from countersign.web.pages.shared.flow_mark import FIELD, is_of_other_flow, show_other_flow
from countersign.web.pages.shared.readings import suggestion_of
from countersign.web.pages.shared.rendering import show
from countersign.web.pages.shared.support import support_of
from countersign.web.pages.shared.word_pages import show_no_flow, show_word, too_many_codes, too_many_requests
from countersign.web.pages.shared.wordings import DELIVERY_STATES, fault_of_code
from countersign.web.pages.sign_in.authenticator import WAYS, AuthenticatorPage, is_sure, methods_shown, remembers
from countersign.web.pages.sign_in.code_help import help_of, offers_of
from countersign.web.pages.sign_in.lost import way_on

if TYPE_CHECKING:
    from countersign.flows.verifications.results import Outcome
    from countersign.messages.content.code_help import CodeHelp
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.pages.shared.continue_flow import ContinueFlow

BY: Final = {
    Channel.EMAIL: mark("by e-mail"),
    Channel.SMS: mark("by SMS"),
    Channel.VOICE: mark("by a call"),
    Channel.WHATSAPP: mark("by WhatsApp"),
}
TITLES: Final = {
    LoginFlowKind.SIGN_UP: mark("Confirm that this is yours"),
    LoginFlowKind.SIGN_IN: mark("Enter the code to sign in"),
    LoginFlowKind.STEP_UP: mark("Confirm that it is you"),
    LoginFlowKind.BIND_CONTACT: mark("Confirm that this is yours"),
    LoginFlowKind.RECOVER: mark("Recover your account"),
    LoginFlowKind.DELAYED_RECOVERY: mark("Confirm that this is yours"),
}
ENDED: Final = {
    ChallengeState.EXPIRED: (
        mark("This code has run out"),
        mark("It worked for {time}. Start again to get a new one."),
    ),
    ChallengeState.EXHAUSTED: (
        mark("No guesses are left"),
        mark("Wrong codes were entered too often, so this one is worth nothing now. Start again to get a new one."),
    ),
    ChallengeState.CANCELED: (
        mark("This code was stopped"),
        mark("Somebody it was sent to said that they had not asked for it."),
    ),
    ChallengeState.APPROVED: (
        mark("This code was used"),
        mark("A code is accepted once. If you are not signed in, start again."),
    ),
}


class Progress(msgspec.Struct, frozen=True):
    """The state of the newest message in words, with what the person can do.

    `lost` says that it will not come, `late` to offer another way by itself. `resent` and `sent` are those of `CodeHelp`.
    """

    state: str
    hint: str
    resent: str
    sent: str
    lost: bool
    late: bool
    over: bool


def progress(view: VerificationView, told: CodeHelp | None, language: Language, now: int) -> Progress:
    """Return the progress of a flow's message for the person who waits for it. `told` is the help about its code, if there is one."""
    over = view.challenge is None or view.challenge.state_at(now) is not ChallengeState.PENDING
    newest: Delivery | None = max(view.deliveries, key=lambda one: one.number, default=None)
    if newest is None or told is None:
        return Progress("", "", "", "", lost=False, late=True, over=over)
    slow, offers = newest.is_slow(now), offers_of(view)
    hint_text = hint(newest.state, newest.reason, newest.channel, language.tag, slow=slow, offers=offers) or ""
    return Progress(
        language.say(DELIVERY_STATES[newest.state]),
        hint_text,
        told.resent,
        told.sent,
        lost=newest.is_lost,
        late=newest.is_late(now),
        over=over,
    )


class VerifyPage:
    """GET shows the screen, POST checks the code."""

    def __init__(self, web: WebContext, continue_flow: ContinueFlow, authenticator: AuthenticatorPage) -> None:
        self._web = web
        self._continue_flow = continue_flow
        self._authenticator = authenticator

    async def get(self, req: Request, resp: Response) -> None:
        """Show the flow that is under way."""
        await self.screen(req, resp)

    async def post(self, req: Request, resp: Response) -> None:
        """Check the code."""
        fields = await fields_of(req)
        if is_of_other_flow(self._web, req, fields):
            show_other_flow(self._web, req, resp)
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
                resp.status = falcon.HTTP_409
                await self.screen(req, resp, far=outcome)
            case Refused(reason=why, challenge=challenge) if why == MALFORMED and challenge is not None:
                resp.status = falcon.HTTP_422
                fault = fault_of_code(challenge.terms.policy.shape, language_of(req))
                await self.screen(req, resp, fault=fault, typed=True)
            case Refused(refusal, challenge) if refusal is Refusal.WRONG_CODE and challenge is not None:
                resp.status = falcon.HTTP_422
                await self.screen(
                    req, resp, fault=self._wrong(req, challenge.guesses_left), typed=bool(fields.get("code"))
                )
            case Refused():
                await self.refused(req, resp, outcome)
            case _:
                await self._continue_flow.go(req, resp, outcome)

    async def screen(
        self, req: Request, resp: Response, *, fault: str = "", typed: bool = False, far: UnlikelyLocation | None = None
    ) -> None:
        """Show the screen in its current state."""
        view = await view_flow(self._web.accounts, self._web.browser(req))
        if view is None:
            show_no_flow(self._web, req, resp)
            return
        language, now = language_of(req), self._web.accounts.now()
        challenge, flow = view.challenge, view.flow
        remember_application(req, flow.interrupted.path)
        if challenge is None or self._authenticator.is_meant(req, view):
            await self._authenticator.screen(req, resp, view)
            return
        state = challenge.state_at(now)
        if state is not ChallengeState.PENDING and not flow.is_switching_method:
            title, sentence = ENDED[state]
            drop(resp, FLOW)
            again = (AGAIN[flow.kind], language.say("Start again"))
            time = span(challenge.terms.policy.lifetime, language.locale)
            show_word(self._web, req, resp, "warn", language.say(title), language.say(sentence, time=time), again)
            return
        told = help_of(self._web, view, challenge, language, now)
        known = progress(view, told, language, now)
        shape = challenge.terms.policy.shape
        show(
            self._web,
            req,
            resp,
            "verify.html",
            title=language.say(TITLES[flow.kind]),
            # Whole for whoever typed it in this very browser a moment ago, whether or not there is an account.
            to=stored_contact(flow.address).written if flow.address else challenge.terms.to_masked,
            suggestion=suggestion_of(flow.address, language),
            by=language.say(BY[challenge.channel]),
            reason=reason(flow.risk_findings, language),
            summary=flow.requirement.action.summary,
            asker=flow.requirement.action.asker,
            asking=flow.interrupted.asker,
            known=known,
            fault=fault,
            far=far,
            typed=typed,
            numeric=shape.alphabet is Alphabet.DIGITS,
            length=shape.length,
            guesses=challenge.guesses_left if challenge.guesses else None,
            resend_in=max(0, -(-(challenge.resend_at - now) // 1_000)),
            resend_at=instant(challenge.resend_at + 999),
            sends_left=challenge.sends_left,
            help=told,
            change=(AGAIN[flow.kind], language.say("Use another address or number")) if flow.address else None,
            support=support_of(self._web),
            ways=[
                (way.contact, way.channel.value, language.say(WAYS[way.channel], to=f"\u2066{way.masked}\u2069"))
                for way in view.contact_methods
                if (way.contact, way.channel) != (flow.owned_contact, challenge.channel)
            ],
            form_action=await leads_to(self._web, flow.interrupted.path),
            methods=methods_shown(view, language),
            may_remember=self._web.accounts.sign_in_policy.trusts_browsers
            and flow.kind in {LoginFlowKind.SIGN_UP, LoginFlowKind.SIGN_IN},
            again=AGAIN[flow.kind],
            lost=way_on(self._web, view, challenge.channel, language),
        )

    async def refused(self, req: Request, resp: Response, refused: Refused) -> None:
        """Show the screen with the reason of a refusal."""
        language = language_of(req)
        resp.status = falcon.HTTP_409
        if refused.retry_after:
            too_many_requests(resp, refused)
        match refused.refusal:
            case Refusal.TOO_SOON:
                fault = language.count(
                    "The last message was sent a moment ago. Wait {number} second.",
                    "The last message was sent a moment ago. Wait {number} seconds.",
                    seconds(refused.retry_after),
                )
            case Refusal.NO_SENDS_LEFT:
                fault = language.say(
                    "No more messages can be sent for this code. Use one that has come, or start again."
                )
            case Refusal.CONTACT_PAUSED | Refusal.CONTACT_LOCKED:
                fault = language.say("Too many wrong codes were entered for this contact. Use another way.")
            case Refusal.CHANNEL_NOT_ALLOWED | Refusal.UNUSABLE_DESTINATION:
                fault = language.say("This way is not open for what you want to do. Choose another one.")
            case _:
                fault = too_many_codes(refused, language)
        await self.screen(req, resp, fault=fault)

    def _wrong(self, req: Request, left: int) -> str:
        return language_of(req).count(
            "This is not the code. You have {number} guess left.",
            "This is not the code. You have {number} guesses left.",
            left,
        )


class CodeRequestForms:
    """The buttons of the screen: send the code again, or in another way."""

    def __init__(self, web: WebContext, page: VerifyPage) -> None:
        self._web = web
        self._page = page

    async def resend(self, req: Request, resp: Response) -> None:
        """Send it again, and show the screen."""
        fields = await fields_of(req) if is_form(req) else {}
        if is_of_other_flow(self._web, req, fields):
            show_other_flow(self._web, req, resp)
            return
        await self._answer(req, resp, await resend_flow_code(self._web.accounts, self._web.browser(req)))

    async def another_way(self, req: Request, resp: Response) -> None:
        """Send it to the `contact` and by the `channel` of the button, and show the screen."""
        fields = await fields_of(req)
        if is_of_other_flow(self._web, req, fields):
            show_other_flow(self._web, req, resp)
            return
        try:
            way = ContactMethod(fields.get("contact", ""), Channel(fields.get("channel", "")), "")
        except ValueError:
            outcome: Outcome | FlowNotFound = Refused(Refusal.CHANNEL_NOT_ALLOWED)
        else:
            outcome = await use_another_method(self._web.accounts, self._web.browser(req), way)
        await self._answer(req, resp, outcome)

    async def _answer(self, req: Request, resp: Response, outcome: Outcome | FlowNotFound) -> None:
        match outcome:
            case Done():
                resp.redirect("/verify")
            case Refused():
                await self._page.refused(req, resp, outcome)
            case _:
                show_no_flow(self._web, req, resp)


class ProgressEvents:
    """The progress of the message as server-sent events."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, req: Request, resp: Response) -> None:
        """Send events until the flow is over. A browser without a flow gets 404."""
        accounts, browser, language = self._web.accounts, self._web.browser(req), language_of(req)
        if is_other_flow(accounts, browser, req.get_param(FIELD)):
            raise ProblemError("not_found")

        async def look() -> Snapshot | None:
            view = await view_flow(accounts, browser)
            if view is None:
                return None
            now = accounts.now()
            told = help_of(self._web, view, view.challenge, language, now) if view.challenge is not None else None
            found = progress(view, told, language, now)
            return Snapshot(msgspec.json.encode(found), final=found.over)

        first = await look()
        if first is None:
            raise ProblemError("not_found")
        holders = {f"browser {browser.device}": PER_BROWSER}
        if browser.ip:
            holders[f"network {network_of(browser.ip)}"] = PER_NETWORK
        self._web.streams.start(req, resp, first, look, holders)
