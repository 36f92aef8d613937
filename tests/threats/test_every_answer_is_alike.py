"""Threat: somebody walks through every page of a flow, and compares what is answered with and without an account."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import pytest
from tests.clock import DAY, MINUTE, SECOND
from tests.flows.people import CARRIER, PASSWORD
from tests.flows.place import UNLIMITED
from tests.rounds import is_full
from tests.threats.owners import BETTER, MAIL, MINE, OTHERS, OWNERS, PHONE, plain, strong
from tests.threats.walks import Walk, assert_alike, assert_as_costly, open_world
from tests.threats.work import Work

from countersign.domain.policy import InstallationPolicy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.flows.place import Place
    from tests.threats.conftest import NewUrl


async def signs_up(walk: Walk, address: str) -> int:
    """Ask to open an account."""
    return await walk.post("/sign-up", name="Kim", identifier=address, password=PASSWORD, return_to="/account")


async def recovers(walk: Walk, address: str) -> int:
    """Say that the password is forgotten."""
    return await walk.post("/recover", identifier=address)


async def has_lost_all(walk: Walk, address: str) -> int:
    """Say that everything is lost, and name a mailbox of one's own."""
    return await walk.post("/recover/lost", identifier=address, contact=MINE)


async def signs_in(walk: Walk, address: str) -> int:
    """Try a password."""
    return await walk.post("/sign-in", identifier=address, password="not the right one", return_to="/account")


async def knows_the_password(walk: Walk, address: str) -> int:
    """Sign in with what would be the right password, were the account open."""
    return await walk.post("/sign-in", identifier=address, password=PASSWORD, return_to="/account")


Flow: TypeAlias = "Callable[[Walk, str], Awaitable[int]]"
FLOWS: Final = {one.__name__: one for one in (signs_up, recovers, has_lost_all, signs_in)}

CHANNELS: Final = ("email", "sms", "voice", "whatsapp", "pigeon", "")
PAGES: Final = (
    "/verify",
    "/verify?by=recovery_code",
    "/verify?by=app",
    "/verify?by=passkey",
    "/verify?by=nothing",
    "/recover/password",
    "/recover/lost",
    "/recover",
    "/sign-in",
    "/sign-up",
    "/account",
    "/account/contacts",
)
JUNK: Final = '{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{}}'
IMPOSSIBLE: Final = (
    "",
    "abc",
    "1" * 40,
    "12345",
    "cs_live_0123456789abcdefghij",
    "000 000",
    "\u0660\u0660\u0660\u0660\u0660\u0660",
)


Steps: TypeAlias = "Callable[[Walk, Flow, str], Awaitable[None]]"


async def screens(walk: Walk, flow: Flow, address: str) -> None:
    """Look at every page, and press every button once, also those that are not there."""
    await flow(walk, address)
    for page in PAGES:
        await walk.get(page)
    await walk.get("/verify", "ar")
    await walk.stream()
    await walk.deliver()
    await walk.stream()
    await walk.get("/verify")
    await walk.post("/verify/resend")
    walk.wait(31 * SECOND)
    await walk.post("/verify/resend")
    await walk.stream()
    await walk.deliver()
    await walk.stream()
    await walk.post("/verify/passkey/begin")
    await walk.post("/verify/passkey", credential=JUNK)
    await walk.post("/verify/app", code="123456")
    await walk.post("/recover/password", password=BETTER, current=PASSWORD)
    await walk.post("/recover/password", password="short")
    await walk.get("/recover/password")


async def other_ways(walk: Walk, flow: Flow, address: str) -> None:
    """Ask for the code by every channel, and name contacts that nobody offered."""
    await flow(walk, address)
    for contact in ("", "con_00000000000000000000000000", "x"):
        for channel in CHANNELS:
            walk.wait(31 * SECOND)
            await walk.post("/verify/way", contact=contact, channel=channel)
            await walk.get("/verify")
            await walk.stream()
            await walk.deliver()
            await walk.stream()
    await walk.post("/verify/way")
    await walk.get("/verify")


async def wrong_codes(walk: Walk, flow: Flow, address: str) -> None:
    """Guess until no guess is left, and go on."""
    await flow(walk, address)
    await walk.deliver()
    for code in ("000001", *IMPOSSIBLE, "000002"):
        await walk.post("/verify", code=code)
        await walk.get("/verify")
    for path in ("/verify", "/verify/app", "/verify/recovery-code", "/verify/resend"):
        await walk.post(path, code="000003")
    await walk.post("/verify/way", contact="", channel="sms")
    await walk.get("/verify?by=recovery_code")
    await walk.stream()
    await flow(walk, address)
    await walk.get("/verify")


async def pauses(walk: Walk, flow: Flow, address: str) -> None:
    """Spend one flow after another on wrong codes, until the address itself is shut for a time."""
    for _ in range(5):
        await flow(walk, address)
        for number in range(5):
            await walk.post("/verify", code=f"00000{number}", remember="yes")
        walk.wait(11 * MINUTE)
        walk.forget()
    await flow(walk, address)
    await walk.get("/verify")
    await walk.post("/verify/resend")
    await walk.post("/verify/recovery-code", code="aaaa-bbbb-cccc-dddd")


