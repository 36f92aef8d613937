"""The page behind "this wasn't me" in a code message: it explains the request, and cancels the code when the person confirms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon
import msgspec

from countersign.domain.delivery.notice import NOTICE_PREFIX
from countersign.domain.verifications.challenge import Challenge, ChallengeState, Refusal
from countersign.flows.verifications.cancel import find_reported, report_challenge
from countersign.flows.verifications.results import Done, Missing, Refused
from countersign.messages.content.device_name import device_name
from countersign.messages.content.purposes import purpose_text
from countersign.messages.language.catalogue import Language, mark
from countersign.messages.language.datetimes import moment
from countersign.store.tables import applications
from countersign.web.http.browser import language_of
from countersign.web.http.forms import fields_of
from countersign.web.http.problems import ProblemError
from countersign.web.pages.shared.rendering import show

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.pages.reports.report_change import ReportChangePage

MAX_FORM: Final = 4_096
"""Maximum size of the form in bytes, ten times that of a reference."""
MAX_REFERENCE: Final = 200


class Ending(msgspec.Struct, frozen=True):
    """The page when there is nothing to ask: the colour of the seal, and sentences that may use {site}."""

    tone: str
    title: str
    sentence: str
    advice: str = ""


_PASSWORD: Final = mark("If you do not know who asked, someone may know your password. Change it at {site}.")

STOPPED: Final = Ending(
    "good",
    mark("You have stopped this code"),
    mark("Thank you for telling us. Nobody can use this code now, even if they see your messages."),
    _PASSWORD,
)
UNKNOWN: Final = Ending(
    "warn",
    mark("This link does not work"),
    mark("It may be incomplete or out of date. Open the whole link from the message again."),
)
ENDINGS: Final = {
    ChallengeState.CANCELED: Ending(
        "good",
        mark("This code was already stopped"),
        mark("Nobody can use it now."),
        _PASSWORD,
    ),
    ChallengeState.EXPIRED: Ending(
        "good",
        mark("This code has expired"),
        mark("Nobody used it, and nobody can use it now. There is nothing left to stop."),
        _PASSWORD,
    ),
    ChallengeState.EXHAUSTED: Ending(
        "warn",
        mark("This code is already blocked"),
        mark("Someone entered too many wrong codes. Nobody can use it now."),
        _PASSWORD,
    ),
    ChallengeState.APPROVED: Ending(
        "bad",
        mark("This code has been used"),
        mark("Someone entered it, so you can no longer stop it here."),
        mark("If that was not you, change your password at {site} now and sign out everywhere."),
    ),
}
_ENDED_AS: Final = {
    Refusal.ALREADY_APPROVED: ChallengeState.APPROVED,
    Refusal.EXPIRED: ChallengeState.EXPIRED,
    Refusal.EXHAUSTED: ChallengeState.EXHAUSTED,
    Refusal.CANCELED: ChallengeState.CANCELED,
}


class ReportCodePage:
    """The page at `/not-me?ref=...`. Opening it changes nothing, because mail scanners open every link."""

    def __init__(self, web: WebContext, report_change: ReportChangePage) -> None:
        self._web = web
        self._report_change = report_change

    async def get(self, req: Request, resp: Response) -> None:
        """Explain the request, and ask."""
        reference = req.get_param("ref") or ""
        if reference.startswith(NOTICE_PREFIX):
            await self._report_change.get(req, resp, reference[:MAX_REFERENCE])
            return
        language = language_of(req)
        challenge = await self._find(reference)
        if challenge is None:
            await self._end(req, resp, language, UNKNOWN, None)
            return
        now = self._web.core.now()
        state = challenge.state_at(now)
        if state is not ChallengeState.PENDING:
            await self._end(req, resp, language, ENDINGS[state], challenge)
            return
        site = await self._site(challenge)
        terms = challenge.terms
        show(
            self._web,
            req,
            resp,
            "not_me.html",
            application=challenge.application,
            site=site,
            ending=None,
            reference=reference,
            title=language.say("Did you ask for this code?"),
            sentence=language.say("Someone asked for a code at {site}, and we sent it to you.", site=site),
            facts=_facts(challenge, language),
            warning=language.say("Nobody from {site} will ever ask you for this code.", site=site),
            button=language.say("No, stop this code"),
            otherwise=language.say("If you asked for it, close this page. The code still works."),
            purpose=language.say(
                purpose_text(terms.purpose, challenge.channel).title, purpose=terms.purpose.replace("_", " ")
            ),
            summary=terms.action.summary,
            approves=language.say(
                "What this approves for {application}", application=f"\u2068{terms.action.asker}\u2069"
            )
            if terms.action.asker
            else language.say("What this approves"),
        )

    async def post(self, req: Request, resp: Response) -> None:
        """Cancel the challenge, and say what happens next."""
        language = language_of(req)
        reference = await _reference(req)
        if reference.startswith(NOTICE_PREFIX):
            await self._report_change.post(req, resp, reference)
            return
        outcome = await report_challenge(self._web.core, reference) if reference else Missing()
        match outcome:
            case Done(challenge):
                await self._end(req, resp, language, STOPPED, challenge)
            case Refused(refusal, challenge) if refusal in _ENDED_AS:
                await self._end(req, resp, language, ENDINGS[_ENDED_AS[refusal]], challenge)
            case _:
                await self._end(req, resp, language, UNKNOWN, None)

    async def _find(self, reference: str) -> Challenge | None:
        if not 0 < len(reference) <= MAX_REFERENCE or not reference.isascii():
            return None
        return await find_reported(self._web.core, reference)

    async def _site(self, challenge: Challenge | None) -> str:
        if challenge is not None:
            found = await self._web.database.read(applications.find, challenge.application)
            if found is not None and found.site:
                return found.site
        return self._web.settings.site

    async def _password_link(self, challenge: Challenge | None, language: Language) -> tuple[str, str] | None:
        """Return where the password is changed, as an address and its label; None if the site has none that we know."""
        if challenge is None or challenge.application == self._web.accounts.own.id:
            return "/account/password", language.say("Change your password")
        found = await self._web.database.read(applications.find, challenge.application)
        if found is None or not found.host:
            return None
        return f"https://{found.host}", language.say("Go to {site}", site=found.site or found.host)

    async def _end(
        self, req: Request, resp: Response, language: Language, ending: Ending, challenge: Challenge | None
    ) -> None:
        site = await self._site(challenge)
        if ending is UNKNOWN:
            resp.status = falcon.HTTP_404
        link = await self._password_link(challenge, language) if ending.advice else None
        show(
            self._web,
            req,
            resp,
            "not_me.html",
            application=challenge.application if challenge is not None else "",
            site=site,
            ending=ending,
            title=language.say(ending.title),
            sentence=language.say(ending.sentence, site=site),
            advice=language.say(ending.advice, site=site) if ending.advice else "",
            link=link,
        )


def _facts(challenge: Challenge, language: Language) -> list[tuple[str, str]]:
    terms = challenge.terms
    facts = [
        (language.say("Sent to"), terms.to_masked),
        (language.say("When"), moment(challenge.sent_at, language)),
        (language.say("Device"), device_name(terms.requester.user_agent, language.tag)),
        (language.say("IP address"), terms.requester.ip),
    ]
    return [(name, value) for name, value in facts if value]


async def _reference(req: Request) -> str:
    """Return the form field `ref`, or "" if it is no reference of ours."""
    try:
        found = (await fields_of(req, MAX_FORM)).get("ref", "")
    except ProblemError as error:
        if error.name == "timed_out":
            raise
        return ""
    return found if len(found) <= MAX_REFERENCE and found.isascii() else ""
