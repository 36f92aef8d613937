"""What a stranger does who looks for accounts: the ways into a flow, and the walks through everything behind it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from tests.clock import DAY, MINUTE, SECOND
from tests.flows.people import CARRIER, PASSWORD
from tests.threats.owners import BETTER, MINE
from tests.threats.walks import Walk

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


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
