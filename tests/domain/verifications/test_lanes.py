"""Lanes: which standing a request has, and that each counter belongs to one of them."""

from __future__ import annotations

import pytest

from countersign.domain.verifications.lanes import COUNTERS, Act, Lane, counter_parts, counters_before, lane_of_request


@pytest.mark.parametrize(
    ("purpose", "device", "lane"),
    [
        ("sign_in", "", Lane.PASSWORD),
        ("step_up", "", Lane.PASSWORD),
        ("sign_up", "", Lane.ANONYMOUS),
        ("recover", "", Lane.ANONYMOUS),
        ("sign_in", "dev_1", Lane.TRUSTED_BROWSER),
        ("sign_up", "dev_1", Lane.TRUSTED_BROWSER),
    ],
)
def test_an_application_asks_for_a_code_in_the_lane_of_its_user(purpose: str, device: str, lane: Lane) -> None:
    """L1, L2: who has given nothing of the account is anybody, and a remembered browser is nobody else."""
    assert lane_of_request(purpose, device) is lane


def test_two_counters_never_share_the_parts_of_a_key() -> None:
    """L1."""
    assert len({counter_parts(one.name, one.lane) for one in COUNTERS}) == len(COUNTERS)


def test_a_name_without_a_counter_in_this_lane_has_no_key() -> None:
    """L1: all would share it. The numbers of an operator's further limits stand for the counter of their family."""
    for name, lane in (("sign_up_network", Lane.SESSION), ("changes", Lane.ANONYMOUS), ("of_my_own", Lane.PASSWORD)):
        with pytest.raises(LookupError):
            counter_parts(name, lane)
    assert counter_parts("destination_2h", Lane.ANONYMOUS) == ("destination_2h", "anonymous")


def test_an_act_of_a_lane_is_counted_in_that_lane() -> None:
    """L1."""
    for act in Act:
        assert any(counters_before(act, lane) for lane in Lane)
    assert {one.lane for one in counters_before(Act.TRY_APP_CODE, Lane.SESSION)} == {Lane.SESSION}
    assert counters_before(Act.TRY_PASSWORD, Lane.SESSION) == ()
