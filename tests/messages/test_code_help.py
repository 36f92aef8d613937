"""The help about a code says what is known of its messages, how to find them, and promises nothing that there is not."""

from __future__ import annotations

from itertools import product

import pytest

from countersign.domain.delivery.delivery import DeliveryState, Reason
from countersign.domain.shared.contact import Channel
from countersign.messages.content.code_help import CodeFacts, SentMessage, code_help, sender_shown
from countersign.messages.content.hints import Offers, hint
from countersign.messages.language.catalogue import languages, negotiate

ENGLISH = negotiate("en-GB")
AT = 1_795_948_920_000  # 10:42 UTC
MINUTE = 60_000
ADA = "a***@example.org"


def facts(
    *messages: SentMessage,
    channel: Channel = Channel.EMAIL,
    sender: str = "codes@kettle.example",
    rounds: tuple[int, ...] = (0,),
    ended: bool = False,
    sends_left: int = 3,
    may_lack_a_code: bool = False,
) -> CodeFacts:
    """Return facts about a code of Leaf & Kettle."""
    return CodeFacts(
        channel=channel,
        to=ADA if channel is Channel.EMAIL else "•••123",
        site="Leaf & Kettle",
        messages=messages,
        sender=sender,
        rounds=rounds,
        ended=ended,
        sends_left=sends_left,
        may_lack_a_code=may_lack_a_code,
    )


def left(at: int = AT, state: DeliveryState = DeliveryState.ACCEPTED, round_: int = 0) -> SentMessage:
    """Return a message that has left."""
    return SentMessage(at, state, round_)


@pytest.mark.parametrize(
    ("messages", "rounds", "sent"),
    [
        ((), (0,), "We have not sent a message yet."),
        ((left(state=DeliveryState.QUEUED),), (0,), "We have not sent a message yet."),
        ((left(state=DeliveryState.FAILED),), (0,), "We have not sent a message yet."),
        ((left(),), (0,), "We have sent 1 message, at 10:42 UTC."),
        (
            (left(), left(AT + 3 * MINUTE)),
            (0,),
            "We have sent 2 messages, the last one at 10:45 UTC. Any of them works.",
        ),
        ((left(), left(AT + MINUTE, DeliveryState.FAILED)), (0,), "We have sent 1 message, at 10:42 UTC."),
        (
            (left(), left(AT + MINUTE, round_=1)),
            (1,),
            "We have sent 2 messages, the last one at 10:43 UTC. Only the code in the newest message works.",
        ),
        (
            (left(), left(AT + MINUTE, round_=1)),
            (1, 0),
            "We have sent 2 messages, the last one at 10:43 UTC. Any of them works.",
        ),
        (
            (left(), left(AT + MINUTE, round_=1), left(AT + 2 * MINUTE, round_=2)),
            (2, 1),
            "We have sent 3 messages, the last one at 10:44 UTC. Only the codes in the two newest messages work.",
        ),
    ],
)
def test_it_says_how_many_left_and_which_of_their_codes_work(
    messages: tuple[SentMessage, ...], rounds: tuple[int, ...], sent: str
) -> None:
    """J1: "any of them works" is said only where it is so."""
    assert code_help(facts(*messages, rounds=rounds), ENGLISH).sent == sent


def test_no_code_works_once_it_has_ended() -> None:
    """J1: nobody is sent to look for what is worth nothing."""
    told = code_help(facts(left(), left(), ended=True, sends_left=0), ENGLISH)
    assert told.sent.endswith("This code no longer works, whichever message it came in.")
    assert "Any of them" not in told.sent
    assert told.resent == told.no_more == ""


@pytest.mark.parametrize(
    ("channel", "sender", "holds"),
    [
        (Channel.EMAIL, "codes@kettle.example", "Leaf & Kettle <codes@kettle.example>"),
        (Channel.EMAIL, "", "a message from Leaf & Kettle."),
        (Channel.SMS, "+14155550100", "comes from +14155550100"),
        (Channel.SMS, "", "names Leaf & Kettle"),
        (Channel.VOICE, "+14155550100", "The call comes from +14155550100"),
        (Channel.VOICE, "", "names Leaf & Kettle"),
        (Channel.WHATSAPP, "+14155550100", "Search WhatsApp"),
    ],
)
def test_it_names_the_sender_to_search_for(channel: Channel, sender: str, holds: str) -> None:
    """J1: by address or number where people see it, else by name."""
    assert holds in code_help(facts(left(), channel=channel, sender=sender), ENGLISH).find


