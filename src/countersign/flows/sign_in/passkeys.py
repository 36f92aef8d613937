"""Passkeys: one is enrolled, signs a person in by itself, or proves a flow that is under way."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from countersign import webauthn
from countersign.domain.accounts.account import Account
from countersign.domain.accounts.authenticator import Authenticator, AuthenticatorKind
from countersign.domain.accounts.change import ChangeKind, ChangeRefusal, check_change
from countersign.domain.accounts.login_flow import LASTS, InterruptedRequest, LoginFlow, LoginFlowKind
from countersign.domain.accounts.session import Method, ProofRequirement, Session, SessionProof, meets
from countersign.domain.shared.contact import network_of
from countersign.domain.verifications.challenge import Refusal
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.context import (
    AccountContext,
    BrowserContext,
    CodeRequested,
    FlowNotFound,
    InvalidCredentials,
    SignedIn,
)
from countersign.flows.accounts.request_code import authenticators_for
from countersign.flows.accounts.sessions import use_approval
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.changes.apply import Applied, Applying, apply_change
from countersign.flows.changes.enrol import named
from countersign.flows.changes.request import ChangeRequest, requirement_of
from countersign.flows.sign_in.complete import CompletedFlow, complete_flow
from countersign.flows.sign_in.start_session import start_session
from countersign.flows.verifications.results import Refused
from countersign.store.tables import accounts, authenticators, rate_limits
from countersign.store.tables import login_flows as rows_of
from countersign.webauthn import CHALLENGE_BYTES, RelyingParty, asserted, registered

BY_NETWORK: Final = RateLimit("sign_in_passkey", 60, 10 * 60_000)
"""Passkeys that one network may try."""

Enrolled: TypeAlias = Applied | ChangeRefusal | InvalidCredentials | FlowNotFound


class StoredPasskey(msgspec.Struct, frozen=True):
    """What is kept of a passkey, sealed."""

    public_key: bytes
    synced: bool


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(StoredPasskey).decode


def party_of(context: AccountContext) -> RelyingParty:
    """Return us, as authenticators know us."""
    return webauthn.relying_party(context.links.issuer, context.own.site)


async def begin_enrolment(
    context: AccountContext, browser: BrowserContext, session: Session, name: str, summary: str
) -> CodeRequested | ProofRequirement | ChangeRefusal:
    """Have the person approve a new passkey, then let this session's browser make it."""
    holdings = await context.database.read(find_snapshot, session.account)
    if holdings is None:
        return ChangeRefusal.UNKNOWN
    wanted = ChangeRequest(ChangeKind.METHOD_ADDED, about=named(name, "Passkey"), summary=summary)
    if refusal := check_change(wanted.kind, "", b"", holdings, context.now()):
        return refusal
    need = requirement_of(context, wanted, holdings)
    if not meets(session, need, context.now()) or not await use_approval(context, session, need):
        return need
    now, device = context.now(), browser.device or context.secret()
    flow = LoginFlow(
        kind=LoginFlowKind.ENROL_PASSKEY,
        begun_at=now,
        expires_at=now + LASTS,
        device=context.mark(device).hex(),
        account=session.account,
        name=wanted.about,
        session=session.id,
        sealed=context.random_bytes(CHALLENGE_BYTES).hex(),
    )
    return CodeRequested(await login_flow.save_flow(context, flow), device)


async def enrolment_options(context: AccountContext, browser: BrowserContext, session: Session) -> str | None:
    """Return what the browser needs to make the passkey, as JSON; None if none is being enrolled here."""
    stored = await login_flow.find_flow(context, browser)
    if stored is None or stored.flow.kind is not LoginFlowKind.ENROL_PASSKEY or stored.flow.session != session.id:
        return None
    holdings = await context.database.read(find_snapshot, session.account)
    if holdings is None:
        return None
    shown = next((one.masked for one in holdings.contacts if one.primary), "")
    known = [one.mark for one in holdings.authenticators if one.kind is AuthenticatorKind.PASSKEY]
    return webauthn.creation(party_of(context), bytes.fromhex(stored.flow.sealed), session.account, shown, known)


async def finish_enrolment(context: AccountContext, browser: BrowserContext, session: Session, answer: str) -> Enrolled:
    """Add the passkey that the browser made; each challenge is answered once."""
    stored = await login_flow.find_flow(context, browser)
    if stored is None or stored.flow.kind is not LoginFlowKind.ENROL_PASSKEY or stored.flow.session != session.id:
        return FlowNotFound()
    made = registered(party_of(context), answer, bytes.fromhex(stored.flow.sealed))
    if made is None or await context.database.read(authenticators.marked, made.id) is not None:
        return InvalidCredentials()
    id_ = context.id("fac")
    factor = Authenticator(
        account=session.account,
        id=id_,
        kind=AuthenticatorKind.PASSKEY,
        added_at=context.now(),
        mark=made.id,
        secret=context.keyring.seal(_encode(StoredPasskey(made.public_key, made.synced)).decode(), id_),
        name=context.keyring.seal(stored.flow.name, id_),
        used=made.count,
    )
    wanted = ChangeRequest(ChangeKind.METHOD_ADDED, about=stored.flow.name, authenticators=(factor,))
    return await apply_change(context, Applying(session.account, wanted, browser, session.id, stored.mark))


