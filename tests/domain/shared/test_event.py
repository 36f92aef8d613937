"""Events are written in one way only, and a page's hash is taken over all of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.clock import NOON

from countersign.domain.shared.event import FIRST_HASH, Event, EventKind, decode_page, encode_page, hash_input

facts = st.dictionaries(st.text(max_size=8), st.text(max_size=8) | st.integers(-(2**63), 2**63 - 1), max_size=4)
events = st.builds(
    Event, st.integers(0, 2**53), st.sampled_from(EventKind), st.text(max_size=8), st.text(max_size=8), facts
)
pages = st.lists(events, max_size=4)
fields = st.tuples(
    st.binary(min_size=32, max_size=32),
    st.text("w0123", min_size=1, max_size=6),
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(0, 99),
)


def test_a_page_is_written_as_a_list_of_lists() -> None:
    begun = Event(NOON, EventKind.CHALLENGE_BEGUN, "app_1", "ver_1", {"to": "a***", "channel": "email"})
    swept = Event(NOON + 1, EventKind.CHALLENGE_EXPIRED, "app_1", "ver_1")
    assert encode_page([begun, swept]) == (
        '[[1795435200000,"challenge.begun","app_1","ver_1",{"channel":"email","to":"a***"}],'
        '[1795435200001,"challenge.expired","app_1","ver_1",{}]]'
    )


@given(pages)
def test_what_is_written_can_be_read(page: list[Event]) -> None:
    assert decode_page(encode_page(page)) == page


@given(events)
def test_the_order_of_facts_makes_no_difference(event: Event) -> None:
    turned = Event(event.at, event.kind, event.application, event.owner, dict(reversed(event.facts.items())))
    assert encode_page([turned]) == encode_page([event])


@given(fields, pages, fields, pages)
def test_two_pages_that_differ_are_linked_by_different_bytes(
    one: tuple[bytes, str, int, int, int],
    page: list[Event],
    other: tuple[bytes, str, int, int, int],
    another: list[Event],
) -> None:
    """O4: no shift of a character from one field to the next goes unseen."""
    same = one == other and encode_page(page) == encode_page(another)
    assert (hash_input(*one, encode_page(page)) == hash_input(*other, encode_page(another))) is same


def test_the_first_page_hangs_on_a_hash_of_no_page() -> None:
    assert bytes(32) == FIRST_HASH
    assert hash_input(FIRST_HASH, "w1", 1, NOON, 1, "[]") == FIRST_HASH + b"w1\x001\x001795435200000\x001\x00[]\x00"


def test_the_names_of_kinds_say_whose_they_are() -> None:
    assert all(kind.value.count(".") == 1 and kind.value.islower() for kind in EventKind)
