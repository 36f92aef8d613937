"""Risk: what is known of a sign-in becomes findings, and findings a decision; `messages/content/risk_reasons.py` explains them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import msgspec

HOUR: Final = 3_600_000
NEAR_KM: Final = 500
"""Kilometres within which nobody is said to travel: databases of places are off by as much."""
_EARTH_KM: Final = 6_371.0


FAR_KM: Final = 500
"""Kilometres from which two places are far apart: networks place a phone in a neighbouring city, seldom further."""


class Location(msgspec.Struct, frozen=True):
    """Where a network address is, as far as the operator's database tells."""

    country: str = ""
    city: str = ""
    latitude: float | None = None
    longitude: float | None = None

    @property
    def rough(self) -> str:
        """Return `Zürich, CH`, `CH` or nothing."""
        return ", ".join(part for part in (self.city, self.country) if part)


class SignInFacts(msgspec.Struct, frozen=True):
    """What is known of one sign-in whose password was right; ages in ms, None for what nobody knows."""

    device_known: bool
    trusted_for: int | None
    place: Location | None
    last_place: Location | None
    last_seen_at: int | None
    now: int
    failures: int
    contact_age: int
    lists: tuple[str, ...] = ()


class RiskFinding(StrEnum):
    """What there is to find."""

    NEW_BROWSER = "new_browser"
    UNTRUSTED_BROWSER = "untrusted_browser"
    NEW_COUNTRY = "new_country"
    IMPOSSIBLE_TRAVEL = "impossible_travel"
    MANY_FAILURES = "many_failures"
    NEW_CONTACT = "new_contact"
    LISTED = "listed"
    REFUSED_LIST = "refused_list"


class RiskDecision(StrEnum):
    """What follows: no code, a code, or no way in. In the order of severity."""

    SKIP = "skip"
    CHALLENGE = "challenge"
    DENY = "deny"


class RiskPolicy(msgspec.Struct, frozen=True):
    """What is held against a sign-in. `travel_kmh` 0, `failures` 0 and `new_contact_hours` 0 switch their finding off."""

    travel_kmh: int = 1_000
    failures: int = 5
    new_contact_hours: int = 24
    new_country: bool = True
    deny_lists: tuple[str, ...] = ()


class RiskAssessment(msgspec.Struct, frozen=True):
    """The decision, and why."""

    decision: RiskDecision
    findings: tuple[RiskFinding, ...]


def assess(facts: SignInFacts, policy: RiskPolicy) -> RiskAssessment:
    """Judge a sign-in. Nothing but trust skips the code, and any finding but a new contact takes that back (mission M8)."""
    found = tuple(_findings(facts, policy))
    if RiskFinding.REFUSED_LIST in found:
        decision = RiskDecision.DENY
    elif facts.trusted_for is not None and facts.device_known and not set(found) - {RiskFinding.NEW_CONTACT}:
        decision = RiskDecision.SKIP
    else:
        decision = RiskDecision.CHALLENGE
    return RiskAssessment(decision, found)


def _findings(facts: SignInFacts, policy: RiskPolicy) -> Iterator[RiskFinding]:
    if not facts.device_known:
        yield RiskFinding.NEW_BROWSER
    elif facts.trusted_for is None:
        yield RiskFinding.UNTRUSTED_BROWSER
    if policy.new_country and _differs(facts.place, facts.last_place):
        yield RiskFinding.NEW_COUNTRY
    if policy.travel_kmh and _speed(facts) > policy.travel_kmh:
        yield RiskFinding.IMPOSSIBLE_TRAVEL
    if policy.failures and facts.failures >= policy.failures:
        yield RiskFinding.MANY_FAILURES
    if facts.device_known and facts.contact_age < policy.new_contact_hours * HOUR:
        yield RiskFinding.NEW_CONTACT
    if any(name in policy.deny_lists for name in facts.lists):
        yield RiskFinding.REFUSED_LIST
    elif facts.lists:
        yield RiskFinding.LISTED


def distance_km(one: Location | None, other: Location | None) -> float | None:
    """Return the great-circle distance between two places, or None if either is not known well enough."""
    if one is None or other is None:
        return None
    if one.latitude is None or one.longitude is None or other.latitude is None or other.longitude is None:
        return None
    a, b = math.radians(one.latitude), math.radians(other.latitude)
    half = (
        math.sin((b - a) / 2) ** 2
        + math.cos(a) * math.cos(b) * math.sin(math.radians(other.longitude - one.longitude) / 2) ** 2
    )
    return 2 * _EARTH_KM * math.asin(min(1.0, math.sqrt(half)))


def far_apart(one: Location, other: Location) -> bool:
    """Say whether nobody is in both places within the life of a code: in two countries, or further apart than FAR_KM."""
    if one.country and other.country and one.country != other.country:
        return True
    distance = distance_km(one, other)
    return distance is not None and distance > FAR_KM


def as_facts(facts: SignInFacts) -> dict[str, str | int]:
    """Return what the event log keeps: countries, kilometres and hours, no address and no coordinate."""
    distance = distance_km(facts.place, facts.last_place)
    told: dict[str, str | int] = {
        "device_known": int(facts.device_known),
        "failures": facts.failures,
        "contact_hours": facts.contact_age // HOUR,
        "lists": ",".join(facts.lists),
        "country": facts.place.country if facts.place else "",
        "last_country": facts.last_place.country if facts.last_place else "",
    }
    if facts.trusted_for is not None:
        told["trusted_hours"] = facts.trusted_for // HOUR
    if distance is not None and facts.last_seen_at is not None:
        told["distance_km"] = round(distance)
        told["minutes_since"] = max(0, facts.now - facts.last_seen_at) // 60_000
    return told


def of_facts(told: dict[str, str | int], at: int) -> SignInFacts:
    """Return facts from what the event log kept of them, good for judging them again; places keep their distance and lose the rest."""
    distance = told.get("distance_km")
    # One degree along the equator is 111.19 km: two points on it, as far apart as the log says.
    degrees = math.degrees(float(distance) / _EARTH_KM) if distance is not None else None
    return SignInFacts(
        device_known=bool(told["device_known"]),
        trusted_for=int(told["trusted_hours"]) * HOUR if "trusted_hours" in told else None,
        place=Location(str(told["country"]), "", None if degrees is None else 0.0, None if degrees is None else 0.0),
        last_place=Location(str(told["last_country"]), "", None if degrees is None else 0.0, degrees),
        last_seen_at=at - int(told["minutes_since"]) * 60_000 if "minutes_since" in told else None,
        now=at,
        failures=int(told["failures"]),
        contact_age=int(told["contact_hours"]) * HOUR,
        lists=tuple(name for name in str(told["lists"]).split(",") if name),
    )


def _differs(place: Location | None, last: Location | None) -> bool:
    return (
        place is not None
        and last is not None
        and "" not in {place.country, last.country}
        and place.country != last.country
    )


def _speed(facts: SignInFacts) -> float:
    """Return km/h since the account was last used; 0 where nobody knows, or within NEAR_KM."""
    distance = distance_km(facts.place, facts.last_place)
    if distance is None or distance <= NEAR_KM or facts.last_seen_at is None:
        return 0.0
    return distance / max((facts.now - facts.last_seen_at) / HOUR, 1 / 60)