@pytest.mark.parametrize(
    ("sender", "shown"),
    [
        ("codes@kettle.example", "codes@kettle.example"),
        ("+14155550100", "+14155550100"),
        ("72000", "72000"),
        ("Kettle", "Kettle"),
        ("MG0123456789abcdef0123456789abcdef", ""),
        ("whatsapp:+1415", ""),
        ("", ""),
    ],
)
def test_an_identifier_of_a_provider_is_no_sender(sender: str, shown: str) -> None:
    """J1: people search for what they see."""
    assert sender_shown(sender) == shown


@pytest.mark.parametrize(
    ("channel", "holds"),
    [
        (Channel.EMAIL, ("spam", ADA, "full", "filter")),
        (Channel.SMS, ("signal", "flight mode", "roaming", "blocked", "short numbers", "•••123", "SIM")),
        (Channel.VOICE, ("signal", "silent", "roaming", "•••123")),
        (Channel.WHATSAPP, ("online", "archive", "•••123")),
    ],
)
def test_what_to_check_fits_the_channel(channel: Channel, holds: tuple[str, ...]) -> None:
    """J1."""
    told = " ".join(code_help(facts(left(), channel=channel), ENGLISH).checks)
    for word in holds:
        assert word in told


def test_what_to_check_fits_the_state() -> None:
    """J1: a phone that has the message has signal; of a mailbox that does not exist, only the address counts."""
    delivered = code_help(facts(left(state=DeliveryState.DELIVERED), channel=Channel.SMS), ENGLISH)
    assert "signal" not in " ".join(delivered.checks)
    bounced = SentMessage(AT, DeliveryState.UNDELIVERED, reason=Reason.UNKNOWN_RECIPIENT)
    (only,) = code_help(facts(bounced), ENGLISH).checks
    assert ADA in only


def test_success_is_said_and_so_is_the_end() -> None:
    """J1: WCAG 4.1.3; a resend that failed is none."""
    assert code_help(facts(left()), ENGLISH).resent == ""
    assert code_help(facts(left(), left(AT + MINUTE)), ENGLISH).resent == "We sent the code again at 10:43 UTC."
    again = code_help(facts(left(), left(AT + MINUTE, round_=1), rounds=(1,)), ENGLISH)
    assert again.resent == "We sent a new code at 10:43 UTC."
    queued = code_help(facts(left(), left(state=DeliveryState.QUEUED)), ENGLISH)
    assert queued.resent == "We are sending the code again."
    for state in (DeliveryState.FAILED, DeliveryState.DROPPED, DeliveryState.UNDELIVERED):
        assert code_help(facts(left(), left(state=state)), ENGLISH).resent == ""
    assert code_help(facts(left(), sends_left=1), ENGLISH).no_more == ""
    assert code_help(facts(*[left()] * 5, sends_left=0), ENGLISH).no_more == (
        "We have sent 5 messages for this code, which is the limit. Use a code you have received, or start again."
    )


def test_times_are_those_of_the_zone() -> None:
    """J7."""
    assert "at 11:42" in code_help(facts(left()), ENGLISH, zone="Europe/Berlin").sent


def test_each_language_has_words_of_its_own() -> None:
    """J5: for each channel, in each state."""
    for channel, state in product(Channel, DeliveryState):
        told = [
            code_help(
                facts(left(), left(state=state), channel=channel, sends_left=0, may_lack_a_code=True), negotiate(tag)
            )
            for tag in languages()
        ]
        assert len({one.checks for one in told}) == len(languages())
        for name in ("sent", "find", "no_more", "empty"):
            assert len({getattr(one, name) for one in told}) == len(languages()), name


@pytest.mark.parametrize("channel", Channel)
def test_a_hint_moves_on_with_time(channel: Channel) -> None:
    """J1: after a minute nobody is told to wait a minute."""
    for state in (DeliveryState.SENDING, DeliveryState.ACCEPTED):
        early = hint(state, None, channel, "en")
        late = hint(state, None, channel, "en", slow=True)
        assert early != late
        assert late is not None
        assert "in a minute" not in late
        assert late.endswith("Ask for the code again, or use another way.")
    assert hint(DeliveryState.QUEUED, None, channel, "en", slow=True) is not None
    delivered = hint(DeliveryState.DELIVERED, None, channel, "en")
    assert hint(DeliveryState.DELIVERED, None, channel, "en", slow=True) == delivered


def test_a_hint_names_only_the_ways_that_are_open() -> None:
    """J1: in no state, whatever the reason."""
    for state, reason, channel in product(DeliveryState, [None, *Reason], Channel):
        for resend, other_way in product((True, False), repeat=2):
            told = hint(state, reason, channel, "en", slow=True, offers=Offers(resend, other_way)) or ""
            if not other_way and state not in {DeliveryState.QUEUED, DeliveryState.SENDING}:
                assert "another way" not in told, told
            if not resend:
                assert "Ask for the code again" not in told, told
