"""The page that a notice of a sign-in leads to with "this wasn't me": it tells what happened, and ends every session on a press."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon

from countersign.domain.notice import Notice
from countersign.flows.disown import disown_sign_in, find_notice
from countersign.messages.device import device
from countersign.messages.moment import day, time_of_day
from countersign.web.pages.forms import spoken

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from countersign.messages.language import Language
    from countersign.web.pages.door import Door


class NotMySignIn:
    """What /not-me is for a reference that names a notice. Opening it changes nothing."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def get(self, req: Request, resp: Response, reference: str) -> None:
        """Tell what happened, and ask."""
        notice = await find_notice(self._door.gate, reference)
        if notice is None:
            self._nowhere(req, resp)
            return
        language = spoken(req)
        site = self._door.runtime.settings.site
        self._door.show(
            req,
            resp,
            "not_me.html",
            ending=None,
            reference=reference,
            title=language.say("Did you not sign in?"),
            sentence=language.say("A new browser signed in to your account at {site}.", site=site),
            facts=_facts(notice, language),
            warning=language.say("Nobody from {site} will ever ask you for a code or your password.", site=site),
            button=language.say("No, that was not me"),
            otherwise=language.say("It signs out every browser, yours too, and none is trusted any more."),
            purpose=language.say("What we know of it"),
            summary="",
            approves="",
        )

    async def post(self, req: Request, resp: Response, reference: str) -> None:
        """End everything that is signed in, and say what to do next."""
        if not await disown_sign_in(self._door.gate, reference):
            self._nowhere(req, resp)
            return
        language = spoken(req)
        self._door.show(
            req,
            resp,
            "word.html",
            tone="good",
            title=language.say("Everybody is signed out"),
            sentence=language.say(
                "Whoever it was needs your password and a code to come back. They had both: see who can read your messages,"
                " and do not use this password anywhere else."
            ),
            link="/sign-in",
            label=language.say("Sign in"),
        )

    def _nowhere(self, req: Request, resp: Response) -> None:
        language = spoken(req)
        resp.status = falcon.HTTP_404
        self._door.show(
            req,
            resp,
            "word.html",
            tone="warn",
            title=language.say("This link leads nowhere"),
            sentence=language.say(
                "It may have been cut off on its way to you, or it is an old one. Open it once more from the message, in full."
            ),
            link="/account",
            label=language.say("To your account"),
        )


def _facts(notice: Notice, language: Language) -> list[tuple[str, str]]:
    at = language.say(
        "{day}, {time}",
        day=day(notice.created_at, "UTC", language.locale),
        time=time_of_day(notice.created_at, "UTC", language.locale),
    )
    told = notice.facts
    facts = [
        (language.say("Sent to"), notice.masked),
        (language.say("When"), at),
        (language.say("Device"), device(told.get("user_agent", ""), language.tag)),
        (language.say("Where, roughly"), told.get("place", "")),
        (language.say("Network address"), told.get("ip", "")),
    ]
    return [(name, value) for name, value in facts if value]
