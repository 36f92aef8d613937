"""The page at /account/activity: recent events of the account in plain words, and every message that was sent to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.change import ChangeKind
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.shared.activity import MAX_SHOWN
from countersign.domain.shared.contact import Channel
from countersign.domain.shared.event import EventKind
from countersign.flows.accounts.activity import MAX_MESSAGES, recent
from countersign.flows.accounts.contact_names import ContactNames, contact_names
from countersign.messages.content.change_names import CHANGE_NAMES
from countersign.messages.content.device_name import device_name
from countersign.messages.content.notice import WORDINGS
from countersign.messages.content.place_name import place_name
from countersign.messages.content.purposes import ACTS, purpose_text
from countersign.messages.language.catalogue import Language, mark
from countersign.messages.language.datetimes import day, time_of_day
from countersign.web.http.browser import language_of
from countersign.web.pages.shared.account_layout import show_part, when
from countersign.web.pages.shared.wordings import DELIVERY_STATES, HELD_STATES

if TYPE_CHECKING:
    from countersign.domain.shared.activity import Activity
    from countersign.flows.accounts.activity import ListedMessage
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.pages.shared.session_guard import SessionGuard

PATH: Final = "/account/activity"

SENTENCES: Final = {
    EventKind.ACCOUNT_CREATED: mark("The account was created"),
    EventKind.SIGN_IN_COMPLETED: mark("Signed in"),
    EventKind.SESSION_RAISED: mark("You confirmed it was you"),
    EventKind.SESSION_ENDED: mark("A browser was signed out"),
    EventKind.DEVICE_ADDED: mark("A new browser was used"),
    EventKind.DEVICE_TRUSTED: mark("A browser was trusted"),
    EventKind.DEVICE_ENDED: mark("A browser was forgotten"),
    EventKind.CHANGE_ASKED: mark("Requested: {what}"),
    EventKind.CHANGE_APPLIED: mark("Done: {what}"),
    EventKind.CHANGE_CANCELED: mark("Cancelled: {what}"),
    EventKind.CHANGE_UNDONE: mark("Undone: {what}"),
    EventKind.FACTOR_USED: mark("A recovery code was used"),
    EventKind.PASSKEY_REFUSED: mark("A passkey was refused because it may have been copied"),
    EventKind.ACCOUNT_UPDATED: mark("Your details were changed"),
    EventKind.ACCOUNT_EXPORTED: mark("Your account data was downloaded"),
    EventKind.DELETION_ASKED: mark("The deletion of your account was requested"),
    EventKind.DELETION_CANCELED: mark("The deletion of your account was cancelled"),
    EventKind.ACCOUNT_LOCKED: mark("The account was locked with “This was not me”"),
    EventKind.RECOVERY_ALLOWED: mark("Recovery with new contact details was allowed again"),
}
"""The sentence for each event; `what` is the change that it is about."""


_NO_NAMES: Final = ContactNames()

CHANNELS: Final = {
    Channel.EMAIL: mark("by email"),
    Channel.SMS: mark("by SMS"),
    Channel.VOICE: mark("by phone call"),
    Channel.WHATSAPP: mark("by WhatsApp"),
}
"""How a message was sent."""


class ActivityPage:
    """The latest events and messages."""

    def __init__(self, web: WebContext, guard: SessionGuard) -> None:
        self._web = web
        self._guard = guard

    async def get(self, req: Request, resp: Response) -> None:
        """Show the page to a signed-in person."""
        session = await self._guard.session(req, resp, InterruptedRequest("GET", PATH))
        if session is None:
            return
        language, names = language_of(req), await contact_names(self._web.accounts, session)
        happened, sent = await recent(self._web.accounts, session.account, MAX_SHOWN)
        show_part(
            self._web,
            req,
            resp,
            "activity.html",
            PATH,
            days=_by_day(happened, language, names),
            messages=[_message(one, language, names) for one in sent],
            newest=str(len(sent)) if len(sent) >= MAX_MESSAGES else "",
            kept_for=language.count("{number} day", "{number} days", self._web.settings.retention_days),
        )


def _by_day(
    happened: list[Activity], language: Language, names: ContactNames
) -> list[tuple[str, list[dict[str, str]]]]:
    days: dict[str, list[dict[str, str]]] = {}
    for one in happened:
        days.setdefault(day(one.at, language.timezone, language.locale), []).append(
            {
                "what": words(one, language, names),
                "time": time_of_day(one.at, language.timezone, language.locale),
                "device": device_name(one.facts.get("user_agent", ""), language.tag),
                "place": place_name(one.facts.get("place", ""), "", language),
            }
        )
    return list(days.items())


def words(one: Activity, language: Language, names: ContactNames = _NO_NAMES) -> str:
    """Return an event in a sentence. `names` says what is shown of the contacts."""
    kind, about = one.facts.get("kind", ""), names.of_stored(one.facts.get("about", ""))
    what = language.say(CHANGE_NAMES[ChangeKind(kind)], about=f"\u2066{about}\u2069") if kind in set(ChangeKind) else ""
    return language.say(SENTENCES[one.kind], what=what)


def _state(sent: ListedMessage) -> str:
    """Return how far a message is, as a sentence."""
    if sent.held and sent.state in HELD_STATES:
        return HELD_STATES[sent.state]
    return DELIVERY_STATES[sent.state]


def _message(sent: ListedMessage, language: Language, names: ContactNames) -> dict[str, str]:
    what = sent.what
    if what in ACTS or what == "bind_contact":
        title = language.say(purpose_text(what, sent.channel).title)
    else:
        title = next((language.say(words.title) for kind, words in WORDINGS.items() if kind.value == what), what)
    return {
        "what": title,
        "to": names.of_stored(sent.to, sent.recipient),
        "by": language.say(CHANNELS[sent.channel]),
        "icon": sent.channel.value,
        "state": language.say(_state(sent)),
        "when": when(sent.at, language),
    }
