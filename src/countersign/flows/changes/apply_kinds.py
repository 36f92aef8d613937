"""What each kind of change writes, and what has to be known to undo it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from countersign.domain.accounts import recovery
from countersign.domain.accounts.account import Account, AccountSnapshot, OwnedContact
from countersign.domain.accounts.authenticator import Authenticator, AuthenticatorKind
from countersign.domain.accounts.change import (
    REDUCED_PERIOD,
    UNDO_PERIOD,
    ChangeEffect,
    ChangeKind,
    ChangeRefusal,
    ChangeRequest,
    max_accounts,
)
from countersign.domain.accounts.integration_code import MAX_INTEGRATION_CODES, ROTATION_OVERLAP
from countersign.domain.shared.event import Event, EventKind
from countersign.store.engine.database import Change
from countersign.store.tables import accounts, activity, authenticators, devices, integration_codes, sessions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from countersign.flows.accounts.context import AccountContext


class KindWrites(msgspec.Struct, frozen=True):
    """What one kind of change writes beside the change itself: rows, events, and the effect that an undo reverts.

    `account` is the account as it is afterwards; None if the change leaves its own row as it is.
    """

    rows: tuple[Change, ...] = ()
    effect: ChangeEffect = ChangeEffect()
    events: tuple[Event, ...] = ()
    account: Account | None = None


async def write_kind(
    context: AccountContext, request: ChangeRequest, snapshot: AccountSnapshot, now: int
) -> KindWrites | ChangeRefusal:
    """Return what a change writes on an account that is locked, or why it cannot be made. `now` is in ms."""
    match request.kind:
        case ChangeKind.CONTACT_ADDED | ChangeKind.CONTACT_REPLACED:
            return await _add_contact(context, request, snapshot, now)
        case ChangeKind.CONTACT_PRIMARY:
            return _make_primary(request, snapshot)
        case ChangeKind.CONTACT_REMOVED:
            return await _remove_contact(request, snapshot, now)
        case ChangeKind.PASSWORD_CHANGED | ChangeKind.PASSWORD_RECOVERED:
            return _set_password(context, request, snapshot, now)
        case ChangeKind.METHOD_ADDED | ChangeKind.METHOD_REMOVED | ChangeKind.RECOVERY_CODES_MADE:
            return await _change_authenticators(request, snapshot, now)
        case ChangeKind.BROWSER_REMOVED:
            return await _forget_browser(context, request, now)
        case ChangeKind.ACCESS_RECOVERED:
            return await _recover_access(context, request, snapshot, now)
        case (
            ChangeKind.INTEGRATION_CODE_MADE | ChangeKind.INTEGRATION_CODE_ROTATED | ChangeKind.INTEGRATION_CODE_REVOKED
        ):
            return await _change_integration_code(request, now)


async def _add_contact(
    context: AccountContext, request: ChangeRequest, snapshot: AccountSnapshot, now: int, *, primary: bool = False
) -> KindWrites | ChangeRefusal:
    """Add a contact that has just been proved, and end the one that it replaces."""
    assert request.contact is not None  # noqa: S101 - these kinds of change have a new contact
    blind_index = context.blind_index(request.contact)
    known = context.blind_indexes(request.contact)
    if sum([await accounts.count_owners(one) for one in known]) >= max_accounts(request.contact.kind):
        return ChangeRefusal.ANOTHERS
    await activity.take_over(blind_index, request.account)
    replaced = next((one for one in snapshot.contacts if one.id == request.target), None)
    id_ = context.id("con")
    added = OwnedContact(
        account=request.account,
        id=id_,
        added_at=now,
        kind=request.contact.kind,
        blind_index=blind_index,
        address=context.keyring.seal(request.contact.address, id_),
        masked=request.contact.masked,
        proved_at=now,
        primary=primary or (replaced is not None and replaced.primary),
        settled_at=now + UNDO_PERIOD,
    )
    rows = [accounts.insert_contact(added)]
    # An account that holds the number in its former spelling keeps signing in with it.
    if not any([await accounts.find_id_by_identifier(one) for one in known]):
        rows.append(accounts.insert_identifier(added))
    if replaced is not None:
        rows.append(await _end_contact(replaced, now))
    ended = (replaced.id,) if replaced is not None else ()
    return KindWrites(tuple(rows), ChangeEffect(contacts_added=(id_,), contacts_ended=ended))


async def _end_contact(contact: OwnedContact, now: int) -> Change:
    """Delete the identifier of a contact at once, and return the row that ends the contact."""
    await accounts.delete_identifier(contact)
    return accounts.update_contact(replace(contact, ended_at=now, primary=False))


def _make_primary(request: ChangeRequest, snapshot: AccountSnapshot) -> KindWrites:
    target = next(one for one in snapshot.contacts if one.id == request.target)
    before = next((one for one in snapshot.contacts if one.primary), target)
    moved = [replace(before, primary=False)] if before.id != target.id else []
    moved.append(replace(target, primary=True))
    return KindWrites(tuple(accounts.update_contact(one) for one in moved), ChangeEffect(primary=before.id))


async def _remove_contact(request: ChangeRequest, snapshot: AccountSnapshot, now: int) -> KindWrites:
    """Remove a contact. If it was the primary one, the oldest that is left becomes the primary one."""
    target = next(one for one in snapshot.contacts if one.id == request.target)
    before = next((one for one in snapshot.contacts if one.primary), target)
    rows = [await _end_contact(target, now)]
    if target.primary:
        left = [one for one in snapshot.contacts if one.id != target.id]
        oldest = min(left, key=lambda one: (one.added_at, one.id))
        rows.append(accounts.update_contact(replace(oldest, primary=True)))
    return KindWrites(tuple(rows), ChangeEffect(contacts_ended=(target.id,), primary=before.id))


def _set_password(context: AccountContext, request: ChangeRequest, snapshot: AccountSnapshot, now: int) -> KindWrites:
    account = snapshot.account
    sealed = context.keyring.seal(request.password, account.id)
    if request.proof is None:
        return KindWrites(account=replace(account, password=sealed, password_at=now))
    recovered = recovery.recover(account, request.proof, now)
    effect = ChangeEffect(with_password=bool(request.proof.password), recovered_by=account.recovered_by)
    return KindWrites(effect=effect, account=replace(recovered, password=sealed, password_at=now))


async def _change_authenticators(
    request: ChangeRequest, snapshot: AccountSnapshot, now: int
) -> KindWrites | ChangeRefusal:
    """Add and remove authenticators. New recovery codes end all the previous ones."""
    for added in request.authenticators:
        # The same passkey may have been added to another account while this one waited for its recovery codes to be kept.
        if added.kind is AuthenticatorKind.PASSKEY and await authenticators.find_by_mark(added.mark) is not None:
            return ChangeRefusal.ALREADY_YOURS
    ended = [one for one in snapshot.authenticators if one.id == request.target]
    if any(one.kind is AuthenticatorKind.RECOVERY_CODE for one in request.authenticators):
        ended = [one for one in snapshot.authenticators if one.kind is AuthenticatorKind.RECOVERY_CODE]
    if ended and request.kind is ChangeKind.METHOD_ADDED and now < snapshot.account.reduced_until:
        return ChangeRefusal.REDUCED
    return KindWrites(
        (*_end_authenticators(ended, now), *authenticators.insert(request.authenticators)),
        ChangeEffect(factors_added=_ids(request.authenticators), factors_ended=_ids(ended)),
    )


def _end_authenticators(ended: Iterable[Authenticator], now: int) -> tuple[Change, ...]:
    return authenticators.update([replace(one, ended_at=now) for one in ended])


async def _forget_browser(context: AccountContext, request: ChangeRequest, now: int) -> KindWrites | ChangeRefusal:
    """Forget a browser: its trust and its sessions end at once (semantics A4)."""
    account = request.account
    device = next((one for one in await devices.list_active(account) if one.id == request.target), None)
    if device is None:
        return ChangeRefusal.UNKNOWN
    ended = await sessions.end_on_device(account, device.token_hash)
    events = [Event(now, EventKind.DEVICE_ENDED, context.own.id, account, {"device": device.id})]
    events += [Event(now, EventKind.SESSION_ENDED, context.own.id, account, {"session": id_}) for id_ in ended]
    return KindWrites((devices.update(replace(device, ended_at=now, trusted_at=None)),), events=tuple(events))


async def _recover_access(
    context: AccountContext, request: ChangeRequest, snapshot: AccountSnapshot, now: int
) -> KindWrites | ChangeRefusal:
    """Complete a delayed recovery: a new contact and password. The authenticators end, and can be restored (semantics R5)."""
    added = await _add_contact(context, request, snapshot, now, primary=True)
    if isinstance(added, ChangeRefusal):
        return added
    lost = () if context.recovery_policy.keeps_authenticators else snapshot.authenticators
    account = recovery.take_over(snapshot.account, now)
    before = next((one for one in snapshot.contacts if one.primary), None)
    recovered = replace(
        account,
        password=context.keyring.seal(request.password, account.id),
        password_at=now,
        reduced_until=now + REDUCED_PERIOD,
    )
    demoted = () if before is None else (accounts.update_contact(replace(before, primary=False)),)
    return KindWrites(
        (*added.rows, *demoted, *_end_authenticators(lost, now)),
        replace(added.effect, factors_ended=_ids(lost), primary="" if before is None else before.id),
        account=recovered,
    )


async def _change_integration_code(request: ChangeRequest, now: int) -> KindWrites | ChangeRefusal:
    """Create, rotate or revoke an integration code. The old and the new one overlap while one is rotated (semantics I3)."""
    active = await integration_codes.list_active(request.account, now)
    rows: list[Change] = []
    if request.kind is not ChangeKind.INTEGRATION_CODE_MADE:
        before = next((one for one in active if one.id == request.target and one.active(now)), None)
        if before is None:
            return ChangeRefusal.UNKNOWN
        if request.kind is ChangeKind.INTEGRATION_CODE_REVOKED:
            after = replace(before, ended_at=now)
        else:
            after = replace(before, expires_at=min(before.expires_at, now + ROTATION_OVERLAP))
        rows.append(integration_codes.update(after))
    elif len(active) >= MAX_INTEGRATION_CODES:
        return ChangeRefusal.TOO_MANY
    if request.integration_code is not None:
        rows.append(integration_codes.insert(request.integration_code))
    return KindWrites(tuple(rows))


def _ids(found: Iterable[Authenticator]) -> tuple[str, ...]:
    return tuple(one.id for one in found)