async def recovery_code_guesses(walk: Walk, flow: Flow, address: str) -> None:
    """Guess recovery codes until a limit is met, and try the code of the message after it."""
    for _ in range(3):
        await flow(walk, address)
        await walk.get("/verify?by=recovery_code")
        for code in ("", "x", "0000-0000-0000-0000", "aaaaaaaaaaaaaaaa", "1", "2"):
            await walk.post("/verify/recovery-code", code=code, remember="yes")
        await walk.get("/verify?by=recovery_code")
        await walk.get("/verify")
        await walk.post("/verify", code="000001")
        walk.wait(11 * MINUTE)


async def tabs(walk: Walk, flow: Flow, address: str) -> None:
    """Begin twice in one browser, go back, reload, and answer the first tab."""
    await flow(walk, address)
    first = dict(walk.cookies)
    await flow(walk, address)
    await walk.get("/verify")
    walk.wait(31 * SECOND)
    await flow(walk, address)
    await walk.get("/verify")
    walk.cookies = first
    await walk.get("/verify")
    await walk.post("/verify", code="000001")
    await walk.post("/verify/resend")
    walk.cookies.pop("__Host-device", None)
    await walk.get("/verify")
    await walk.post("/verify", code="000001")
    walk.forget()
    await walk.post("/verify", code="000001")
    await walk.stream()
    await flow(walk, address.upper())
    await walk.get("/verify")
    await walk.post("/sign-out")


async def runs_out(walk: Walk, flow: Flow, address: str) -> None:
    """Come back when the code has run out, and when the flow has."""
    for wait in (10 * MINUTE - 1, 10 * MINUTE, 30 * MINUTE, DAY):
        await flow(walk, address)
        await walk.deliver()
        walk.wait(wait)
        kept = dict(walk.cookies)
        for path in ("/verify", "/verify?by=recovery_code", "/recover/password"):
            walk.cookies = dict(kept)
            await walk.get(path)
        for path in ("/verify", "/verify/resend", "/verify/recovery-code", "/verify/app", "/verify/passkey/begin"):
            walk.cookies = dict(kept)
            await walk.post(path, code="000001")
        walk.cookies = dict(kept)
        await walk.post("/verify/way", contact="", channel="sms")
        await walk.stream()


async def floods(walk: Walk, flow: Flow, address: str) -> None:
    """Ask until every limit is met, by contact and by network, and read when it may be tried again."""
    for number in range(25):
        await flow(walk, address)
        if number % 8 == 0:
            await walk.get("/verify")
        walk.forget()
    walk.wait(10 * MINUTE)
    for number in range(25):
        walk.ip = f"192.0.2.{number}"
        await flow(walk, address)
        walk.forget()
    await walk.get("/verify")


async def one_stream(walk: Walk, flow: Flow, address: str) -> None:
    """Follow one stream while the message is sent and the code runs out."""
    await flow(walk, address)
    steps = iter((walk.deliver, partial(_let_run_out, walk)))

    async def between() -> None:
        step = next(steps, None)
        if step is not None:
            await step()

    await walk.stream(until=3, between=between)


async def _let_run_out(walk: Walk) -> None:
    walk.wait(11 * MINUTE)


async def failed_delivery(walk: Walk, flow: Flow, address: str) -> None:
    """See what is told of a message that no carrier takes."""
    await flow(walk, address)
    walk.place.carriers[CARRIER].words.extend(OSError("no line") for _ in range(3))
    await walk.deliver()
    await walk.stream()
    await walk.get("/verify")
    walk.wait(5 * MINUTE)
    await walk.deliver()
    await walk.stream()
    await walk.get("/verify")


async def proves_my_own(walk: Walk, flow: Flow, address: str) -> None:
    """Prove the mailbox of one's own, wait, and come back with it while the claim waits, and when the waiting is over."""
    await flow(walk, address)
    await walk.deliver()
    sent = [one for one in walk.place.carriers[CARRIER].sent if one.to == MINE]
    await walk.post("/verify", code=sent[-1].code if sent else "000000")
    await walk.get("/outcome")
    await walk.get("/verify")
    for wait in (0, 3 * DAY, 3 * DAY, 2 * DAY):
        walk.wait(wait)
        await recovers(walk, MINE)
        await walk.get("/verify")
        await walk.deliver()
        await walk.stream()
        walk.wait(MINUTE)
        await walk.post("/verify/way", contact="", channel="email")
        await walk.get("/verify")
        await walk.post("/verify", code="000001")


async def withdraws(walk: Walk, flow: Flow, address: str) -> None:
    """Prove the mailbox of one's own, look at what was asked for, and withdraw it twice."""
    await flow(walk, address)
    await walk.deliver()
    sent = [one for one in walk.place.carriers[CARRIER].sent if one.to == MINE]
    await walk.post("/verify", code=sent[-1].code if sent else "000000")
    await walk.get("/outcome")
    await walk.get("/recover/lost")
    await walk.get("/recover/lost/calendar")
    await walk.get("/recover/lost")
    kept = dict(walk.cookies)
    await walk.post("/recover/lost/withdraw")
    await walk.get("/outcome")
    await walk.get("/recover/lost")
    walk.cookies = kept
    await walk.post("/recover/lost/withdraw")
    await walk.get("/recover/lost/calendar")


MOST: Final = (
    screens,
    other_ways,
    wrong_codes,
    pauses,
    recovery_code_guesses,
    tabs,
    runs_out,
    failed_delivery,
    proves_my_own,
)
"""The walks that every flow is tried with."""


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
