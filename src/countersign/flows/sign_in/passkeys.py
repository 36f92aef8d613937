"""Passkeys: one is enrolled, signs a person in by itself, or proves a flow that is under way."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from countersign import webauthn
from countersign.domain.accounts.account import Account
from countersign.domain.accounts.authenticator import Factor, FactorKind
from countersign.domain.accounts.change import ChangeKind, ChangeRefusal, judge
from countersign.domain.accounts.login_flow import LASTS, Interrupted, Visit, VisitKind
from countersign.domain.accounts.session import Method, Need, Proven, Session, meets
from countersign.domain.shared.contact import network_of
from countersign.domain.verifications.challenge import Refusal
from countersign.domain.verifications.rate_limit import Limit
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.context import Browser, Entered, Gate, Gone, ToVerify, Wrong
from countersign.flows.accounts.request_code import methods_of
from countersign.flows.accounts.sessions import use_up
from countersign.flows.accounts.snapshot import held
from countersign.flows.changes.apply import Applied, Applying, apply
from countersign.flows.changes.enrol import named
from countersign.flows.changes.request import Wanted, need_of
from countersign.flows.sign_in.complete import Finished, finish
from countersign.flows.sign_in.start_session import enter
from countersign.flows.verifications.results import Refused
from countersign.store.tables import accounts, authenticators, rate_limits
from countersign.store.tables import login_flows as rows_of
from countersign.webauthn import CHALLENGE_BYTES, RelyingParty, asserted, registered

BY_NETWORK: Final = Limit("sign_in_passkey", 60, 10 * 60_000)
"""Passkeys that one network may try."""

Enrolled: TypeAlias = Applied | ChangeRefusal | Wrong | Gone


class Kept(msgspec.Struct, frozen=True):
    """What is kept of a passkey, sealed."""

    public_key: bytes
    synced: bool


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Kept).decode


def party_of(gate: Gate) -> RelyingParty:
    """Return us, as authenticators know us."""
    return webauthn.relying_party(gate.house.rules.issuer, gate.own.site)


async def begin_enrolment(
    gate: Gate, browser: Browser, session: Session, name: str, summary: str
) -> ToVerify | Need | ChangeRefusal:
    """Have the person approve a new passkey, then let this session's browser make it."""
    holdings = await gate.database.read(held, session.account)
    if holdings is None:
        return ChangeRefusal.UNKNOWN
    wanted = Wanted(ChangeKind.METHOD_ADDED, about=named(name, "Passkey"), summary=summary)
    if refusal := judge(wanted.kind, "", b"", holdings, gate.now()):
        return refusal
    need = need_of(gate, wanted, holdings)
    if not meets(session, need, gate.now()) or not await use_up(gate, session, need):
        return need
    now, device = gate.now(), browser.device or gate.secret()
    visit = Visit(
        kind=VisitKind.ENROL_PASSKEY,
        begun_at=now,
        expires_at=now + LASTS,
        device=gate.mark(device).hex(),
        account=session.account,
        name=wanted.about,
        session=session.id,
        sealed=gate.house.chance(CHALLENGE_BYTES).hex(),
    )
    return ToVerify(await login_flow.keep(gate, visit), device)


async def enrolment_options(gate: Gate, browser: Browser, session: Session) -> str | None:
    """Return what the browser needs to make the passkey, as JSON; None if none is being enrolled here."""
    kept = await login_flow.find(gate, browser)
    if kept is None or kept.visit.kind is not VisitKind.ENROL_PASSKEY or kept.visit.session != session.id:
        return None
    holdings = await gate.database.read(held, session.account)
    if holdings is None:
        return None
    shown = next((one.masked for one in holdings.contacts if one.primary), "")
    known = [one.mark for one in holdings.authenticators if one.kind is FactorKind.PASSKEY]
    return webauthn.creation(party_of(gate), bytes.fromhex(kept.visit.sealed), session.account, shown, known)


async def finish_enrolment(gate: Gate, browser: Browser, session: Session, answer: str) -> Enrolled:
    """Add the passkey that the browser made; each challenge is answered once."""
    kept = await login_flow.find(gate, browser)
    if kept is None or kept.visit.kind is not VisitKind.ENROL_PASSKEY or kept.visit.session != session.id:
        return Gone()
    made = registered(party_of(gate), answer, bytes.fromhex(kept.visit.sealed))
    if made is None or await gate.database.read(authenticators.marked, made.id) is not None:
        return Wrong()
    id_ = gate.id("fac")
    factor = Factor(
        account=session.account,
        id=id_,
        kind=FactorKind.PASSKEY,
        added_at=gate.now(),
        mark=made.id,
        secret=gate.keyring.seal(_encode(Kept(made.public_key, made.synced)).decode(), id_),
        name=gate.keyring.seal(kept.visit.name, id_),
        used=made.count,
    )
    wanted = Wanted(ChangeKind.METHOD_ADDED, about=kept.visit.name, authenticators=(factor,))
    return await apply(gate, Applying(session.account, wanted, browser, session.id, kept.mark))


