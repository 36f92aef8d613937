"""What a browser that asked for a delayed recovery sees of it below /recover/lost: its dates, a calendar entry, and its withdrawal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import falcon

from countersign.flows.changes.own_recovery import read_own_recovery, withdraw_own_recovery
from countersign.messages.language.datetimes import day
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import MAX_SEALED, OWN_RECOVERY, drop, secret_in
from countersign.web.http.forms import fields_of
from countersign.web.pages.shared.word_pages import show_outcome, show_word

if TYPE_CHECKING:
    from countersign.flows.changes.own_recovery import OwnRecovery
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response


_LONGEST: Final = 75
"""Bytes of a line of iCalendar."""


def own_recovery_of(web: WebContext, req: Request) -> OwnRecovery | None:
    """Return the delayed recovery that this browser asked for; None if there is none that it could still finish."""
    return read_own_recovery(web.accounts, secret_in(req, OWN_RECOVERY, MAX_SEALED))


def own_recovery_shown(web: WebContext, req: Request) -> dict[str, str | bool] | None:
    """Return what the page shows of it: the contact, the dates, and whether it can be finished now."""
    own, language = own_recovery_of(web, req), language_of(req)
    if own is None:
        return None
    return {
        "contact": own.contact,
        "asked": day(own.asked_at, "UTC", language.locale),
        "due": day(own.due_at, "UTC", language.locale),
        "until": day(own.until, "UTC", language.locale),
        "is_due": web.accounts.now() >= own.due_at,
    }


class OwnRecoveryPage:
    """GET /recover/lost/calendar keeps the date, POST /recover/lost/withdraw ends the wait."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def to_lost(self, _: Request, resp: Response) -> None:
        """Lead to the page of the button: whoever reloads the address of a form, or opens it again, withdraws nothing."""
        resp.redirect("/recover/lost")

    async def calendar(self, req: Request, resp: Response) -> None:
        """Return the day on which to come back as an iCalendar file (RFC 5545)."""
        own, language = own_recovery_of(self._web, req), language_of(req)
        if own is None:
            self._nothing(req, resp)
            return
        site, base = self._web.settings.site, self._web.settings.public_url
        first = datetime.fromtimestamp(own.due_at / 1_000, UTC)
        lines = (
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:-//Countersign//Recovery//EN",
            "BEGIN:VEVENT",
            f"UID:{own.change}@{self._web.settings.host}",
            f"DTSTAMP:{datetime.fromtimestamp(own.asked_at / 1_000, UTC):%Y%m%dT%H%M%SZ}",
            f"DTSTART;VALUE=DATE:{first + timedelta(hours=12):%Y%m%d}",
            f"SUMMARY:{_escaped(language.say('Recover your account at {site}', site=site))}",
            f"DESCRIPTION:{base}/recover",
            f"URL:{base}/recover",
            "END:VEVENT",
            "END:VCALENDAR",
            "",
        )
        resp.write(
            "\r\n".join(folded for line in lines for folded in _folded(line)).encode(), "text/calendar; charset=utf-8"
        )
        resp.set_header("Content-Disposition", 'attachment; filename="recovery.ics"')

    async def withdraw(self, req: Request, resp: Response) -> None:
        """End the wait, and say the same whether there was one (semantics R1)."""
        await fields_of(req)
        own, language = own_recovery_of(self._web, req), language_of(req)
        if own is None:
            self._nothing(req, resp)
            return
        await withdraw_own_recovery(self._web.accounts, self._web.browser(req), own)
        drop(resp, OWN_RECOVERY)
        show_outcome(
            self._web,
            req,
            resp,
            "good",
            language.say("You have withdrawn your request"),
            language.say("Your request has ended. Nobody can ask to recover the same account for a day."),
            ("/sign-in", language.say("Sign in")),
        )

    def _nothing(self, req: Request, resp: Response) -> None:
        language = language_of(req)
        resp.status = falcon.HTTP_404
        show_word(
            self._web,
            req,
            resp,
            "warn",
            language.say("There is no request from this browser"),
            language.say("It was already withdrawn, it has ended, or another browser made it."),
            ("/recover/lost", language.say("Get back in with new contact details")),
        )


def _escaped(text: str) -> str:
    """Return a text as a value of iCalendar (RFC 5545, 3.3.11)."""
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _folded(line: str) -> list[str]:
    """Return a line in pieces of at most 75 bytes (RFC 5545, 3.1). Each after the first begins with a space."""
    pieces, piece = [], ""
    for character in line:
        if len((piece + character).encode()) > _LONGEST:
            pieces.append(piece)
            piece = " "
        piece += character
    return [*pieces, piece]
