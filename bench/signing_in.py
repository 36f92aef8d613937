"""Signing in: how near it comes to what Argon2id itself allows on these processors, and what others notice of it meanwhile."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from bench import load, servers
from bench.ledger import chain_of, house_at
from bench.meter import Figure, figure
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.risk import RiskPolicy
from countersign.domain.delivery.route import unweighted
from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.code import derive
from countersign.flows.accounts.context import AccountContext, BrowserContext, CodeRequested, SignedIn
from countersign.flows.accounts.sessions import find_session
from countersign.flows.sign_in.sign_in import sign_in
from countersign.flows.sign_in.sign_up import sign_up
from countersign.flows.sign_in.verify import check_code, view_flow
from countersign.passwords import ITERATIONS, LANES, MEMORY_KIB, Passwords
from countersign.store.ledger.event_log import Log

SLOTS: Final = os.cpu_count() or 1
ASIDE: Final = 0.005
"""Seconds between two looks at a session while sign-ins take all they can."""
_PASSWORD: Final = "correct horse battery"  # noqa: S105 - of the benchmark's own account
_NAME: Final = "ada@example.org"


def by_the_library_alone(seconds: float) -> Figure:
    """Verify on as many threads as there are processors, by the library and nothing else."""
    made = Argon2id(
        salt=secrets.token_bytes(16), length=32, iterations=ITERATIONS, lanes=LANES, memory_cost=MEMORY_KIB
    ).derive_phc_encoded(_PASSWORD.encode())
    took: list[list[float]] = [[] for _ in range(SLOTS)]
    until = time.perf_counter() + seconds

    def work(mine: list[float]) -> None:
        while (began := time.perf_counter()) < until:
            Argon2id.verify_phc_encoded(_PASSWORD.encode(), made)
            mine.append(time.perf_counter() - began)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in took]
    began, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = {"Python": time.process_time() - cpu}
    return figure("Argon2id alone", SLOTS, time.perf_counter() - began, [one for mine in took for one in mine], spent)


async def by_the_flows(folder: Path, seconds: float) -> tuple[Figure, Figure, Figure]:
    """Return sign-ins on a trusted browser, looks at a session meanwhile, and looks at a session alone; on SQLite."""
    async with house_at(f"sqlite:///{folder}/signing-in.db") as found:
        core = msgspec.structs.replace(
            found, policy=msgspec.structs.replace(found.policy, routes={Channel.EMAIL: unweighted("sink")})
        )
        passwords = Passwords(SLOTS)
        context = AccountContext(core, Log(chain_of(core.keyring)), passwords, RiskPolicy(), 8, ())
        try:
            browser = await _account(context)
            alone = await _looks(context, browser, seconds)
            aside: list[float] = []
            looking = asyncio.create_task(_look_aside(context, browser, aside))
            signing = await _sign_ins(context, browser, seconds)
            looking.cancel()
            return signing, figure("a session looked at meanwhile", 1, seconds, aside, {}), alone
        finally:
            passwords.close()


async def _account(context: AccountContext) -> BrowserContext:
    """Create an account, and return a browser that it trusts."""
    browser = BrowserContext(ip="203.0.113.9", user_agent="bench", locale="en")
    asked = await sign_up(context, browser, "Ada", _NAME, _PASSWORD, InterruptedRequest())
    assert isinstance(asked, CodeRequested)  # noqa: S101 - else there is nothing to measure
    browser = msgspec.structs.replace(browser, device=asked.device, flow=asked.flow)
    seen = await view_flow(context, browser)
    assert seen is not None  # noqa: S101
    challenge = seen.challenge
    assert challenge is not None  # noqa: S101
    key = context.keyring.named(challenge.terms.kid).code
    code = derive(key, challenge.id, challenge.round, challenge.terms.policy.shape).reveal()
    entered = await check_code(context, browser, code, remember=True)
    assert isinstance(entered, SignedIn)  # noqa: S101
    return msgspec.structs.replace(browser, session=entered.session, flow="")


async def _sign_ins(context: AccountContext, browser: BrowserContext, seconds: float) -> Figure:
    until = time.perf_counter() + seconds
    latencies: list[float] = []
    # Their own session stays: each signs in as the same trusted browser, which has none yet.
    fresh = msgspec.structs.replace(browser, session="")

    async def client() -> None:
        while (began := time.perf_counter()) < until:
            outcome = await sign_in(context, fresh, _NAME, _PASSWORD, InterruptedRequest())
            assert isinstance(outcome, SignedIn), outcome  # noqa: S101
            latencies.append(time.perf_counter() - began)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(2 * SLOTS)))
    spent = {"Python": time.process_time() - cpu}
    return figure("sign-ins", 2 * SLOTS, time.perf_counter() - began, latencies, spent)


async def _looks(context: AccountContext, browser: BrowserContext, seconds: float, clients: int = 64) -> Figure:
    until = time.perf_counter() + seconds
    latencies: list[float] = []

    async def client() -> None:
        while (began := time.perf_counter()) < until:
            assert await find_session(context, browser) is not None  # noqa: S101
            latencies.append(time.perf_counter() - began)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(clients)))
    spent = {"Python": time.process_time() - cpu}
    return figure("sessions looked at, nothing else", clients, time.perf_counter() - began, latencies, spent)


async def _look_aside(context: AccountContext, browser: BrowserContext, latencies: list[float]) -> None:
    while True:
        began = time.perf_counter()
        assert await find_session(context, browser) is not None  # noqa: S101
        latencies.append(time.perf_counter() - began)
        await asyncio.sleep(ASIDE)


async def the_signed_in_page(seconds: float) -> tuple[Figure, Figure]:
    """Return the account's page over HTTP, its session looked up at each request, and the bare echo; one worker each, on SQLite."""
    with servers.development() as program, servers.echo(1) as echo:
        cookies = await asyncio.to_thread(_signed_in, program.port)
        wanted = load.page("/account", cookies)
        await load.drive("", program.port, wanted, 64, 1, {})
        page = await load.drive("the signed-in page", program.port, wanted, 64, seconds, {"server": program.pid})
        bare = await load.drive("bare echo", echo.port, load.echoes, 64, seconds, {"server": echo.pid})
    return page, bare


def _signed_in(port: int) -> str:
    """Create an account over HTTP, as a browser would; return its cookies."""
    jar: dict[str, str] = {}
    opener = urllib.request.build_opener(_Stay)

    def post(path: str, **fields: str) -> None:
        body = urllib.parse.urlencode(fields).encode()
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())}
        try:
            opener.open(urllib.request.Request(f"http://localhost:{port}{path}", body, sent), timeout=10)
        except urllib.error.HTTPError as answer:
            for line in answer.headers.get_all("Set-Cookie") or []:
                name, _, value = line.partition(";")[0].partition("=")
                jar[name] = value
            answer.close()

    post("/sign-up", name="Ada", identifier=_NAME, password=_PASSWORD)
    for _ in range(100):
        with urllib.request.urlopen(f"http://localhost:{port}/inbox/messages?to={_NAME}", timeout=10) as answer:
            found = re.search(r"\b(\d{3}) (\d{3})\b", answer.read().decode())
        if found:
            post("/verify", code=found[1] + found[2])
            break
        time.sleep(0.05)
    return f"__Host-session={jar['__Host-session']}"


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow nothing: what a redirect sets is what is wanted."""
