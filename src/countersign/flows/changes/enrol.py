"""Enrol: an authenticator app is set up and shown to work before it counts, and recovery codes are made and shown once."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from countersign.domain.accounts.authenticator import MAX_NAME, Factor, FactorKind
from countersign.domain.accounts.change import ChangeKind, ChangeRefusal, judge
from countersign.domain.accounts.login_flow import LASTS, Visit, VisitKind
from countersign.domain.accounts.session import Need, Session, meets
from countersign.domain.shared import identifier
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.context import Browser, Gate, Gone, ToVerify
from countersign.flows.accounts.sessions import use_up
from countersign.flows.accounts.snapshot import held
from countersign.flows.changes.apply import Applied, Applying, apply
from countersign.flows.changes.request import Wanted, need_of
from countersign.flows.changes.submit import Changed, change
from countersign.flows.sign_in.authenticator import GUESSES, Mistaken, mark_of
from countersign.totp import SECRET_BYTES, STEP, step_of

HOW_MANY: Final = 10
"""Recovery codes of one set (semantics R4)."""
CODE_BYTES: Final = 10
"""80 bits of chance in each, shown as 16 symbols."""
_GROUP: Final = 4

Begun: TypeAlias = ToVerify | Need | ChangeRefusal
Enrolled: TypeAlias = Applied | Mistaken | ChangeRefusal | Gone


class Draft(msgspec.Struct, frozen=True):
    """An app that is being set up: its name and its secret."""

    name: str
    secret: bytes

    def __repr__(self) -> str:
        """Hide the secret."""
        return "Draft(hidden)"


class Codes(msgspec.Struct, frozen=True):
    """Recovery codes as they are shown, once."""

    codes: tuple[str, ...]

    def __repr__(self) -> str:
        """Hide them."""
        return "Codes(hidden)"


async def begin_app(gate: Gate, browser: Browser, session: Session, name: str, summary: str) -> Begun:
    """Make a secret for an app, once the person has approved it; nothing counts before the app has shown a right code."""
    holdings = await gate.database.read(held, session.account)
    if holdings is None:
        return ChangeRefusal.UNKNOWN
    wanted = Wanted(ChangeKind.METHOD_ADDED, about=named(name), summary=summary)
    if refusal := judge(wanted.kind, "", b"", holdings, gate.now()):
        return refusal
    need = need_of(gate, wanted, holdings)
    if not meets(session, need, gate.now()) or not await use_up(gate, session, need):
        return need
    secret = gate.house.chance(SECRET_BYTES)
    now, device = gate.now(), browser.device or gate.secret()
    visit = Visit(
        kind=VisitKind.ENROL,
        begun_at=now,
        expires_at=now + LASTS,
        device=gate.mark(device).hex(),
        account=session.account,
        name=named(name),
        session=session.id,
        sealed=secret.hex(),
    )
    return ToVerify(await login_flow.keep(gate, visit), device)


async def draft_app(gate: Gate, browser: Browser, session: Session) -> Draft | None:
    """Return the app that this browser is setting up, or None."""
    kept = await login_flow.find(gate, browser)
    if kept is None or kept.visit.kind is not VisitKind.ENROL or kept.visit.session != session.id:
        return None
    return Draft(kept.visit.name, bytes.fromhex(kept.visit.sealed))


async def finish_app(gate: Gate, browser: Browser, session: Session, typed: str) -> Enrolled:
    """Add the app if it shows the right code; that code is used up."""
    kept = await login_flow.find(gate, browser)
    if kept is None or kept.visit.kind is not VisitKind.ENROL or kept.visit.session != session.id:
        return Gone()
    visit, now = kept.visit, gate.now()
    if visit.guesses >= GUESSES * 2:
        return Gone()
    counted = await login_flow.move(gate, kept, msgspec.structs.replace(visit, guesses=visit.guesses + 1))
    if counted is None:
        return Gone()
    secret = bytes.fromhex(visit.sealed)
    step = step_of(secret, "".join(one for one in typed if one.isdecimal()), now, now // STEP - 2)
    if step is None:
        return Mistaken(GUESSES * 2 - counted.visit.guesses)
    id_ = gate.id("fac")
    factor = Factor(
        account=session.account,
        id=id_,
        kind=FactorKind.APP,
        added_at=now,
        mark=b"",
        secret=gate.keyring.seal(secret.hex(), id_),
        name=gate.keyring.seal(visit.name, id_),
        used=step,
    )
    wanted = Wanted(ChangeKind.METHOD_ADDED, about=visit.name, authenticators=(factor,))
    return await apply(gate, Applying(session.account, wanted, browser, session.id, counted.mark))


async def make_recovery_codes(gate: Gate, browser: Browser, session: Session, summary: str) -> tuple[Changed, Codes]:
    """Make ten new recovery codes, which end the ones before; they are to be shown only where the change was applied."""
    codes = tuple(_code(gate) for _ in range(HOW_MANY))
    now = gate.now()
    made: list[Factor] = []
    for code in codes:
        id_ = gate.id("fac")
        made.append(
            Factor(
                account=session.account,
                id=id_,
                kind=FactorKind.RECOVERY_CODE,
                added_at=now,
                mark=mark_of(gate, code),
                secret=b"",
                name=b"",
            )
        )
    wanted = Wanted(ChangeKind.RECOVERY_CODES_MADE, summary=summary, authenticators=tuple(made))
    return await change(gate, browser, session, wanted), Codes(codes)


def _code(gate: Gate) -> str:
    number = int.from_bytes(gate.house.chance(CODE_BYTES))
    symbols = "".join(identifier.ALPHABET[(number >> shift) & 31] for shift in range(0, CODE_BYTES * 8, 5))
    return "-".join(symbols[start : start + _GROUP] for start in range(0, len(symbols), _GROUP))


def named(name: str, otherwise: str = "Authenticator") -> str:
    """Return the name of a factor as it is kept; `otherwise` where none was given."""
    kept = "".join(one for one in name.strip()[:MAX_NAME] if one.isprintable())
    return kept or otherwise
