"""Trust in a browser: it begins when the user asks for it, lasts thirty days, and ends with the device."""

from __future__ import annotations

import msgspec

from countersign.domain.accounts.device import TRUST_LIFETIME, Device

NOW = 1_795_435_200_000
KNOWN = Device("acc_1", b"m", "dev_1", NOW, "Firefox", NOW, "203.0.113.9", "Zürich, CH")
TRUSTED = msgspec.structs.replace(KNOWN, trusted_at=NOW)


def test_a_known_browser_is_not_trusted_by_itself() -> None:
    """S4."""
    assert not KNOWN.trusted(NOW)
    assert KNOWN.trusted_until == 0


def test_trust_lasts_thirty_days_to_the_millisecond() -> None:
    """S4."""
    assert TRUST_LIFETIME == 30 * 24 * 3_600_000
    assert TRUSTED.trusted_until == NOW + TRUST_LIFETIME
    assert [TRUSTED.trusted(NOW + ms) for ms in (-1, 0, TRUST_LIFETIME - 1, TRUST_LIFETIME)] == [
        False,
        True,
        True,
        False,
    ]


def test_a_browser_that_was_forgotten_is_not_trusted() -> None:
    """A4."""
    assert not msgspec.structs.replace(TRUSTED, ended_at=NOW).trusted(NOW)


def test_a_device_shows_nothing_but_its_id_in_a_log() -> None:
    """C8."""
    assert repr(KNOWN) == "Device(dev_1)"
