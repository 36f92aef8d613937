"""Submit a change of a signed-in user: it is checked, approved by a proof for this very change, and applied.

A change that adds a contact is applied only once the new contact is proved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec.structs import replace

from countersign.domain.accounts.change import (
    APPROVED_BY_FRESH_PROOF,
    PENDING_LIFETIME,
    RULES,
    ChangeRefusal,
    check_change,
)
from countersign.domain.accounts.login_flow import FLOW_LIFETIME, LoginFlow, LoginFlowKind
from countersign.domain.accounts.session import (
    ProofRequirement,
    Session,
    approval_source,
    fresh_strong_proof,
    satisfies,
)
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.verifications.challenge import Refusal
from countersign.domain.verifications.lanes import Lane
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.context import CodeRequested
from countersign.flows.accounts.request_code import begun_or_refused, send_code
from countersign.flows.accounts.sessions import use_approval
from countersign.flows.accounts.snapshot import find_snapshot, lock_snapshot
from countersign.flows.changes.apply import Applied, apply_change
from countersign.flows.changes.request import new_change, pending_data, record_pending_change, requirement_of
from countersign.flows.verifications.cancel import cancel_challenge
from countersign.flows.verifications.counters import counter_key
from countersign.flows.verifications.results import Refused
from countersign.store.tables import rate_limits

if TYPE_CHECKING:
    from countersign.domain.accounts.account import Account
    from countersign.domain.accounts.change import AccountChange, ChangeRequest
    from countersign.flows.accounts.context import AccountContext, BrowserContext

CHANGES_PER_ACCOUNT: Final = RateLimit("changes", 30, 3_600_000)
"""Changes that one account may request in an hour: each new contact costs a message."""

SubmitResult: TypeAlias = Applied | CodeRequested | ProofRequirement | ChangeRefusal | Refused
"""The change was applied, its new contact was sent a code, a proof is required first, the rules refuse it, or a limit does."""


async def submit_change(
    context: AccountContext, browser: BrowserContext, session: Session, request: ChangeRequest
) -> SubmitResult:
    """Make a change, or return what it requires first. Each approval makes one change, once.

    `request` says what is wanted; its `account` and `session` are taken from `session`.
    """
    request = request.for_session(session)
    snapshot = await context.database.read(find_snapshot, session.account)
    if snapshot is None:
        return ChangeRefusal.UNKNOWN
    blind_index = context.blind_index(request.contact) if request.contact is not None else b""
    if refusal := check_change(request.kind, request.target, blind_index, snapshot, context.now()):
        return refusal
    requirement = requirement_of(context, request, snapshot)
    fresh = fresh_strong_proof(session, context.now()) if request.kind in APPROVED_BY_FRESH_PROOF else None
    if fresh is None and not satisfies(session, requirement, context.now()):
        return requirement
    (result,) = await context.database.run(
        rate_limits.consume,
        [(CHANGES_PER_ACCOUNT, counter_key(context.keyring, CHANGES_PER_ACCOUNT.name, Lane.SESSION, session.account))],
        context.now(),
    )
    if not result.allowed:
        return Refused(
            Refusal.LIMITED, retry_after=result.retry_after, limit=CHANGES_PER_ACCOUNT.name, at=context.now()
        )
    if fresh is None and not await use_approval(context, session, requirement):
        return requirement
    approved_by = approval_source(session, requirement, context.now()) if fresh is None else fresh.source
    request = replace(request, approved_by=approved_by)
    if RULES[request.kind].proves_contact:
        return await _prove_contact(context, browser, request, snapshot.account)
    return await apply_change(context, browser, request)


async def _prove_contact(
    context: AccountContext, browser: BrowserContext, request: ChangeRequest, account: Account
) -> CodeRequested | ChangeRefusal | Refused:
    """Send a code to the new contact; until it is entered, the old contact works and nothing is changed (semantics A1).

    The message is in the language and the time zone of the account.
    """
    assert request.contact is not None  # noqa: S101 - these kinds of change have a new contact
    device = browser.device or context.secret()
    outcome = begun_or_refused(
        await send_code(
            context,
            browser,
            request.contact,
            purpose=LoginFlowKind.BIND_CONTACT.purpose,
            device=device,
            lane=Lane.SESSION,
            locale=account.locale,
            timezone=account.timezone,
            subject=request.account,
        )
    )
    if isinstance(outcome, Refused):
        return outcome
    now = context.now()
    change = new_change(context, browser, request, sealed=pending_data(request), until=now + PENDING_LIFETIME)
    if not await context.log.run(context.database, _record, context, browser, change, request.contact.address):
        await cancel_challenge(context.core, context.own, outcome.challenge.id)
        return ChangeRefusal.OUTDATED
    flow = LoginFlow(
        kind=LoginFlowKind.BIND_CONTACT,
        begun_at=now,
        expires_at=now + FLOW_LIFETIME,
        device_token_hash=context.token_hash(device).hex(),
        challenge=outcome.challenge.id,
        account=request.account,
        address=request.contact.address,
        session=request.session,
        interrupted=request.interrupted,
        requester=browser.requester(),
        place=change.place,
        change=change.id,
        epoch=change.epoch,
    )
    return CodeRequested(await login_flow.save_flow(context, flow, request.contact), device)


async def _record(context: AccountContext, browser: BrowserContext, change: AccountChange, about: str) -> bool:
    """Store the pending change. Return False if the account was changed since it was approved (semantics A8)."""
    snapshot = await lock_snapshot(change.account)
    if snapshot is None or not snapshot.account.open or snapshot.account.epoch != change.epoch:
        return False
    await record_pending_change(context, browser, change, snapshot, NoticeKind.CONTACT_ASKED, about=about)
    return True
