"""The verification screen at /verify: what was sent and how far it is, the code, and every other way to get one."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import falcon
import msgspec
from falcon.asgi import SSEvent

from countersign.domain.accounts.account import ContactMethod
from countersign.domain.accounts.login_flow import LoginFlowKind
from countersign.domain.delivery.delivery import Delivery, DeliveryState
from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.challenge import ChallengeState, Refusal
from countersign.domain.verifications.code import Alphabet
from countersign.errors import UnavailableError
from countersign.flows.accounts.context import BrowserContext, FlowNotFound
from countersign.flows.accounts.location_check import UnlikelyLocation
from countersign.flows.sign_in.verify import (
    VerificationView,
    check_code,
    resend_flow_code,
    use_another_method,
    view_flow,
)
from countersign.flows.verifications.results import Done, Refused
from countersign.messages.content.hints import hint
from countersign.messages.content.risk_reasons import reason
from countersign.messages.language.catalogue import Language, mark
from countersign.web.http.cookies import VISIT, drop
from countersign.web.http.forms import fields_of, spoken
from countersign.web.http.problems import seconds
from countersign.web.http.templates import instant
from countersign.web.pages.continue_flow import AGAIN, Onward
from countersign.web.pages.sign_in.authenticator import WAYS, ProvePage, methods_shown

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from falcon.asgi import Request, Response

    from countersign.flows.verifications.results import Outcome
    from countersign.web.pages.session_guard import Door

POLL: Final = 0.7
"""Seconds between two looks at a message that is on its way."""
LONGEST: Final = 620.0
"""Seconds after which a stream ends: no code lives longer."""
MOST_STREAMS: Final = 500
"""Screens that one process keeps informed at once; more are told nothing by themselves, and work all the same."""

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
    LoginFlowKind.BIND: mark("Confirm that this is yours"),
    LoginFlowKind.RECOVER: mark("Recover your account"),
    LoginFlowKind.CLAIM: mark("Confirm that this is yours"),
}
ENDED: Final = {
    ChallengeState.EXPIRED: (
        mark("This code has run out"),
        mark("It was worth something for ten minutes. Start again to get a new one."),
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
STATES: Final = {
    DeliveryState.QUEUED: mark("Waiting to be sent"),
    DeliveryState.SENDING: mark("Being sent"),
    DeliveryState.ACCEPTED: mark("Handed over"),
    DeliveryState.DELIVERED: mark("Delivered"),
    DeliveryState.UNDELIVERED: mark("Not delivered"),
    DeliveryState.FAILED: mark("Not sent"),
    DeliveryState.DROPPED: mark("Not sent"),
}


class Progress(msgspec.Struct, frozen=True):
    """What is known of the newest message: its state and what to do, in words.

    `lost` says that it will not come, `late` to offer another way by itself.
    """

    state: str
    hint: str
    lost: bool
    late: bool
    over: bool


def progress(view: VerificationView, language: Language, now: int) -> Progress:
    """Return what is known of the message of a flow, for the person who waits for it."""
    over = view.challenge is None or view.challenge.state_at(now) is not ChallengeState.PENDING
    newest: Delivery | None = max(view.deliveries, key=lambda one: one.number, default=None)
    if newest is None:
        return Progress("", "", lost=False, late=True, over=over)
    told = hint(newest.state, newest.reason, newest.channel, language.tag) or ""
    return Progress(language.say(STATES[newest.state]), told, lost=newest.lost, late=newest.late(now), over=over)


class VerifyPage:
    """GET shows the screen, POST judges the code."""

    def __init__(self, door: Door, onward: Onward, prove: ProvePage) -> None:
        self._door = door
        self.onward = onward
        self._prove = prove

    async def on_get(self, req: Request, resp: Response) -> None:
        """Show what is under way."""
        await self.screen(req, resp)

    on_head = on_get

    async def on_post(self, req: Request, resp: Response) -> None:
        """Judge what was typed."""
        fields = await fields_of(req)
        browser = self._door.browser(req)
        outcome = await check_code(
            self._door.accounts,
            browser,
            fields.get("code", ""),
            remember=fields.get("remember", "") not in {"", "no"},
            confirmed=fields.get("far") == "yes",
        )
        match outcome:
            case UnlikelyLocation():
                resp.status = falcon.HTTP_409
                await self.screen(req, resp, far=outcome)
            case Refused(refusal, challenge) if refusal is Refusal.WRONG_CODE and challenge is not None:
                resp.status = falcon.HTTP_422
                await self.screen(
                    req, resp, fault=self._wrong(req, challenge.guesses_left), typed=bool(fields.get("code"))
                )
            case Refused():
                await self.refused(req, resp, outcome)
            case _:
                await self.onward.go(req, resp, outcome)

    async def screen(
        self, req: Request, resp: Response, *, fault: str = "", typed: bool = False, far: UnlikelyLocation | None = None
    ) -> None:
        """Show the screen as things stand."""
        view = await view_flow(self._door.accounts, self._door.browser(req))
        if view is None:
            self.onward.nothing(req, resp)
            return
        language, now = spoken(req), self._door.accounts.now()
        challenge, flow = view.challenge, view.flow
        if challenge is None or self._prove.is_meant(req, view):
            await self._prove.screen(req, resp, view)
            return
        state = challenge.state_at(now)
        if state is not ChallengeState.PENDING and not flow.is_switching_method:
            title, sentence = ENDED[state]
            drop(resp, VISIT)
            self._door.show(
                req,
                resp,
                "word.html",
                tone="warn",
                title=language.say(title),
                sentence=language.say(sentence),
                link=AGAIN[flow.kind],
                label=language.say("Start again"),
            )
            return
        known = progress(view, language, now)
        shape = challenge.terms.policy.shape
        self._door.show(
            req,
            resp,
            "verify.html",
            title=language.say(TITLES[flow.kind]),
            to=challenge.terms.to_masked,
            by=language.say(BY[challenge.channel]),
            reason=reason(flow.risk_findings, language),
            summary=flow.requirement.action.summary,
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
            ways=[
                (way.contact, way.channel.value, language.say(WAYS[way.channel], to=f"\u2066{way.masked}\u2069"))
                for way in view.contact_methods
                if (way.contact, way.channel) != (flow.contact, challenge.channel)
            ],
            form_action=await self._door.leads_to(flow.interrupted.path),
            methods=methods_shown(view, language),
            may_remember=self._door.accounts.sign_in_policy.trusts_browsers
            and flow.kind in {LoginFlowKind.SIGN_UP, LoginFlowKind.SIGN_IN},
            again=AGAIN[flow.kind],
        )

    async def refused(self, req: Request, resp: Response, refused: Refused) -> None:
        """Show the screen with why something was not done."""
        language = spoken(req)
        wait = seconds(refused.retry_after)
        if refused.retry_after:
            resp.status = falcon.HTTP_429
            resp.set_header("Retry-After", str(wait))
        else:
            resp.status = falcon.HTTP_409
        match refused.refusal:
            case Refusal.TOO_SOON:
                fault = language.count(
                    "The last message was sent a moment ago. Wait {number} second.",
                    "The last message was sent a moment ago. Wait {number} seconds.",
                    wait,
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
                fault = language.say("Too many codes were asked for. Try again in a few minutes.")
        await self.screen(req, resp, fault=fault)

    def _wrong(self, req: Request, left: int) -> str:
        return spoken(req).count(
            "This is not the code. You have {number} guess left.",
            "This is not the code. You have {number} guesses left.",
            left,
        )


class ResendPage:
    """POST sends the code once more."""

    def __init__(self, door: Door, page: VerifyPage) -> None:
        self._door = door
        self._page = page

    async def on_post(self, req: Request, resp: Response) -> None:
        """Send it, and show the screen again."""
        await _answered(
            self._door, self._page, req, resp, await resend_flow_code(self._door.accounts, self._door.browser(req))
        )


class WayPage:
    """POST asks for the code in another way: `contact` and `channel`, as one of the buttons said."""

    def __init__(self, door: Door, page: VerifyPage) -> None:
        self._door = door
        self._page = page

    async def on_post(self, req: Request, resp: Response) -> None:
        """Ask, and show the screen again."""
        fields = await fields_of(req)
        try:
            way = ContactMethod(fields.get("contact", ""), Channel(fields.get("channel", "")), "")
        except ValueError:
            outcome: Outcome | FlowNotFound = Refused(Refusal.CHANNEL_NOT_ALLOWED)
        else:
            outcome = await use_another_method(self._door.accounts, self._door.browser(req), way)
        await _answered(self._door, self._page, req, resp, outcome)


class ProgressStream:
    """GET tells, as server-sent events, what becomes of the message; a browser without a flow gets 404."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._streams = 0

    async def on_get(self, req: Request, resp: Response) -> None:
        """Stream until the flow is over."""
        browser = self._door.browser(req)
        view = await view_flow(self._door.accounts, browser)
        if view is None:
            raise falcon.HTTPNotFound
        if self._streams >= MOST_STREAMS or self._door.runtime.stopping.is_set():
            raise falcon.HTTPServiceUnavailable(retry_after=10)
        resp.sse = self._changes(browser, view, spoken(req))

    async def _changes(
        self, browser: BrowserContext, view: VerificationView, language: Language
    ) -> AsyncGenerator[SSEvent | None, None]:
        self._streams += 1
        try:
            said: Progress | None = None
            until = time.monotonic() + LONGEST
            while True:
                found = progress(view, language, self._door.accounts.now())
                if found != said:
                    said = found
                    yield SSEvent(data=msgspec.json.encode(found))
                else:
                    yield None
                if found.over or time.monotonic() > until or self._door.runtime.stopping.is_set():
                    return
                await asyncio.sleep(POLL)
                try:
                    newer = await view_flow(self._door.accounts, browser)
                except UnavailableError:
                    continue
                if newer is None:
                    return
                view = newer
        finally:
            self._streams -= 1


async def _answered(
    door: Door, page: VerifyPage, req: Request, resp: Response, outcome: Outcome | FlowNotFound
) -> None:
    match outcome:
        case Done():
            door.see(resp, "/verify")
        case Refused():
            await page.refused(req, resp, outcome)
        case _:
            page.onward.nothing(req, resp)
