"""Change the name, the language and the time zone of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from countersign.domain.accounts.account import is_name
from countersign.domain.accounts.change import ChangeRefusal
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.event import Event, EventKind
from countersign.flows.accounts.activity import record_events
from countersign.flows.accounts.context import AccountContext, BrowserContext, InvalidInput
from countersign.flows.accounts.notify import owe_notices
from countersign.flows.accounts.snapshot import lock_snapshot
from countersign.messages.language.catalogue import languages
from countersign.messages.language.timezones import known_timezone
from countersign.store.engine.database import Write
from countersign.store.tables import accounts, sessions

if TYPE_CHECKING:
    from countersign.domain.accounts.account import Account
    from countersign.domain.accounts.session import Session
    from countersign.store.engine.database import Change


class Profile(msgspec.Struct, frozen=True):
    """What an account says of its owner: the name, the language of messages (a tag) and their time zone (an IANA name, or empty)."""

    name: str
    language: str
    timezone: str


class ProfileSaved(msgspec.Struct, frozen=True):
    """The profile is as it was wanted; `changed` are the fields that were not so before."""

    changed: tuple[str, ...]


async def find_profile(context: AccountContext, account_id: str) -> Profile | None:
    """Return the profile of an account, or None."""
    account = await context.database.read(accounts.find, account_id)
    return None if account is None else _profile_of(context, account)


async def save_profile(
    context: AccountContext, browser: BrowserContext, session: Session, wanted: Profile
) -> ProfileSaved | InvalidInput | ChangeRefusal:
    """Save a profile. It needs no further proof: none of it lets anybody in.

    If the name or the language is changed, every contact is told, in the language of before: a thief must not choose a language that the
    owner cannot read (semantics P4). InvalidInput names the fields at fault. OUTDATED: the account was changed meanwhile, or the session
    has ended.
    """
    wanted = replace(wanted, name=wanted.name.strip())
    faults = {}
    if not is_name(wanted.name):
        faults["name"] = "malformed"
    if wanted.language not in languages():
        faults["language"] = "malformed"
    if wanted.timezone and not known_timezone(wanted.timezone):
        faults["timezone"] = "malformed"
    if faults:
        return InvalidInput(faults)
    return await context.log.run(context.database, _save, context, browser, session, wanted)


async def _save(
    context: AccountContext, browser: BrowserContext, session: Session, wanted: Profile
) -> ProfileSaved | ChangeRefusal:
    snapshot, now = await lock_snapshot(session.account), context.now()
    if snapshot is None or not snapshot.account.open or snapshot.account.epoch != session.epoch:
        return ChangeRefusal.OUTDATED
    if await sessions.find_by_id(session.account, session.id, now) is None:
        return ChangeRefusal.OUTDATED
    account, before = snapshot.account, _profile_of(context, snapshot.account)
    # `de-AT` stays what it is while the language is not changed: the region decides how times are written.
    speaks = account.locale.split("-")[0] == wanted.language
    wanted = replace(wanted, language=before.language if speaks else wanted.language)
    changed = tuple(field for field in Profile.__struct_fields__ if getattr(before, field) != getattr(wanted, field))
    if not changed:
        return ProfileSaved(())
    after = replace(
        account,
        name=context.keyring.seal(wanted.name, account.id) if "name" in changed else account.name,
        locale=wanted.language if "language" in changed else account.locale,
        timezone=wanted.timezone,
    )
    place = context.place(browser.ip)
    notices: tuple[Change, ...] = ()
    if set(changed) & {"name", "language"}:
        notices = await owe_notices(
            context,
            account,
            snapshot.contacts,
            NoticeKind.DETAILS_CHANGED,
            browser=browser,
            place=place,
            now=now,
        )
    event = Event(now, EventKind.ACCOUNT_UPDATED, context.own.id, account.id, {"fields": ",".join(changed)})
    activity = await record_events(context, [event], browser, place)
    await Write((accounts.update(after), *notices, *activity), last=True)
    return ProfileSaved(changed)


def _profile_of(context: AccountContext, account: Account) -> Profile:
    return Profile(context.keyring.unseal(account.name, account.id), account.locale, account.timezone)
