"""Enrol an authenticator app, which must show a right code before it counts, and make recovery codes, which are shown once."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec
from msgspec.structs import replace

from countersign.domain.accounts.authenticator import MAX_NAME, Authenticator, AuthenticatorKind
from countersign.domain.accounts.change import ChangeKind, ChangeRefusal, ChangeRequest, check_change
from countersign.domain.accounts.login_flow import FLOW_LIFETIME, LoginFlow, LoginFlowKind
from countersign.domain.accounts.session import ProofRequirement, Session, approval_source, satisfies
from countersign.domain.shared import identifier
from countersign.domain.shared.typed_name import read_label
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.authenticator import (
    GUESSES_PER_FLOW,
    InvalidCode,
    MalformedCode,
    read_app_code,
    recovery_code_hash,
)
from countersign.flows.accounts.context import AccountContext, BrowserContext, CodeRequested, FlowNotFound
from countersign.flows.accounts.sessions import use_approval
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.changes.apply import Applied, apply_change
from countersign.flows.changes.request import requirement_of
from countersign.flows.changes.submit import SubmitResult, submit_change
from countersign.totp import SECRET_BYTES, STEP, step_of

RECOVERY_CODES_PER_SET: Final = 10
"""Recovery codes of one set (semantics R4)."""
CODE_BYTES: Final = 10
"""Random bytes of a recovery code: 80 bits, shown as 16 symbols."""
_GROUP: Final = 4

EnrolmentStarted: TypeAlias = CodeRequested | ProofRequirement | ChangeRefusal
EnrolmentResult: TypeAlias = Applied | InvalidCode | ChangeRefusal | FlowNotFound


class AuthenticatorDraft(msgspec.Struct, frozen=True):
    """An authenticator app that is being set up: its name and its secret."""

    name: str
    secret: bytes

    def __repr__(self) -> str:
        """Hide the secret."""
        return "AuthenticatorDraft(hidden)"


class RecoveryCodes(msgspec.Struct, frozen=True):
    """Recovery codes as they are shown, once."""

    codes: tuple[str, ...]

    def __repr__(self) -> str:
        """Hide the codes."""
        return "RecoveryCodes(hidden)"


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
    """Return the app that this browser is setting up, or None."""
    stored = await login_flow.find_flow(context, browser)
    if stored is None or stored.flow.kind is not LoginFlowKind.ENROL_APP or stored.flow.session != session.id:
        return None
    return AuthenticatorDraft(stored.flow.name, bytes.fromhex(stored.flow.pending_secret))


async def finish_app(context: AccountContext, browser: BrowserContext, session: Session, code: str) -> EnrolmentResult:
    """Add the app if the code that was entered is right; that code is used up.

    A wrong one counts as a guess, what cannot be a code does not.
    """
    stored = await login_flow.find_flow(context, browser)
    if stored is None or stored.flow.kind is not LoginFlowKind.ENROL_APP or stored.flow.session != session.id:
        return FlowNotFound()
    flow, now = stored.flow, context.now()
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
    request = ChangeRequest(ChangeKind.METHOD_ADDED, about=flow.name, authenticators=(app,))
    request = replace(request.for_session(session), flow=counted.token_hash, epoch=flow.epoch, approved_by=flow.contact)
    return await apply_change(context, browser, request)


async def make_recovery_codes(
    context: AccountContext, browser: BrowserContext, session: Session, summary: str
) -> tuple[SubmitResult, RecoveryCodes]:
    """Make ten new recovery codes, which end the previous ones. Show them only if the change was applied."""
    codes = tuple(_code(context) for _ in range(RECOVERY_CODES_PER_SET))
    now = context.now()
    made: list[Authenticator] = []
    for code in codes:
        id_ = context.id("fac")
        made.append(
            Authenticator(
                account=session.account,
                id=id_,
                kind=AuthenticatorKind.RECOVERY_CODE,
                added_at=now,
                mark=recovery_code_hash(context, code),
                secret=b"",
                name=b"",
            )
        )
    request = ChangeRequest(ChangeKind.RECOVERY_CODES_MADE, summary=summary, authenticators=tuple(made))
    return await submit_change(context, browser, session, request), RecoveryCodes(codes)


def _code(context: AccountContext) -> str:
    number = int.from_bytes(context.random_bytes(CODE_BYTES))
    symbols = "".join(identifier.ALPHABET[(number >> shift) & 31] for shift in range(0, CODE_BYTES * 8, 5))
    return "-".join(symbols[start : start + _GROUP] for start in range(0, len(symbols), _GROUP))


def authenticator_name(name: str, otherwise: str = "Authenticator") -> str:
    """Return the name of an authenticator as it is stored; `otherwise` if none was entered."""
    return read_label(name, MAX_NAME) or otherwise