async def begin_sign_in(
    context: AccountContext, browser: BrowserContext, then: InterruptedRequest
) -> tuple[CodeRequested, str]:
    """Let a browser sign in with whichever passkey of ours the person chooses; return what it needs, as JSON."""
    now, device = context.now(), browser.device or context.secret()
    challenge = context.random_bytes(CHALLENGE_BYTES)
    flow = LoginFlow(
        kind=LoginFlowKind.PASSKEY,
        begun_at=now,
        expires_at=now + LASTS,
        device=context.mark(device).hex(),
        then=then,
        requester=browser.requester(),
        place=context.place(browser.ip),
        sealed=challenge.hex(),
    )
    options = webauthn.request(party_of(context), challenge, ())
    return CodeRequested(await login_flow.save_flow(context, flow), device), options


async def sign_in_by_passkey(
    context: AccountContext, browser: BrowserContext, answer: str
) -> SignedIn | InvalidCredentials | Refused:
    """Let a person in by a passkey alone: it is two factors by itself (semantics U4). Whatever is wrong is told alike."""
    if browser.ip:
        budget = [(BY_NETWORK, context.keyring.blind_index("passkey from", network_of(browser.ip)))]
        (room,) = await context.database.run(rate_limits.spend, budget, context.now())
        if not room.allowed:
            return Refused(Refusal.LIMITED, retry_after=room.retry_after, limit=BY_NETWORK.name, at=context.now())
        if set(context.geolocation.listed(browser.ip)) & set(context.risk.deny_lists):
            return InvalidCredentials()
    stored = await login_flow.find_flow(context, browser)
    if (
        stored is None
        or stored.flow.kind is not LoginFlowKind.PASSKEY
        or not await context.database.run(rows_of.take, stored.mark)
    ):
        return InvalidCredentials()
    factor, account = await context.database.read(_whose, webauthn.id_of(answer))
    if factor is None or account is None or not account.open:
        return InvalidCredentials()
    method = await _used(context, factor, answer, bytes.fromhex(stored.flow.sealed))
    if method is None:
        return InvalidCredentials()
    proofs = (SessionProof(method, context.now()),)
    entered = await start_session(context, browser, account.id, proofs, browser.device, then=stored.flow.then)
    return entered if isinstance(entered, SignedIn) else InvalidCredentials()


async def _whose(mark: bytes) -> tuple[Authenticator | None, Account | None]:
    factor = await authenticators.marked(mark)
    if factor is None or factor.kind is not AuthenticatorKind.PASSKEY or not mark:
        return None, None
    return factor, (await accounts.find(factor.account))


async def begin_proof(context: AccountContext, browser: BrowserContext) -> str | None:
    """Return what the browser needs to prove its flow by a passkey of the account, as JSON; None if that is not open to it."""
    stored = await login_flow.find_flow(context, browser)
    if stored is None:
        return None
    holdings = await context.database.read(find_snapshot, stored.flow.account)
    if holdings is None or AuthenticatorKind.PASSKEY not in authenticators_for(holdings, stored.flow):
        return None
    challenge = context.random_bytes(CHALLENGE_BYTES)
    if (
        await login_flow.update_flow(context, stored, msgspec.structs.replace(stored.flow, sealed=challenge.hex()))
        is None
    ):
        return None
    allowed = [one.mark for one in holdings.authenticators if one.kind is AuthenticatorKind.PASSKEY]
    return webauthn.request(party_of(context), challenge, allowed)


async def prove_by_passkey(
    context: AccountContext, browser: BrowserContext, answer: str, *, remember: bool
) -> CompletedFlow | InvalidCredentials:
    """Prove a flow by a passkey of its own account; each challenge is answered once, right or wrong."""
    stored = await login_flow.find_flow(context, browser)
    if stored is None:
        return FlowNotFound()
    flow = stored.flow
    holdings = await context.database.read(find_snapshot, flow.account)
    if not flow.sealed or holdings is None or AuthenticatorKind.PASSKEY not in authenticators_for(holdings, flow):
        return FlowNotFound()
    spent = await login_flow.update_flow(context, stored, msgspec.structs.replace(flow, sealed=""))
    if spent is None:
        return FlowNotFound()
    mark = webauthn.id_of(answer)
    own = (one for one in holdings.authenticators if one.kind is AuthenticatorKind.PASSKEY)
    factor = next((one for one in own if one.mark == mark), None)
    method = await _used(context, factor, answer, bytes.fromhex(flow.sealed)) if factor is not None else None
    if method is None:
        return InvalidCredentials()
    return await complete_flow(context, browser, spent, SessionProof(method, context.now()), remember=remember)


async def _used(context: AccountContext, factor: Authenticator, answer: str, challenge: bytes) -> Method | None:
    """Return how strong an answer is, and write down its counter: one that does not go up is a copy's. None if it is wrong."""
    stored = _decode(context.keyring.unseal(factor.secret, factor.id))
    count = asserted(party_of(context), answer, challenge, stored.public_key, factor.used)
    if count is None:
        return None
    if count:
        used = await context.database.run(authenticators.use, factor.account, factor.id, count, context.now())
    else:
        used = await context.database.run(authenticators.touch, factor.account, factor.id, context.now())
    if not used:
        return None
    return Method.PASSKEY if stored.synced else Method.SECURITY_KEY
