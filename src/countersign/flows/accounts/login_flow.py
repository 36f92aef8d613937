"""Visits: keep a flow that a browser has under way, and find it again by the browser's cookie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.accounts.login_flow import Visit
from countersign.domain.shared.activity import Activity
from countersign.domain.shared.event import EventKind
from countersign.store.engine.database import Change, Write
from countersign.store.tables import activity, login_flows

if TYPE_CHECKING:
    from countersign.flows.accounts.context import Browser, Gate

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Visit).decode


class Kept(msgspec.Struct, frozen=True):
    """A visit as it stands in the database."""

    mark: bytes
    sealed: bytes
    visit: Visit


async def keep(gate: Gate, visit: Visit, sent_to: str = "") -> str:
    """Keep a visit that begins; return the secret for its cookie.

    `sent_to` is the mask of the contact that its code goes to: the account's person may read that it was really sent.
    """
    secret = gate.secret()
    mark = gate.mark(secret)
    sealed = _sealed(gate, mark, visit)
    await gate.database.run(login_flows.save, mark, sealed, visit.expires_at, _sent(gate, visit, sent_to))
    return secret


async def say_sent(gate: Gate, visit: Visit, sent_to: str) -> None:
    """Write down for the account's person that a further code was sent."""
    await gate.database.run(_say_sent, _sent(gate, visit, sent_to))


async def _say_sent(rows: tuple[Change, ...]) -> None:
    await Write(rows, last=True)


def _sent(gate: Gate, visit: Visit, to: str) -> tuple[Change, ...]:
    """Return what writes down that a code was sent; where an account is recovered, as much where there is none (semantics R1)."""
    if not to:
        return ()
    facts = {"message": visit.challenge, "about": to, "what": visit.kind.purpose}
    return activity.added([Activity(visit.account, gate.id("act"), gate.now(), EventKind.MESSAGE_SENT, facts)])


async def find(gate: Gate, browser: Browser) -> Kept | None:
    """Return the visit that this browser has under way, or None; with another browser's secret it is worth nothing (semantics C4)."""
    if not browser.visit:
        return None
    mark = gate.mark(browser.visit)
    sealed = await gate.database.read(login_flows.find, mark, gate.now())
    if sealed is None:
        return None
    visit = _decode(gate.keyring.unseal(sealed, mark.hex()))
    return Kept(mark, sealed, visit) if visit.device == gate.mark(browser.device).hex() else None


async def move(gate: Gate, kept: Kept, visit: Visit) -> Kept | None:
    """Move a visit on, and return it as it is now; None if another request of the same browser was quicker."""
    sealed = _sealed(gate, kept.mark, visit)
    moved = await gate.database.run(login_flows.move, kept.mark, kept.sealed, sealed)
    return Kept(kept.mark, sealed, visit) if moved else None


def _sealed(gate: Gate, mark: bytes, visit: Visit) -> bytes:
    return gate.keyring.seal(_encode(visit).decode(), mark.hex())
