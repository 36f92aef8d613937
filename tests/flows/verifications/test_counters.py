"""Keys of counters: each lane and each subject has one of its own, and a counter without a lane has none."""

from __future__ import annotations

import pytest
from tests.flows.place import Place

from countersign.domain.verifications.lanes import Lane
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.flows.verifications.counters import contact_lockout_key, counter_key, network_limits

LIMIT = RateLimit("sign_up_network", 20, 600_000)


def test_two_lanes_two_subjects_and_two_names_have_two_keys(place: Place) -> None:
    """L1."""
    keys = {
        counter_key(place.keyring, name, lane, subject)
        for name, lane in (
            ("sign_in_name", Lane.ANONYMOUS),
            ("sign_in_name", Lane.TRUSTED_BROWSER),
            ("password_failures", Lane.ANONYMOUS),
        )
        for subject in ("acc_1", "acc_2")
    }
    assert len(keys) == 6


def test_a_counter_that_has_no_lane_cannot_be_used(place: Place) -> None:
    """L1: it would be shared by all."""
    for name, lane in (("sign_up_network", Lane.SESSION), ("of_my_own", Lane.ANONYMOUS)):
        with pytest.raises(LookupError):
            counter_key(place.keyring, name, lane, "acc_1")


def test_a_network_counts_in_two_sizes_and_the_wider_one_is_shared(place: Place) -> None:
    """L5."""
    one, other = (
        network_limits(place.keyring, [LIMIT], Lane.ANONYMOUS, ip) for ip in ("2001:db8::1", "2001:db8:0:1::1")
    )
    assert [limit.burst for limit, _ in one] == [20, 320]
    assert one[0][1] != other[0][1]
    assert one[1][1] == other[1][1]


def test_the_wrong_codes_of_a_contact_are_counted_for_each_account_apart(place: Place) -> None:
    """C6."""
    keys = {
        contact_lockout_key(place.keyring, "app_own", account, "+14155550123") for account in ("acc_1", "acc_2", "")
    }
    assert len(keys) == 3
