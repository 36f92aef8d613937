"""Contacts: one canonical form, what is refused and why, masks that hide, and networks that count as one."""

from __future__ import annotations

import pytest
from email_validator import EmailNotValidError
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from countersign.domain.shared import contact
from countersign.domain.shared.contact import Contact, ContactKind, mask, parse_contact
from countersign.domain.shared.network import network_of
from countersign.errors import InputError


def reason(typed: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_contact(typed)
    assert caught.value.field == "to"
    assert typed.strip() not in str(caught.value), "an error never repeats what was sent"
    return caught.value.reason


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("ada@example.org", "ada@example.org"),
        ("  Ada@Example.ORG ", "ada@example.org"),
        ("ada+shop@example.org", "ada+shop@example.org"),
        ("a.d.a@example.org", "a.d.a@example.org"),
        ("ada@b\u00fccher.example", "ada@b\u00fccher.example"),
        ("ada@xn--bcher-kva.example", "ada@b\u00fccher.example"),
        ("ada@BU\u0308CHER.example", "ada@b\u00fccher.example"),
        ("ada@example\uff0eorg", "ada@example.org"),
        ("J\u00dcRGEN@example.org", "j\u00fcrgen@example.org"),
        ("ju\u0308rgen@example.org", "j\u00fcrgen@example.org"),
        (
            "\u0438\u0432\u0430\u043d@\u043f\u043e\u0447\u0442\u0430.\u0440\u0444",
            "\u0438\u0432\u0430\u043d@\u043f\u043e\u0447\u0442\u0430.\u0440\u0444",
        ),
    ],
)
def test_a_mail_address_has_one_form(typed: str, address: str) -> None:
    """A6: however it is written, it is one contact."""
    contact = parse_contact(typed)
    assert (contact.kind, contact.address) == (ContactKind.MAIL, address)
    assert parse_contact(contact.address) == contact


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("+14155550123", "+14155550123"),
        ("+1 (415) 555-0123", "+14155550123"),
        ("\uff0b1 415 555 0123", "+14155550123"),
        ("+" + "".join(chr(ord(digit) + 0xFEE0) for digit in "14155550123"), "+14155550123"),
        ("+49 (0) 1512 3456789", "+4915123456789"),
        ("+44 7400 123456", "+447400123456"),
        ("++1 415 555 0123", "+14155550123"),
        ("+39 06 1234 5678", "+390612345678"),
        ("+47 406 12 345", "+4740612345"),
    ],
)
def test_a_number_has_one_form(typed: str, address: str) -> None:
    """A6: E.164, whatever stood between the digits."""
    contact = parse_contact(typed)
    assert (contact.kind, contact.address) == (ContactKind.PHONE, address)
    assert parse_contact(contact.address) == contact


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "@",
        "ada",
        "ada@",
        "@example.org",
        "ada@@example.org",
        "ada@example",
        "ada@-example.org",
        "ada@exa mple.org",
        "ada lovelace@example.org",
        '"ada@evil"@example.org',
        "ada@[127.0.0.1]",
        "Ada <ada@example.org>",
        "ada@example.org,eve@example.org",
        "ada@example.org;eve@example.org",
        "a" * 65 + "@example.org",
        "ada@" + "x" * 64 + ".org",
        "a" * 400,
        "4155550123",
        "0049 1512 3456789",
        "+",
        "+1",
        "+abc",
        "+999123456789",
        "+14155550123;ext=5",
        "+14155550123 ext. 5",
        "tel:+14155550123",
    ],
)
def test_what_is_no_address_is_malformed(typed: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_contact(typed)
    assert caught.value.reason == "malformed"


@pytest.mark.parametrize(
    "character", ["\r", "\n", "\0", "\r\n", "\x1b", "\x7f", "\u200b", "\u202e", "\u2028", "\ufeff", "\u00ad", "\ud800"]
)
@pytest.mark.parametrize(
    "address", ["ada{}@example.org", "{}ada@example.org", "ada@exam{}ple.org", "ada@example.org{}", "+1415{}5550123"]
)
def test_no_control_and_nothing_invisible_gets_into_an_address(address: str, character: str) -> None:
    """D5: CR, LF and NUL never reach a header; what cannot be seen reaches nothing."""
    assert reason(address.format(character)) == "malformed"


@pytest.mark.parametrize(
    "typed", ["ada@xn--80ak6aa92e.com", "ada@\u0430\u0440\u0440\u04cf\u0435.com", "ada@\u03bf\u03bf\u03bf.example"]
)
def test_a_domain_written_wholly_in_letters_that_pass_for_latin_is_refused(typed: str) -> None:
    """A6: it is one script, and still reads like another's name."""
    assert reason(typed) == "look_alike"


@pytest.mark.parametrize(
    "typed",
    [
        "ada@\u043f\u0440\u0438\u043c\u0435\u0440.com",
        "ada@b\u00fccher.example",
        "ada@\u0430\u0440\u0440\u04cf\u0435.\u0440\u0444",
    ],
)
def test_domains_that_only_their_own_script_can_write_are_taken(typed: str) -> None:
    assert parse_contact(typed).kind is ContactKind.MAIL


@pytest.mark.parametrize(
    "typed",
    [
        "ada@ex\u0430mple.org",
        "ada@\u0435xample.org",
        "\u0430da@example.org",
        "ad\u03b1@example.org",
        "ada@p\u0443pal.example",
        "ada@xn--exmple-4nf.org",
    ],
)
def test_letters_that_look_alike_are_not_mixed(typed: str) -> None:
    """A6: a Cyrillic or Greek letter among Latin ones is somebody pretending."""
    assert reason(typed) == "mixed_scripts"


@pytest.mark.parametrize(
    "typed",
    ["\u00aada@example.org", "ada@\U0001d41e\U0001d431ample.org", "\uff41da@example.org", "\u212ada@example.org"],
)
def test_letters_in_fancy_dress_are_their_plain_letter_or_refused(typed: str) -> None:
    """A6: a compatibility form never makes a second contact that looks like the first."""
    try:
        contact = parse_contact(typed)
    except InputError:
        return
    assert contact.address.isascii()


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("+1 900 555 0123", "premium_number"),
        ("+49 900 1 234567", "premium_number"),
        ("+44 909 879 0000", "premium_number"),
        ("+44 843 123 4567", "premium_number"),
        ("+1 800 555 0199", "not_a_mobile_number"),
        ("+44 800 123 4567", "not_a_mobile_number"),
        ("+870 776 123456", "satellite_number"),
        ("+881 6 1234 5678", "satellite_number"),
        ("+882 16 12345678", "satellite_number"),
        ("+883 5100 12345678", "satellite_number"),
        ("+979 1 2345 6789", "satellite_number"),
        ("+49 110", "short_number"),
        ("+49 116 117", "short_number"),
        ("+44 999", "short_number"),
        ("+1 911", "short_number"),
        ("+1 415 555 01234567", "impossible_number"),
    ],
)
def test_numbers_that_cost_or_reach_nobody_are_refused_with_the_reason(typed: str, why: str) -> None:
    """D7: premium, satellite and short numbers."""
    assert reason(typed) == why


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("ada@example.org", "a***@example.org"),
        ("a@example.org", "a***@example.org"),
        ("ada.lovelace@example.org", "a***@example.org"),
        ("+14155550123", "+1415***0123"),
        ("+4915123456789", "+4915***6789"),
    ],
)
def test_a_mask_shows_enough_to_be_recognised(address: str, shown: str) -> None:
    contact = parse_contact(address)
    assert contact.masked == shown == mask(contact)


