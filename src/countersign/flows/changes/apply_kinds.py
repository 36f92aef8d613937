"""Effects: what each kind of change writes, on rows that nobody else changes meanwhile, and what it takes to undo it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from countersign.domain.accounts.account import Account, OwnedContact
from countersign.domain.accounts.authenticator import Authenticator, AuthenticatorKind
from countersign.domain.accounts.change import (
    REDUCED_LASTS,
    UNDO_LASTS,
    AccountSnapshot,
    ChangeEffect,
    ChangeKind,
    ChangeRefusal,
    max_accounts,
)
from countersign.domain.accounts.integration_code import MOST, OVERLAP
from countersign.domain.shared.event import Event, EventKind
from countersign.flows.changes.request import ChangeRequest
from countersign.store.engine.database import Change
from countersign.store.tables import accounts, authenticators, devices, integration_codes, sessions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from countersign.flows.accounts.context import AccountContext


class Work(msgspec.Struct):
    """What one change writes and tells the log, as it is gathered, on what the account has; `by` is the contact that recovered it."""

    wanted: ChangeRequest
    holdings: AccountSnapshot
    now: int
    by: str = ""
    rows: list[Change] = []
    told: list[Event] = []
    effect: ChangeEffect = ChangeEffect()

    @property
    def account(self) -> Account:
        """Return the account."""
        return self.holdings.account


async def carry_out(context: AccountContext, work: Work) -> ChangeRefusal | None:
    """Gather what the kind of change writes; return why it cannot be."""
    match work.wanted.kind:
        case ChangeKind.CONTACT_ADDED | ChangeKind.CONTACT_REPLACED:
            return await _add_contact(context, work)
        case ChangeKind.CONTACT_PRIMARY | ChangeKind.CONTACT_REMOVED:
            await _move_contact(work)
        case ChangeKind.PASSWORD_CHANGED | ChangeKind.PASSWORD_RECOVERED:
            _set_password(context, work)
        case ChangeKind.METHOD_ADDED | ChangeKind.METHOD_REMOVED | ChangeKind.RECOVERY_CODES_MADE:
            _change_factors(work)
        case ChangeKind.BROWSER_REMOVED:
            return await _forget_browser(context, work)
        case ChangeKind.ACCESS_RECOVERED:
            return await _recover_access(context, work)
        case _:
            return await _change_credential(work)
    return None


async def _add_contact(context: AccountContext, work: Work, *, primary: bool = False) -> ChangeRefusal | None:
    """Add a contact that has just been proved; where it replaces another, that one ends."""
    wanted, now = work.wanted, work.now
    assert wanted.contact is not None  # noqa: S101 - the rules of these kinds ask for one
    blind_index = context.blind_index(wanted.contact)
    if (await accounts.count_owners(blind_index)) >= max_accounts(wanted.contact.kind):
        return ChangeRefusal.ANOTHERS
    goes = next((one for one in work.holdings.contacts if one.id == wanted.which), None)
    id_ = context.id("con")
    comes = OwnedContact(
        account=work.account.id,
        id=id_,
        added_at=now,
        kind=wanted.contact.kind,
        blind_index=blind_index,
        address=context.keyring.seal(wanted.contact.address, id_),
        masked=wanted.contact.masked,
        proved_at=now,
        primary=primary or (goes is not None and goes.primary),
        settled_at=now + UNDO_LASTS,
    )
    work.rows.append(accounts.insert_contact(comes))
    if not (await accounts.find_id_by_identifier(blind_index)):
        work.rows.append(accounts.insert_identifier(comes))
    if goes is not None:
        await _end_contact(goes, work)
    work.effect = ChangeEffect(contacts_added=(id_,), contacts_ended=(goes.id,) if goes is not None else ())
    return None


async def _end_contact(goes: OwnedContact, work: Work) -> None:
    work.rows.append(accounts.update_contact(msgspec.structs.replace(goes, ended_at=work.now, primary=False)))
    await accounts.delete_identifier(goes)


async def _move_contact(work: Work) -> None:
    """Make a contact the primary one, or remove one; the oldest that is left becomes the primary where that was removed."""
    contacts = work.holdings.contacts
    meant = next(one for one in contacts if one.id == work.wanted.which)
    before = next((one for one in contacts if one.primary), meant)
    if work.wanted.kind is ChangeKind.CONTACT_REMOVED:
        await _end_contact(meant, work)
        work.effect = ChangeEffect(contacts_ended=(meant.id,), primary=before.id)
        if not meant.primary:
            return
        meant = min((one for one in contacts if one.id != meant.id), key=lambda one: (one.added_at, one.id))
    else:
        work.effect = ChangeEffect(primary=before.id)
        if before.id != meant.id:
            work.rows.append(accounts.update_contact(msgspec.structs.replace(before, primary=False)))
    work.rows.append(accounts.update_contact(msgspec.structs.replace(meant, primary=True)))


def _set_password(context: AccountContext, work: Work) -> None:
    account = work.account
    after = msgspec.structs.replace(
        account, password=context.keyring.seal(work.wanted.password, account.id), password_at=work.now
    )
    if work.wanted.kind is ChangeKind.PASSWORD_RECOVERED:
        after = msgspec.structs.replace(after, locked_at=None, recovered_by=work.by)
    work.rows.append(accounts.update(after))


def _change_factors(work: Work) -> None:
    wanted, now = work.wanted, work.now
    goes = [one for one in work.holdings.authenticators if one.id == wanted.which]
    if wanted.kind is ChangeKind.RECOVERY_CODES_MADE:
        goes = [one for one in work.holdings.authenticators if one.kind is AuthenticatorKind.RECOVERY_CODE]
    work.rows += authenticators.update([msgspec.structs.replace(one, ended_at=now) for one in goes])
    work.rows += authenticators.insert(wanted.authenticators)
    work.effect = ChangeEffect(factors_added=_ids(wanted.authenticators), factors_ended=_ids(goes))


async def _forget_browser(context: AccountContext, work: Work) -> ChangeRefusal | None:
    """Forget a browser: its trust and its sessions end at once (semantics A4)."""
    account, now = work.account.id, work.now
    known = await devices.list_active(account)
    device = next((one for one in known if one.id == work.wanted.which), None)
    if device is None:
        return ChangeRefusal.UNKNOWN
    ended = await sessions.end_on_device(account, device.mark)
    work.rows.append(devices.update(msgspec.structs.replace(device, ended_at=now, trusted_at=None)))
    work.told.append(Event(now, EventKind.DEVICE_ENDED, context.own.id, account, {"device": device.id}))
    work.told += [Event(now, EventKind.SESSION_ENDED, context.own.id, account, {"session": id_}) for id_ in ended]
    return None


async def _recover_access(context: AccountContext, work: Work) -> ChangeRefusal | None:
    """Give the account to whoever waited: a new contact and password; what was lost ends, and can come back (semantics R5)."""
    refused = await _add_contact(context, work, primary=True)
    if refused is not None:
        return refused
    account = work.account
    before = next((one for one in work.holdings.contacts if one.primary), None)
    if before is not None:
        work.rows.append(accounts.update_contact(msgspec.structs.replace(before, primary=False)))
    lost = work.holdings.authenticators
    work.rows += authenticators.update([msgspec.structs.replace(one, ended_at=work.now) for one in lost])
    work.rows.append(
        accounts.update(
            msgspec.structs.replace(
                account,
                password=context.keyring.seal(work.wanted.password, account.id),
                password_at=work.now,
                locked_at=None,
                recovered_by="",
                reduced_until=work.now + REDUCED_LASTS,
            )
        )
    )
    work.effect = msgspec.structs.replace(
        work.effect, factors_ended=_ids(lost), primary=before.id if before is not None else ""
    )
    return None


async def _change_credential(work: Work) -> ChangeRefusal | None:
    """Make, rotate or revoke an integration code; two overlap while one is rotated (semantics I3)."""
    wanted, now = work.wanted, work.now
    alive = await integration_codes.list_active(work.account.id, now)
    if wanted.kind is not ChangeKind.INTEGRATION_CODE_MADE:
        before = next((one for one in alive if one.id == wanted.which), None)
        if before is None:
            return ChangeRefusal.UNKNOWN
        if wanted.kind is ChangeKind.INTEGRATION_CODE_REVOKED:
            after = msgspec.structs.replace(before, ended_at=now)
        else:
            after = msgspec.structs.replace(before, expires_at=min(before.expires_at, now + OVERLAP))
        work.rows.append(integration_codes.update(after))
    elif len(alive) >= MOST:
        return ChangeRefusal.TOO_MANY
    if wanted.credential is not None:
        work.rows.append(integration_codes.insert(wanted.credential))
    return None


def _ids(found: Iterable[Authenticator]) -> tuple[str, ...]:
    return tuple(one.id for one in found)
