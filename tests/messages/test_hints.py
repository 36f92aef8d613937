"""A hint is plain words in the person's language for whatever is known of a message: one sentence, or two."""

import re
from itertools import product

import pytest

from countersign.domain.delivery.delivery import DeliveryState, Reason
from countersign.domain.shared.contact import Channel
from countersign.messages.render import hint, languages

EVERY = list(product(DeliveryState, [None, *Reason], Channel))


def test_every_state_and_reason_has_a_hint_in_every_language() -> None:
    for state, reason, channel in EVERY:
        told = [hint(state, reason, channel, locale) for locale in languages()]
        if state is DeliveryState.QUEUED and reason is None:
            assert set(told) == {None}
            continue
        assert len(set(told)) == len(languages()), "each language has words of its own"
        for sentence in told:
            assert sentence is not None
            assert sentence.endswith((".", "。"))
            # English sets the measure: what is known, and what can be done. Elsewhere halves of these may be sentences, as in Japanese.
            assert len(re.findall("[.。]", sentence)) <= (2 if sentence == told[0] else 4)


@pytest.mark.parametrize(
    ("state", "reason", "channel", "holds"),
    [
        (DeliveryState.ACCEPTED, None, Channel.EMAIL, "spam folder"),
        (DeliveryState.ACCEPTED, None, Channel.SMS, "check your signal and your blocked senders"),
        (DeliveryState.FAILED, Reason.UNKNOWN_RECIPIENT, Channel.EMAIL, "This mailbox does not exist"),
        (DeliveryState.UNDELIVERED, Reason.UNKNOWN_RECIPIENT, Channel.SMS, "This number cannot receive messages"),
        (DeliveryState.FAILED, Reason.MAILBOX_FULL, Channel.EMAIL, "Your mailbox is full"),
        (DeliveryState.QUEUED, Reason.TIMED_OUT, Channel.SMS, "another route"),
        (DeliveryState.QUEUED, Reason.GREYLISTED, Channel.EMAIL, "try again in a moment"),
        (DeliveryState.FAILED, Reason.MISCONFIGURED, Channel.EMAIL, "the fault is ours"),
        (DeliveryState.DROPPED, Reason.EXPIRED, Channel.SMS, "Ask for a new one"),
    ],
)
def test_a_hint_says_what_the_person_can_do(
    state: DeliveryState, reason: Reason | None, channel: Channel, holds: str
) -> None:
    """M10: spam, signal and blocked senders, another way."""
    assert holds in (hint(state, reason, channel, "en-GB") or "")


def test_german_hints_address_the_person_formally() -> None:
    told = hint(DeliveryState.FAILED, Reason.UNKNOWN_RECIPIENT, Channel.EMAIL, "de-AT")
    assert told == (
        "Dieses Postfach gibt es nicht. Prüfen Sie die Adresse oder Nummer oder wählen Sie einen anderen Weg."
    )
