"""Telephone numbers as people write them are one contact, and what no SMS can reach says so."""

from __future__ import annotations

import time

import pytest

from countersign.domain.shared.contact import (
    Channel,
    Contact,
    ContactKind,
    parse_contact,
    read_contact,
    stored_contact,
)
from countersign.domain.shared.phone_number import MAX_REGIONS, is_landline, spaced
from countersign.errors import InputError


def reason(typed: str, *regions: str) -> str:
    with pytest.raises(InputError) as caught:
        read_contact(typed, regions)
    return caught.value.reason


@pytest.mark.parametrize(
    ("typed", "regions", "number"),
    [
        ("0171 2345678", "DE", "+491712345678"),
        ("0171/2345678", "DE", "+491712345678"),
        ("(0171) 2345678", "DE", "+491712345678"),
        ("(415) 555-0123", "US", "+14155550123"),
        ("1-415-555-0123", "US", "+14155550123"),
        ("07700 900123", "GB", "+447700900123"),
        ("0049 171 2345678", "DE", "+491712345678"),
        ("0049 171 2345678", "US", "+491712345678"),
        ("00 49 (0)171 2345678", "GB", "+491712345678"),
        ("(0049) 171 2345678", "", "+491712345678"),
        ("011 49 171 2345678", "US", "+491712345678"),
        ("010 49 171 2345678", "JP", "+491712345678"),
        ("+0049 171 2345678", "", "+491712345678"),
        ("+49 (0)151 23456789", "", "+4915123456789"),
        ("+49 0151 23456789", "", "+4915123456789"),
        ("\u202a+49 151 23456789\u202c", "", "+4915123456789"),
        ("\u200e+49\u00a0151\u202f234\u201056789\ufeff", "", "+4915123456789"),
        ("\uff0b\uff14\uff19 151 23456789", "", "+4915123456789"),
        ("+\u0664\u0669 \u0661\u0665\u0661 \u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669", "", "+4915123456789"),
        ("\u0660\u0661\u0660 \u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668", "EG", "+201012345678"),
        ("tel:+49-151-23456789", "", "+4915123456789"),
        ("tel:0171-2345678", "DE", "+491712345678"),
        ("090-1234-5678", "JP", "+819012345678"),
        ("８ 916 123 45 67", "RU", "+79161234567"),  # noqa: RUF001
        ("0171 2345678", "GB DE", "+491712345678"),
        ("07911 123456", "DE GB", "+447911123456"),
        ("49 171 2345678", "DE", "+491712345678"),
        ("+39 347 123 4567", "", "+393471234567"),
        ("+39 06 1234 5678", "", "+390612345678"),
        ("+49 151\n23456789\r\n", "", "+4915123456789"),
    ],
)
def test_a_number_is_read_as_people_write_it(typed: str, regions: str, number: str) -> None:
    """J3: national forms, prefixes for abroad, brackets, marks and digits of any script."""
    assert read_contact(typed, regions.split()) == Contact(ContactKind.PHONE, number)


@pytest.mark.parametrize(
    ("number", "spellings"),
    [
        ("+525512345678", ["+52 1 55 1234 5678", "+52 55 1234 5678", "+52 044 55 1234 5678", "+52 01 55 1234 5678"]),
        ("+5491123456789", ["+54 9 11 2345 6789", "+54 11 15 2345 6789", "+54 11 2345 6789", "+54 9 11 15 2345 6789"]),
        ("+5511987654321", ["+55 11 98765 4321", "+55 11 8765 4321", "+55 (0)11 98765-4321"]),
        ("+2290190011234", ["+229 01 90 01 12 34", "+229 90 01 12 34"]),
        ("+84701234567", ["+84 120 123 4567", "+84 70 123 4567", "+84 0120 123 4567"]),
    ],
)
def test_a_number_that_was_renumbered_is_one_contact(number: str, spellings: list[str]) -> None:
    """A6, J3: whichever plan it is written by, for pages and programs alike."""
    for typed in spellings:
        for regions in (None, (), ("DE",)):
            assert read_contact(typed, regions).address == number, typed
        assert parse_contact(typed).address == number, typed
        assert stored_contact("+" + "".join(filter(str.isdigit, spellings[-1]))).kind is ContactKind.PHONE


@pytest.mark.parametrize(
    ("typed", "region", "number"),
    [
        ("044 55 1234 5678", "MX", "+525512345678"),
        ("045 55 1234 5678", "MX", "+525512345678"),
        ("01 55 1234 5678", "MX", "+525512345678"),
        ("55 1234 5678", "MX", "+525512345678"),
        ("011 15-2345-6789", "AR", "+5491123456789"),
        ("11 8765-4321", "BR", "+5511987654321"),
        ("0 15 11 98765 4321", "BR", "+5511987654321"),
        ("90 01 12 34", "BJ", "+2290190011234"),
        ("0120 123 4567", "VN", "+84701234567"),
    ],
)
def test_a_number_that_was_renumbered_is_read_at_home_too(typed: str, region: str, number: str) -> None:
    assert read_contact(typed, (region,)).address == number


