"""The states of the pages for getting back into an account."""

from __future__ import annotations

from typing import Any, Final

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.password import PasswordFault
from countersign.domain.accounts.recovery import RecoveryPolicy
from countersign.web.pages.shared.destinations import Origin
from countersign.web.pages.shared.wordings import PASSWORD_FAULTS, fault_of_contact
from countersign.web.pages.sign_in.lost import LostView
from countersign.web.pages.sign_in.recover import NEXT
from countersign.web.preview.sample import MAIL, MASKED_PHONE, PageState, Sample, states

LEAST: Final = "8"
"""The fewest characters of a password, as the pages say it."""


def _own_recovery(sample: Sample) -> dict[str, Any]:
    return {"contact": MAIL, "asked": sample.on(3), "due": sample.on(-4), "until": sample.on(-11), "is_due": False}


def lost_view(sample: Sample, label: str, *quick: tuple[str, str]) -> LostView:
    """Return the help of somebody who has lost what a page asks for."""
    sentence = sample.say(
        "Use another way if you have one. If you have none, you can get back in with new contact details. This takes 7 days."
    )
    links = (*quick, ("/recover/lost", "Get back in with new contact details"))
    return LostView(sample.say(label), sentence, tuple((path, sample.say(words)) for path, words in links))


def _needed(sample: Sample) -> dict[str, Any]:
    code = sample.say("a code to {names}", names=f"\u2066{MASKED_PHONE}\u2069")
    return {
        "username": MAIL,
        "needed": [sample.say(NEXT[AuthenticatorKind.APP]), sample.say(NEXT[AuthenticatorKind.RECOVERY_CODE]), code],
        "lost": lost_view(
            sample,
            "I do not have any of these",
            ("/recover", "Use another email address or phone number on your account"),
        ),
    }


def _recover(_: Sample) -> dict[str, Any]:
    return {
        "identifier": "",
        "contact": "",
        "username": "",
        "least": LEAST,
        "policy": RecoveryPolicy(),
        "faults": {},
        "own": None,
        "return_to": "",
        "asking": "",
        "origin": Origin(),
        "sign_in": "/sign-in",
        "recover": "/recover",
        "recover_lost": "/recover/lost",
        "needed": [],
        "lost": None,
    }


def _contact_faults(sample: Sample) -> dict[str, Any]:
    fault = fault_of_contact("malformed", sample.language)
    return {"identifier": "ada@", "contact": "12", "faults": {"identifier": fault, "contact": fault}}


STATES: Final[tuple[PageState, ...]] = (
    *states(
        "recover.html",
        _recover,
        empty={},
        fault=_contact_faults,
        not_delayed={"policy": RecoveryPolicy(delayed=False)},
    ),
    *states(
        "lost.html",
        _recover,
        empty={},
        faults=_contact_faults,
        keeps_authenticators={"policy": RecoveryPolicy(keeps_authenticators=True)},
        waiting=lambda one: {"own": _own_recovery(one)},
        due=lambda one: {"own": {**_own_recovery(one), "is_due": True}},
    ),
    *states(
        "new_password.html",
        _recover,
        empty={"username": MAIL},
        needs_more=_needed,
        faults=lambda one: {
            "faults": {
                "password": one.say(PASSWORD_FAULTS[PasswordFault.TOO_SHORT.value], least=LEAST),
                "current": one.say("This is not your old password. If you do not know it, leave this empty."),
            }
        },
    ),
)
