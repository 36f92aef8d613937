"""Prove a login flow with an authenticator app or a recovery code, in place of a code that was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from countersign.domain.accounts.authenticator import Authenticator, AuthenticatorKind
from countersign.domain.accounts.session import Method, SessionProof
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications.challenge import Refusal
from countersign.domain.verifications.lanes import Lane
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.activity import record_events
from countersign.flows.accounts.authenticator import (
    GUESSES_PER_FLOW,
    InvalidCode,
    MalformedCode,
    read_app_code,
    read_recovery_code,
    recovery_code_hash,
)
from countersign.flows.accounts.context import AccountContext, BrowserContext, FlowNotFound
from countersign.flows.accounts.location_check import UnlikelyLocation, check_location
from countersign.flows.accounts.login_flow import StoredFlow
from countersign.flows.accounts.notify import owe_notices
from countersign.flows.accounts.request_code import authenticators_for
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.sign_in.complete import CompletedFlow, complete_flow
from countersign.flows.sign_in.guess_counters import (
    GUESSES_PER_ACCOUNT,
    anonymous_recovery_codes,
    authenticator_counter,
    forget_guesses,
)
from countersign.flows.verifications.results import Refused
from countersign.store.engine.database import Write
from countersign.store.tables import authenticators, guesses, rate_limits
from countersign.totp import step_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countersign.domain.accounts.account import Account
    from countersign.domain.accounts.login_flow import LoginFlow

FEW_RECOVERY_CODES: Final = 3
"""The user is warned when fewer recovery codes than this are left (semantics R4)."""

ProofResult: TypeAlias = CompletedFlow | InvalidCode | Refused | UnlikelyLocation
"""What an entered code leads to: the flow is completed, the code is wrong or refused, or the user must confirm the place first."""


async def prove_with_app(
    context: AccountContext, browser: BrowserContext, code: str, *, remember: bool, confirmed: bool = False
) -> ProofResult:
    """Check a code of an authenticator app and complete the flow.

    `code` is as entered; `remember` and `confirmed` are those of `verify.check_code`. Every code is accepted once (RFC 6238, 5.2).
    """
    meant = read_app_code(code)
    guess = await _count_guess(context, browser, AuthenticatorKind.APP, meant, confirmed=confirmed)
    if not isinstance(guess, CountedGuess):
        return guess
    app = await use_app_code(context, guess.authenticators, code)
    if app is None:
        return guess.invalid
    proof = SessionProof(Method.APP_CODE, context.now(), source=app.id)
    return await _complete(context, browser, guess, proof, remember=remember)


async def prove_with_recovery_code(
    context: AccountContext, browser: BrowserContext, code: str, *, remember: bool, confirmed: bool = False
) -> ProofResult:
    """Check a recovery code, use it up, notify every contact (semantics R4), and complete the flow.

    `code` is as entered; `remember` and `confirmed` are those of `verify.check_code`.
    """
    meant = read_recovery_code(code)
    guess = await _count_guess(context, browser, AuthenticatorKind.RECOVERY_CODE, meant, confirmed=confirmed)
    if not isinstance(guess, CountedGuess):
        return guess
    account, code_hash = guess.stored.flow.account, recovery_code_hash(context, code)
    if not await context.log.run(context.database, _use_recovery_code, context, browser, account, code_hash):
        return guess.invalid
    context.database.notify()
    spent = next((one.id for one in guess.authenticators if one.mark == code_hash), "")
    proof = SessionProof(Method.RECOVERY_CODE, context.now(), source=spent)
    return await _complete(context, browser, guess, proof, remember=remember)


class CountedGuess(msgspec.Struct, frozen=True):
    """A guess that was counted before it is checked.

    `stored` is its flow, and `account` and `authenticators` are those of the account; None and empty if there is none.
    """

    stored: StoredFlow
    account: Account | None
    authenticators: tuple[Authenticator, ...]

    @property
    def invalid(self) -> InvalidCode:
        """Return the answer to a wrong code."""
        return InvalidCode(GUESSES_PER_FLOW - self.stored.flow.guesses)


async def _count_guess(
    context: AccountContext, browser: BrowserContext, kind: AuthenticatorKind, meant: str | None, *, confirmed: bool
) -> CountedGuess | MalformedCode | FlowNotFound | Refused | UnlikelyLocation:
    """Count a guess before any code is compared (semantics C5), or return why none will be.

    `meant` is the code that was read, None if what was entered cannot be one: the answer then depends on no account.
    """
    stored = await login_flow.find_flow(context, browser)
    if stored is None:
        return FlowNotFound()
    flow, now = stored.flow, context.now()
    snapshot = await context.database.read(find_snapshot, flow.account)
    if kind not in authenticators_for(snapshot, flow):
        return FlowNotFound()
    if not confirmed and (unlikely := check_location(context, browser, flow)):
        return unlikely
    if flow.guesses >= GUESSES_PER_FLOW:
        return Refused(Refusal.EXHAUSTED, at=now)
    if meant is None:
        return MalformedCode(GUESSES_PER_FLOW - flow.guesses)
    account = snapshot.account if snapshot is not None else None
    if refused := await _count_in_lane(context, flow, account, kind):
        return refused
    counted = await login_flow.update_flow(context, stored, msgspec.structs.replace(flow, guesses=flow.guesses + 1))
    if counted is None:
        return FlowNotFound()
    return CountedGuess(counted, account, snapshot.authenticators if snapshot is not None else ())


async def _count_in_lane(
    context: AccountContext, flow: LoginFlow, account: Account | None, kind: AuthenticatorKind
) -> Refused | None:
    """Count a guess in the lane of its flow. Return Refused if the lane is over a limit, or too many in a row were wrong."""
    now = context.now()
    if flow.lane is Lane.ANONYMOUS or account is None:
        keyed = anonymous_recovery_codes(context, flow)
        results = await context.database.run(rate_limits.consume, keyed, now)
    else:
        counted = await context.database.run(guesses.consume, authenticator_counter(context, account, flow, kind), now)
        if counted.is_stopped:
            return Refused(Refusal.LIMITED, limit="guesses_in_a_row", at=now)
        results = counted.results
    wait = max((result.retry_after for result in results if not result.allowed), default=0)
    return Refused(Refusal.LIMITED, retry_after=wait, limit=GUESSES_PER_ACCOUNT.name, at=now) if wait else None


async def use_app_code(context: AccountContext, enrolled: Sequence[Authenticator], code: str) -> Authenticator | None:
    """Return the app whose code this is now, and use the code up; None if it is the code of none.

    `enrolled` are the authenticators of one account, and `code` is as entered.
    """
    digits = read_app_code(code)
    if digits is None:
        return None
    for app in (one for one in enrolled if one.kind is AuthenticatorKind.APP):
        secret, now = bytes.fromhex(context.keyring.unseal(app.secret, app.id)), context.now()
        step = step_of(secret, digits, now, app.used)
        if step is not None and await context.database.run(authenticators.use, app.account, app.id, step, now):
            return app
    return None


async def _use_recovery_code(context: AccountContext, browser: BrowserContext, account: str, code_hash: bytes) -> bool:
    """Use the code up and notify every contact. Return False if the account has no such code."""
    now, place = context.now(), context.place(browser.ip)
    if not await authenticators.use_recovery_code(account, code_hash, now):
        return False
    snapshot = await find_snapshot(account)
    if snapshot is None:
        return False
    left = snapshot.recovery_codes
    event = Event(now, EventKind.FACTOR_USED, context.own.id, account, {"method": "recovery_code", "left": left})
    activity = await record_events(context, [event], browser, place)
    notices = await owe_notices(
        context,
        snapshot.account,
        snapshot.contacts,
        NoticeKind.RECOVERY_CODE_USED,
        browser=browser,
        place=place,
        now=now,
        facts={"left": str(left)},
    )
    await Write((*notices, *activity), last=True)
    return True


async def _complete(
    context: AccountContext, browser: BrowserContext, guess: CountedGuess, proof: SessionProof, *, remember: bool
) -> CompletedFlow:
    """Reset the counts of this lane, which a right code ends, and complete the flow."""
    if guess.account is not None and guess.stored.flow.lane is not Lane.ANONYMOUS:
        await forget_guesses(context, guess.account, guess.stored.flow)
    return await complete_flow(context, browser, guess.stored, proof, remember=remember)
