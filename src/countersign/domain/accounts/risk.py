"""Risk assessment of a sign-in: facts become findings, and findings become a decision.

`messages/content/risk_reasons.py` explains the findings to the user.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import msgspec

HOUR: Final = 3_600_000
MIN_TRAVEL_KM: Final = 500
"""Kilometres up to which a distance is no travel, because geolocation databases are off by as much."""
FAR_APART_KM: Final = 500
"""Kilometres beyond which two places are far apart. Networks place a phone in a neighbouring city, seldom further."""
_EARTH_RADIUS_KM: Final = 6_371.0


class Location(msgspec.Struct, frozen=True):
    """Where a network address is, as far as the operator's geolocation database knows.

    `country` is an ISO 3166 code, `city` an English name. `latitude` and `longitude` are in degrees.
    """

    country: str = ""
    city: str = ""
    latitude: float | None = None
    longitude: float | None = None

    @property
    def label(self) -> str:
        """Return the location for people: `Zürich, CH`, or `CH`, or an empty string."""
        return ", ".join(part for part in (self.city, self.country) if part)


class SignInFacts(msgspec.Struct, frozen=True):
    """The facts of one sign-in whose password was right. Times and ages are in milliseconds; None means unknown.

    - `device_known`: whether the account was used on this browser before.
    - `trust_age`: how long ago the user chose to trust this browser.
    - `location`: where the browser is. `last_location`, `last_seen_at`: where and when the account was last used.
    - `failed_attempts`: wrong passwords since the last right one.
    - `contact_age`: how long ago the oldest contact was proved.
    - `ip_lists`: the names of the operator's lists that hold the network address.
    """

    device_known: bool
    trust_age: int | None
    location: Location | None
    last_location: Location | None
    last_seen_at: int | None
    now: int
    failed_attempts: int
    contact_age: int
    ip_lists: tuple[str, ...] = ()


class RiskFinding(StrEnum):
    """What can be found about a sign-in. The values are stored in the event log."""

    NEW_BROWSER = "new_browser"
    UNTRUSTED_BROWSER = "untrusted_browser"
    NEW_COUNTRY = "new_country"
    IMPOSSIBLE_TRAVEL = "impossible_travel"
    MANY_FAILURES = "many_failures"
    NEW_CONTACT = "new_contact"
    LISTED = "listed"
    REFUSED_LIST = "refused_list"


class RiskDecision(StrEnum):
    """What follows from the findings, in order of severity: no code is needed, a code is needed, or the sign-in is denied."""

    SKIP = "skip"
    CHALLENGE = "challenge"
    DENY = "deny"


class RiskPolicy(msgspec.Struct, frozen=True):
    """The operator's thresholds. A `travel_kmh`, `failures` or `new_contact_hours` of 0 switches its finding off.

    - `travel_kmh`: the speed since the account was last used above which travel is impossible.
    - `failures`: the number of wrong passwords that are many.
    - `new_contact_hours`: the hours for which the oldest contact counts as new.
    - `deny_lists`: the names of the lists of network addresses that may not sign in.
    """

    travel_kmh: int = 1_000
    failures: int = 5
    new_contact_hours: int = 24
    new_country: bool = True
    deny_lists: tuple[str, ...] = ()


class RiskAssessment(msgspec.Struct, frozen=True):
    """The decision on a sign-in, and the findings that led to it."""

    decision: RiskDecision
    findings: tuple[RiskFinding, ...]


def assess(facts: SignInFacts, policy: RiskPolicy) -> RiskAssessment:
    """Return the decision on a sign-in (mission M8).

    Only a trusted browser skips the code, and only if there is no finding, or none but a new contact.
    """
    found = tuple(_findings(facts, policy))
    if RiskFinding.REFUSED_LIST in found:
        decision = RiskDecision.DENY
    elif facts.trust_age is not None and facts.device_known and not set(found) - {RiskFinding.NEW_CONTACT}:
        decision = RiskDecision.SKIP
    else:
        decision = RiskDecision.CHALLENGE
    return RiskAssessment(decision, found)


def _findings(facts: SignInFacts, policy: RiskPolicy) -> Iterator[RiskFinding]:
    if not facts.device_known:
        yield RiskFinding.NEW_BROWSER
    elif facts.trust_age is None:
        yield RiskFinding.UNTRUSTED_BROWSER
    if policy.new_country and _is_new_country(facts.location, facts.last_location):
        yield RiskFinding.NEW_COUNTRY
    if policy.travel_kmh and _travel_kmh(facts) > policy.travel_kmh:
        yield RiskFinding.IMPOSSIBLE_TRAVEL
    if policy.failures and facts.failed_attempts >= policy.failures:
        yield RiskFinding.MANY_FAILURES
    if facts.device_known and facts.contact_age < policy.new_contact_hours * HOUR:
        yield RiskFinding.NEW_CONTACT
    if any(name in policy.deny_lists for name in facts.ip_lists):
        yield RiskFinding.REFUSED_LIST
    elif facts.ip_lists:
        yield RiskFinding.LISTED


def _is_new_country(location: Location | None, last: Location | None) -> bool:
    if location is None or last is None or not location.country or not last.country:
        return False
    return location.country != last.country


def _travel_kmh(facts: SignInFacts) -> float:
    """Return the speed in km/h since the account was last used; 0 if it is unknown or the distance is within MIN_TRAVEL_KM."""
    distance = distance_km(facts.location, facts.last_location)
    if distance is None or distance <= MIN_TRAVEL_KM or facts.last_seen_at is None:
        return 0.0
    hours = max((facts.now - facts.last_seen_at) / HOUR, 1 / 60)
    return distance / hours


def distance_km(one: Location | None, other: Location | None) -> float | None:
    """Return the great-circle distance between two locations in kilometres; None if the coordinates of one are unknown."""
    if one is None or other is None:
        return None
    if one.latitude is None or one.longitude is None or other.latitude is None or other.longitude is None:
        return None
    a, b = math.radians(one.latitude), math.radians(other.latitude)
    half = (
        math.sin((b - a) / 2) ** 2
        + math.cos(a) * math.cos(b) * math.sin(math.radians(other.longitude - one.longitude) / 2) ** 2
    )
    return 2 * _EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(half)))


def far_apart(one: Location, other: Location) -> bool:
    """Return True if nobody can be at both locations within the lifetime of a code.

    They are in two countries, or more than FAR_APART_KM apart.
    """
    if one.country and other.country and one.country != other.country:
        return True
    distance = distance_km(one, other)
    return distance is not None and distance > FAR_APART_KM


def to_event_facts(facts: SignInFacts) -> dict[str, str | int]:
    """Return the facts as the event log stores them: countries, kilometres and hours, but no address and no coordinates."""
    distance = distance_km(facts.location, facts.last_location)
    stored: dict[str, str | int] = {
        "device_known": int(facts.device_known),
        "failures": facts.failed_attempts,
        "contact_hours": facts.contact_age // HOUR,
        "lists": ",".join(facts.ip_lists),
        "country": facts.location.country if facts.location else "",
        "last_country": facts.last_location.country if facts.last_location else "",
    }
    if facts.trust_age is not None:
        stored["trusted_hours"] = facts.trust_age // HOUR
    if distance is not None and facts.last_seen_at is not None:
        stored["distance_km"] = round(distance)
        stored["minutes_since"] = max(0, facts.now - facts.last_seen_at) // 60_000
    return stored


def from_event_facts(stored: dict[str, str | int], at: int) -> SignInFacts:
    """Return the facts of a stored event, so that another policy can be tried on them.

    `stored` is what `to_event_facts` returned, and `at` is the time of the event. The two locations keep their countries and their
    distance, and lose the rest.
    """
    distance = stored.get("distance_km")
    # One degree along the equator is 111.19 km: two points on it are as far apart as the event says.
    degrees = math.degrees(float(distance) / _EARTH_RADIUS_KM) if distance is not None else None
    return SignInFacts(
        device_known=bool(stored["device_known"]),
        trust_age=int(stored["trusted_hours"]) * HOUR if "trusted_hours" in stored else None,
        location=Location(
            str(stored["country"]), "", None if degrees is None else 0.0, None if degrees is None else 0.0
        ),
        last_location=Location(str(stored["last_country"]), "", None if degrees is None else 0.0, degrees),
        last_seen_at=at - int(stored["minutes_since"]) * 60_000 if "minutes_since" in stored else None,
        now=at,
        failed_attempts=int(stored["failures"]),
        contact_age=int(stored["contact_hours"]) * HOUR,
        ip_lists=tuple(name for name in str(stored["lists"]).split(",") if name),
    )
