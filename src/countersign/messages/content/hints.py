"""Hints about a message that has not arrived: what is known of it, and what the person can do about it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.delivery.delivery import DeliveryState, Reason
from countersign.domain.shared.contact import Channel
from countersign.messages.language.catalogue import mark, negotiate

if TYPE_CHECKING:
    from countersign.messages.language.catalogue import Language

_ON_ITS_WAY: Final = mark("Your message is being sent.")
_AGAIN: Final = mark("It has not gone through yet; we are trying again, or another way.")

_ACCEPTED: Final = {
    Channel.EMAIL: mark("The message has left us; if you do not see it in a minute, look in your spam folder."),
    Channel.SMS: mark(
        "The message is with your network; if it does not come, check your signal and your blocked senders."
    ),
    Channel.VOICE: mark("We are calling you; if your phone does not ring, check your signal and your blocked numbers."),
    Channel.WHATSAPP: mark("The message is with WhatsApp; if it does not come, check that your phone is online."),
}
_DELIVERED: Final = {
    Channel.EMAIL: mark("Your mailbox has taken the message; if you do not see it, look in your spam folder."),
    Channel.SMS: mark(
        "Your phone has received the message; if you do not see it, look among unknown and blocked senders."
    ),
    Channel.VOICE: mark("Your call was answered; if you did not hear it, ask for another one."),
    Channel.WHATSAPP: mark("Your phone has received the message; look in WhatsApp, also in the archive."),
}
_WAITING: Final = {
    Reason.GREYLISTED: mark("Your mail provider has asked us to come back in a moment, and we will; please wait."),
    Reason.MAILBOX_FULL: mark("Your mailbox is full; make room in it, we are trying again."),
    Reason.THROTTLED: mark("Many messages are being sent just now; yours follows in a moment."),
}


class _Advice(Enum):
    """What can be done about a message that did not come. Each way is named only where it is open."""

    NOTHING = 0
    AGAIN = 1
    OTHER = 2
    CHECK = 3


_SLOW: Final = {
    Channel.EMAIL: mark("It should have come by now. Look in your spam folder."),
    Channel.SMS: mark("It should have come by now. Check your signal and your blocked senders."),
    Channel.VOICE: mark("Your phone should have rung by now. Check your signal and your blocked numbers."),
    Channel.WHATSAPP: mark("It should have come by now. Check that your phone is online."),
}
_SLOW_TO_LEAVE: Final = mark("It is taking longer than usual.")
_NOT_SENT: Final = mark("The message could not be sent.")

_ENDED_PHONE: Final = {
    Reason.BLOCKED: (mark("Your network does not let our messages through."), _Advice.OTHER),
    Reason.MAILBOX_FULL: (
        mark("Your phone has no room for messages; delete some, then ask for the code again."),
        _Advice.NOTHING,
    ),
    Reason.NO_SIGNAL: (
        mark("Your phone could not be reached; check that it is on and has signal, then ask for the code again."),
        _Advice.NOTHING,
    ),
    Reason.UNKNOWN_RECIPIENT: (mark("This number cannot receive messages."), _Advice.CHECK),
}
_ENDED_MAIL: Final = {
    Reason.BLOCKED: (mark("Your mail provider has turned our message away."), _Advice.OTHER),
    Reason.MAILBOX_FULL: (
        mark("Your mailbox is full; make room in it, then ask for the code again."),
        _Advice.NOTHING,
    ),
    Reason.UNKNOWN_RECIPIENT: (mark("This mailbox does not exist."), _Advice.CHECK),
}
_ENDED: Final = {
    Reason.UNREACHABLE: (mark("We could not reach your provider."), _Advice.AGAIN),
    Reason.TIMED_OUT: (mark("Your provider did not answer in time."), _Advice.AGAIN),
    Reason.THROTTLED: (mark("Too many messages were being sent."), _Advice.AGAIN),
    Reason.GREYLISTED: (mark("Your mail provider kept us waiting for too long."), _Advice.AGAIN),
    Reason.PROVIDER_ERROR: (mark("Something went wrong on the way."), _Advice.AGAIN),
    Reason.MISCONFIGURED: (mark("The message could not be sent; the fault is ours."), _Advice.OTHER),
    Reason.REFUSED: (mark("The message was turned away."), _Advice.CHECK),
    Reason.NO_SIGNAL: (mark("The message could not be handed to you."), _Advice.AGAIN),
    Reason.NO_ROUTE: (mark("We cannot send messages this way at the moment."), _Advice.OTHER),
    Reason.HELD_BACK: (mark("We cannot send to numbers of this range at the moment."), _Advice.OTHER),
    Reason.NO_RECEIPT: (mark("We do not know whether the message arrived."), _Advice.AGAIN),
    Reason.TRIES_SPENT: (mark("We have tried several times without success."), _Advice.OTHER),
    Reason.ENDED: (mark("This code is no longer needed, so its message was not sent."), _Advice.NOTHING),
    Reason.CANCELED: (mark("The message could not be sent; the fault is ours."), _Advice.AGAIN),
    Reason.EXPIRED: (mark("The code ran out before its message could be sent; ask for a new one."), _Advice.NOTHING),
}


class Offers(msgspec.Struct, frozen=True):
    """What the person who waits can do: ask for the code again, or choose another way. A hint never names what there is not."""

    resend: bool = True
    other_way: bool = True


_EVERYTHING: Final = Offers()
_START_AGAIN: Final = mark("Start again to get a new code.")
_ADVICE: Final = {
    (_Advice.AGAIN, True, True): mark("Ask for the code again, or choose another way."),
    (_Advice.AGAIN, True, False): mark("Ask for the code again."),
    (_Advice.AGAIN, False, True): mark("Choose another way."),
    (_Advice.AGAIN, False, False): _START_AGAIN,
    (_Advice.OTHER, True, True): mark("Choose another way."),
    (_Advice.OTHER, True, False): mark("Ask for the code again."),
    (_Advice.OTHER, False, True): mark("Choose another way."),
    (_Advice.OTHER, False, False): _START_AGAIN,
    (_Advice.CHECK, True, True): mark("Check the address or number, or choose another way."),
    (_Advice.CHECK, True, False): mark("Check the address or number."),
    (_Advice.CHECK, False, True): mark("Check the address or number, or choose another way."),
    (_Advice.CHECK, False, False): mark("Check the address or number."),
}
"""What is advised, by the advice and by what is open: a resend, and another way."""


def hint(
    state: DeliveryState,
    reason: Reason | None,
    channel: Channel,
    locale: str,
    *,
    slow: bool = False,
    offers: Offers = _EVERYTHING,
) -> str | None:
    """Return a hint in the language of `locale`, or None while there is nothing to say because the message was queued a moment ago.

    Args:
        state: how far the message is.
        reason: why it is not farther, if that is known.
        channel: how it travels.
        locale: a BCP 47 tag.
        slow: it should have come by now (`Delivery.is_slow`).
        offers: what the person can do beside waiting.
    """
    sentence, advice = _sentence(state, reason, channel, slow=slow)
    if sentence is None:
        return None
    language = negotiate(locale)
    told = [language.say(sentence)]
    if advice is not _Advice.NOTHING:
        told.append(language.say(_ADVICE[advice, offers.resend, offers.other_way]))
    return joined(told, language)


def joined(sentences: list[str], language: Language) -> str:
    """Return sentences in a row. Japanese has no space between them."""
    return ("" if language.tag == "ja" else " ").join(sentences)


def _sentence(
    state: DeliveryState, reason: Reason | None, channel: Channel, *, slow: bool
) -> tuple[str | None, _Advice]:
    match state:
        case DeliveryState.QUEUED | DeliveryState.SENDING:
            if reason is not None:
                # It is tried on for as long as the code lives, and nobody needs to wait for that.
                return _WAITING.get(reason, _AGAIN), _Advice.OTHER if slow else _Advice.NOTHING
            if slow:
                return _SLOW_TO_LEAVE, _Advice.AGAIN
            return (_ON_ITS_WAY if state is DeliveryState.SENDING else None), _Advice.NOTHING
        case DeliveryState.ACCEPTED:
            return (_SLOW[channel], _Advice.AGAIN) if slow else (_ACCEPTED[channel], _Advice.NOTHING)
        case DeliveryState.DELIVERED:
            return _DELIVERED[channel], _Advice.NOTHING
        case DeliveryState.UNDELIVERED | DeliveryState.FAILED | DeliveryState.DROPPED:
            if reason is None:
                return _NOT_SENT, _Advice.AGAIN
            about_contact = _ENDED_MAIL if channel is Channel.EMAIL else _ENDED_PHONE
            return about_contact.get(reason) or _ENDED[reason]
