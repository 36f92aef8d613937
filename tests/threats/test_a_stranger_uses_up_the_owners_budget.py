"""Somebody asks for codes to the victim's address until no more are sent, so that the victim cannot sign in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clock import MINUTE
from tests.flows.place import BANK, Place, done, place_at, refused

from countersign.domain.policy import InstallationPolicy
from countersign.domain.verifications.challenge import Action, Refusal
from countersign.flows.verifications.results import Done

if TYPE_CHECKING:
    from pathlib import Path


async def flood(place: Place, **asked: str) -> int:
    outcomes = [
        await place.begin(action=Action(hash=f"{place.clock()}-{number}"), ip=f"203.0.113.{number}", **asked)  # type: ignore[arg-type]
        for number in range(100)
    ]
    return sum(isinstance(outcome, Done) for outcome in outcomes)


async def test_a_flood_leaves_the_owners_remembered_browser_its_own_budget(database_url: str, tmp_path: Path) -> None:
    """S7: limits spare the victim."""
    async with place_at(database_url, tmp_path, rules=InstallationPolicy()) as place:
        assert await flood(place) == 10
        assert refused(await place.begin(action=Action(hash="mine"))).refusal is Refusal.LIMITED
        challenge = await place.begun(action=Action(hash="mine"), device="the owner's browser")
        await place.deliver()
        done(await place.answer(challenge, place.code(challenge)))


async def test_one_address_that_floods_many_victims_stops_itself_and_not_them(sqlite_url: str, tmp_path: Path) -> None:
    """S7: who asks has a budget of their own."""
    async with place_at(sqlite_url, tmp_path, rules=InstallationPolicy()) as place:
        sent = [await place.begin(f"p{number}@example.org", ip="203.0.113.9") for number in range(100)]
        assert sum(isinstance(one, Done) for one in sent) == 60
        assert refused(sent[-1]).limit == "requester"
        done(await place.begin("p99@example.org", ip="198.51.100.7"))


async def test_a_flood_of_one_application_is_not_felt_in_another(sqlite_url: str, tmp_path: Path) -> None:
    async with place_at(sqlite_url, tmp_path, rules=InstallationPolicy()) as place:
        await flood(place)
        done(await place.begin(application=BANK))


async def test_a_flood_that_is_refused_does_not_lengthen_the_wait(sqlite_url: str, tmp_path: Path) -> None:
    """S7: the refused do not count, so who goes on asking bars nobody any longer."""
    async with place_at(sqlite_url, tmp_path, rules=InstallationPolicy()) as place:
        await flood(place)
        before = refused(await place.begin(action=Action(hash="mine"))).retry_after
        await flood(place)
        assert refused(await place.begin(action=Action(hash="mine"))).retry_after == before == MINUTE
        place.clock.forward(MINUTE)
        done(await place.begin(action=Action(hash="mine")))


async def test_asking_again_and_again_for_one_challenge_sends_no_flood_of_messages(
    sqlite_url: str, tmp_path: Path
) -> None:
    """A person's box is not filled up: five messages a challenge, half a minute apart."""
    async with place_at(sqlite_url, tmp_path, rules=InstallationPolicy()) as place:
        for _ in range(300):
            await place.begin()
            place.clock.forward(1_500)
        assert await place.count("deliveries") == 5
