"""Risk: facts become findings and a decision; nothing but trust skips a code, and more bad facts never make it milder."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.domain.accounts.risk import (
    HOUR,
    Location,
    RiskDecision,
    RiskFinding,
    RiskPolicy,
    SignInFacts,
    assess,
    distance_km,
    from_event_facts,
    to_event_facts,
)

ZURICH = Location("CH", "Zürich", 47.37, 8.54)
BERN = Location("CH", "Bern", 46.95, 7.45)
SYDNEY = Location("AU", "Sydney", -33.87, 151.21)
DAY = 24 * HOUR
TRUSTED = SignInFacts(
    device_known=True,
    trust_age=DAY,
    location=ZURICH,
    last_location=ZURICH,
    last_seen_at=1_000 * DAY,
    now=1_001 * DAY,
    failed_attempts=0,
    contact_age=100 * DAY,
)
ORDER = [RiskDecision.SKIP, RiskDecision.CHALLENGE, RiskDecision.DENY]

PLACES = st.one_of(
    st.none(),
    st.builds(
        Location,
        country=st.sampled_from(["", "CH", "AU"]),
        city=st.just(""),
        latitude=st.one_of(st.none(), st.floats(-90, 90)),
        longitude=st.one_of(st.none(), st.floats(-180, 180)),
    ),
)
FACTS = st.builds(
    SignInFacts,
    device_known=st.booleans(),
    trust_age=st.one_of(st.none(), st.integers(0, 30 * DAY)),
    location=PLACES,
    last_location=PLACES,
    last_seen_at=st.one_of(st.none(), st.integers(0, 2_000 * DAY)),
    now=st.integers(1_000 * DAY, 2_000 * DAY),
    failed_attempts=st.integers(0, 10),
    contact_age=st.integers(0, 400 * DAY),
    ip_lists=st.sampled_from([(), ("tor",), ("hosting",), ("tor", "hosting")]),
)
POLICIES = st.builds(
    RiskPolicy,
    travel_kmh=st.integers(0, 2_000),
    failures=st.integers(0, 10),
    new_contact_hours=st.integers(0, 100),
    new_country=st.booleans(),
    deny_lists=st.sampled_from([(), ("tor",)]),
)


def decided(facts: SignInFacts, policy: RiskPolicy | None = None) -> tuple[str, list[str]]:
    found = assess(facts, policy or RiskPolicy())
    return found.decision.value, [finding.value for finding in found.findings]


def test_a_trusted_browser_at_home_skips_the_code() -> None:
    """S5."""
    assert decided(TRUSTED) == ("skip", [])


@pytest.mark.parametrize(
    ("changed", "findings"),
    [
        ({"device_known": False, "trust_age": None}, ["new_browser"]),
        ({"trust_age": None}, ["untrusted_browser"]),
        ({"location": SYDNEY}, ["new_country"]),
        ({"location": SYDNEY, "now": 1_000 * DAY + HOUR}, ["new_country", "impossible_travel"]),
        ({"failed_attempts": 5}, ["many_failures"]),
        ({"ip_lists": ("hosting",)}, ["listed"]),
    ],
)
def test_what_is_held_against_a_sign_in_asks_for_a_code(changed: dict[str, object], findings: list[str]) -> None:
    assert decided(msgspec.structs.replace(TRUSTED, **changed)) == ("challenge", findings)


def test_an_address_on_a_refused_list_does_not_get_in() -> None:
    facts = msgspec.structs.replace(TRUSTED, ip_lists=("tor",))
    assert decided(facts, RiskPolicy(deny_lists=("tor",))) == ("deny", ["refused_list"])


def test_a_journey_that_a_train_makes_is_no_finding() -> None:
    assert decided(msgspec.structs.replace(TRUSTED, location=BERN, now=1_000 * DAY + HOUR // 2)) == ("skip", [])


@given(FACTS, POLICIES)
def test_nothing_but_trust_skips_a_code(facts: SignInFacts, policy: RiskPolicy) -> None:
    """S5: whatever the policy."""
    if facts.trust_age is None or not facts.device_known:
        assert assess(facts, policy).decision is not RiskDecision.SKIP


@given(
    FACTS,
    POLICIES,
    st.sampled_from(
        [
            {"trust_age": None},
            {"device_known": False, "trust_age": None},
            {"failed_attempts": 11},
            {"contact_age": 0},
            {"ip_lists": ("hosting", "tor", "vpn")},
        ]
    ),
)
def test_more_bad_facts_never_make_a_decision_milder(
    facts: SignInFacts, policy: RiskPolicy, worse: dict[str, object]
) -> None:
    """S5: each by itself, so that none hides behind another."""
    before = ORDER.index(assess(facts, policy).decision)
    assert ORDER.index(assess(msgspec.structs.replace(facts, **worse), policy).decision) >= before


@given(FACTS, POLICIES)
def test_a_stricter_policy_never_makes_a_decision_milder(facts: SignInFacts, policy: RiskPolicy) -> None:
    """S5."""
    strictest = RiskPolicy(
        travel_kmh=1, failures=1, new_contact_hours=720, new_country=True, deny_lists=("tor", "hosting")
    )
    before = ORDER.index(assess(facts, policy).decision)
    assert ORDER.index(assess(facts, strictest).decision) >= before


@given(FACTS, POLICIES)
def test_what_the_log_keeps_is_judged_the_same(facts: SignInFacts, policy: RiskPolicy) -> None:
    """The log keeps whole hours, minutes and kilometres: facts that are whole already come back to the same decision."""
    kept = from_event_facts(to_event_facts(facts), facts.now)
    again = from_event_facts(to_event_facts(kept), kept.now)
    assert assess(again, policy) == assess(kept, policy)
    assert RiskFinding.NEW_BROWSER in assess(kept, policy).findings or facts.device_known


def test_the_log_keeps_no_coordinates_and_no_city() -> None:
    """C8."""
    told = repr(to_event_facts(msgspec.structs.replace(TRUSTED, location=SYDNEY)))
    assert "Sydney" not in told
    assert "151" not in told


def test_distances_are_those_of_the_globe() -> None:
    found = distance_km(ZURICH, SYDNEY)
    assert found is not None
    assert 16_500 < found < 16_600
    assert distance_km(ZURICH, Location("CH")) is None
