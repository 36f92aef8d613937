"""Disown: somebody who was told of a sign-in says that it was not theirs, and everything that is signed in ends."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING

from countersign.domain.event import Event, EventKind
from countersign.domain.notice import Notice, NoticeKind
from countersign.flows.cancel import not_me_reference
from countersign.store import devices, notices, sessions
from countersign.store.database import Steps, Write
from countersign.store.events import Chain, Head

if TYPE_CHECKING:
    from countersign.flows.gate import Gate


async def find_notice(gate: Gate, reference: str) -> Notice | None:
    """Return the notice of a sign-in that a "this wasn't me" link names, for as long as the link is good. Changes nothing."""
    notice_id, _, given = reference.partition(".")
    expected = not_me_reference(gate.keyring, notice_id).partition(".")[2]
    try:
        same = hmac.compare_digest(base64.urlsafe_b64decode(given + "=="), base64.urlsafe_b64decode(expected + "=="))
    except (binascii.Error, ValueError):
        return None
    found = await gate.database.read(notices.find, notice_id) if same else None
    if found is None or found.kind is not NoticeKind.NEW_DEVICE or gate.now() >= found.expires_at:
        return None
    return found


async def disown_sign_in(gate: Gate, reference: str) -> bool:
    """End every session and all trust of the account, at the word of who holds one of its contacts (semantics S6); False for a bad link."""
    notice = await find_notice(gate, reference)
    if notice is None:
        return False
    await gate.log.run(gate.database, _end_everything, gate, notice.account)
    return True


def _end_everything(chain: Chain, gate: Gate, account: str) -> Steps[tuple[None, Head]]:
    now = gate.now()
    ended = yield from sessions.end_all(account)
    trusted = yield from devices.end_trust(account)
    told = [
        Event(now, EventKind.SIGN_IN_DISOWNED, gate.own.id, account, {"sessions": len(ended), "browsers": trusted}),
        *(Event(now, EventKind.SESSION_ENDED, gate.own.id, account, {"session": id_}) for id_ in ended),
    ]
    linked, head = chain.link(told)
    yield Write(linked, last=True)
    return None, head
