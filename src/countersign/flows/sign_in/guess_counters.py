"""What a guess at a password or an authenticator counts for: each lane has counters of its own (semantics L1, L3).

Guesses in a row are counted for one password of an account: a new password begins anew, and so opens what guesses at the old one stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.verifications.lanes import Lane
from countersign.domain.verifications.rate_limit import KeyedLimits, RateLimit
from countersign.flows.verifications.counters import counter_key, network_limits
from countersign.store.tables import guesses
from countersign.store.tables.guesses import GuessCounter

if TYPE_CHECKING:
    from countersign.domain.accounts.account import Account
    from countersign.domain.accounts.login_flow import LoginFlow
    from countersign.flows.accounts.context import AccountContext

ATTEMPTS_PER_IDENTIFIER: Final = RateLimit("sign_in_name", 10, 15 * 60_000)
"""Passwords that may be tried on one account, by whichever of its identifiers. A trusted browser has a count of its own, so that strangers
cannot use up its owner's attempts (S7)."""
ATTEMPTS_PER_NETWORK: Final = RateLimit("sign_in_network", 60, 10 * 60_000)
"""Passwords that may be tried from one network. A trusted browser is exempt."""
CURRENT_PASSWORDS_PER_ACCOUNT: Final = RateLimit("recover_password", 5, 24 * 3_600_000)
"""Current passwords that may be tried on one account in a day by a user who has proved one of its contacts."""
GUESSES_PER_ACCOUNT: Final = RateLimit("factor_codes", 10, 6 * 3_600_000)
"""Codes of an app that may be tried on one account, over all its flows: about 50 a day, each right with 3 in 1,000,000."""
RECOVERY_CODES_PER_ACCOUNT: Final = RateLimit("recovery_codes", 10, 6 * 3_600_000)
"""Recovery codes that may be tried on one account; by anybody, on one contact that was entered, from one network."""

_FAILURES: Final = {
    AuthenticatorKind.APP: "app_code_failures",
    AuthenticatorKind.RECOVERY_CODE: "recovery_code_failures",
}
_LIMITS: Final = {
    AuthenticatorKind.APP: GUESSES_PER_ACCOUNT,
    AuthenticatorKind.RECOVERY_CODE: RECOVERY_CODES_PER_ACCOUNT,
}


def password_counter(
    context: AccountContext, account: Account | None, identifier: bytes, device: str, ip: str
) -> GuessCounter:
    """Return what a password at sign-in counts for.

    `identifier` is the blind index of what was entered: without an account it has a count of its own, which gives the same answers.
    `device` is the id of this browser if the account trusts it, and `ip` the address of the request.
    """
    lane = Lane.TRUSTED_BROWSER if device else Lane.ANONYMOUS
    subject = (account.id if account is not None else identifier.hex(), device)
    gates: KeyedLimits = ()
    if ip and not device:
        gates = network_limits(context.keyring, [ATTEMPTS_PER_NETWORK], lane, ip)
    return GuessCounter(
        limits=((ATTEMPTS_PER_IDENTIFIER, counter_key(context.keyring, ATTEMPTS_PER_IDENTIFIER.name, lane, *subject)),),
        failures_key=_password_failures(context, account, lane, *subject),
        gates=gates,
        has_account=account is not None,
        pauses=True,
    )


def _password_failures(context: AccountContext, account: Account | None, lane: Lane, *subject: str) -> bytes:
    password_at = str(account.password_at) if account is not None else ""
    return counter_key(context.keyring, "password_failures", lane, *subject, password_at)


async def forget_passwords(context: AccountContext, account: Account, counter: GuessCounter) -> None:
    """Forget what was counted, for the password was right. In a trusted browser this ends the pause of other browsers too."""
    anonymous = _password_failures(context, account, Lane.ANONYMOUS, account.id, "")
    keys = [key for _, key in counter.limits]
    await context.database.run(guesses.reset, keys, sorted({counter.failures_key, anonymous}))


async def end_password_pause(context: AccountContext, account: Account) -> None:
    """End the pause of passwords that anybody may try: the owner has just signed in without one."""
    anonymous = _password_failures(context, account, Lane.ANONYMOUS, account.id, "")
    await context.database.run(guesses.reset, [], [anonymous])


def current_password_counter(context: AccountContext, account: Account, flow: LoginFlow) -> GuessCounter:
    """Return what a current password counts for, tried by a user who has proved the contact that `flow` names."""
    subject = (account.id, flow.address)
    return GuessCounter(
        limits=(
            (
                CURRENT_PASSWORDS_PER_ACCOUNT,
                counter_key(context.keyring, CURRENT_PASSWORDS_PER_ACCOUNT.name, Lane.PASSWORD, *subject),
            ),
        ),
        failures_key=counter_key(
            context.keyring, "current_password_failures", Lane.PASSWORD, *subject, str(account.password_at)
        ),
    )


def anonymous_recovery_codes(context: AccountContext, flow: LoginFlow) -> KeyedLimits:
    """Return what a recovery code counts for that anybody tries: the contact as entered, and the network.

    It is the same whether the contact has an account or not, and which account: the limit tells neither (semantics R1).
    """
    limit, lane = RECOVERY_CODES_PER_ACCOUNT, Lane.ANONYMOUS
    if not flow.requester.ip:
        return ((limit, counter_key(context.keyring, limit.name, lane, flow.address)),)
    return network_limits(context.keyring, [limit], lane, flow.requester.ip, flow.address)


def authenticator_counter(
    context: AccountContext, account: Account, flow: LoginFlow, kind: AuthenticatorKind
) -> GuessCounter:
    """Return what a code of an app or a recovery code counts for, in the lane of its flow."""
    limit, subject = _LIMITS[kind], (account.id, flow.requester.device)
    return GuessCounter(
        limits=((limit, counter_key(context.keyring, limit.name, flow.lane, *subject)),),
        failures_key=counter_key(context.keyring, _FAILURES[kind], flow.lane, *subject, str(account.password_at)),
    )


async def forget_guesses(context: AccountContext, account: Account, flow: LoginFlow) -> None:
    """Forget the wrong guesses of this lane at every authenticator of the account: one of them has just been right.

    So a right recovery code or passkey opens an app that was stopped after too many wrong codes (semantics L3).
    """
    counters = [authenticator_counter(context, account, flow, kind) for kind in _FAILURES]
    await context.database.run(
        guesses.reset, [key for one in counters for _, key in one.limits], [one.failures_key for one in counters]
    )