@pytest.mark.parametrize("address", ["+4740612345", "+3581234567", "+290123456", "+14155550123", "+6491234567"])
def test_a_mask_hides_at_least_three_digits(address: str) -> None:
    """C8: the mask stands in logs; a thousand numbers share each, at least."""
    shown = mask(Contact(ContactKind.PHONE, address))
    first, _, last = shown.partition("***")
    assert address.startswith(first)
    assert address.endswith(last)
    assert len(address) - len(first) - len(last) >= 3


mail = st.builds(
    lambda local, host: f"{local}@{host}.example",
    st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=30),
    st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=12),
)
numbers = st.integers(10**7, 10**14).map(lambda number: Contact(ContactKind.PHONE, f"+{number}"))


@given(mail.map(parse_contact) | numbers)
def test_no_mask_and_no_repr_shows_the_whole(contact: Contact) -> None:
    """C8: what logs may hold."""
    for shown in (contact.masked, repr(contact), str(contact), f"{contact}"):
        assert contact.address not in shown
        assert "***" in shown


@given(mail)
def test_the_case_of_letters_makes_no_second_contact(typed: str) -> None:
    """A6: in every flow the same."""
    assert parse_contact(typed.upper()) == parse_contact(typed) == parse_contact(typed.title())


@given(st.text(max_size=60))
def test_any_text_at_all_is_a_contact_in_canonical_form_or_an_input_error(typed: str) -> None:
    try:
        contact = parse_contact(typed)
    except InputError:
        return
    assert parse_contact(contact.address) == contact