async def begin_sign_in(gate: Gate, browser: Browser, then: Interrupted) -> tuple[ToVerify, str]:
    """Let a browser sign in with whichever passkey of ours the person chooses; return what it needs, as JSON."""
    now, device = gate.now(), browser.device or gate.secret()
    challenge = gate.house.chance(CHALLENGE_BYTES)
    visit = Visit(
        kind=VisitKind.PASSKEY,
        begun_at=now,
        expires_at=now + LASTS,
        device=gate.mark(device).hex(),
        then=then,
        requester=browser.requester(),
        place=gate.place(browser.ip),
        sealed=challenge.hex(),
    )
    options = webauthn.request(party_of(gate), challenge, ())
    return ToVerify(await login_flow.keep(gate, visit), device), options


async def sign_in_by_passkey(gate: Gate, browser: Browser, answer: str) -> Entered | Wrong | Refused:
    """Let a person in by a passkey alone: it is two factors by itself (semantics U4). Whatever is wrong is told alike."""
    if browser.ip:
        budget = [(BY_NETWORK, gate.keyring.blind("passkey from", network_of(browser.ip)))]
        (room,) = await gate.database.run(rate_limits.spend, budget, gate.now())
        if not room.allowed:
            return Refused(Refusal.LIMITED, retry_after=room.retry_after, limit=BY_NETWORK.name, at=gate.now())
        if set(gate.places.listed(browser.ip)) & set(gate.risk.deny_lists):
            return Wrong()
    kept = await login_flow.find(gate, browser)
    if kept is None or kept.visit.kind is not VisitKind.PASSKEY or not await gate.database.run(rows_of.take, kept.mark):
        return Wrong()
    factor, account = await gate.database.read(_whose, webauthn.id_of(answer))
    if factor is None or account is None or not account.open:
        return Wrong()
    method = await _used(gate, factor, answer, bytes.fromhex(kept.visit.sealed))
    if method is None:
        return Wrong()
    proofs = (Proven(method, gate.now()),)
    entered = await enter(gate, browser, account.id, proofs, browser.device, then=kept.visit.then)
    return entered if isinstance(entered, Entered) else Wrong()


async def _whose(mark: bytes) -> tuple[Factor | None, Account | None]:
    factor = await authenticators.marked(mark)
    if factor is None or factor.kind is not FactorKind.PASSKEY or not mark:
        return None, None
    return factor, (await accounts.find(factor.account))


async def begin_proof(gate: Gate, browser: Browser) -> str | None:
    """Return what the browser needs to prove its flow by a passkey of the account, as JSON; None if that is not open to it."""
    kept = await login_flow.find(gate, browser)
    if kept is None:
        return None
    holdings = await gate.database.read(held, kept.visit.account)
    if holdings is None or FactorKind.PASSKEY not in methods_of(holdings, kept.visit):
        return None
    challenge = gate.house.chance(CHALLENGE_BYTES)
    if await login_flow.move(gate, kept, msgspec.structs.replace(kept.visit, sealed=challenge.hex())) is None:
        return None
    allowed = [one.mark for one in holdings.authenticators if one.kind is FactorKind.PASSKEY]
    return webauthn.request(party_of(gate), challenge, allowed)


async def prove_by_passkey(gate: Gate, browser: Browser, answer: str, *, remember: bool) -> Finished | Wrong:
    """Prove a flow by a passkey of its own account; each challenge is answered once, right or wrong."""
    kept = await login_flow.find(gate, browser)
    if kept is None:
        return Gone()
    visit = kept.visit
    holdings = await gate.database.read(held, visit.account)
    if not visit.sealed or holdings is None or FactorKind.PASSKEY not in methods_of(holdings, visit):
        return Gone()
    spent = await login_flow.move(gate, kept, msgspec.structs.replace(visit, sealed=""))
    if spent is None:
        return Gone()
    mark = webauthn.id_of(answer)
    own = (one for one in holdings.authenticators if one.kind is FactorKind.PASSKEY)
    factor = next((one for one in own if one.mark == mark), None)
    method = await _used(gate, factor, answer, bytes.fromhex(visit.sealed)) if factor is not None else None
    if method is None:
        return Wrong()
    return await finish(gate, browser, spent, Proven(method, gate.now()), remember=remember)


async def _used(gate: Gate, factor: Factor, answer: str, challenge: bytes) -> Method | None:
    """Return how strong an answer is, and write down its counter: one that does not go up is a copy's. None if it is wrong."""
    kept = _decode(gate.keyring.unseal(factor.secret, factor.id))
    count = asserted(party_of(gate), answer, challenge, kept.public_key, factor.used)
    if count is None:
        return None
    if count:
        used = await gate.database.run(authenticators.use, factor.account, factor.id, count, gate.now())
    else:
        used = await gate.database.run(authenticators.touch, factor.account, factor.id, gate.now())
    if not used:
        return None
    return Method.PASSKEY if kept.synced else Method.SECURITY_KEY
