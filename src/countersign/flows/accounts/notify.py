"""Send notices of what happened to an account to its proved contacts, through the same outbox as codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.domain.delivery.delivery import Delivery, new_delivery
from countersign.domain.delivery.notice import CONTACT_FACT, LIFETIME, Notice, NoticeKind
from countersign.domain.shared.contact import CHANNELS_OF
from countersign.domain.shared.phone_region import region_of
from countersign.flows.accounts.activity import insert_sent
from countersign.store.engine.database import Change
from countersign.store.tables import deliveries, notices

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from countersign.domain.accounts.account import Account, OwnedContact
    from countersign.flows.accounts.context import AccountContext, BrowserContext


def insert_notices(
    context: AccountContext,
    account: Account,
    contacts: Iterable[OwnedContact],
    kind: NoticeKind,
    *,
    browser: BrowserContext,
    place: str,
    now: int,
    facts: Mapping[str, str] | None = None,
) -> tuple[Change, ...]:
    """Return the changes that owe a notice to each proved contact that can be reached.

    They belong into the transaction of the act itself. `browser` and `place` say where it was done, `now` (ms) when, and `facts` what
    else the message says.
    """
    made: list[Notice] = []
    owed: list[Delivery] = []
    for contact in contacts:
        channel = next(
            (one for one in CHANNELS_OF[contact.kind] if context.policy.is_available(one, live=context.own.live)), None
        )
        if contact.proved_at is None or channel is None:
            continue
        id_ = context.id("ntc")
        address = context.keyring.unseal(contact.address, contact.id)
        made.append(
            Notice(
                id=id_,
                account=account.id,
                application=context.own.id,
                kind=kind,
                to=context.keyring.seal(address, id_),
                to_kind=contact.kind,
                masked=contact.masked,
                locale=account.locale,
                facts={
                    "user_agent": browser.user_agent,
                    "ip": browser.ip,
                    "place": place,
                    **(facts or {}),
                    CONTACT_FACT: contact.id,
                },
                created_at=now,
                expires_at=now + LIFETIME,
            )
        )
        owed.append(
            new_delivery(
                id_,
                1,
                channel,
                context.policy.route(channel, address, id_, live=context.own.live),
                now,
                region=region_of(address),
                has_code=False,
            )
        )
    if not made:
        return ()
    return (
        *notices.insert(made),
        *deliveries.insert(owed),
        *insert_sent(context, account.id, now, [(notice.id, notice.masked, kind.value) for notice in made]),
    )
