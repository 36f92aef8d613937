"""Visits: keep a flow that a browser has under way, and find it again by the browser's cookie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from countersign.domain.accounts.login_flow import LoginFlow
from countersign.flows.accounts.activity import insert_sent
from countersign.store.engine.database import Change, Write
from countersign.store.tables import login_flows

if TYPE_CHECKING:
    from countersign.flows.accounts.context import AccountContext, BrowserContext

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(LoginFlow).decode


class StoredFlow(msgspec.Struct, frozen=True):
    """A visit as it stands in the database."""

    mark: bytes
    sealed: bytes
    flow: LoginFlow


async def save_flow(context: AccountContext, flow: LoginFlow, sent_to: str = "") -> str:
    """Keep a visit that begins; return the secret for its cookie.

    `sent_to` is the mask of the contact that its code goes to: the account's person may read that it was really sent.
    """
    secret = context.secret()
    mark = context.mark(secret)
    sealed = _sealed(context, mark, flow)
    await context.database.run(login_flows.save, mark, sealed, flow.expires_at, _sent(context, flow, sent_to))
    return secret


async def record_sent(context: AccountContext, flow: LoginFlow, sent_to: str) -> None:
    """Write down for the account's person that a further code was sent."""
    await context.database.run(_say_sent, _sent(context, flow, sent_to))


async def _say_sent(rows: tuple[Change, ...]) -> None:
    await Write(rows, last=True)


def _sent(context: AccountContext, flow: LoginFlow, to: str) -> tuple[Change, ...]:
    """Return what writes down that a code was sent; where an account is recovered, as much where there is none (semantics R1)."""
    if not to:
        return ()
    return insert_sent(context, flow.account, context.now(), [(flow.challenge, to, flow.kind.purpose)])


async def find_flow(context: AccountContext, browser: BrowserContext) -> StoredFlow | None:
    """Return the visit that this browser has under way, or None; with another browser's secret it is worth nothing (semantics C4)."""
    if not browser.flow:
        return None
    mark = context.mark(browser.flow)
    sealed = await context.database.read(login_flows.find, mark, context.now())
    if sealed is None:
        return None
    flow = _decode(context.keyring.unseal(sealed, mark.hex()))
    if not flow.interrupted.path:
        flow = replace(flow, interrupted=replace(flow.interrupted, path=context.links.account))
    return StoredFlow(mark, sealed, flow) if flow.device_token_hash == context.mark(browser.device).hex() else None


async def update_flow(context: AccountContext, stored: StoredFlow, flow: LoginFlow) -> StoredFlow | None:
    """Move a visit on, and return it as it is now; None if another request of the same browser was quicker."""
    sealed = _sealed(context, stored.mark, flow)
    moved = await context.database.run(login_flows.replace, stored.mark, stored.sealed, sealed)
    return StoredFlow(stored.mark, sealed, flow) if moved else None


def _sealed(context: AccountContext, mark: bytes, flow: LoginFlow) -> bytes:
    return context.keyring.seal(_encode(flow).decode(), mark.hex())
