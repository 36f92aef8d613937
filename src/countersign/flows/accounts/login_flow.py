"""Store the login flow of a browser, sealed, and find it by the secret of the browser's cookie."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from countersign.domain.accounts.login_flow import LoginFlow, LoginFlowKind
from countersign.domain.delivery.notice import NoticeKind
from countersign.flows.accounts.activity import Sending, insert_sent
from countersign.store.engine.database import Change, Write
from countersign.store.tables import accounts, login_flows, single_use

if TYPE_CHECKING:
    from countersign.domain.shared.contact import Contact
    from countersign.flows.accounts.context import AccountContext, BrowserContext

_PRESS_WINDOW: Final = 10_000
"""Milliseconds."""

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(LoginFlow).decode


class StoredFlow(msgspec.Struct, frozen=True):
    """A flow as it is stored: the hash of its secret, its sealed content, and the flow itself."""

    token_hash: bytes
    sealed: bytes
    flow: LoginFlow


async def save_flow(context: AccountContext, flow: LoginFlow, sent_to: Contact | None = None) -> str:
    """Store a flow that begins; return the secret for its cookie.

    `sent_to` is the contact to which its code is sent: its owner is shown that the message is genuine.
    """
    secret = context.secret()
    token_hash = context.token_hash(secret)
    sealed = _sealed(context, token_hash, flow)
    await context.database.run(_save, context, token_hash, sealed, flow, sent_to)
    return secret


async def record_sent(context: AccountContext, flow: LoginFlow, sent_to: Contact) -> None:
    """Record, for the user to read, that a further code was sent to the contact `sent_to`."""
    await context.database.run(_record_sent, context, flow, sent_to)


async def _save(
    context: AccountContext, token_hash: bytes, sealed: bytes, flow: LoginFlow, sent_to: Contact | None
) -> None:
    sent = await _sent(context, flow, sent_to) if sent_to is not None else ()
    await login_flows.save(token_hash, sealed, flow.expires_at, sent)


async def _record_sent(context: AccountContext, flow: LoginFlow, sent_to: Contact) -> None:
    await Write(await _sent(context, flow, sent_to), last=True)


async def _sent(context: AccountContext, flow: LoginFlow, to: Contact) -> tuple[Change, ...]:
    """Return the rows that record a sent code, for the account that it serves and for the one that the contact signs in to.

    Nobody owns a code yet that goes to a contact without an account: the account of whoever proves the contact takes it over. As much is
    read and written in every case (semantics R1).
    """
    recipient = context.blind_index(to)
    signs_in_to = await accounts.find_id_by_identifier(recipient)
    match flow.kind:
        case LoginFlowKind.SIGN_UP | LoginFlowKind.DELAYED_RECOVERY:
            owners = [signs_in_to]
        case LoginFlowKind.BIND_CONTACT:
            owners = [flow.account, signs_in_to]
        case _:
            owners = [flow.account or signs_in_to]
    what = flow.decoy_notice or (NoticeKind.SIGN_UP_KNOWN.value if flow.account_exists else flow.kind.purpose)
    sending = Sending(flow.challenge, what, to.masked, recipient)
    return tuple(row for owner in owners for row in insert_sent(context, owner, context.now(), [sending]))


async def find_flow(context: AccountContext, browser: BrowserContext) -> StoredFlow | None:
    """Return the flow that this browser has under way, or None. Another browser cannot continue it (semantics C4)."""
    if not browser.flow:
        return None
    token_hash = context.token_hash(browser.flow)
    sealed = await context.database.read(login_flows.find, token_hash, context.now())
    if sealed is None:
        return None
    flow = _decode(context.keyring.unseal(sealed, token_hash.hex()))
    if not flow.interrupted.path:
        flow = replace(flow, interrupted=replace(flow.interrupted, path=context.links.account))
    device = context.keyring.renew(bytes.fromhex(flow.device_token_hash))
    return StoredFlow(token_hash, sealed, flow) if device == context.token_hash(browser.device) else None


def flow_mark(context: AccountContext, browser: BrowserContext) -> str:
    """Return the mark that the forms of this browser's flow carry; empty if it has no flow.

    It tells the flows of a browser apart, and is no secret: the secret of the flow cannot be found from it.
    """
    return context.keyring.blind_index("flow mark", browser.flow).hex() if browser.flow else ""


def is_other_flow(context: AccountContext, browser: BrowserContext, mark: str | None) -> bool:
    """Return True if `mark`, as a form brought it, is not that of this browser's flow (semantics P6).

    None means that the form brought none. Then the cookie alone says which flow is meant: only a program sends such a form.
    """
    if mark is None or not browser.flow:
        return False
    return not hmac.compare_digest(mark.encode("utf-8", "surrogatepass"), flow_mark(context, browser).encode())


async def is_first_press(context: AccountContext, browser: BrowserContext, pressed: str) -> bool:
    """Return True to the first of the presses that send one form twice (semantics J4).

    `pressed` is what the form does, with its fields and what it has shown of the flow: a form that was drawn anew differs. A press of
    before is forgotten within twenty seconds, so that nobody whose request failed has to wait for long.
    """
    if not browser.flow:
        return True
    window = context.now() // _PRESS_WINDOW
    keys = [context.keyring.blind_index("press", browser.flow, pressed, str(one)) for one in (window, window + 1)]
    return await context.database.run(_take_presses, keys, context.now() + 2 * _PRESS_WINDOW)


async def _take_presses(keys: list[bytes], expires_at: int) -> bool:
    taken = [await single_use.take(key, expires_at) for key in keys]
    return taken[0]


def challenge_key(context: AccountContext, flow: LoginFlow) -> bytes:
    """Return the key under which the code of a flow is used up.

    Two flows of one browser may share a challenge, because a repeated request continues it. Its code proves one of them, once.
    """
    return context.keyring.blind_index("challenge of a step-up", flow.challenge)


async def update_flow(context: AccountContext, stored: StoredFlow, flow: LoginFlow) -> StoredFlow | None:
    """Replace a flow, and return it as it is now; None if another request of the same browser was faster."""
    sealed = _sealed(context, stored.token_hash, flow)
    moved = await context.database.run(login_flows.replace, stored.token_hash, stored.sealed, sealed)
    return StoredFlow(stored.token_hash, sealed, flow) if moved else None


def _sealed(context: AccountContext, token_hash: bytes, flow: LoginFlow) -> bytes:
    return context.keyring.seal(_encode(flow).decode(), token_hash.hex())
