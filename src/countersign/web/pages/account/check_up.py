"""The page at /account/check-up: how a person would get back in after a loss, and where nothing would be left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

from countersign import links
from countersign.domain.accounts.authenticator import has_way_back
from countersign.domain.accounts.check_up import Loss, LossOutcome, Verdict, WayKind
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.sign_in.check_up import losses_of
from countersign.messages.language.catalogue import Language, mark
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import REMINDED, keep
from countersign.web.pages.shared.account_layout import show_part
from countersign.web.pages.shared.destinations import return_to

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.pages.shared.session_guard import SessionGuard

METHODS: Final = "/account/methods"
REMINDED_FOR: Final = 7 * 86_400
"""Seconds after which a browser is led here again by a sign-in."""

LOSSES: Final = {
    Loss.PHONE: mark("If you lost your phone"),
    Loss.DEVICE: mark("If you lost the device with your passkey"),
    Loss.MAILBOX: mark("If you could not get into your mailbox"),
    Loss.PASSWORD: mark("If you forgot your password"),
    Loss.PHONE_AND_PASSWORD: mark("If you lost your phone and forgot your password"),
}
WAYS: Final = {
    WayKind.PASSKEY: mark("your passkey {names}"),
    WayKind.BOUND_PASSKEY: mark("your passkey {names}, if it is on another device"),
    WayKind.APP: mark("your authenticator app {names}"),
    WayKind.CODE: mark("a code to {names}"),
    WayKind.RECOVERY_CODE: mark("a recovery code"),
    WayKind.WAITING: mark("a wait of 7 days, which anyone with your old contact details can stop"),
}
VERDICTS: Final = {
    Verdict.SAFE: ("good", mark("You would get back in with:")),
    Verdict.UNSURE: ("warn", mark("You might get back in with:")),
    Verdict.SLOW: ("warn", mark("You would be locked out for days. You could then get back in with:")),
    Verdict.SHUT_OUT: ("bad", mark("You would be locked out, with no way to get back in.")),
}


class ToldLoss(msgspec.Struct, frozen=True):
    """What a loss would mean, in words. `tone` is `good`, `warn` or `bad`."""

    title: str
    tone: str
    sentence: str
    ways: tuple[str, ...]


def told(outcome: LossOutcome, language: Language) -> ToldLoss:
    """Return what a loss would mean, in words. The wait is told only where nothing quicker is left."""
    tone, sentence = VERDICTS[outcome.verdict]
    quick = [way for way in outcome.ways if way.kind is not WayKind.WAITING]
    ways = quick if quick and outcome.verdict is Verdict.SAFE else outcome.ways
    return ToldLoss(
        language.say(LOSSES[outcome.loss]),
        tone,
        language.say(sentence),
        tuple(language.say(WAYS[way.kind], names=_listed(way.names)) for way in ways),
    )


def _listed(names: tuple[str, ...]) -> str:
    """Return names as they stand in a sentence, each isolated from its direction."""
    return " / ".join(f"\u2068{name}\u2069" for name in names)


class CheckUpPage:
    """GET shows the check-up. A sign-in leads here with `return_to`, and not again in this browser for a week."""

    def __init__(self, web: WebContext, guard: SessionGuard) -> None:
        self._web = web
        self._guard = guard

    async def get(self, req: Request, resp: Response) -> None:
        """Show the page to a signed-in person."""
        wanted = req.get_param("return_to") or ""
        then = f"{links.CHECK_UP}?return_to={quote(wanted, safe='')}" if wanted else links.CHECK_UP
        session = await self._guard.session(req, resp, InterruptedRequest("GET", then))
        if session is None:
            return
        onward = await return_to(self._web, wanted) if wanted else ""
        snapshot = await self._web.database.read(find_snapshot, session.account)
        is_safe = snapshot is None or has_way_back(snapshot.authenticators)
        if onward and (is_safe or req.get_cookie_values(REMINDED)):
            resp.redirect(onward)
            return
        language = language_of(req)
        show_part(
            self._web,
            req,
            resp,
            "check_up.html",
            METHODS,
            losses=[told(one, language) for one in await losses_of(self._web.accounts, session.account)],
            onward=onward,
            is_safe=is_safe,
        )
        if onward:
            keep(resp, REMINDED, "yes", REMINDED_FOR)
