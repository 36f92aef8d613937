"""Compose: what a claimed delivery says, made at the last moment; here a code is derived, and nowhere kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from countersign.domain.delivery.delivery import Delivery, Message
from countersign.domain.delivery.notice import Notice, NoticeKind
from countersign.domain.shared.application import Application
from countersign.domain.shared.contact import Contact
from countersign.domain.verifications.challenge import Challenge
from countersign.domain.verifications.code import Code, derive
from countersign.flows.verifications.cancel import not_me_reference
from countersign.messages.content.device_name import device_name
from countersign.messages.content.notice import NoticeMessage, render_notice
from countersign.messages.render import CodeMessage, render

if TYPE_CHECKING:
    from countersign.flows.delivery.context import DeliveryContext
    from countersign.keys import Keyring


class ClaimedDelivery(msgspec.Struct, frozen=True):
    """A claimed delivery with all that its message is made of: the challenge or the notice that owes it."""

    delivery: Delivery
    owner: Challenge | Notice
    application: Application | None


def compose(context: DeliveryContext, parcel: ClaimedDelivery) -> Message:
    """Return the message of a claimed delivery. What our own pages ask bears the site's name and host.

    A code is told in the operator's templates where there are some; a notice always in ours.
    """
    owner = parcel.owner
    if isinstance(owner, Notice):
        return _notice(context, parcel, owner)
    if owner.terms.told:
        return _told(context, parcel, owner)
    occasion, code = _code(context, parcel, owner)
    return render(occasion, code, context.templates)


def _code(context: DeliveryContext, parcel: ClaimedDelivery, challenge: Challenge) -> tuple[CodeMessage, Code]:
    keyring, own = context.keyring, context.own
    application = parcel.application or (own if challenge.application == own.id else None)
    terms = challenge.terms
    place = context.geolocation.find(terms.requester.ip)
    occasion = CodeMessage(
        key=parcel.delivery.key,
        channel=parcel.delivery.channel,
        to=_to(keyring, challenge),
        locale=terms.locale,
        site=application.site if application else "",
        host=(application.host if application else "") or own.host,
        purpose=terms.purpose,
        summary=terms.action.summary,
        asked_at=challenge.sent_at,
        expires_at=challenge.expires_at,
        device=device_name(terms.requester.user_agent, terms.locale),
        place=(place.label if place else "") or terms.requester.ip,
        not_me=context.links.report(not_me_reference(keyring, challenge.id)),
        app_hash=application.app_hash if application else "",
    )
    key = keyring.named(terms.kid)
    return occasion, derive(key.code, challenge.id, parcel.delivery.round, terms.policy.shape)


def _told(context: DeliveryContext, parcel: ClaimedDelivery, challenge: Challenge) -> Message:
    """Tell the holder of a contact what stands in place of a code; the code stays underived."""
    kind = NoticeKind(challenge.terms.told)
    requester, links = challenge.terms.requester, context.links
    return render_notice(
        NoticeMessage(
            key=parcel.delivery.key,
            kind=kind,
            channel=parcel.delivery.channel,
            to=_to(context.keyring, challenge),
            locale=challenge.terms.locale,
            site=context.own.site,
            host=context.own.host,
            at=challenge.sent_at,
            device=device_name(requester.user_agent, challenge.terms.locale),
            place=requester.ip,
            link=links.sign_in if kind is NoticeKind.SIGN_UP_KNOWN else links.recover,
        )
    )


def _notice(context: DeliveryContext, parcel: ClaimedDelivery, notice: Notice) -> Message:
    keyring, own, links = context.keyring, context.own, context.links
    facts = notice.facts
    return render_notice(
        NoticeMessage(
            key=parcel.delivery.key,
            kind=notice.kind,
            channel=parcel.delivery.channel,
            to=Contact(notice.to_kind, keyring.unseal(notice.to, notice.id)),
            locale=notice.locale,
            site=own.site,
            host=own.host,
            at=notice.created_at,
            device=device_name(facts.get("user_agent", ""), notice.locale),
            place=facts.get("place") or facts.get("ip", ""),
            link=links.recover
            if notice.kind is NoticeKind.ACCOUNT_LOCKED
            else links.report(not_me_reference(keyring, notice.id)),
            about=facts.get("about", ""),
        )
    )


def _to(keyring: Keyring, challenge: Challenge) -> Contact:
    terms = challenge.terms
    return Contact(terms.to_kind, keyring.named(terms.kid).unseal(terms.to, challenge.id.encode()).decode())
