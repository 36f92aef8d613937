"""The states of the pages for signing up, in and out and for verification, and of the language's page."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.login_flow import LoginFlowKind
from countersign.domain.accounts.password import PasswordFault
from countersign.domain.delivery.delivery import DeliveryState, Reason
from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.challenge import ChallengeState
from countersign.flows.sign_in.renew import RENEWABLE
from countersign.messages.content.code_help import CodeFacts, CodeHelp, SentMessage, code_help
from countersign.messages.content.hints import hint
from countersign.messages.content.risk_reasons import reason
from countersign.messages.language.catalogue import languages, negotiate
from countersign.messages.language.datetimes import span
from countersign.web.http.browser import own_name
from countersign.web.http.timestamps import instant
from countersign.web.pages.shared.destinations import Origin
from countersign.web.pages.shared.done_words import SESSION_ENDED, SIGNED_OUT, WORDS
from countersign.web.pages.shared.readings import reading_of, suggestion_of
from countersign.web.pages.shared.wordings import DELIVERY_STATES, PASSWORD_FAULTS, fault_of_contact
from countersign.web.pages.sign_in import authenticator, verify
from countersign.web.pages.sign_in.lost import LABELS
from countersign.web.pages.sign_in.progress import Progress
from countersign.web.preview.recovery_states import LEAST, lost_view
from countersign.web.preview.sample import (
    MAIL,
    MASKED_MAIL,
    MASKED_PHONE,
    MINUTE,
    NOW,
    SUMMARY,
    SUPPORT,
    PageState,
    Sample,
    states,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_CODES: Final = ("/verify?by=recovery_code", "Use a recovery code")
_BACK: Final = "/account/contacts"
_SLIP: Final = "ada.lovelace@gmial.com"
"""An address that looks mistyped."""


def _wrong(sample: Sample) -> str:
    return sample.language.count(
        "This is not the right code. You have {number} try left.",
        "This is not the right code. You have {number} tries left.",
        3,
    )


def _help(
    sample: Sample, *messages: DeliveryState, why: Reason | None = None, sends_left: int = 3, may_lack: bool = False
) -> CodeHelp:
    facts = CodeFacts(
        channel=Channel.EMAIL,
        to=MASKED_MAIL,
        site=sample.site,
        messages=tuple(SentMessage(NOW + number * MINUTE, state, 0, why) for number, state in enumerate(messages)),
        sender="codes@example.org",
        sends_left=sends_left,
        may_lack_a_code=may_lack,
    )
    return code_help(facts, sample.language)


def _message(
    sample: Sample,
    *messages: DeliveryState,
    why: Reason | None = None,
    late: bool = False,
    sends_left: int = 3,
    may_lack: bool = False,
) -> dict[str, Any]:
    """Return what the screen says of a code's messages, the newest of which is the last one."""
    told = _help(sample, *messages, why=why, sends_left=sends_left, may_lack=may_lack)
    newest = messages[-1]
    text = hint(newest, why, Channel.EMAIL, sample.language.tag) or ""
    lost = newest is DeliveryState.UNDELIVERED
    known = Progress(
        sample.say(DELIVERY_STATES[newest]), text, told.resent, told.sent, lost=lost, late=late, over=False
    )
    return {"known": known, "help": told, "sends_left": sends_left}


def _ways(sample: Sample) -> list[tuple[str, str, str]]:
    to = {
        Channel.SMS: MASKED_PHONE,
        Channel.VOICE: MASKED_PHONE,
        Channel.WHATSAPP: MASKED_PHONE,
        Channel.EMAIL: MASKED_MAIL,
    }
    return [
        ("con_1", channel.value, sample.say(authenticator.WAYS[channel], to=f"\u2066{address}\u2069"))
        for channel, address in to.items()
    ]


def _methods(sample: Sample) -> list[tuple[str, str]]:
    return [(kind.value, sample.say(label)) for kind, label in authenticator.METHODS.items()]


def _sign_in(sample: Sample) -> dict[str, Any]:
    return {
        "identifier": "",
        "reading": "",
        "return_to": "",
        "wrong": False,
        "asking": sample.application,
        "word": "",
        "word_is_good": False,
        "challenge": "",
        "form_action": "",
        "wrong_passkey": False,
        "origin": Origin(),
        "sign_up": "/sign-up",
        "recover": "/recover",
    }


