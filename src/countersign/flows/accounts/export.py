"""Export everything that is stored about the owner of an account, for the owner. It holds no secret."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from countersign.domain.accounts.change import ChangeRefusal
from countersign.domain.accounts.session import Level, ProofRequirement, Session, current_level, satisfies
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications.challenge import Action
from countersign.flows.accounts.activity import record_events
from countersign.flows.accounts.contact_names import opened
from countersign.flows.accounts.notify import owe_notices
from countersign.flows.accounts.sessions import use_approval
from countersign.flows.accounts.snapshot import find_history, find_snapshot, lock_snapshot
from countersign.store.engine.database import Write
from countersign.store.tables import (
    activity,
    changes,
    deliveries,
    devices,
    events,
    grants,
    integration_codes,
    notices,
    sessions,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countersign.domain.accounts.account import AccountSnapshot
    from countersign.domain.shared.activity import Activity
    from countersign.flows.accounts.context import AccountContext, BrowserContext

_KIND: Final = "data_exported"
"""The kind of act that an export is."""
_MAX_CHANGES: Final = 10_000


def export_requirement(session: Session, *, strong: bool, summary: str) -> ProofRequirement:
    """Return the proof that an export needs: one for this very act. `summary` says in the user's language what they approve."""
    digest = hashlib.sha256(f"{_KIND}\0{session.account}".encode()).hexdigest()
    level = Level.APP_CODE if strong else Level.MAIL_CODE
    return ProofRequirement(level, None, Action(summary, digest), kind=_KIND)


async def check_export(context: AccountContext, session: Session, summary: str) -> ProofRequirement | None:
    """Return the proof that is missing for an export, or None. Nothing is used up."""
    snapshot = await context.database.read(find_snapshot, session.account)
    requirement = export_requirement(session, strong=snapshot is not None and snapshot.strong, summary=summary)
    return None if satisfies(session, requirement, context.now()) else requirement


async def export_account(
    context: AccountContext, browser: BrowserContext, session: Session, summary: str
) -> bytes | ProofRequirement | ChangeRefusal:
    """Return everything that is stored about the owner of an account, as JSON, and tell every contact that it was downloaded.

    The proof for this act is used up. OUTDATED: the account was changed meanwhile, or the session has ended.
    """
    snapshot = await context.database.read(find_snapshot, session.account)
    if snapshot is None:
        return ChangeRefusal.UNKNOWN
    requirement = export_requirement(session, strong=snapshot.strong, summary=summary)
    if not satisfies(session, requirement, context.now()) or not await use_approval(context, session, requirement):
        return requirement
    found = await context.log.run(context.database, _export, context, browser, session)
    return found if isinstance(found, ChangeRefusal) else msgspec.json.format(msgspec.json.encode(found), indent=2)


async def _export(context: AccountContext, browser: BrowserContext, session: Session) -> dict[str, Any] | ChangeRefusal:
    snapshot, now = await lock_snapshot(session.account), context.now()
    if snapshot is None or not snapshot.account.open or snapshot.account.epoch != session.epoch:
        return ChangeRefusal.OUTDATED
    if await sessions.find_by_id(session.account, session.id, now) is None:
        return ChangeRefusal.OUTDATED
    exported = await _gather(context, await find_history(snapshot.account), now)
    place = context.place(browser.ip)
    event = Event(now, EventKind.ACCOUNT_EXPORTED, context.own.id, session.account)
    told = await owe_notices(
        context,
        snapshot.account,
        snapshot.contacts,
        NoticeKind.DATA_EXPORTED,
        browser=browser,
        place=place,
        now=now,
    )
    shown = await record_events(context, [event], browser, place)
    await Write((*told, *shown), last=True)
    return exported


