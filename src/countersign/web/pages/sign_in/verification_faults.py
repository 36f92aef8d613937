"""What came of a form of the verification screen: kept with the redirect, and said once on the screen (semantics J2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.verifications.challenge import Refusal
from countersign.web.http.problems import seconds
from countersign.web.pages.shared.flash import keep_flash
from countersign.web.pages.shared.flow_mark import flow_query
from countersign.web.pages.shared.word_pages import too_many_codes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.flows.verifications.results import Refused
    from countersign.messages.language.catalogue import Language
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

PATH: Final = "/verify"


def to_screen(web: WebContext, req: Request, resp: Response, values: Mapping[str, str], by: str = "") -> None:
    """Redirect to the screen of the flow that the form named, which says `values` once. `by` names the authenticator that is asked for."""
    query = (f"by={by}" if by else "") + flow_query(web, req)
    if any(values.values()):
        keep_flash(web, resp, PATH, values)
    resp.redirect(f"{PATH}?{query.removeprefix('&')}" if query else PATH)


def keep_refusal(web: WebContext, req: Request, resp: Response, refused: Refused, by: str = "") -> None:
    """Redirect to the screen, which says why the request was refused."""
    wait = str(seconds(refused.retry_after)) if refused.retry_after else ""
    to_screen(web, req, resp, {"refusal": refused.refusal.value, "wait": wait}, by)


def fault_of(said: Mapping[str, str], language: Language) -> str:
    """Return what was wrong with the last form, in words; empty if nothing was."""
    if said.get("wrong", "").isdecimal():
        return language.count(
            "This is not the right code. You have {number} try left.",
            "This is not the right code. You have {number} tries left.",
            int(said["wrong"]),
        )
    match said.get("refusal"):
        case None | "" | Refusal.EXHAUSTED.value | Refusal.EXPIRED.value | Refusal.CANCELED.value:
            return ""  # the screen says so by itself
        case Refusal.TOO_SOON.value:
            return language.count(
                "We sent the last message a moment ago. Wait {number} second to get another.",
                "We sent the last message a moment ago. Wait {number} seconds to get another.",
                int(said.get("wait") or 1),
            )
        case Refusal.NO_SENDS_LEFT.value:
            return language.say(
                "We cannot send any more messages for this code. Use a code you have received, or start again."
            )
        case Refusal.CONTACT_PAUSED.value | Refusal.CONTACT_LOCKED.value:
            return language.say(
                "Too many wrong codes were entered for this email address or phone number. Use another way."
            )
        case Refusal.CHANNEL_NOT_ALLOWED.value | Refusal.UNUSABLE_DESTINATION.value:
            return language.say("You cannot use this way for what you want to do. Choose another one.")
        case _:
            return too_many_codes(int(said.get("wait") or 0), language)
