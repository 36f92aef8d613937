"""Every destination that stands for an outcome, by every channel, in a real emulator; what is waited for the clock brings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.peers.emulator import Emulator, emulated

from countersign.domain.shared.contact import Channel
from countersign.providers.inbox_outcomes import OUTCOMES

LAST = {
    "delivered": ("delivered", None),
    "late": ("delivered", None),
    "bounced": ("undelivered", "unknown_recipient"),
    "refused": ("failed", "unknown_recipient"),
    "blocked": ("failed", "blocked"),
    "throttled": ("accepted", None),
    "full": ("failed", "mailbox_full"),
    "no-signal": ("undelivered", "no_signal"),
}
PASSES = {"late": ("accepted", 20), "throttled": ("queued", 2)}
"""What it is first, and the seconds that then must pass."""


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """One for all."""
    with emulated() as started:
        yield started


def test_no_outcome_is_left_out() -> None:
    assert LAST.keys() == OUTCOMES.keys()


@pytest.mark.parametrize("word", LAST)
@pytest.mark.parametrize("channel", list(Channel))
def test_a_destination_has_its_outcome_by_every_channel(emulator: Emulator, channel: Channel, word: str) -> None:
    """D2, M10: with its hint, and in the inbox if it can have arrived."""
    to = f"ada+{word}@example.org" if channel is Channel.EMAIL else f"+1415555{OUTCOMES[word][0]}"
    body = {"to": to, "subject": f"{channel.value} {word}", "channel": channel.value}
    begun = emulator.ask("POST", "/v1/verifications", body).json
    assert begun["channel"] == channel.value, begun
    if word in PASSES:
        first, seconds = PASSES[word]
        assert emulator.until(begun, first)["state"] == first
        emulator.advance(seconds)
    state, reason = LAST[word]
    told = emulator.until(begun, state)
    assert (told["channel"], told["reason"]) == (channel.value, reason)
    assert told["hint"]
    arrived = [one for one in emulator.messages(to) if one["channel"] == channel.value]
    assert len(arrived) == OUTCOMES[word][1].kept
