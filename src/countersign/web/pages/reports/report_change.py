"""The page behind "this wasn't me" in a notice: it explains the change, and locks the account when the person confirms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon
import msgspec

from countersign.domain.delivery.notice import Notice
from countersign.flows.changes.report_change import (
    DELAYED_RECOVERY_NOTICES,
    ReportOutcome,
    ReportResult,
    find_link,
    report_change,
)
from countersign.messages.content.device_name import device_name
from countersign.messages.content.notice import WORDINGS
from countersign.messages.content.place_name import place_name
from countersign.messages.language.catalogue import mark
from countersign.messages.language.datetimes import moment
from countersign.web.http.browser import language_of
from countersign.web.pages.shared.rendering import show
from countersign.web.pages.shared.word_pages import HOME, show_word

if TYPE_CHECKING:
    from countersign.messages.language.catalogue import Language
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response


class UnchangedPage(msgspec.Struct, frozen=True):
    """The page of a report that changes nothing: the colour of its seal, what is true instead, and where it leads."""

    tone: str
    title: str
    sentence: str
    link: str = "/account"
    label: str = mark("Go to your account")
    status: str = falcon.HTTP_200


_RECOVER: Final = mark("Recover your account")

ENDINGS: Final = {
    ReportOutcome.ALREADY_STOPPED: UnchangedPage(
        "good",
        mark("This was already stopped"),
        mark(
            "Nobody is waiting to take over your account. Nobody can ask for it again for now. Your account shows"
            " until when, under “Changes”."
        ),
    ),
    ReportOutcome.ALREADY_DONE: UnchangedPage(
        "bad",
        mark("It is too late to stop this"),
        mark(
            "The account was recovered when the waiting time was over. If that was not you, open the message that"
            " told you about it. Select “This was not me” there."
        ),
        "/recover",
        _RECOVER,
    ),
    ReportOutcome.NOTHING_WAITS: UnchangedPage(
        "good",
        mark("There is nothing to stop"),
        mark(
            "Nobody is waiting to take over your account. The request has already ended, or the account was recovered since."
        ),
    ),
    ReportOutcome.ALREADY_LOCKED: UnchangedPage(
        "good",
        mark("Your account is already locked"),
        mark(
            "Someone has already reported something, and everyone is signed out. Choose a new password to unlock your account."
        ),
        "/recover",
        mark("Choose a new password"),
    ),
    ReportOutcome.OUTRANKED: UnchangedPage(
        "warn",
        mark("Nothing was changed"),
        mark(
            "The account was taken back a few days ago with more proof than this message gives. For 7 days after"
            " that, this message alone cannot lock it. If it’s your account, recover it with other contact"
            " details or a recovery code."
        ),
        "/recover",
        _RECOVER,
        falcon.HTTP_409,
    ),
    ReportOutcome.ENDED: UnchangedPage(
        "warn",
        mark("This link is no longer valid"),
        mark(
            "It was used, or the account was locked or recovered after this message. Nothing has changed now. If"
            " something is wrong, use the newest message or recover your account."
        ),
        "/recover",
        _RECOVER,
        falcon.HTTP_410,
    ),
}


class ReportChangePage:
    """/not-me for a reference of a notice. Opening the page changes nothing (semantics R3)."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, req: Request, resp: Response, reference: str) -> None:
        """Explain the change, and ask."""
        link = await find_link(self._web.accounts, reference)
        if link is None:
            self._nowhere(req, resp)
            return
        if link.outcome in ENDINGS:
            self._end(req, resp, link.outcome)
            return
        notice, language = link.notice, language_of(req)
        site = self._web.settings.site
        waits = notice.kind in DELAYED_RECOVERY_NOTICES
        show(
            self._web,
            req,
            resp,
            "not_me.html",
            ending=None,
            reference=reference,
            title=language.say("Was this you?"),
            sentence=f"{language.say(WORDINGS[notice.kind].title)}.",
            facts=_facts(notice, language),
            warning=language.say("Nobody from {site} will ever ask you for a code or your password.", site=site),
            button=language.say("No, stop it") if waits else language.say("No, this was not me"),
            otherwise=language.say("If it was you, close this page. Nothing will change.")
            if waits
            else language.say(
                "If you say no, we sign out every browser, yours too. We undo what was changed since, where we"
                " can, and lock the account until you choose a new password. If it was you, close this page."
                " Nothing will change."
            ),
            purpose=language.say("What we know about it"),
            summary="",
            approves="",
        )

    async def post(self, req: Request, resp: Response, reference: str) -> None:
        """Lock the account or stop what is pending, and say what to do next."""
        outcome = await report_change(self._web.accounts, self._web.browser(req), reference)
        if outcome is None:
            self._nowhere(req, resp)
            return
        if outcome.outcome in ENDINGS:
            self._end(req, resp, outcome.outcome)
            return
        language = language_of(req)
        if outcome.stopped:
            title, link, label = language.say("You have stopped this"), "/account", language.say("Go to your account")
            sentence = language.say(
                "Nobody is waiting to take over your account now. Nobody can ask for it again for 30 days. To"
                " allow it sooner, go to “Changes” in your account."
            )
        else:
            title, link = language.say("Your account is locked"), "/recover"
            sentence, label = _locked(outcome, language), language.say("Choose a new password")
        show_word(self._web, req, resp, "good", title, sentence, (link, label))

    def _end(self, req: Request, resp: Response, outcome: ReportOutcome) -> None:
        """Say what is true where a report changes nothing."""
        ending, language = ENDINGS[outcome], language_of(req)
        resp.status = ending.status
        link = (ending.link, language.say(ending.label))
        show_word(self._web, req, resp, ending.tone, language.say(ending.title), language.say(ending.sentence), link)

    def _nowhere(self, req: Request, resp: Response) -> None:
        language = language_of(req)
        resp.status = falcon.HTTP_404
        show_word(
            self._web,
            req,
            resp,
            "warn",
            language.say("This link does not work"),
            language.say("It may be incomplete or out of date. Open the whole link from the message again."),
            (HOME, language.say("Go to your account")),
        )


def _locked(result: ReportResult, language: Language) -> str:
    """Return what a lock has done, and who chooses the new password."""
    if result.left:
        done = language.say(
            "Everyone is signed out. We could not undo every change made since then. When you’re back in, check your contact details."
        )
    elif result.undone:
        done = language.say("Everyone is signed out, and changes made since then are undone.")
    else:
        done = language.say("Everyone is signed out.")
    first = (
        language.say(
            "For 7 days, choosing a new password takes the contact details that got this message, or a recovery code."
        )
        if result.goes_first
        else ""
    )
    advice = language.say(
        "Choose a new password now. Someone may still be able to read your messages, so change your email password too."
    )
    return " ".join(part for part in (done, first, advice) if part)


def _facts(notice: Notice, language: Language) -> list[tuple[str, str]]:
    given = notice.facts
    facts = [
        (language.say("Details"), given.get("about", "")),
        (language.say("Sent to"), notice.masked),
        (language.say("When"), moment(notice.created_at, language)),
        (language.say("Device"), device_name(given.get("user_agent", ""), language.tag)),
        (
            language.say("Approximate location"),
            place_name(given.get("place", ""), "", language) or language.say("Unknown location"),
        ),
        (language.say("IP address"), given.get("ip", "")),
    ]
    return [(name, value) for name, value in facts if value]