@given(st.text("+0123456789abc@.- \u00e9\u0430\u200b", max_size=40))
def test_canonical_forms_are_stable_near_the_border_too(typed: str) -> None:
    try:
        contact = parse_contact(typed)
    except InputError:
        return
    assert parse_contact(contact.address) == contact
    assert contact.address == contact.address.strip()


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_an_address_counts_by_its_network(ip: str, network: str) -> None:
    assert network_of(ip) == network


@pytest.mark.parametrize(
    "ip", ["", "203.0.113", "203.0.113.9:80", "localhost", "203.0.113.0/24", "1", "\0", "٢٠٣.0.113.9"]
)
def test_what_is_no_network_address_is_refused(ip: str) -> None:
    with pytest.raises(InputError) as caught:
        network_of(ip)
    assert (caught.value.field, caught.value.reason) == ("requester.ip", "malformed")


ATOM = st.text(st.sampled_from("aZ0+-_!#$%&'*/=?^`{|}~"), min_size=1, max_size=20)
LOCAL = st.lists(ATOM, min_size=1, max_size=5).map(".".join)
"""Local parts of dot-atom form, some of them longer than 64 octets."""

LABEL = st.text(st.sampled_from("abZ09-_"), max_size=8)
DOMAIN = st.one_of(
    st.lists(LABEL, min_size=1, max_size=4).map(".".join),
    st.sampled_from(["example.org", "EXAMPLE.org", "test", "a.test", "localhost", "-a.example", "a..b", "[1.2.3.4]"]),
)


@settings(max_examples=500, deadline=None)
@given(LOCAL, DOMAIN)
def test_a_plain_address_is_read_as_the_library_reads_it(local: str, domain: str) -> None:
    """A6: only the domain of a plain address is asked of the library; the answer is the library's answer for the whole address."""
    assume(contact._is_plain(local, domain))
    try:
        expected = contact._validated(f"{local}@{domain}")
    except EmailNotValidError:
        with pytest.raises(InputError):
            parse_contact(f"{local}@{domain}")
    else:
        assert parse_contact(f"{local}@{domain}").address == f"{expected.local_part}@{expected.domain}".lower()


@pytest.mark.parametrize("length", [63, 64, 65])
@pytest.mark.parametrize("total", [253, 254, 255])
def test_the_bounds_of_a_plain_address_are_those_of_the_library(length: int, total: int) -> None:
    """A6: a local part of 64 octets, an address of 254."""
    local = "a" * length
    labels = "b" * (total - length - 1 - len(".example"))
    domain = ".".join(labels[start : start + 60] for start in range(0, len(labels), 61)) + ".example"
    address = f"{local}@{domain}"
    try:
        contact._validated(address)
    except EmailNotValidError:
        with pytest.raises(InputError):
            parse_contact(address)
    else:
        assert parse_contact(address).address == address
