"""Finish: what a flow was for happens, once, when its proof was given: by a code, an app, a passkey or a recovery code."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from countersign.domain.accounts.account import Account, OwnedContact
from countersign.domain.accounts.change import ChangeRefusal
from countersign.domain.accounts.device import Device
from countersign.domain.accounts.login_flow import Visit, VisitKind
from countersign.domain.accounts.session import Method, Proven, raised
from countersign.domain.shared.contact import Contact, parse
from countersign.domain.shared.event import Event, EventKind
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.activity_log import record
from countersign.flows.accounts.context import Browser, Entered, Gate, Gone, Known
from countersign.flows.accounts.login_flow import Kept as KeptVisit
from countersign.flows.changes.apply import Applied, Applying, apply
from countersign.flows.changes.delayed_recovery import Waiting, claim
from countersign.flows.changes.request import Kept, Wanted
from countersign.flows.sign_in.start_session import enter
from countersign.store.engine.database import ConflictError, Write
from countersign.store.tables import accounts, changes, devices, sessions
from countersign.store.tables import login_flows as rows_of

_kept: Final = msgspec.json.Decoder(Kept).decode


class Recoverable(msgspec.Struct, frozen=True):
    """Whose account it is was proved: a new password may be chosen."""


Finished: TypeAlias = Entered | Known | Gone | Applied | ChangeRefusal | Recoverable | Waiting
"""What comes of a flow whose proof was given."""


async def finish(gate: Gate, browser: Browser, kept: KeptVisit, proof: Proven, *, remember: bool) -> Finished:
    """Go on with what the proof was asked for.

    A flow that began before the password was changed or the account was locked is over (semantics A5).
    """
    visit = kept.visit
    if visit.account and visit.kind is not VisitKind.RECOVER and not await _still(gate, visit):
        return Gone()
    match visit.kind:
        case VisitKind.SIGN_UP:
            return await _sign_up(gate, browser, kept, proof, remember=remember)
        case VisitKind.SIGN_IN:
            proofs = (Proven(Method.PASSWORD, visit.begun_at), proof)
            return await enter(
                gate,
                browser,
                visit.account,
                proofs,
                browser.device,
                then=visit.then,
                visit=kept,
                remember=remember,
                contact=visit.contact,
            )
        case VisitKind.STEP_UP:
            return await _step_up(gate, browser, kept, proof, remember=remember)
        case VisitKind.BIND:
            return await _bind(gate, browser, kept)
        case VisitKind.RECOVER:
            moved = await login_flow.move(gate, kept, msgspec.structs.replace(visit, proved=proof))
            return Recoverable() if moved else Gone()
        case VisitKind.CLAIM:
            return await claim(gate, browser, kept)
        case VisitKind.ENROL | VisitKind.ENROL_PASSKEY | VisitKind.PASSKEY:
            return Gone()


async def _still(gate: Gate, visit: Visit) -> bool:
    account = await gate.database.read(accounts.find, visit.account)
    return account is not None and account.open and account.password_at <= visit.begun_at


async def _bind(gate: Gate, browser: Browser, kept: KeptVisit) -> Finished:
    """Carry out the change that waited for its new contact's code."""
    visit = kept.visit
    pending = await gate.database.read(changes.find, visit.account, visit.change)
    if pending is None:
        return Gone()
    waiting = _kept(gate.keyring.unseal(pending.data, pending.id))
    wanted = Wanted(pending.kind, waiting.which, pending.about, contact=parse(waiting.to))
    applying = Applying(visit.account, wanted, browser, pending.session, kept.mark, pending.id)
    return await apply(gate, applying)


async def _sign_up(gate: Gate, browser: Browser, kept: KeptVisit, proof: Proven, *, remember: bool) -> Finished:
    """Make the account, now that its contact is proved, and let the person in."""
    visit, now = kept.visit, gate.now()
    contact = parse(visit.to)
    account_id, contact_id = gate.id("acc"), gate.id("con")
    account = Account(
        id=account_id,
        created_at=now,
        name=gate.keyring.seal(visit.name, account_id),
        locale=visit.locale,
        password=gate.keyring.seal(visit.password, account_id),
        password_at=now,
    )
    owned = _owned(gate, account_id, contact_id, contact, now)
    proofs = (Proven(Method.PASSWORD, now), proof)
    try:
        return await enter(
            gate,
            browser,
            account_id,
            proofs,
            browser.device,
            then=visit.then,
            visit=kept,
            remember=remember,
            new=accounts.added(account, owned),
        )
    except ConflictError:
        # Somebody who holds the same contact made an account while this code was on its way; they have just shown that they hold it.
        await gate.database.run(rows_of.take, kept.mark)
        return Known()


def _owned(gate: Gate, account_id: str, contact_id: str, contact: Contact, now: int) -> OwnedContact:
    return OwnedContact(
        account=account_id,
        id=contact_id,
        added_at=now,
        kind=contact.kind,
        blind=gate.blind(contact),
        address=gate.keyring.seal(contact.address, contact_id),
        masked=contact.masked,
        proved_at=now,
        primary=True,
    )


async def _step_up(gate: Gate, browser: Browser, kept: KeptVisit, proof: Proven, *, remember: bool) -> Finished:
    """Raise the session that asked, under a new secret; another one of this browser is not raised (semantics S8)."""
    visit = kept.visit
    proof = msgspec.structs.replace(proof, action=visit.need.digest)
    secret = gate.secret()
    raise_ = Raise(
        kept, gate.mark(browser.session), gate.mark(secret), proof, remember and gate.entrance.trusts, browser
    )
    done = await gate.log.run(gate.database, _raise, gate, raise_)
    return Entered(secret, browser.device, visit.account, visit.then) if done else Gone()


class Raise(msgspec.Struct, frozen=True):
    """All that raising a session writes."""

    kept: KeptVisit
    mark: bytes
    new_mark: bytes
    proof: Proven
    remember: bool
    browser: Browser


async def _raise(gate: Gate, asked: Raise) -> bool:
    now, visit, mark = gate.now(), asked.kept.visit, asked.mark
    session = await sessions.find(mark, now)
    if session is None or session.id != visit.session or not (await rows_of.take(asked.kept.mark)):
        return False
    if not (await sessions.end(mark)):
        return False
    told = [
        Event(
            now,
            EventKind.SESSION_RAISED,
            gate.own.id,
            visit.account,
            {"session": session.id, "method": asked.proof.method.value},
        )
    ]
    device: Device | None = None
    if asked.remember:
        device = await devices.find(visit.account, session.device)
        if device is not None:
            device = msgspec.structs.replace(device, trusted_at=now)
            told.append(Event(now, EventKind.DEVICE_TRUSTED, gate.own.id, visit.account, {"device": device.id}))
    recorded = await record(gate, told, asked.browser, gate.place(asked.browser.ip))
    trusted = (devices.changed(device),) if device is not None else ()
    await Write((sessions.added(raised(session, asked.new_mark, asked.proof)), *trusted, *recorded), last=True)
    return True
