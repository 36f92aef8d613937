"""Threat: somebody walks through every page of a flow, and compares what is answered with and without an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.clock import DAY
from tests.flows.place import UNLIMITED
from tests.rounds import is_full
from tests.threats.owners import MAIL, OTHERS, OWNERS, PHONE, plain, strong
from tests.threats.stranger import (
    FLOWS,
    MOST,
    Flow,
    Steps,
    floods,
    has_lost_all,
    knows_the_password,
    one_stream,
    other_ways,
    pauses,
    proves_my_own,
    screens,
    tabs,
    withdraws,
)
from tests.threats.walks import Walk, assert_alike, assert_as_costly, open_world
from tests.threats.work import Work

from countersign.domain.policy import InstallationPolicy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.flows.place import Place
    from tests.threats.conftest import NewUrl


async def walked(
    new_url: NewUrl,
    folder: Path,
    owner: Callable[[Place, str], Awaitable[None]],
    flow: Flow,
    address: str,
    walks: tuple[Steps, ...],
    rules: InstallationPolicy = UNLIMITED,
    settings: dict[str, str] | None = None,
) -> tuple[Walk, Walk]:
    """Do the same walks in two worlds: in one the address has the account, in the other another one has it."""
    done: list[Walk] = []
    for name, holder in (("known", address), ("unknown", OTHERS[address])):
        work = Work()
        async with open_world(new_url(), folder / name, rules, settings=settings, work=work) as (place, app):
            await owner(place, holder)
            place.clock.forward(DAY // 2)
            answers = Walk(place, app, work=work)
            for walk in walks:
                place.clock.forward(2 * DAY)
                answers.forget()
                answers.ip = "198.51.100.23"
                await walk(answers, flow, address)
            done.append(answers)
    return done[0], done[1]


def _often(database: str, owner: str, flow: str, address: str) -> bool:
    """Say whether a comparison is made with every run of the tests; `ROUNDS=full` makes all of them."""
    if owner == "plain":
        return address == MAIL and (database == "sqlite" or flow == "recovers")
    return (
        database == "sqlite" and owner in {"locked", "too_new", "claimed"} and (flow, address) == ("has_lost_all", MAIL)
    )


def _chosen(*names: str, postgres: str = "") -> list[object]:
    """Return each name on SQLite, and on PostgreSQL the one that is named; with `ROUNDS=full` all of them."""
    pairs = [(database, name) for database in ("sqlite", "postgres") for name in names]
    often = [(database, name) for database, name in pairs if database == "sqlite" or name == postgres]
    return [pytest.param(*pair, marks=_mark(pair[0])) for pair in (pairs if is_full() else often)]


def _mark(database: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.postgres] if database == "postgres" else []


@pytest.mark.parametrize(
    ("new_url", "owner", "flow", "address"),
    [
        pytest.param(database, owner, flow, address, marks=_mark(database))
        for database in ("sqlite", "postgres")
        for owner in OWNERS
        for flow in FLOWS
        for address in (MAIL, PHONE)
        if is_full() or _often(database, owner, flow, address)
    ],
    indirect=["new_url"],
)
async def test_every_answer_of_a_flow_is_the_same_for_a_known_and_an_unknown_address(
    new_url: NewUrl, tmp_path: Path, owner: str, flow: str, address: str
) -> None:
    """R1, S1: each page, status, header, cookie and stream costs and says the same, in each state that the account may be in."""
    known, unknown = await walked(new_url, tmp_path, OWNERS[owner], FLOWS[flow], address, MOST)
    assert_alike(known, unknown)
    assert_as_costly(known, unknown)
    assert len(known.answers) > 150
    assert {303, 404, 422} <= set(known.statuses)


@pytest.mark.parametrize(("new_url", "owner"), _chosen("locked", "disabled"), indirect=["new_url"])
async def test_the_right_password_of_a_closed_account_says_as_little_as_an_unknown_name(
    new_url: NewUrl, tmp_path: Path, owner: str
) -> None:
    """S1: nor does any page below the sign-in."""
    known, unknown = await walked(
        new_url, tmp_path, OWNERS[owner], knows_the_password, MAIL, (screens, other_ways, tabs, floods)
    )
    assert_alike(known, unknown)
    assert_as_costly(known, unknown)


@pytest.mark.parametrize(
    ("new_url", "flow"),
    _chosen("signs_up", "recovers", "has_lost_all", "signs_in", postgres="recovers"),
    indirect=["new_url"],
)
async def test_limits_are_met_after_as_many_requests(new_url: NewUrl, tmp_path: Path, flow: str) -> None:
    """R1, S1: by contact and by network, with the same Retry-After."""
    rules, address = InstallationPolicy(), PHONE if flow in {"signs_up", "has_lost_all"} else MAIL
    known, unknown = await walked(new_url, tmp_path, plain, FLOWS[flow], address, (floods, pauses), rules)
    assert_alike(known, unknown)
    # The counters of a contact that was used before are there already: they are updated instead of inserted.
    assert_as_costly(known, unknown, rows=False)
    if flow != "signs_in":
        assert 429 in known.statuses


@pytest.mark.parametrize(("new_url", "flow"), _chosen("signs_up", "recovers", "has_lost_all"), indirect=["new_url"])
async def test_a_stream_tells_the_same_from_its_first_event_to_its_last(
    new_url: NewUrl, tmp_path: Path, flow: str
) -> None:
    """R1, S1: a message that was sent, and a code that ran out."""
    known, unknown = await walked(new_url, tmp_path, plain, FLOWS[flow], PHONE, (one_stream,))
    assert_alike(known, unknown)
    assert known.answers[-1].count("data: ") == 3


@pytest.mark.parametrize(("new_url", "flow"), _chosen(*FLOWS), indirect=["new_url"])
async def test_the_strict_profile_tells_as_little(new_url: NewUrl, tmp_path: Path, flow: str) -> None:
    """R1, S1: where codes by mail and phone do not sign in."""
    settings = {"COUNTERSIGN_PROFILE": "strict"}
    known, unknown = await walked(
        new_url, tmp_path, strong, FLOWS[flow], MAIL, (screens, other_ways, proves_my_own), settings=settings
    )
    assert_alike(known, unknown)
    assert_as_costly(known, unknown)


@pytest.mark.parametrize(("new_url", "owner"), _chosen("plain", "claimed", postgres="claimed"), indirect=["new_url"])
async def test_a_recovery_of_ones_own_is_seen_and_withdrawn_alike(new_url: NewUrl, tmp_path: Path, owner: str) -> None:
    """R1, R5: whether there is such an account, and whether anything waits for it."""
    known, unknown = await walked(new_url, tmp_path, OWNERS[owner], has_lost_all, MAIL, (withdraws,))
    assert_alike(known, unknown)
    assert_as_costly(known, unknown, rows=False)
    assert "Add this to your calendar" in "".join(known.answers)
    assert known.statuses.count(200) > 5