def _waiting(sample: Sample) -> dict[str, Any]:
    """Return what a page knows if an application waits for the person."""
    return {"origin": Origin(_BACK, sample.asker, "https://shop.example", sample.asker), "asking": sample.asker}


def _far() -> SimpleNamespace:
    return SimpleNamespace(asked="Buenos Aires, Argentina", here="Reykjavík, Iceland")


def _act(sample: Sample) -> dict[str, Any]:
    return {
        "title": sample.say(verify.TITLES[LoginFlowKind.STEP_UP]),
        "summary": SUMMARY,
        "asker": sample.asker,
        "reason": reason(("impossible_travel",), sample.language),
        "may_remember": False,
    }


def _verify(sample: Sample) -> Mapping[str, Any]:
    return {
        "title": sample.say(verify.TITLES[LoginFlowKind.SIGN_IN]),
        "to": MASKED_MAIL,
        "suggestion": "",
        "by": sample.say(verify.BY[Channel.EMAIL]),
        "reason": "",
        "summary": "",
        "asker": "",
        "asking": sample.application,
        **_message(sample, DeliveryState.ACCEPTED),
        "change": None,
        "support": None,
        "fault": "",
        "far": None,
        "typed": False,
        "numeric": True,
        "length": 6,
        "guesses": 5,
        "resend_in": 27,
        "resend_at": instant(NOW),
        "ways": _ways(sample),
        "form_action": "",
        "methods": _methods(sample),
        "may_remember": True,
        "again": "/sign-in",
        "origin": Origin(),
        "cancels": True,
        "sent": False,
        "wrong_address": False,
        "changes_at": "/verify/address",
        "address": MAIL,
        "address_fault": "",
        "seen": "",
        "flow_query": "",
        "lost": lost_view(sample, LABELS[Channel.EMAIL], _CODES),
    }


def _prove(sample: Sample, kind: AuthenticatorKind = AuthenticatorKind.APP) -> Mapping[str, Any]:
    return {
        **_verify(sample),
        "title": sample.say(authenticator.TITLES[kind]),
        "sentence": sample.say(authenticator.SENTENCES[kind]),
        "kind": kind.value,
        "methods": [(name, label) for name, label in _methods(sample) if name != kind.value],
        "sent": False,
        "lost": lost_view(sample, LABELS[kind], *([] if kind is AuthenticatorKind.RECOVERY_CODE else [_CODES])),
    }


def _ended(sample: Sample, state: ChallengeState) -> Mapping[str, Any]:
    title, sentence = verify.ENDED[state]
    return {
        "title": sample.say(title),
        "sentence": sample.say(sentence, time=span(5 * MINUTE, sample.language.locale)),
        "fault": "",
        "renewable": state in RENEWABLE,
        "again": "/sign-in",
        "origin": Origin(),
        "cancels": True,
        "seen": "",
    }


def _sign_up_faults(sample: Sample) -> dict[str, Any]:
    return {
        "name": "",
        "identifier": "ada@",
        "faults": {
            "name": sample.say("Enter your name in 80 characters or fewer."),
            "identifier": fault_of_contact("malformed", sample.language),
            "password": sample.say(PASSWORD_FAULTS[PasswordFault.BREACHED.value]),
        },
    }


