"""What the verification screen says to somebody whose code does not come, and to whom they can turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.login_flow import LoginFlowKind
from countersign.domain.shared.contact import stored_contact
from countersign.domain.verifications.challenge import ChallengeState, accepted_rounds
from countersign.messages.content.code_help import CodeFacts, CodeHelp, SentMessage, code_help, sender_shown
from countersign.messages.content.hints import Offers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.domain.delivery.delivery import Delivery
    from countersign.domain.verifications.challenge import Challenge
    from countersign.flows.sign_in.verify import VerificationView
    from countersign.messages.language.catalogue import Language
    from countersign.providers.registry import ConfiguredProvider
    from countersign.web.http.context import WebContext

_MAY_LACK_A_CODE: Final = frozenset({LoginFlowKind.SIGN_UP, LoginFlowKind.RECOVER})
"""Flows of whoever names an address: its owner may get a notice in place of a code (semantics R1, S1)."""


def help_of(web: WebContext, view: VerificationView, challenge: Challenge, language: Language, now: int) -> CodeHelp:
    """Return the help about the code of a flow."""
    messages = sorted(view.deliveries, key=lambda one: one.number)
    facts = CodeFacts(
        channel=challenge.channel,
        to=typed_contact(view) or challenge.terms.to_masked,
        site=web.settings.site,
        messages=tuple(SentMessage(one.created_at, one.state, one.round, one.reason) for one in messages),
        sender=_sender(web.settings.providers, messages[-1]) if messages else "",
        rounds=accepted_rounds(challenge),
        ended=challenge.state_at(now) is not ChallengeState.PENDING,
        sends_left=challenge.sends_left,
        may_lack_a_code=view.flow.kind in _MAY_LACK_A_CODE,
    )
    return code_help(facts, language)


def typed_contact(view: VerificationView) -> str:
    """Return the contact that was typed for this flow, whole; empty if the contact is one of the account.

    The page goes to whoever typed it in this very browser a moment ago, whether or not there is an account (semantics R1).
    """
    return stored_contact(view.flow.address).written if view.flow.address else ""


def offers_of(view: VerificationView) -> Offers:
    """Return what the person can do beside waiting."""
    challenge = view.challenge
    others = [way for way in view.contact_methods if not _is_used(view, way.contact, way.channel.value)]
    return Offers(
        resend=challenge is not None and challenge.sends_left > 0, other_way=bool(others or view.authenticators)
    )


def _is_used(view: VerificationView, contact: str, channel: str) -> bool:
    """Return True for the way by which the newest message went."""
    return view.challenge is not None and (contact, channel) == (view.flow.owned_contact, view.challenge.channel.value)


def _sender(providers: Mapping[str, ConfiguredProvider], newest: Delivery) -> str:
    """Return the sender of the newest message as its provider is set up; empty if people do not see it."""
    provider = providers.get(newest.provider or "")
    settings = provider.settings if provider is not None else None
    return sender_shown(str(getattr(settings, "from_address", "") or getattr(settings, "sender", "") or ""))
