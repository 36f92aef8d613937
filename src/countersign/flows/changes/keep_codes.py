"""Recovery codes and integration codes are shown until their user has kept them. A first app or passkey counts only then.

They wait in the sealed login flow of the browser that made them, and are shown to the session that made them alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from msgspec.structs import replace

from countersign.domain.accounts.authenticator import Authenticator, AuthenticatorKind
from countersign.domain.accounts.change import ChangeKind, ChangeRefusal, ChangeRequest
from countersign.domain.accounts.login_flow import InterruptedRequest, LoginFlow, LoginFlowKind
from countersign.domain.shared import identifier
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.authenticator import recovery_code_hash
from countersign.flows.accounts.context import AccountContext, BrowserContext, CodeRequested, FlowNotFound
from countersign.flows.changes.apply import Applied, apply_change
from countersign.store.tables import accounts, authenticators, login_flows

if TYPE_CHECKING:
    from countersign.domain.accounts.session import Session
    from countersign.flows.accounts.login_flow import StoredFlow

SHOWN_FOR: Final = 15 * 60_000
"""Milliseconds in which codes that were made are shown again, until their user has kept them."""
RECOVERY_CODES_PER_SET: Final = 10
"""Recovery codes of one set (semantics R4)."""
CODE_BYTES: Final = 10
"""Random bytes of a recovery code: 80 bits, shown as 16 symbols."""
_GROUP: Final = 4
NOTHING_ELSE: Final = InterruptedRequest()
"""No request that continues once codes are kept."""
_ENROLMENTS: Final = frozenset({LoginFlowKind.ENROL_APP, LoginFlowKind.ENROL_PASSKEY})

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Authenticator).decode


class RecoveryCodes(msgspec.Struct, frozen=True):
    """Recovery codes as they are shown. `made_at` (ms) is when they were made."""

    codes: tuple[str, ...]
    made_at: int = 0

    def __repr__(self) -> str:
        """Hide the codes."""
        return "RecoveryCodes(hidden)"


class CodesToKeep(msgspec.Struct, frozen=True):
    """An authenticator has shown that it works, and counts once its user has kept recovery codes (semantics A11)."""


class ShownCodes(msgspec.Struct, frozen=True):
    """The codes that a browser shows. `made_at` and `until`, when they are shown for the last time, are in ms.

    `name` is that of an integration code, and `change` the kind of change that has made it: both are empty for recovery codes. `waits` is
    true if an authenticator of that name counts only once the codes are kept.
    """

    codes: tuple[str, ...]
    made_at: int
    name: str
    change: str
    waits: bool
    until: int

    def __repr__(self) -> str:
        """Hide the codes."""
        return "ShownCodes(hidden)"


class Kept(msgspec.Struct, frozen=True):
    """The codes are kept, and are not shown again. They were in force before.

    `then` is the request that continues, whose path is that of the account if there was none.
    """

    then: InterruptedRequest = InterruptedRequest()


KeepResult: TypeAlias = Kept | Applied | ChangeRefusal | FlowNotFound


def recovery_code_rows(
    context: AccountContext, account: str, codes: tuple[str, ...], now: int, *, unkept: bool
) -> tuple[Authenticator, ...]:
    """Return recovery codes as they are stored: as keyed hashes (semantics R4). `now` is in ms."""
    return tuple(
        Authenticator(
            account=account,
            id=context.id("fac"),
            kind=AuthenticatorKind.RECOVERY_CODE,
            added_at=now,
            mark=recovery_code_hash(context, code),
            secret=b"",
            name=b"",
            unkept=unkept,
        )
        for code in codes
    )


def new_recovery_codes(context: AccountContext) -> tuple[str, ...]:
    """Return ten new recovery codes, as they are shown."""
    return tuple(_code(context) for _ in range(RECOVERY_CODES_PER_SET))


def _code(context: AccountContext) -> str:
    number = int.from_bytes(context.random_bytes(CODE_BYTES))
    symbols = "".join(identifier.ALPHABET[(number >> shift) & 31] for shift in range(0, CODE_BYTES * 8, 5))
    return "-".join(symbols[start : start + _GROUP] for start in range(0, len(symbols), _GROUP))


async def add_authenticator(
    context: AccountContext, browser: BrowserContext, session: Session, stored: StoredFlow, authenticator: Authenticator
) -> Applied | CodesToKeep | ChangeRefusal | FlowNotFound:
    """Add an authenticator that has shown that it works, and end its enrolment.

    If its loss would shut its user out, the enrolment goes on with recovery codes instead. Nothing is added before they are kept
    (semantics A11).
    """
    applied = await apply_change(context, browser, _addition(session, stored, authenticator))
    if applied is not ChangeRefusal.NO_WAY_BACK:
        return applied
    waiting = replace(
        stored.flow,
        pending_authenticator=_encode(authenticator).decode(),
        codes=new_recovery_codes(context),
    )
    return CodesToKeep() if await login_flow.update_flow(context, stored, waiting) else FlowNotFound()


def _addition(session: Session, stored: StoredFlow, *added: Authenticator) -> ChangeRequest:
    flow = stored.flow
    request = ChangeRequest(ChangeKind.METHOD_ADDED, about=flow.name, authenticators=added)
    request = request.for_session(session)
    return replace(request, flow=stored.token_hash, epoch=flow.epoch, approved_by=flow.contact)


async def show_codes(
    context: AccountContext,
    browser: BrowserContext,
    session: Session,
    codes: tuple[str, ...],
    made_at: int,
    *,
    name: str = "",
    change: str = "",
    then: InterruptedRequest = NOTHING_ELSE,
) -> CodeRequested:
    """Let a browser show codes that have just been made, until its user has kept them or some minutes are over.

    `made_at` is in ms. `name` and `change` are those of `ShownCodes`, and `then` is the request that continues once they are kept.
    """
    device = browser.device or context.secret()
    flow = LoginFlow(
        kind=LoginFlowKind.KEEP_CODES,
        begun_at=made_at,
        expires_at=context.now() + SHOWN_FOR,
        device_token_hash=context.token_hash(device).hex(),
        account=session.account,
        session=session.id,
        name=name,
        change=change,
        interrupted=then,
        codes=codes,
    )
    return CodeRequested(await login_flow.save_flow(context, flow), device)


async def find_codes(context: AccountContext, browser: BrowserContext, session: Session) -> ShownCodes | None:
    """Return the codes that this session has made in this browser and not kept yet; None if there are none, or their time is over."""
    stored = await _find(context, browser, session)
    if stored is None:
        return None
    flow = stored.flow
    return ShownCodes(flow.codes, flow.begun_at, flow.name, flow.change, flow.kind in _ENROLMENTS, flow.expires_at)


async def keep_codes(context: AccountContext, browser: BrowserContext, session: Session) -> KeepResult:
    """Record that the user has kept the codes that were shown. An authenticator that waited for it counts from now on.

    Everything is judged by the transaction that writes. Returns Applied with the authenticator's change, or why it cannot be added.
    """
    stored = await _find(context, browser, session)
    if stored is None:
        return FlowNotFound()
    if not stored.flow.pending_authenticator:
        kept = await context.database.run(_keep, session.account, stored)
        return Kept(stored.flow.interrupted) if kept else FlowNotFound()
    now = context.now()
    authenticator = replace(_decode(stored.flow.pending_authenticator), added_at=now)
    rows = recovery_code_rows(context, session.account, stored.flow.codes, now, unkept=False)
    return await apply_change(context, browser, _addition(session, stored, authenticator, *rows))


async def _keep(account: str, stored: StoredFlow) -> bool:
    """Write that the codes are kept. Return False if another request has done so."""
    await accounts.lock(account)
    if not await login_flows.delete(stored.token_hash):
        return False
    if not stored.flow.change:
        await authenticators.keep_recovery_codes(account, stored.flow.begun_at)
    return True


async def _find(context: AccountContext, browser: BrowserContext, session: Session) -> StoredFlow | None:
    stored = await login_flow.find_flow(context, browser)
    if stored is None or not stored.flow.codes or stored.flow.session != session.id:
        return None
    return stored
