"""Tell of the notices that were held: for each mailbox one message says what there was, however much it is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
import structlog
from msgspec.structs import replace

from countersign.domain.accounts.notice_budget import DAY, GATHERED, NoticeLane, gathering_lane
from countersign.domain.delivery.notice import (
    CONTACT_FACT,
    LIFETIME,
    PROVED_BY_FACT,
    TOLD_AT_FACT,
    ZONE_FACT,
    Notice,
    NoticeKind,
)
from countersign.domain.shared.contact import Channel, ContactKind
from countersign.domain.verifications.rate_limit import KeyedLimits, check_limit
from countersign.errors import CountersignError
from countersign.flows.accounts.activity import Sending, insert_sent
from countersign.flows.accounts.notify import channel_of, notice_delivery
from countersign.store.engine.database import Write
from countersign.store.tables import accounts, deliveries, notices, rate_limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from countersign.domain.accounts.account import Account
    from countersign.domain.delivery.delivery import Delivery
    from countersign.flows.accounts.context import AccountContext

_MAX_ACCOUNTS: Final = 100
"""Accounts that one call looks at."""
_MAX_GATHERED: Final = 500
"""Notices that are gathered at once."""

_KINDS: Final = {NoticeLane.ORDINARY: NoticeKind.GATHERED, NoticeLane.OUTSIDE: NoticeKind.ACCESS_ASKED_AGAIN}

_Mailbox: TypeAlias = tuple[str, NoticeLane]
"""An address, and the lane of what is gathered for it."""

_log = structlog.get_logger("countersign.notices")


class _Outcome(msgspec.Struct):
    """What becomes of the held notices of one account.

    They change, messages tell of them (`made`, each with its address), and these count for limits.

    `unreadable` counts those whose address no key opens. They are looked at again a day later.
    """

    changed: list[Notice] = []
    made: list[tuple[Notice, str]] = []
    owed: list[Delivery] = []
    timestamps: dict[bytes, int] = {}
    unreadable: int = 0


async def send_gathered(context: AccountContext) -> int:
    """Tell of the notices that have waited long enough; return how many messages that took.

    Two workers may do so at once: each notice is told of once. Raises UnavailableError if the database is down.
    """
    sent = 0
    for account in await context.database.read(notices.list_accounts_with_held, context.now(), _MAX_ACCOUNTS):
        outcome = await context.database.run(_gather, context, account, context.now())
        if outcome.unreadable:
            _log.error("notices_unreadable", account=account, notices=outcome.unreadable)
        told = Counter(one.to_kind for one in outcome.changed if one.held_until is None)
        for kind, count in told.items():
            context.on_gathered(kind.value, count)
        if told:
            _log.warning(
                "notices_gathered", account=account, mails=len(outcome.owed), **{k.value: n for k, n in told.items()}
            )
        sent += len(outcome.owed)
    if sent:
        context.database.notify()
    return sent


async def _gather(context: AccountContext, account_id: str, now: int) -> _Outcome:
    """Gather all that is held of an account, what is not due yet too. The lock makes a second worker find nothing."""
    outcome = _Outcome()
    account = await accounts.lock(account_id)
    by_mailbox: dict[_Mailbox, list[Notice]] = {}
    for one in await notices.list_held(account_id, _MAX_GATHERED):
        is_told = one.to_kind is ContactKind.MAIL and channel_of(context, one.to_kind) is not None
        if is_told and account is not None and now < one.expires_at:
            try:
                address = context.keyring.unseal(one.to, one.id)
            except CountersignError:  # such as a key that is missing: it must not stop the notices of everybody else
                outcome.changed.append(replace(one, held_until=now + DAY))
                outcome.unreadable += 1
                continue
            by_mailbox.setdefault((address, gathering_lane(one.kind)), []).append(one)
        else:
            # A telephone gets no message about messages. The mailboxes of the account hear, and its page shows it.
            outcome.changed.append(replace(one, held_until=None))
    limits = _limits_of(context, by_mailbox)
    timestamps = await rate_limits.lock_timestamps([key for each in limits.values() for _, key in each])
    for mailbox, held in by_mailbox.items():
        results = [(key, check_limit(limit, timestamps.get(key), now)) for limit, key in limits[mailbox]]
        wait = max(result.retry_after for _, result in results)
        if wait:
            outcome.changed += [replace(one, held_until=now + wait) for one in held]
        elif account is not None:
            outcome.timestamps.update((key, result.tat) for key, result in results)
            _tell(context, account, mailbox, held, outcome)
    shown = [
        Sending(one.id, one.kind.value, one.masked, context.keyring.blind_index("contact", address))
        for one, address in outcome.made
    ]
    await Write(
        (
            *notices.update(outcome.changed),
            *notices.insert([one for one, _ in outcome.made]),
            *deliveries.insert(outcome.owed),
            *rate_limits.upsert_timestamps(outcome.timestamps),
            *insert_sent(context, account_id, now, shown),
        ),
        last=True,
    )
    return outcome


def _limits_of(context: AccountContext, mailboxes: Iterable[_Mailbox]) -> dict[_Mailbox, KeyedLimits]:
    blind_index = context.keyring.blind_index
    return {
        (address, lane): tuple((limit, blind_index("limit", limit.name, address)) for limit in GATHERED[lane])
        for address, lane in mailboxes
    }


def _tell(context: AccountContext, account: Account, mailbox: _Mailbox, held: list[Notice], outcome: _Outcome) -> None:
    """Owe one message about notices to a mailbox. A single one is sent as it is."""
    (address, lane), now = mailbox, context.now()
    if len(held) == 1:
        teller = held[0]
    else:
        teller = _gathered(context, account, address, _KINDS[lane], held)
        outcome.made.append((teller, address))
    outcome.changed += [replace(one, held_until=None, gathered_by=teller.id) for one in held]
    outcome.owed.append(notice_delivery(context, teller.id, Channel.EMAIL, address, now))


def _gathered(
    context: AccountContext, account: Account, address: str, kind: NoticeKind, held: Sequence[Notice]
) -> Notice:
    """Return the notice that tells of others: which kinds there were and how many of each, and since when (ms)."""
    id_, now = context.id("ntc"), context.now()
    counts = Counter(one.kind.value for one in held)
    facts = {
        "count": str(len(held)),
        "kinds": ",".join(f"{name}:{count}" for name, count in counts.items()),
        "since": str(min(one.created_at for one in held)),
        TOLD_AT_FACT: str(max(one.created_at for one in held)),
        CONTACT_FACT: held[0].facts.get(CONTACT_FACT, ""),
        **({ZONE_FACT: account.timezone} if account.timezone else {}),
        PROVED_BY_FACT: " ".join(sorted({by for one in held for by in one.facts.get(PROVED_BY_FACT, "").split()})),
    }
    return Notice(
        id=id_,
        account=account.id,
        application=context.own.id,
        kind=kind,
        to=context.keyring.seal(address, id_),
        to_kind=ContactKind.MAIL,
        masked=held[0].masked,
        locale=account.locale,
        facts=facts,
        created_at=now,
        expires_at=now + LIFETIME,
    )
