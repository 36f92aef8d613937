"""Prove: a flow under way is proved by an authenticator app or a recovery code instead of a code that was sent."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from countersign.domain.accounts.authenticator import Authenticator, AuthenticatorKind
from countersign.domain.accounts.session import Method, SessionProof
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications.challenge import Refusal
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.activity_log import record_events
from countersign.flows.accounts.context import AccountContext, BrowserContext, FlowNotFound
from countersign.flows.accounts.location_check import UnlikelyLocation, check_location
from countersign.flows.accounts.login_flow import StoredFlow
from countersign.flows.accounts.notify import insert_notices
from countersign.flows.accounts.request_code import authenticators_for
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.sign_in.complete import CompletedFlow, complete_flow
from countersign.flows.verifications.results import Refused
from countersign.store.engine.database import Write
from countersign.store.tables import authenticators, rate_limits
from countersign.totp import step_of

if TYPE_CHECKING:
    from collections.abc import Sequence


GUESSES: Final = 5
"""Codes that are compared in one flow."""
BY_ACCOUNT: Final = RateLimit("factor_codes", 10, 6 * 3_600_000)
"""Codes that strangers may try on one account; a trusted browser has as many of its own. 50 a day at 3 of 1,000,000 each."""
FEW: Final = 3
"""Recovery codes below which a person is warned (semantics R4)."""


class InvalidCode(msgspec.Struct, frozen=True):
    """It was not the code; `left` more will be compared in this flow."""

    left: int


Proved: TypeAlias = CompletedFlow | InvalidCode | Refused | UnlikelyLocation

_FORGIVEN: Final = str.maketrans("oil", "011", " -\u2010\u2011\u2013")
"""What a person may type for a recovery code: look-alikes, blanks and dashes."""


class AuthenticatorGuess(msgspec.Struct, frozen=True):
    """A guess that is counted and may be compared: the flow it is for, and the factors of its account."""

    stored: StoredFlow
    authenticators: tuple[Authenticator, ...]
    limit: bytes

    @property
    def wrong(self) -> InvalidCode:
        """Return the answer to a wrong one."""
        return InvalidCode(GUESSES - self.stored.flow.guesses)


async def prove_by_app(
    context: AccountContext, browser: BrowserContext, typed: str, *, remember: bool, sure: bool = False
) -> Proved:
    """Judge a code of an authenticator app: each step is accepted once, over the whole window (RFC 6238, 5.2)."""
    guess = await _counted(context, browser, AuthenticatorKind.APP, sure=sure)
    if not isinstance(guess, AuthenticatorGuess):
        return guess
    app = await matching_app(context, guess.authenticators, typed)
    if app is None:
        return guess.wrong
    return await _proved(context, browser, guess, Method.APP_CODE, remember=remember)


async def matching_app(context: AccountContext, enrolled: Sequence[Authenticator], typed: str) -> Authenticator | None:
    """Return the app whose code `typed` is now, and use that code up; None if there is none."""
    digits = "".join(str(unicodedata.decimal(character)) for character in typed if character.isdecimal())
    for app in (one for one in enrolled if one.kind is AuthenticatorKind.APP):
        secret = bytes.fromhex(context.keyring.unseal(app.secret, app.id))
        step = step_of(secret, digits, context.now(), app.used)
        if step is not None and await context.database.run(
            authenticators.use, app.account, app.id, step, context.now()
        ):
            return app
    return None


async def prove_by_recovery_code(
    context: AccountContext, browser: BrowserContext, typed: str, *, remember: bool, sure: bool = False
) -> Proved:
    """Spend a recovery code; every contact hears of it (semantics R4)."""
    guess = await _counted(context, browser, AuthenticatorKind.RECOVERY_CODE, sure=sure)
    if not isinstance(guess, AuthenticatorGuess):
        return guess
    account = guess.stored.flow.account
    if not await context.log.run(
        context.database, _spend, context, browser, account, recovery_code_hash(context, typed)
    ):
        return guess.wrong
    context.database.notify()
    return await _proved(context, browser, guess, Method.RECOVERY_CODE, remember=remember)


def recovery_code_hash(context: AccountContext, typed: str) -> bytes:
    """Return what a recovery code is found by, from what a person typed."""
    return context.mark(f"recovery code {typed.strip().lower().translate(_FORGIVEN)}")


async def _counted(
    context: AccountContext, browser: BrowserContext, kind: AuthenticatorKind, *, sure: bool
) -> AuthenticatorGuess | FlowNotFound | Refused | UnlikelyLocation:
    """Count a guess before anything is compared (semantics C5)."""
    stored = await login_flow.find_flow(context, browser)
    if stored is None:
        return FlowNotFound()
    flow, now = stored.flow, context.now()
    holdings = await context.database.read(find_snapshot, flow.account)
    if kind not in authenticators_for(holdings, flow):
        return FlowNotFound()
    if not sure and (far := check_location(context, browser, flow)):
        return far
    if flow.guesses >= GUESSES:
        return Refused(Refusal.EXHAUSTED, at=now)
    # Where there is no such account, its name has the same budget (semantics R1).
    counter = context.keyring.blind_index("factor codes", flow.account or flow.to, flow.requester.device)
    (room,) = await context.database.run(rate_limits.consume, [(BY_ACCOUNT, counter)], now)
    if not room.allowed:
        return Refused(Refusal.LIMITED, retry_after=room.retry_after, limit=BY_ACCOUNT.name, at=now)
    counted = await login_flow.update_flow(context, stored, msgspec.structs.replace(flow, guesses=flow.guesses + 1))
    return (
        FlowNotFound()
        if counted is None
        else AuthenticatorGuess(counted, holdings.authenticators if holdings is not None else (), counter)
    )


async def _proved(
    context: AccountContext, browser: BrowserContext, guess: AuthenticatorGuess, method: Method, *, remember: bool
) -> CompletedFlow:
    await context.database.run(rate_limits.reset, guess.limit)
    return await complete_flow(context, browser, guess.stored, SessionProof(method, context.now()), remember=remember)


async def _spend(context: AccountContext, browser: BrowserContext, account: str, mark: bytes) -> bool:
    now = context.now()
    if not (await authenticators.use_recovery_code(account, mark, now)):
        return False
    holdings = await find_snapshot(account)
    if holdings is None:
        return False
    place, left = context.place(browser.ip), holdings.recovery_codes
    told = Event(now, EventKind.FACTOR_USED, context.own.id, account, {"method": "recovery_code", "left": left})
    recorded = await record_events(context, [told], browser, place)
    notices = insert_notices(
        context,
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