def test_former_spellings_lead_back_to_the_contact() -> None:
    """A6: an account that an earlier release stored under the old spelling is found, and gets its codes at today's number."""
    for former, now in (
        ("+551187654321", "+5511987654321"),
        ("+541123456789", "+5491123456789"),
        ("+22990011234", "+2290190011234"),
        ("+841201234567", "+84701234567"),
    ):
        assert former in {one.address for one in parse_contact(now).former}
        assert stored_contact(former).address == now
    assert parse_contact("+4915123456789").former == ()
    assert parse_contact("ada@example.org").former == ()


@pytest.mark.parametrize(
    ("typed", "regions", "why"),
    [
        ("0171 2345678", "", "malformed"),
        ("0171 2345678", "XX", "malformed"),
        ("0900 1 234567", "DE", "premium_number"),
        ("0800 1234567", "DE", "not_a_mobile_number"),
        ("110", "DE", "short_number"),
        ("+49 171 2345678 ext. 5", "DE", "malformed"),
        ("0171 23456781234567", "DE", "impossible_number"),
        ("+225 01 23 45 67", "", "short_number"),
        ("+", "DE", "malformed"),
        ("00", "DE", "malformed"),
        ("ada", "DE", "malformed"),
        ("", "DE", "malformed"),
        ("\u202a\u202c", "DE", "malformed"),
    ],
)
def test_what_is_no_number_says_why(typed: str, regions: str, why: str) -> None:
    assert reason(typed, *regions.split()) == why


@pytest.mark.parametrize("typed", ["0171 2345678", "0049 171 2345678", "tel:+491712345678", "491712345678"])
def test_a_program_sends_numbers_with_their_country_code(typed: str) -> None:
    """A6: the contract of the API has no country to read a national number by."""
    with pytest.raises(InputError):
        read_contact(typed)


@pytest.mark.parametrize(
    "typed", ["\u202a+49 151 23456789\u202c", "\u200b+49 (0)151 23456789", "+49\u2060151\u00ad23456789"]
)
def test_a_program_may_send_what_was_copied(typed: str) -> None:
    """J3: marks are read by the API too."""
    assert read_contact(typed).address == "+4915123456789"


@pytest.mark.parametrize(
    ("number", "landline"),
    [
        ("+498912345678", True),
        ("+442079460123", True),
        ("+390612345678", True),
        ("+14155550123", False),
        ("+4915123456789", False),
        ("+5491123456789", False),
        ("+966579293970", False),
    ],
)
def test_a_landline_takes_calls_alone(number: str, *, landline: bool) -> None:
    """J3: where the plan tells landlines apart; in North America it does not."""
    assert is_landline(number) is landline
    assert (Channel.SMS not in Contact(ContactKind.PHONE, number).channels) is landline
    assert Channel.VOICE in Contact(ContactKind.PHONE, number).channels


def test_a_number_is_shown_as_people_read_it() -> None:
    assert spaced("+491712345678") == "+49 171 2345678"
    assert Contact(ContactKind.PHONE, "+14155550123").written == "+1 415-555-0123"
    assert Contact(ContactKind.MAIL, "ada@example.org").written == "ada@example.org"
    assert spaced("+") == "+"


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("\u202aada@example.org\u202c", "ada@example.org"),
        ("ada@exam\u00adple.org", "ada@example.org"),
        ("ada@\u200bexample.org", "ada@example.org"),
        ("ada\uff20example\uff0eorg", "ada@example.org"),
        ("mailto:Ada@example.org", "ada@example.org"),
        ("Ada Lovelace <ada@example.org>", "ada@example.org"),
        ("ada@example.org.", "ada@example.org"),
        ("\u3000ada@example.org\r\n", "ada@example.org"),
        ("ada@example.org\u200b", "ada@example.org"),
    ],
)
def test_a_mail_address_is_read_as_it_is_pasted(typed: str, address: str) -> None:
    """J3: on pages, where the reading is shown."""
    assert read_contact(typed, ()).address == address


@pytest.mark.parametrize(
    "typed",
    [
        "ada\u202e@example.org",
        "ada@exam\u2066ple.org",
        "ada@example.org\r\nBcc: eve@example.org",
        "ada\x00@example.org",
        "ada@example.org,eve@example.org",
        "<ada@example.org><eve@example.org>",
        "ada@ex\u0430mple.org",
    ],
)
def test_what_would_be_another_address_than_is_seen_is_still_refused(typed: str) -> None:
    """A6, D5: no line end reaches a header, and nothing turns the direction inside an address."""
    with pytest.raises(InputError):
        read_contact(typed, ())
    with pytest.raises(InputError):
        read_contact(typed)


def test_many_countries_and_long_texts_cost_little() -> None:
    """L5: no more than a few countries are tried."""
    began = time.process_time()
    for typed in ("0" * 320, "+" * 320, "00" * 160, "(" * 320, "+0" * 160, "1 " * 160):
        with pytest.raises(InputError):
            read_contact(typed, ["DE", "FR", "GB", "US", "JP", "BR"] * 10)
    assert time.process_time() - began < 0.5
    with pytest.raises(InputError):
        read_contact("0171 2345678", [*["US"] * MAX_REGIONS, "DE"])
