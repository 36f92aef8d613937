"""An SMS is counted as the network counts it, and ends with the line that binds its code."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from countersign.domain.delivery.sms_segments import GSM_7, GSM_7_EXTENSION, UCS_2_JOINED
from countersign.messages.channels.sms_size import Encoding, Size, bound_line, plain, segments


@pytest.mark.parametrize(
    ("text", "encoding", "units", "count"),
    [
        ("", "gsm-7", 0, 1),
        ("a" * 160, "gsm-7", 160, 1),
        ("a" * 161, "gsm-7", 161, 2),
        ("a" * 306, "gsm-7", 306, 2),
        ("a" * 307, "gsm-7", 307, 3),
        ("€" * 80, "gsm-7", 160, 1),
        ("€" * 81, "gsm-7", 162, 2),
        # 152 septets and an escape that would be parted: it moves on whole, and so the third segment is needed.
        ("a" * 152 + "{" + "a" * 152, "gsm-7", 306, 3),
        ("a" * 151 + "{" + "a" * 153, "gsm-7", 306, 2),
        ("é" * 160, "gsm-7", 160, 1),
        ("ç" * 70, "ucs-2", 70, 1),
        ("ç" * 71, "ucs-2", 71, 2),
        ("ç" * 134, "ucs-2", 134, 2),
        ("ç" * 135, "ucs-2", 135, 3),
        ("😀" * 35, "ucs-2", 70, 1),
        ("😀" * 36, "ucs-2", 72, 2),
        # 33 pairs fill 66 of 67 units; the 34th is not parted.
        ("😀" * 67, "ucs-2", 134, 3),
        ("ç" + "😀" * 66 + "ç", "ucs-2", 134, 2),
        ("\u2019" + "a" * 70, "ucs-2", 71, 2),
    ],
)
def test_units_and_segments_are_those_of_the_standard(text: str, encoding: str, units: int, count: int) -> None:
    """D3: GSM-7 160/153, UCS-2 70/67, extension characters count two."""
    assert segments(text) == Size(Encoding(encoding), units, count)


def test_the_default_alphabet_has_its_127_characters_and_the_extension_ten() -> None:
    assert len(GSM_7) == len(set(GSM_7)) == 127
    assert len(set(GSM_7_EXTENSION)) == 10
    assert not set(GSM_7) & set(GSM_7_EXTENSION)


@given(st.text(alphabet=GSM_7 + GSM_7_EXTENSION, max_size=500))
def test_what_the_default_alphabet_has_is_never_sent_in_sixteen_bits(text: str) -> None:
    size = segments(text)
    assert size.encoding is Encoding.GSM_7
    assert size.units == sum(2 if character in GSM_7_EXTENSION else 1 for character in text)


@given(st.text(max_size=400))
@example("a" * 152 + "^" * 80)
def test_a_text_can_be_parted_into_as_many_segments_as_are_counted_and_not_into_fewer(text: str) -> None:
    """D3: the count is that of a text cut by hand, character by character."""
    size = segments(text)
    narrow = size.encoding is Encoding.GSM_7
    costs = [2 if (c in GSM_7_EXTENSION if narrow else ord(c) > 0xFFFF) else 1 for c in text]
    assert size.units == sum(costs)
    if size.units <= (160 if narrow else 70):
        assert size.segments == 1
        return
    parts = [0]
    for cost in costs:
        if parts[-1] + cost > (153 if narrow else 67):
            parts.append(0)
        parts[-1] += cost
    assert size.segments == len(parts) >= 2


@given(st.text(alphabet=st.characters(min_codepoint=0x10000), min_size=36, max_size=200))
def test_a_surrogate_pair_is_never_parted(text: str) -> None:
    assert segments(text).segments == -(-len(text) // (UCS_2_JOINED // 2))


def test_typography_does_not_cost_a_segment() -> None:
    typeset = "\u201eAda\u2019s\u201c \u2013 4:32\u202fPM\u2026"
    assert segments(typeset).encoding is Encoding.UCS_2
    assert plain(typeset) == '"Ada\'s" - 4:32 PM...'


@pytest.mark.parametrize(
    ("host", "line"),
    [
        ("shop.example", "@shop.example #123456"),
        ("Shop.Example", "@shop.example #123456"),
        ("localhost", "@localhost #123456"),
        ("xn--bcher-kva.example", "@xn--bcher-kva.example #123456"),
        ("", ""),
        ("shop.example #999999\n@evil.example", ""),
        ("shop.example:8000", ""),
        ("https://shop.example", ""),
        ("-shop.example", ""),
        ("bücher.example", ""),
        ("a" * 64 + ".example", ""),
    ],
)
def test_a_code_is_bound_to_a_host_name_and_nothing_else(host: str, line: str) -> None:
    """D4: `@host #code`, one space, nothing after it."""
    assert bound_line(host, "123456") == line
