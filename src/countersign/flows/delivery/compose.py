"""Compose the message of a claimed delivery just before it is sent. Codes are derived here and never stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from countersign.domain.delivery.delivery import Delivery, Message
from countersign.domain.delivery.notice import DUE_FACT, ZONE_FACT, Notice, NoticeKind, gathered_counts
from countersign.domain.shared.application import Application
from countersign.domain.shared.contact import CODES_ONLY, Contact
from countersign.domain.verifications.challenge import Challenge, summary_binding
from countersign.domain.verifications.code import Code, derive
from countersign.flows.verifications.cancel import not_me_reference
from countersign.messages.content.device_name import device_name
from countersign.messages.content.notice import NoticeMessage, render_notice
from countersign.messages.content.place_name import place_name
from countersign.messages.language.catalogue import negotiate
from countersign.messages.render import CodeMessage, render

if TYPE_CHECKING:
    from countersign.flows.delivery.context import DeliveryContext
    from countersign.keys import Keyring


class ClaimedDelivery(msgspec.Struct, frozen=True):
    """A claimed delivery with what its message is made of: its challenge or notice, and its application."""

    delivery: Delivery
    owner: Challenge | Notice
    application: Application | None


def compose(context: DeliveryContext, claimed: ClaimedDelivery) -> Message:
    """Return the message of a claimed delivery.

    A code for a registered application bears its name and host, any other message those of our own pages. The operator's templates apply
    to codes, never to notices. Raises SettingsError or UnavailableError if the keys do not open the contact.
    """
    owner = claimed.owner
    if isinstance(owner, Notice):
        return _notice(context, claimed, owner)
    # A channel of codes alone would refuse the notice, and whoever asked would see that the message failed. It takes a code that is not
    # right instead (semantics R1).
    if owner.terms.decoy_notice and claimed.delivery.channel not in CODES_ONLY:
        return _decoy_notice(context, claimed, owner)
    message, code = _code_message(context, claimed, owner)
    return render(message, code, context.templates)


def _code_message(context: DeliveryContext, claimed: ClaimedDelivery, challenge: Challenge) -> tuple[CodeMessage, Code]:
    keyring, own = context.keyring, context.own
    application = claimed.application or (own if challenge.application == own.id else None)
    terms = challenge.terms
    language, place = negotiate(terms.locale), context.geolocation.find(terms.requester.ip)
    summary = terms.action.summary
    if terms.summary:
        sealed_by = keyring.named(terms.sealing_kid)
        summary = sealed_by.unseal(terms.summary, summary_binding(challenge.id)).decode()
    message = CodeMessage(
        key=claimed.delivery.key,
        channel=claimed.delivery.channel,
        to=_recipient(keyring, challenge),
        locale=terms.locale,
        site=application.site if application else "",
        host=(application.host if application else "") or own.host,
        purpose=terms.purpose,
        summary=summary,
        names_contact=bool(terms.summary),
        timezone=terms.timezone or "UTC",
        asked_at=challenge.sent_at,
        expires_at=challenge.expires_at,
        device=device_name(terms.requester.user_agent, terms.locale),
        place=place_name(place.label if place else "", terms.requester.ip, language),
        not_me=context.links.report(not_me_reference(keyring, challenge.id)),
        app_hash=application.app_hash if application else "",
        asker=terms.action.asker,
        theme=context.themes.theme_of_message(challenge.application, terms.action.asker),
    )
    key = keyring.named(terms.kid)
    return message, derive(key.code, challenge.id, claimed.delivery.round, terms.policy.shape)


def _decoy_notice(context: DeliveryContext, claimed: ClaimedDelivery, challenge: Challenge) -> Message:
    """Return the notice that a contact gets instead of a code. No code is derived."""
    kind = NoticeKind(challenge.terms.decoy_notice)
    requester, links = challenge.terms.requester, context.links
    place = context.geolocation.find(requester.ip)
    return render_notice(
        NoticeMessage(
            key=claimed.delivery.key,
            kind=kind,
            channel=claimed.delivery.channel,
            to=_recipient(context.keyring, challenge),
            locale=challenge.terms.locale,
            site=context.own.site,
            host=context.own.host,
            at=challenge.sent_at,
            device=device_name(requester.user_agent, challenge.terms.locale),
            place=place_name(place.label if place else "", requester.ip, negotiate(challenge.terms.locale)),
            timezone=challenge.terms.timezone or "UTC",
            link=links.sign_in if kind is NoticeKind.SIGN_UP_KNOWN else links.recover,
            theme=context.themes.own,
        )
    )


def _notice(context: DeliveryContext, claimed: ClaimedDelivery, notice: Notice) -> Message:
    keyring, own = context.keyring, context.own
    facts = notice.facts
    gathered = gathered_counts(notice)
    return render_notice(
        NoticeMessage(
            key=claimed.delivery.key,
            kind=notice.kind,
            channel=claimed.delivery.channel,
            to=Contact(notice.to_kind, keyring.unseal(notice.to, notice.id)),
            locale=notice.locale,
            site=own.site,
            host=own.host,
            at=notice.created_at,
            device="" if gathered else device_name(facts.get("user_agent", ""), notice.locale),
            place=place_name(facts.get("place", ""), facts.get("ip", ""), negotiate(notice.locale)),
            timezone=facts.get(ZONE_FACT, "UTC"),
            link=_link_of(context, notice),
            about=facts.get("about", ""),
            contact=keyring.unseal(notice.about, notice.id) if notice.about else "",
            gathered=gathered,
            due_at=int(facts.get(DUE_FACT, 0)),
            theme=context.themes.own,
        )
    )


def _link_of(context: DeliveryContext, notice: Notice) -> str:
    match notice.kind:
        case NoticeKind.ACCOUNT_LOCKED:
            return context.links.recover
        case NoticeKind.ACCOUNT_ERASED:
            return ""
        case _:
            return context.links.report(not_me_reference(context.keyring, notice.id))


def _recipient(keyring: Keyring, challenge: Challenge) -> Contact:
    terms = challenge.terms
    return Contact(terms.to_kind, keyring.named(terms.sealing_kid).unseal(terms.to, challenge.id.encode()).decode())
