"""The page behind "this wasn't me" in a notice: it explains the change, and locks the account when the person confirms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon

from countersign.domain.delivery.notice import Notice
from countersign.flows.changes.report_change import DELAYED_RECOVERY_NOTICES, find_notice, report_change
from countersign.messages.content.device_name import device_name
from countersign.messages.content.notice import WORDINGS
from countersign.messages.language.datetimes import day, time_of_day
from countersign.web.http.browser import language_of
from countersign.web.pages.shared.rendering import show
from countersign.web.pages.shared.word_pages import HOME, show_word

if TYPE_CHECKING:
    from countersign.messages.language.catalogue import Language
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response


class ReportChangePage:
    """/not-me for a reference of a notice. Opening the page changes nothing (semantics R3)."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, req: Request, resp: Response, reference: str) -> None:
        """Explain the change, and ask."""
        notice = await find_notice(self._web.accounts, reference)
        if notice is None:
            self._nowhere(req, resp)
            return
        language = language_of(req)
        site = self._web.settings.site
        waits = notice.kind in DELAYED_RECOVERY_NOTICES
        show(
            self._web,
            req,
            resp,
            "not_me.html",
            ending=None,
            reference=reference,
            title=language.say("Was this not you?"),
            sentence=f"{language.say(WORDINGS[notice.kind].title)}.",
            facts=_facts(notice, language),
            warning=language.say("Nobody from {site} will ever ask you for a code or your password.", site=site),
            button=language.say("Stop it") if waits else language.say("No, that was not me"),
            otherwise=language.say("If that is you, close this page: nothing happens.")
            if waits
            else language.say(
                "It signs out every browser, yours too, undoes what was changed since, and closes the account until you choose a new password."
            ),
            purpose=language.say("What we know of it"),
            summary="",
            approves="",
        )

    async def post(self, req: Request, resp: Response, reference: str) -> None:
        """Lock the account or stop what is pending, and say what to do next."""
        outcome = await report_change(self._web.accounts, self._web.browser(req), reference)
        if outcome is None:
            self._nowhere(req, resp)
            return
        language = language_of(req)
        if outcome.stopped:
            title = language.say("It is stopped")
            sentence = language.say("Nobody takes over your account. If they try again, you will be told again.")
            link, label = "/account", language.say("To your account")
        else:
            title = language.say("Your account is closed to everybody")
            sentence = language.say(
                "Everybody is signed out, and what was changed since is undone. Choose a new password now. Whoever it was may still"
                " read your messages: change the password of your mailbox too."
            )
            link, label = "/recover", language.say("Choose a new password")
        show_word(self._web, req, resp, "good", title, sentence, (link, label))

    def _nowhere(self, req: Request, resp: Response) -> None:
        language = language_of(req)
        resp.status = falcon.HTTP_404
        show_word(
            self._web,
            req,
            resp,
            "warn",
            language.say("This link leads nowhere"),
            language.say(
                "It may have been cut off on its way to you, or it is an old one. Open it once more from the message, in full."
            ),
            (HOME, language.say("To your account")),
        )


def _facts(notice: Notice, language: Language) -> list[tuple[str, str]]:
    at = language.say(
        "{day}, {time}",
        day=day(notice.created_at, "UTC", language.locale),
        time=time_of_day(notice.created_at, "UTC", language.locale),
    )
    given = notice.facts
    facts = [
        (language.say("What"), given.get("about", "")),
        (language.say("Sent to"), notice.masked),
        (language.say("When"), at),
        (language.say("Device"), device_name(given.get("user_agent", ""), language.tag)),
        (language.say("Where, roughly"), given.get("place", "")),
        (language.say("Network address"), given.get("ip", "")),
    ]
    return [(name, value) for name, value in facts if value]
