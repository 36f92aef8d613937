"""Prove: a flow under way is proved by an authenticator app or a recovery code instead of a code that was sent."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from countersign.domain.accounts.authenticator import Factor, FactorKind
from countersign.domain.accounts.session import Method, Proven
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications.challenge import Refusal
from countersign.domain.verifications.rate_limit import Limit
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.activity_log import record
from countersign.flows.accounts.context import Browser, Gate, Gone
from countersign.flows.accounts.location_check import FarAway, far_away
from countersign.flows.accounts.login_flow import Kept
from countersign.flows.accounts.notify import notices_to
from countersign.flows.accounts.request_code import methods_of
from countersign.flows.accounts.snapshot import held
from countersign.flows.sign_in.complete import Finished, finish
from countersign.flows.verifications.results import Refused
from countersign.store.engine.database import Write
from countersign.store.tables import authenticators, rate_limits
from countersign.totp import step_of

if TYPE_CHECKING:
    from collections.abc import Sequence


GUESSES: Final = 5
"""Codes that are compared in one flow."""
BY_ACCOUNT: Final = Limit("factor_codes", 10, 6 * 3_600_000)
"""Codes that strangers may try on one account; a trusted browser has as many of its own. 50 a day at 3 of 1,000,000 each."""
FEW: Final = 3
"""Recovery codes below which a person is warned (semantics R4)."""


class Mistaken(msgspec.Struct, frozen=True):
    """It was not the code; `left` more will be compared in this flow."""

    left: int


Proved: TypeAlias = Finished | Mistaken | Refused | FarAway

_FORGIVEN: Final = str.maketrans("oil", "011", " -\u2010\u2011\u2013")
"""What a person may type for a recovery code: look-alikes, blanks and dashes."""


class Guess(msgspec.Struct, frozen=True):
    """A guess that is counted and may be compared: the flow it is for, and the factors of its account."""

    kept: Kept
    authenticators: tuple[Factor, ...]
    limit: bytes

    @property
    def wrong(self) -> Mistaken:
        """Return the answer to a wrong one."""
        return Mistaken(GUESSES - self.kept.visit.guesses)


async def prove_by_app(gate: Gate, browser: Browser, typed: str, *, remember: bool, sure: bool = False) -> Proved:
    """Judge a code of an authenticator app: each step is accepted once, over the whole window (RFC 6238, 5.2)."""
    guess = await _counted(gate, browser, FactorKind.APP, sure=sure)
    if not isinstance(guess, Guess):
        return guess
    app = await matching_app(gate, guess.authenticators, typed)
    if app is None:
        return guess.wrong
    return await _proved(gate, browser, guess, Method.APP_CODE, remember=remember)


async def matching_app(gate: Gate, enrolled: Sequence[Factor], typed: str) -> Factor | None:
    """Return the app whose code `typed` is now, and use that code up; None if there is none."""
    digits = "".join(str(unicodedata.decimal(character)) for character in typed if character.isdecimal())
    for app in (one for one in enrolled if one.kind is FactorKind.APP):
        secret = bytes.fromhex(gate.keyring.unseal(app.secret, app.id))
        step = step_of(secret, digits, gate.now(), app.used)
        if step is not None and await gate.database.run(authenticators.use, app.account, app.id, step, gate.now()):
            return app
    return None


async def prove_by_recovery_code(
    gate: Gate, browser: Browser, typed: str, *, remember: bool, sure: bool = False
) -> Proved:
    """Spend a recovery code; every contact hears of it (semantics R4)."""
    guess = await _counted(gate, browser, FactorKind.RECOVERY_CODE, sure=sure)
    if not isinstance(guess, Guess):
        return guess
    account = guess.kept.visit.account
    if not await gate.log.run(gate.database, _spend, gate, browser, account, mark_of(gate, typed)):
        return guess.wrong
    gate.database.announce()
    return await _proved(gate, browser, guess, Method.RECOVERY_CODE, remember=remember)


def mark_of(gate: Gate, typed: str) -> bytes:
    """Return what a recovery code is found by, from what a person typed."""
    return gate.mark(f"recovery code {typed.strip().lower().translate(_FORGIVEN)}")


async def _counted(gate: Gate, browser: Browser, kind: FactorKind, *, sure: bool) -> Guess | Gone | Refused | FarAway:
    """Count a guess before anything is compared (semantics C5)."""
    kept = await login_flow.find(gate, browser)
    if kept is None:
        return Gone()
    visit, now = kept.visit, gate.now()
    holdings = await gate.database.read(held, visit.account)
    if kind not in methods_of(holdings, visit):
        return Gone()
    if not sure and (far := far_away(gate, browser, visit)):
        return far
    if visit.guesses >= GUESSES:
        return Refused(Refusal.EXHAUSTED, at=now)
    # Where there is no such account, its name has the same budget (semantics R1).
    counter = gate.keyring.blind("factor codes", visit.account or visit.to, visit.requester.device)
    (room,) = await gate.database.run(rate_limits.spend, [(BY_ACCOUNT, counter)], now)
    if not room.allowed:
        return Refused(Refusal.LIMITED, retry_after=room.retry_after, limit=BY_ACCOUNT.name, at=now)
    counted = await login_flow.move(gate, kept, msgspec.structs.replace(visit, guesses=visit.guesses + 1))
    return (
        Gone() if counted is None else Guess(counted, holdings.authenticators if holdings is not None else (), counter)
    )


async def _proved(gate: Gate, browser: Browser, guess: Guess, method: Method, *, remember: bool) -> Finished:
    await gate.database.run(rate_limits.clear, guess.limit)
    return await finish(gate, browser, guess.kept, Proven(method, gate.now()), remember=remember)


async def _spend(gate: Gate, browser: Browser, account: str, mark: bytes) -> bool:
    now = gate.now()
    if not (await authenticators.spend(account, mark, now)):
        return False
    holdings = await held(account)
    if holdings is None:
        return False
    place, left = gate.place(browser.ip), holdings.recovery_codes
    told = Event(now, EventKind.FACTOR_USED, gate.own.id, account, {"method": "recovery_code", "left": left})
    recorded = await record(gate, [told], browser, place)
    notices = notices_to(
        gate,
        holdings.account,
        holdings.contacts,
        NoticeKind.RECOVERY_CODE_USED,
        browser=browser,
        place=place,
        now=now,
        facts={"left": str(left)},
    )
    await Write((*notices, *recorded), last=True)
    return True
