"""Compose: what a claimed delivery says, made at the last moment; here a code is derived, and nowhere kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
from countersign.messages.custom.custom_templates import DEFAULT_TEMPLATES, CustomTemplates
from countersign.messages.render import CodeMessage, render

if TYPE_CHECKING:
    from countersign.geolocation import GeoDatabase
    from countersign.keys import Keyring


DECOY_LINKS: Final = {
    NoticeKind.SIGN_UP_KNOWN: "/sign-in",
    NoticeKind.RECOVER_UNKNOWN: "/recover",
    NoticeKind.RECOVER_TOO_NEW: "/recover",
}
"""Where a message leads that stands in place of a code."""


class ClaimedDelivery(msgspec.Struct, frozen=True):
    """A claimed delivery with all that its message is made of: the challenge or the notice that owes it."""

    delivery: Delivery
    owner: Challenge | Notice
    application: Application | None


def compose(
    keyring: Keyring,
    issuer: str,
    own: Application,
    places: GeoDatabase,
    claimed: ClaimedDelivery,
    words: CustomTemplates = DEFAULT_TEMPLATES,
) -> Message:
    """Return the message of a claimed delivery. What our own pages ask bears the site's name and host.

    A code is told in the operator's `words` where there are some; a notice always in ours.
    """
    owner = claimed.owner
    if isinstance(owner, Notice):
        return _notice(keyring, issuer, own, claimed, owner)
    if owner.terms.decoy_notice:
        return _told(keyring, issuer, own, claimed, owner)
    occasion, code = _code(keyring, issuer, own, places, claimed, owner)
    return render(occasion, code, words)


def _code(
    keyring: Keyring, issuer: str, own: Application, places: GeoDatabase, claimed: ClaimedDelivery, challenge: Challenge
) -> tuple[CodeMessage, Code]:
    application = claimed.application or (own if challenge.application == own.id else None)
    terms = challenge.terms
    place = places.find(terms.requester.ip)
    occasion = CodeMessage(
        key=claimed.delivery.key,
        channel=claimed.delivery.channel,
        to=_to(keyring, challenge),
        locale=terms.locale,
        site=application.site if application else "",
        host=(application.host if application else "") or own.host,
        purpose=terms.purpose,
        summary=terms.action.summary,
        asked_at=challenge.sent_at,
        expires_at=challenge.expires_at,
        device=device_name(terms.requester.user_agent, terms.locale),
        place=(place.rough if place else "") or terms.requester.ip,
        not_me=f"{issuer}/not-me?ref={not_me_reference(keyring, challenge.id)}",
        app_hash=application.app_hash if application else "",
    )
    key = keyring.named(terms.kid)
    return occasion, derive(key.code, challenge.id, claimed.delivery.round, terms.policy.shape)


def _told(keyring: Keyring, issuer: str, own: Application, claimed: ClaimedDelivery, challenge: Challenge) -> Message:
    """Tell the holder of a contact what stands in place of a code; the code stays underived."""
    kind = NoticeKind(challenge.terms.decoy_notice)
    requester = challenge.terms.requester
    return render_notice(
        NoticeMessage(
            key=claimed.delivery.key,
            kind=kind,
            channel=claimed.delivery.channel,
            to=_to(keyring, challenge),
            locale=challenge.terms.locale,
            site=own.site,
            host=own.host,
            at=challenge.sent_at,
            device=device_name(requester.user_agent, challenge.terms.locale),
            place=requester.ip,
            link=f"{issuer}{DECOY_LINKS[kind]}",
        )
    )


def _notice(keyring: Keyring, issuer: str, own: Application, claimed: ClaimedDelivery, notice: Notice) -> Message:
    facts = notice.facts
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
            device=device_name(facts.get("user_agent", ""), notice.locale),
            place=facts.get("place") or facts.get("ip", ""),
            link=f"{issuer}/recover"
            if notice.kind is NoticeKind.ACCOUNT_LOCKED
            else f"{issuer}/not-me?ref={not_me_reference(keyring, notice.id)}",
            about=facts.get("about", ""),
        )
    )


def _to(keyring: Keyring, challenge: Challenge) -> Contact:
    terms = challenge.terms
    return Contact(terms.to_kind, keyring.named(terms.kid).unseal(terms.to, challenge.id.encode()).decode())
