"""SMS traffic: the traffic keys of a number, and when a prefix is known."""

from __future__ import annotations

from countersign.domain.delivery.sms_traffic import (
    MINUTE,
    NEW_PREFIXES,
    SLOT,
    TrafficHistory,
    TrafficSlot,
    is_new_prefix,
    number_range,
    traffic_keys_of,
)

NOW = 1_767_348_000_000 + 11 * MINUTE


def at(age: int, sent: int, converted: int) -> TrafficSlot:
    """Return a slot of so long ago."""
    begin = NOW - age
    return TrafficSlot(begin - begin % SLOT, sent, sent * 50_000, converted)


def test_the_ranges_of_a_number_are_narrower_than_its_prefix() -> None:
    assert number_range("+491701234567", "+49170", 3) == "+491701234"
    assert number_range("+4520123456", "+45201", 5) is None
    assert [place.name for place in traffic_keys_of("", "+45201", {}, fresh=True)] == ["+45201", NEW_PREFIXES, ""]


def test_a_prefix_is_known_from_its_tenth_conversion() -> None:
    assert is_new_prefix(TrafficHistory((at(0, 20, 9),)))
    assert not is_new_prefix(TrafficHistory((at(0, 20, 10),)))