async def _gather(context: AccountContext, history: AccountSnapshot, now: int) -> dict[str, Any]:
    account, unseal = history.account, context.keyring.unseal
    happened = await activity.list_all(account.id)
    return {
        "site": context.own.site,
        "exported_at": _at(now),
        "account": {
            "id": account.id,
            "created_at": _at(account.created_at),
            "name": unseal(account.name, account.id),
            "language": account.locale,
            "time_zone": account.timezone,
            "password_set_at": _at(account.password_at),
            "contacts_confirmed_at": _at(account.checked_at),
            "deletion_asked_at": _at(account.deletion.asked_at if account.deletion_at else 0),
            "deletion_due_at": _at(account.deletion_at),
        },
        "contacts": [
            {
                "id": one.id,
                "kind": one.kind.value,
                "address": opened(context, one).address,
                "primary": one.primary,
                "added_at": _at(one.added_at),
                "proved_at": _at(one.proved_at),
                "removed_at": _at(one.ended_at),
            }
            for one in history.contacts
        ],
        "ways_to_confirm": [
            {
                "id": one.id,
                "kind": one.kind.value,
                "name": unseal(one.name, one.id) if one.name else "",
                "added_at": _at(one.added_at),
                "last_used_at": _at(one.last_used_at),
                "ended_at": _at(one.ended_at),
            }
            for one in history.authenticators
        ],
        "integration_codes": [
            {
                "id": one.id,
                "name": unseal(one.name, one.id),
                "scopes": list(one.scopes),
                "made_at": _at(one.created_at),
                "expires_at": _at(one.expires_at),
                "last_used_at": _at(one.last_used_at),
                "last_used_from": one.last_used_from,
            }
            for one in await integration_codes.list_active(account.id, now)
        ],
        "sessions": [
            {
                "id": one.id,
                "user_agent": one.user_agent,
                "ip": one.ip,
                "place": one.place,
                "acr": current_level(one, now).acr,
                "began_at": _at(one.created_at),
                "last_seen_at": _at(one.last_seen_at),
                "expires_at": _at(one.expires_at),
                "proofs": [{"method": each.method.value, "at": _at(each.proved_at)} for each in one.proofs],
            }
            for one in await sessions.list_active(account.id, now)
        ],
        "browsers": [
            {
                "id": one.id,
                "user_agent": one.user_agent,
                "ip": one.ip,
                "place": one.place,
                "first_seen_at": _at(one.created_at),
                "last_seen_at": _at(one.last_seen_at),
                "trusted_at": _at(one.trusted_at),
            }
            for one in await devices.list_active(account.id)
        ],
        "applications": [
            {
                "application": one.application,
                "scope": one.scope,
                "at": _at(one.created_at),
                "expires_at": _at(one.expires_at),
                "ended_at": _at(one.ended_at),
            }
            for one in await grants.list_tokens(account.id)
        ],
        "changes": [
            {
                "id": one.id,
                "kind": one.kind.value,
                "about": one.about,
                "state": one.state_at(now).value,
                "asked_at": _at(one.asked_at),
                "applied_at": _at(one.applied_at),
                "ended_at": _at(one.ended_at),
                "user_agent": one.user_agent,
                "place": one.place,
            }
            for one in await changes.list_since(account.id, 0, _MAX_CHANGES)
        ],
        "activity": [
            {"at": _at(one.at), "kind": one.kind.value, "facts": one.facts}
            for one in happened
            if one.kind is not EventKind.MESSAGE_SENT
        ],
        "messages": await _messages(happened),
        "log": [
            {"at": _at(one.at), "kind": one.kind.value, "application": one.application, "facts": one.facts}
            for one in await events.list_of_owner(account.id, account.created_at)
        ],
    }


async def _messages(happened: Sequence[Activity]) -> list[dict[str, Any]]:
    sent = [one for one in happened if one.kind is EventKind.MESSAGE_SENT]
    owners = [one.facts["message"] for one in sent]
    found = await deliveries.list_by_owners(owners)
    facts = await notices.find_by_ids([owner for owner in owners if owner.startswith("ntc_")])
    return [
        {
            "id": owner,
            "what": one.facts["what"],
            "to": one.facts["about"],
            "at": _at(one.at),
            "facts": facts[owner].facts if owner in facts else {},
            "sent": [
                {"channel": each.channel.value, "at": _at(each.created_at), "state": each.state.value}
                for each in found.get(owner, [])
            ],
        }
        for one, owner in zip(sent, owners, strict=True)
    ]


def _at(moment: int | None) -> str | None:
    """Return a time (ms) as RFC 3339 has it, or None."""
    return datetime.fromtimestamp(moment / 1_000, UTC).isoformat(timespec="milliseconds") if moment else None
