"""Help for a person whose code does not come: how many messages left and when, how to find them, and what to check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.delivery.delivery import DeliveryState, Reason
from countersign.domain.shared.contact import Channel
from countersign.messages.content.hints import joined
from countersign.messages.language.catalogue import mark
from countersign.messages.language.datetimes import time_of_day

if TYPE_CHECKING:
    from countersign.messages.language.catalogue import Language

_ON_THE_WAY: Final = frozenset({DeliveryState.QUEUED, DeliveryState.SENDING})
_LEFT_US: Final = frozenset({DeliveryState.ACCEPTED, DeliveryState.DELIVERED, DeliveryState.UNDELIVERED})


class SentMessage(msgspec.Struct, frozen=True):
    """One message of a code: when it was asked for (ms), how far it is, and the round of its code."""

    at: int
    state: DeliveryState
    round: int = 0
    reason: Reason | None = None


class CodeFacts(msgspec.Struct, frozen=True):
    """What is known of a code that a person waits for. It depends on no account (semantics R1).

    - `channel`: how the newest message travels. `to`: where it goes, as the page may show it.
    - `site`: the name in the message. `sender`: its address or number, empty if it is not known.
    - `messages`: every message of this code, oldest first. `rounds`: those whose code is accepted.
    - `ended`: no code of this challenge is accepted any more. `sends_left`: how many more messages can be asked for.
    - `may_lack_a_code`: the message can say something else, for instance that there is an account already.
    """

    channel: Channel
    to: str
    site: str
    messages: tuple[SentMessage, ...]
    sender: str = ""
    rounds: tuple[int, ...] = (0,)
    ended: bool = False
    sends_left: int = 1
    may_lack_a_code: bool = False


class CodeHelp(msgspec.Struct, frozen=True):
    """The help in words. A sentence that does not apply is empty.

    - `resent`: that the code was sent again. `no_more`: that it cannot be, and what to do.
    - `sent`: how many messages left, when, and which of their codes work. `find`: whose message to look for.
    - `checks`: what to look at, in the order of likelihood. `empty`: what a message without a code means.
    """

    resent: str
    no_more: str
    sent: str
    find: str
    checks: tuple[str, ...]
    empty: str


_FIND: Final = {
    Channel.EMAIL: mark(
        "Search your email, including spam, for a message from {sender}. Add this sender to your contacts."
    ),
    Channel.SMS: mark("The message comes from {sender}. If your phone blocks unknown senders, allow this one."),
    Channel.VOICE: mark("The call comes from {sender}. If your phone blocks unknown callers, allow this one."),
}
_FIND_BY_NAME: Final = {
    Channel.EMAIL: mark("Search your email, including spam, for a message from {site}."),
    Channel.SMS: mark("The sender may be a number you do not know. The message names {site}."),
    Channel.VOICE: mark("The call may come from a number you do not know. The voice names {site}."),
    Channel.WHATSAPP: mark("Search WhatsApp for a message from {site}. Include your archived chats."),
}
_SIGNAL: Final = mark(
    "Check that your phone has signal and flight mode is off. Turning flight mode on and off can bring in waiting messages."
)
_ROAMING: Final = mark("If you are abroad, check that roaming is on.")
_NEW_NUMBER: Final = mark(
    "Is {to} still your number? If your new SIM card has a new number, our messages still go to the old one."
)
_BEFORE: Final = {
    Channel.EMAIL: (
        mark("Check your spam or junk folder, and tabs such as “Promotions” or “Other”."),
        mark("Is {to} the right address? One wrong letter sends the message somewhere else."),
        mark("Check that your mailbox is not full."),
        mark("At work or school, a filter may be holding our message back. Ask your IT team to let it through."),
    ),
    Channel.SMS: (
        _SIGNAL,
        mark("Check your blocked and unknown senders."),
        mark("Some phone contracts block messages from short numbers or businesses. Ask your network to allow them."),
        _ROAMING,
        _NEW_NUMBER,
    ),
    Channel.VOICE: (
        _SIGNAL,
        mark("Check that your phone is not on silent and does not send unknown callers to voicemail."),
        _ROAMING,
        _NEW_NUMBER,
    ),
    Channel.WHATSAPP: (
        mark("Check that your phone is online and that its WhatsApp uses {to}."),
        mark("Check your archived chats and blocked contacts in WhatsApp."),
    ),
}
"""What to check while nobody knows where the message is."""
_AFTER: Final = {
    Channel.EMAIL: (_BEFORE[Channel.EMAIL][0], _BEFORE[Channel.EMAIL][1], _BEFORE[Channel.EMAIL][3]),
    Channel.SMS: (_BEFORE[Channel.SMS][1], _NEW_NUMBER),
    Channel.VOICE: (_BEFORE[Channel.VOICE][1], _NEW_NUMBER),
    Channel.WHATSAPP: _BEFORE[Channel.WHATSAPP],
}
"""What to check once the mailbox or the phone has taken the message."""
_WRONG: Final = {
    Channel.EMAIL: (_BEFORE[Channel.EMAIL][1],),
    Channel.SMS: (_NEW_NUMBER,),
    Channel.VOICE: (_NEW_NUMBER,),
    Channel.WHATSAPP: (_BEFORE[Channel.WHATSAPP][0],),
}
"""What to check if the mailbox or the number does not exist."""


def code_help(facts: CodeFacts, language: Language, *, zone: str = "UTC") -> CodeHelp:
    """Return the help in `language`. Times are those of `zone`, an IANA name."""
    left = [one for one in facts.messages if one.state in _LEFT_US]
    to = language.isolated(facts.to)
    return CodeHelp(
        resent=_resent(facts, language, zone),
        no_more=_no_more(facts, language),
        sent=joined([one for one in (_sent(left, language, zone), _works(facts, left, language)) if one], language),
        find=_find(facts, language),
        checks=tuple(language.say(one, to=to) for one in _checks(facts)),
        empty=language.say("If our message has no code in it, it says why and what you can do.")
        if facts.may_lack_a_code
        else "",
    )


def sender_shown(sender: str) -> str:
    """Return the sender of a provider as people see it on their device; empty if it is an identifier that nobody sees."""
    digits = sender.removeprefix("+")
    if "@" in sender or (digits.isascii() and digits.isdigit()):
        return sender
    return sender if 0 < len(sender) <= _LONGEST_NAME and ":" not in sender else ""


_LONGEST_NAME: Final = 11
"""Characters of a sender that is a name (3GPP TS 23.040, 9.1.2.5)."""


def _sent(left: list[SentMessage], language: Language, zone: str) -> str:
    if not left:
        return language.say("We have not sent a message yet.")
    return language.count(
        "We have sent {number} message, at {time}.",
        "We have sent {number} messages, the last one at {time}.",
        len(left),
        time=language.isolated(time_of_day(left[-1].at, zone, language.locale)),
    )


def _works(facts: CodeFacts, left: list[SentMessage], language: Language) -> str:
    """Return which of several messages hold a code that is accepted."""
    if facts.ended:
        return language.say("This code no longer works, whichever message it came in.")
    if len(left) < 2:  # noqa: PLR2004 - of one message there is nothing to choose
        return ""
    if all(one.round in facts.rounds for one in left):
        return language.say("Any of them works.")
    if len(facts.rounds) > 1:
        return language.say("Only the codes in the two newest messages work.")
    return language.say("Only the code in the newest message works.")


def _resent(facts: CodeFacts, language: Language, zone: str) -> str:
    if len(facts.messages) < 2 or facts.ended:  # noqa: PLR2004 - the first message is no second one
        return ""
    newest = facts.messages[-1]
    if newest.state in _ON_THE_WAY:
        return language.say("We are sending the code again.")
    if newest.state not in _LEFT_US or newest.state is DeliveryState.UNDELIVERED:
        return ""
    at = language.isolated(time_of_day(newest.at, zone, language.locale))
    if newest.round != facts.messages[0].round:
        return language.say("We sent a new code at {time}.", time=at)
    return language.say("We sent the code again at {time}.", time=at)


def _no_more(facts: CodeFacts, language: Language) -> str:
    if facts.sends_left > 0 or facts.ended:
        return ""
    return language.count(
        "We have sent {number} message for this code, which is the limit. Use a code you have received, or start again.",
        "We have sent {number} messages for this code, which is the limit. Use a code you have received, or start again.",
        len(facts.messages),
    )


def _find(facts: CodeFacts, language: Language) -> str:
    if facts.sender and facts.channel in _FIND:
        sender = facts.sender if facts.channel is not Channel.EMAIL else f"{facts.site} <{facts.sender}>"
        return language.say(_FIND[facts.channel], sender=language.isolated(sender))
    return language.say(_FIND_BY_NAME[facts.channel], site=language.isolated(facts.site))


def _checks(facts: CodeFacts) -> tuple[str, ...]:
    newest = facts.messages[-1] if facts.messages else None
    if newest is None or (newest.state in _ON_THE_WAY and newest.reason is None):
        return _BEFORE[facts.channel]
    if newest.reason is Reason.UNKNOWN_RECIPIENT:
        return _WRONG[facts.channel]
    return _AFTER[facts.channel] if newest.state is DeliveryState.DELIVERED else _BEFORE[facts.channel]
