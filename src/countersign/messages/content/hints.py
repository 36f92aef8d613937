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
_AGAIN: Final = mark("Your message has not gone through yet. We are trying again, or by another route.")

_ACCEPTED: Final = {
    Channel.EMAIL: mark("We have sent the message. If you do not see it within a minute, check your spam folder."),
    Channel.SMS: mark(
        "We have sent the message to your network. If it does not arrive, check your signal and your blocked senders."
    ),
    Channel.VOICE: mark("We are calling you. If your phone does not ring, check your signal and your blocked numbers."),
    Channel.WHATSAPP: mark(
        "We have sent the message to WhatsApp. If it does not arrive, check that your phone is online."
    ),
}
_DELIVERED: Final = {
    Channel.EMAIL: mark("Your mailbox has received the message. If you do not see it, check your spam folder."),
    Channel.SMS: mark(
        "Your phone has received the message. If you do not see it, check your unknown and blocked senders."
    ),
    Channel.VOICE: mark("Your call was answered. If you did not hear the code, ask for another call."),
    Channel.WHATSAPP: mark("Your phone has received the message. Check WhatsApp, including your archived chats."),
}
_WAITING: Final = {
    Reason.GREYLISTED: mark(
        "Your email provider has asked us to try again in a moment, and we will. You do not need to do anything."
    ),
    Reason.MAILBOX_FULL: mark("Your mailbox is full. Make room in it while we keep trying."),
    Reason.THROTTLED: mark("We are sending many messages at the moment. Yours will follow soon."),
}


class _Advice(Enum):
    """What can be done about a message that did not come. Each way is named only where it is open."""

    NOTHING = 0
    AGAIN = 1
    OTHER = 2
    CHECK = 3


_SLOW: Final = {
    Channel.EMAIL: mark("Your message should have arrived by now. Check your spam folder."),
    Channel.SMS: mark("Your message should have arrived by now. Check your signal and your blocked senders."),
    Channel.VOICE: mark("Your phone should have rung by now. Check your signal and your blocked numbers."),
    Channel.WHATSAPP: mark("Your message should have arrived by now. Check that your phone is online."),
}
_SLOW_TO_LEAVE: Final = mark("This is taking longer than usual.")
_NOT_SENT: Final = mark("We could not send the message.")

_ENDED_PHONE: Final = {
    Reason.BLOCKED: (mark("Your network is blocking our messages."), _Advice.OTHER),
    Reason.MAILBOX_FULL: (
        mark("Your phone has no room for messages. Delete some, then ask for the code again."),
        _Advice.NOTHING,
    ),
    Reason.NO_SIGNAL: (
        mark("We could not reach your phone. Check that it is on and has signal, then ask for the code again."),
        _Advice.NOTHING,
    ),
    Reason.UNKNOWN_RECIPIENT: (mark("This number cannot receive messages."), _Advice.CHECK),
}
_ENDED_MAIL: Final = {
    Reason.BLOCKED: (mark("Your email provider rejected our message."), _Advice.OTHER),
    Reason.MAILBOX_FULL: (
        mark("Your mailbox is full. Make room in it, then ask for the code again."),
        _Advice.NOTHING,
    ),
    Reason.UNKNOWN_RECIPIENT: (mark("This mailbox does not exist."), _Advice.CHECK),
}
_ENDED: Final = {
    Reason.UNREACHABLE: (mark("We could not reach your provider."), _Advice.AGAIN),
    Reason.TIMED_OUT: (mark("Your provider did not answer in time."), _Advice.AGAIN),
    Reason.THROTTLED: (mark("Too many messages were being sent at once."), _Advice.AGAIN),
    Reason.GREYLISTED: (mark("Your email provider kept us waiting too long."), _Advice.AGAIN),
    Reason.PROVIDER_ERROR: (mark("Something went wrong while we were sending it."), _Advice.AGAIN),
    Reason.MISCONFIGURED: (mark("Sorry, we could not send the message: the fault is ours."), _Advice.OTHER),
    Reason.REFUSED: (mark("The message was rejected."), _Advice.CHECK),
    Reason.NO_SIGNAL: (mark("We could not deliver the message to you."), _Advice.AGAIN),
    Reason.NO_ROUTE: (mark("We cannot send messages this way at the moment."), _Advice.OTHER),
    Reason.HELD_BACK: (mark("We cannot send to numbers in this range at the moment."), _Advice.OTHER),
    Reason.NO_RECEIPT: (mark("We do not know whether the message arrived."), _Advice.AGAIN),
    Reason.TRIES_SPENT: (mark("We tried several times, but could not send it."), _Advice.OTHER),
    Reason.ENDED: (mark("This code is no longer needed, so we did not send it."), _Advice.NOTHING),
    Reason.CANCELED: (mark("Sorry, we could not send the message: the fault is ours."), _Advice.AGAIN),
    Reason.EXPIRED: (mark("The code expired before we could send it. Ask for a new one."), _Advice.NOTHING),
}


class Offers(msgspec.Struct, frozen=True):
    """What the person who waits can do: ask for the code again, or choose another way. A hint never names what there is not."""

    resend: bool = True
    other_way: bool = True


_EVERYTHING: Final = Offers()
_START_AGAIN: Final = mark("Start again to get a new code.")
_ADVICE: Final = {
    (_Advice.AGAIN, True, True): mark("Ask for the code again, or use another way."),
    (_Advice.AGAIN, True, False): mark("Ask for the code again."),
    (_Advice.AGAIN, False, True): mark("Use another way."),
    (_Advice.AGAIN, False, False): _START_AGAIN,
    (_Advice.OTHER, True, True): mark("Use another way."),
    (_Advice.OTHER, True, False): mark("Ask for the code again."),
    (_Advice.OTHER, False, True): mark("Use another way."),
    (_Advice.OTHER, False, False): _START_AGAIN,
    (_Advice.CHECK, True, True): mark("Check the address or number, or use another way."),
    (_Advice.CHECK, True, False): mark("Check the address or number."),
    (_Advice.CHECK, False, True): mark("Check the address or number, or use another way."),
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