STATES: Final[tuple[PageState, ...]] = (
    *states(
        "sign_in.html",
        _sign_in,
        empty={},
        for_an_application=lambda one: {**_waiting(one), "return_to": _BACK, "identifier": MAIL},
        wrong_passkey={"wrong_passkey": True},
        wrong={"identifier": MAIL, "return_to": _BACK, "wrong": True},
        wrong_and_read=lambda one: {
            "identifier": _SLIP,
            "reading": reading_of(_SLIP, (), one.language),
            "wrong": True,
        },
        signed_out=lambda one: {"word": one.say(WORDS[SIGNED_OUT]), "word_is_good": True},
        session_ended=lambda one: {"word": one.say(WORDS[SESSION_ENDED])},
    ),
    *states(
        "sign_up.html",
        lambda one: {
            "name": "",
            "identifier": "",
            "return_to": "",
            "asking": one.application,
            "least": LEAST,
            "faults": {},
            "origin": Origin(),
            "sign_in": "/sign-in",
        },
        empty={},
        asked=_waiting,
        filled={"name": "علی‌رضا احمدی", "identifier": MAIL, "return_to": _BACK},
        for_an_application=lambda one: {"asking": one.asker, "return_to": _BACK},
        faults=_sign_up_faults,
    ),
    *states(
        "verify.html",
        _verify,
        sent={},
        wrong_code=lambda one: {"fault": _wrong(one), "typed": True},
        refused=lambda one: {
            "fault": one.say(
                "Too many wrong codes were entered for this email address or phone number. Use another way."
            ),
            **_message(one, DeliveryState.ACCEPTED, sends_left=0),
        },
        sent_anew={"sent": True},
        sent_again=lambda one: _message(one, DeliveryState.ACCEPTED, DeliveryState.ACCEPTED),
        not_delivered=lambda one: {
            **_message(one, DeliveryState.UNDELIVERED, why=Reason.UNKNOWN_RECIPIENT, late=True, may_lack=True),
            "change": ("#identifier", one.say("Use another email address or phone number")),
            "wrong_address": True,
            "support": SUPPORT,
            "lost": None,
        },
        likely_slip=lambda one: {
            "title": one.say(verify.TITLES[LoginFlowKind.SIGN_UP]),
            "to": _SLIP,
            "suggestion": suggestion_of(_SLIP, one.language),
            "asking": one.asker,
            "ways": [],
            "methods": [],
            "change": ("/sign-up", one.say("Use another email address or phone number")),
            "again": "/sign-up",
            "lost": None,
        },
        one_way=lambda one: {
            "title": one.say(verify.TITLES[LoginFlowKind.SIGN_UP]),
            "ways": [],
            "methods": [],
            "may_remember": False,
            "numeric": False,
            "lost": None,
            "known": Progress("", "", "", "", lost=False, late=False, over=False),
        },
        act=_act,
        act_of_ours=lambda one: {**_act(one), "asker": "", "summary": one.say("Change the password of your account")},
        far_away={"far": _far()},
        slip_in_a_recovery=lambda one: {
            "title": one.say(verify.TITLES[LoginFlowKind.RECOVER]),
            "to": _SLIP,
            "suggestion": suggestion_of(_SLIP, one.language),
            "wrong_address": True,
            "changes_at": "/recover",
            "address": _SLIP,
        },
        nothing_left=lambda one: {
            **_message(one, DeliveryState.UNDELIVERED, why=Reason.UNKNOWN_RECIPIENT, late=True),
            "sends_left": 0,
            "ways": [],
            "methods": [],
        },
        wrong_address=lambda one: {
            "to": MAIL,
            "wrong_address": True,
            "address_fault": fault_of_contact("malformed", one.language),
            **_waiting(one),
        },
    ),
    *states(
        "ended.html",
        lambda one: _ended(one, ChallengeState.EXPIRED),
        expired={},
        used_up=lambda one: {**_ended(one, ChallengeState.EXHAUSTED), **_waiting(one)},
        stopped=lambda one: _ended(one, ChallengeState.CANCELED),
        refused=lambda one: {"fault": one.say("Too many codes were requested. Try again in a few minutes.")},
    ),
    *states(
        "prove.html",
        _prove,
        app={},
        app_for_an_application=lambda one: {"asking": one.asker},
        app_wrong=lambda one: {"fault": _wrong(one), "far": _far(), "may_remember": False, "lost": None},
        passkey=lambda one: _prove(one, AuthenticatorKind.PASSKEY),
        passkey_act=lambda one: {**_prove(one, AuthenticatorKind.PASSKEY), **_act(one), "sent": True, "methods": []},
        recovery_code=lambda one: {**_prove(one, AuthenticatorKind.RECOVERY_CODE), "methods": [], "ways": []},
        recovery_code_wrong=lambda one: {
            **_prove(one, AuthenticatorKind.RECOVERY_CODE),
            "fault": _wrong(one),
            "summary": one.say("Change the password of your account"),
        },
    ),
    *states(
        "sign_out.html",
        lambda one: {
            "title": one.say("Do you want to sign out?"),
            "action": "/sign-out",
            "stay": "/account",
            "asking": one.application,
            "fields": {},
        },
        asked={},
        asked_by_an_application=lambda one: {
            "action": "/oauth/sign-out",
            "asking": one.asker,
            "fields": {"state": "xyz"},
        },
    ),
    *states(
        "language.html",
        lambda _: {
            "languages": [(tag, own_name(tag), negotiate(tag).direction) for tag in languages()],
            "back": "/account",
            "language_page": "",
        },
        all={},
    ),
)
