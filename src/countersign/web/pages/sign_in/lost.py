"""The way on from a screen that asks for a thing which somebody may not have any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.login_flow import LoginFlowKind
from countersign.domain.shared.contact import Channel
from countersign.messages.language.catalogue import Language, mark
from countersign.web.pages.shared.destinations import with_origin

if TYPE_CHECKING:
    from countersign.flows.sign_in.verify import VerificationView
    from countersign.web.http.context import WebContext

Asked: TypeAlias = AuthenticatorKind | Channel

_PHONE: Final = mark("I have lost my phone")
LABELS: Final[dict[Asked, str]] = {
    AuthenticatorKind.APP: _PHONE,
    AuthenticatorKind.PASSKEY: mark("I no longer have my passkey"),
    AuthenticatorKind.RECOVERY_CODE: mark("I have no recovery code"),
    Channel.EMAIL: mark("I cannot get into this mailbox"),
    Channel.SMS: _PHONE,
    Channel.VOICE: _PHONE,
    Channel.WHATSAPP: _PHONE,
}
"""What somebody says who cannot give what a screen asks for."""
_OF_ACCOUNTS: Final = frozenset({LoginFlowKind.SIGN_IN, LoginFlowKind.STEP_UP, LoginFlowKind.RECOVER})


class LostView(msgspec.Struct, frozen=True):
    """What is said to somebody who has lost a thing, and the links that lead on, by address and label."""

    label: str
    sentence: str
    links: tuple[tuple[str, str], ...]


def way_on(
    web: WebContext, view: VerificationView, asked: Asked, language: Language, back: str, flow_query: str
) -> LostView | None:
    """Return the way on from the screen that asks for `asked`; None for a flow of a person who has lost nothing yet.

    `back` is where the person came from, and `flow_query` what an address says besides, so that the tab stays with its flow.
    The way on depends on no account in a recovery (semantics R1): a recovery code is offered there to everybody.
    """
    if view.flow.kind not in _OF_ACCOUNTS:
        return None
    quick = []
    if AuthenticatorKind.RECOVERY_CODE in view.authenticators and asked is not AuthenticatorKind.RECOVERY_CODE:
        quick.append((f"/verify?by=recovery_code{flow_query}", language.say("Use a recovery code")))
    if view.flow.kind is LoginFlowKind.RECOVER:
        quick.append(
            (with_origin("/recover", back), language.say("Use another email address or phone number on your account"))
        )
    return lost_view(web, LABELS[asked], tuple(quick), language, back)


def lost_view(
    web: WebContext, label: str, quick: tuple[tuple[str, str], ...], language: Language, back: str
) -> LostView:
    """Return the way on after the `quick` links, each an address and its label: a wait, or the people of the site.

    `back` is where the person came from: it is not forgotten on the way.
    """
    if web.accounts.recovery_policy.delayed:
        sentence = language.say(
            "Use another way if you have one. If you have none, you can get back in with new contact details. This takes 7 days."
        )
        wait = (with_origin("/recover/lost", back), language.say("Get back in with new contact details"))
        return LostView(language.say(label), sentence, (*quick, wait))
    sentence = language.say(
        "Use another way if you have one. If you have none, contact {site} to find out what you can do.",
        site=web.settings.site,
    )
    return LostView(language.say(label), sentence, quick)
