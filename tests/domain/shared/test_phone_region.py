"""An area: country and prefix of a number, none of a mail address."""

from __future__ import annotations

import pytest

from countersign.domain.shared.phone_region import NO_REGION, PhoneRegion, region_of


@pytest.mark.parametrize(
    ("number", "country", "prefix"),
    [
        ("+14155550123", "US", "+1415"),
        ("+16135550123", "CA", "+1613"),
        ("+18765550123", "JM", "+1876"),
        ("+491701234567", "DE", "+49170"),
        ("+447700900123", "GB", "+44770"),
        ("+77012345678", "KZ", "+7701"),
        ("+79161234567", "RU", "+7916"),
        ("+390612345678", "IT", "+39061"),
        ("+37612345", "AD", "+376123"),
        ("+8613812345678", "CN", "+86138"),
    ],
)
def test_a_number_has_its_country_and_its_prefix(number: str, country: str, prefix: str) -> None:
    assert region_of(number) == PhoneRegion(country, prefix)


def test_a_mail_address_has_neither() -> None:
    assert region_of("ada@example.org") is NO_REGION


def test_a_number_of_no_plan_has_no_country() -> None:
    assert region_of("+999123456").country == ""
