"""Enrol an authenticator app, which must show a right code before it counts, and make recovery codes."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from countersign.domain.accounts.authenticator import MAX_NAME, Authenticator, AuthenticatorKind
from countersign.domain.accounts.change import ChangeKind, ChangeRefusal, ChangeRequest, check_change
from countersign.domain.accounts.login_flow import FLOW_LIFETIME, LoginFlow, LoginFlowKind
from countersign.domain.accounts.session import ProofRequirement, Session, approval_source, satisfies
from countersign.domain.shared.typed_name import read_label
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.authenticator import GUESSES_PER_FLOW, InvalidCode, MalformedCode, read_app_code
from countersign.flows.accounts.context import AccountContext, BrowserContext, CodeRequested, FlowNotFound
from countersign.flows.accounts.sessions import use_approval
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.keep_codes import (
    CodesToKeep,
    RecoveryCodes,
    add_authenticator,
    new_recovery_codes,
    recovery_code_rows,
)
from countersign.flows.changes.request import requirement_of
from countersign.flows.changes.submit import SubmitResult, submit_change
from countersign.totp import SECRET_BYTES, STEP, step_of

EnrolmentStarted: TypeAlias = CodeRequested | ProofRequirement | ChangeRefusal
EnrolmentResult: TypeAlias = Applied | CodesToKeep | InvalidCode | ChangeRefusal | FlowNotFound


class AuthenticatorDraft(msgspec.Struct, frozen=True):
    """An authenticator app that is being set up: its name and its secret."""

    name: str
    secret: bytes

    def __repr__(self) -> str:
        """Hide the secret."""
        return "AuthenticatorDraft(hidden)"


async def begin_app(
    context: AccountContext, browser: BrowserContext, session: Session, name: str, summary: str
) -> EnrolmentStarted:
    """Make a secret for an app, once the user has approved it. The app counts only after it has shown a right code.

    `name` is the name of the app as entered, and `summary` what the user approves, in their language.
    """
    snapshot = await context.database.read(find_snapshot, session.account)
    if snapshot is None:
        return ChangeRefusal.UNKNOWN
    request = ChangeRequest(ChangeKind.METHOD_ADDED, about=authenticator_name(name), summary=summary)
    if refusal := check_change(request.kind, "", b"", snapshot, context.now()):
        return refusal
    requirement = requirement_of(context, request, snapshot)
    if not satisfies(session, requirement, context.now()) or not await use_approval(context, session, requirement):
        return requirement
    secret = context.random_bytes(SECRET_BYTES)
    now, device = context.now(), browser.device or context.secret()
    flow = LoginFlow(
        kind=LoginFlowKind.ENROL_APP,
        begun_at=now,
        expires_at=now + FLOW_LIFETIME,
        device_token_hash=context.token_hash(device).hex(),
        account=session.account,
        contact=approval_source(session, requirement, now),
        name=authenticator_name(name),
        session=session.id,
        pending_secret=secret.hex(),
        epoch=session.epoch,
    )
    return CodeRequested(await login_flow.save_flow(context, flow), device)


async def draft_app(context: AccountContext, browser: BrowserContext, session: Session) -> AuthenticatorDraft | None:
    """Return the app that this browser is setting up; None if there is none, or if it has shown a right code already."""
    stored = await login_flow.find_flow(context, browser)
    if stored is None or stored.flow.kind is not LoginFlowKind.ENROL_APP or stored.flow.session != session.id:
        return None
    if stored.flow.pending_authenticator:
        return None
    return AuthenticatorDraft(stored.flow.name, bytes.fromhex(stored.flow.pending_secret))


async def finish_app(context: AccountContext, browser: BrowserContext, session: Session, code: str) -> EnrolmentResult:
    """Add the app if the code that was entered is right; that code is used up.

    A wrong one counts as a guess, what cannot be a code does not. CodesToKeep means that the app counts once its user has kept recovery
    codes (semantics A11).
    """
    stored = await login_flow.find_flow(context, browser)
    if stored is None or stored.flow.kind is not LoginFlowKind.ENROL_APP or stored.flow.session != session.id:
        return FlowNotFound()
    flow, now = stored.flow, context.now()
    if flow.pending_authenticator:
        return CodesToKeep()
    if flow.guesses >= GUESSES_PER_FLOW * 2:
        return FlowNotFound()
    meant = read_app_code(code)
    if meant is None:
        return MalformedCode(GUESSES_PER_FLOW * 2 - flow.guesses)
    counted = await login_flow.update_flow(context, stored, msgspec.structs.replace(flow, guesses=flow.guesses + 1))
    if counted is None:
        return FlowNotFound()
    secret = bytes.fromhex(flow.pending_secret)
    step = step_of(secret, meant, now, now // STEP - 2)
    if step is None:
        return InvalidCode(GUESSES_PER_FLOW * 2 - counted.flow.guesses)
    id_ = context.id("fac")
    app = Authenticator(
        account=session.account,
        id=id_,
        kind=AuthenticatorKind.APP,
        added_at=now,
        mark=b"",
        secret=context.keyring.seal(secret.hex(), id_),
        name=context.keyring.seal(flow.name, id_),
        used=step,
    )
    return await add_authenticator(context, browser, session, counted, app)


async def make_recovery_codes(
    context: AccountContext, browser: BrowserContext, session: Session, summary: str
) -> tuple[SubmitResult, RecoveryCodes]:
    """Make ten new recovery codes, which end the previous ones. Show them only if the change was applied (`show_codes`)."""
    codes, now = new_recovery_codes(context), context.now()
    rows = recovery_code_rows(context, session.account, codes, now, unkept=True)
    request = ChangeRequest(ChangeKind.RECOVERY_CODES_MADE, summary=summary, authenticators=rows)
    return await submit_change(context, browser, session, request), RecoveryCodes(codes, now)


def authenticator_name(name: str, otherwise: str = "Authenticator") -> str:
    """Return the name of an authenticator as it is stored; `otherwise` if none was entered."""
    return read_label(name, MAX_NAME) or otherwise
