"""Hints about a message that has not arrived: one plain sentence with what the person can do."""

from __future__ import annotations

from typing import Final

from countersign.domain.delivery.delivery import DeliveryState, Reason
from countersign.domain.shared.contact import Channel
from countersign.messages.language.catalogue import mark, negotiate

_ON_ITS_WAY: Final = mark("Your message is being sent.")
_AGAIN: Final = mark("It has not gone through yet; we are trying again, or another way.")
_NOT_SENT: Final = mark("The message could not be sent; ask for it again, or choose another way.")

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
_ENDED_PHONE: Final = {
    Reason.BLOCKED: mark("Your network does not let our messages through; choose another way."),
    Reason.MAILBOX_FULL: mark("Your phone has no room for messages; delete some, then ask for the code again."),
    Reason.NO_SIGNAL: mark(
        "Your phone could not be reached; check that it is on and has signal, then ask for the code again."
    ),
    Reason.UNKNOWN_RECIPIENT: mark(
        "This number cannot receive messages; check it for a wrong digit, or choose another way."
    ),
}
_ENDED_MAIL: Final = {
    Reason.BLOCKED: mark("Your mail provider has turned our message away; choose another way."),
    Reason.MAILBOX_FULL: mark("Your mailbox is full; make room in it, then ask for the code again."),
    Reason.UNKNOWN_RECIPIENT: mark("This mailbox does not exist; check the address for a slip, or choose another way."),
}
_ENDED: Final = {
    Reason.UNREACHABLE: mark("We could not reach your provider; ask for the code again, or choose another way."),
    Reason.TIMED_OUT: mark("Your provider did not answer in time; ask for the code again, or choose another way."),
    Reason.THROTTLED: mark(
        "Too many messages were being sent; ask for the code again in a minute, or choose another way."
    ),
    Reason.GREYLISTED: mark(
        "Your mail provider kept us waiting for too long; ask for the code again, or choose another way."
    ),
    Reason.PROVIDER_ERROR: mark("Something went wrong on the way; ask for the code again, or choose another way."),
    Reason.MISCONFIGURED: mark("The message could not be sent; the fault is ours, please choose another way."),
    Reason.REFUSED: mark("The message was turned away; check where it should go, or choose another way."),
    Reason.NO_SIGNAL: mark("The message could not be handed to you; ask for the code again, or choose another way."),
    Reason.NO_ROUTE: mark("We cannot send messages this way at the moment; choose another one."),
    Reason.HELD_BACK: mark(
        "We cannot send to numbers of this range at the moment; choose another way, such as e-mail."
    ),
    Reason.NO_RECEIPT: mark("We do not know whether the message arrived; if you do not have it, choose another way."),
    Reason.TRIES_SPENT: mark("We have tried several times without success; choose another way."),
    Reason.ENDED: mark("This code is no longer needed, so its message was not sent."),
    Reason.EXPIRED: mark("The code ran out before its message could be sent; ask for a new one."),
}


def hint(state: DeliveryState, reason: Reason | None, channel: Channel, locale: str) -> str | None:
    """Return a hint in the language of `locale`, or None while there is nothing to say because the message was queued a moment ago."""
    sentence = _sentence(state, reason, channel)
    return None if sentence is None else negotiate(locale).say(sentence)


def _sentence(state: DeliveryState, reason: Reason | None, channel: Channel) -> str | None:
    match state:
        case DeliveryState.QUEUED | DeliveryState.SENDING:
            if reason is not None:
                return _WAITING.get(reason, _AGAIN)
            return _ON_ITS_WAY if state is DeliveryState.SENDING else None
        case DeliveryState.ACCEPTED:
            return _ACCEPTED[channel]
        case DeliveryState.DELIVERED:
            return _DELIVERED[channel]
        case DeliveryState.UNDELIVERED | DeliveryState.FAILED | DeliveryState.DROPPED:
            if reason is None:
                return _NOT_SENT
            about_contact = _ENDED_MAIL if channel is Channel.EMAIL else _ENDED_PHONE
            return about_contact.get(reason) or _ENDED[reason]
