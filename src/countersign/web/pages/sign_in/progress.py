"""How far the message of a login flow is: shown on the verification screen, and followed as a stream of events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from countersign.domain.delivery.delivery import Delivery, Reason
from countersign.domain.shared.network import network_of
from countersign.domain.verifications.challenge import ChallengeState
from countersign.flows.accounts.login_flow import is_other_flow
from countersign.flows.sign_in.verify import VerificationView, view_flow
from countersign.messages.content.hints import hint
from countersign.web.http.browser import language_of
from countersign.web.http.event_stream import PER_BROWSER, PER_NETWORK, Snapshot
from countersign.web.http.problems import ProblemError
from countersign.web.pages.shared.flow_mark import FIELD
from countersign.web.pages.shared.wordings import DELIVERY_STATES
from countersign.web.pages.sign_in.code_help import help_of, offers_of

if TYPE_CHECKING:
    from countersign.messages.content.code_help import CodeHelp
    from countersign.messages.language.catalogue import Language
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response


class Progress(msgspec.Struct, frozen=True):
    """The state of the newest message in words, with what the person can do.

    `lost` says that it will not come, `gone` that its mailbox or number does not exist, and `late` to offer another way by itself.
    `over`: no code is waited for. `resent` and `sent` are those of `CodeHelp`.
    """

    state: str
    hint: str
    resent: str
    sent: str
    lost: bool
    late: bool
    over: bool
    gone: bool = False


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
        gone=newest.is_lost and newest.reason is Reason.UNKNOWN_RECIPIENT,
    )


_ENDED = Snapshot(msgspec.json.encode(Progress("", "", "", "", lost=False, late=False, over=True)), final=True)
"""Another tab has completed the flow, or canceled it: the page that waits looks for the way on."""


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
                return _ENDED if browser.flow else None
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
