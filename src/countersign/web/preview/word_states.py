"""The states of the pages that say one thing and lead on: what has ended, what is refused, and every error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from countersign import links
from countersign.domain.accounts.change import ChangeRefusal
from countersign.domain.verifications.challenge import ChallengeState
from countersign.messages.language.datetimes import after, span
from countersign.web.pages.reports.report_change import ENDINGS
from countersign.web.pages.shared.error_pages import SAME_PAGE, TEXTS, UNREADABLE, ErrorText
from countersign.web.pages.shared.waiting_time import try_again_in
from countersign.web.pages.shared.word_pages import HOME, REFUSALS
from countersign.web.pages.sign_in.verify import ENDED
from countersign.web.preview.sample import MINUTE, PageState, Sample, states

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.web.preview.sample import Fill

_TO_ACCOUNT: Final = (HOME, "Go to your account")
_TO_SIGN_IN: Final = (links.SIGN_IN, "Sign in")
_TO_RECOVERY: Final = ("/recover", "Recover your account")
_TO_WAIT: Final = ("/recover/lost", "Get back in with new contact details")
_WAIT: Final = 90
"""Seconds."""


def _word(tone: str, title: str, sentence: str, link: tuple[str, str]) -> Fill:
    def fill(sample: Sample) -> Mapping[str, Any]:
        return {
            "tone": tone,
            "title": sample.say(title),
            "sentence": sample.say(
                sentence,
                time=span(10 * MINUTE // 1_000, sample.language.locale),
                when=after(_WAIT, sample.language.locale),
                day=sample.on(-7),
                site=sample.site,
            ),
            "link": link[0],
            "label": sample.say(link[1]),
        }

    return fill


def _error(name: str, text: ErrorText) -> Fill:
    """Return an error with the way on of somebody who is not signed in, and with the time to wait if the limits refuse it."""

    def fill(sample: Sample) -> Mapping[str, Any]:
        sentence = sample.say(
            text.sentence,
            site=sample.language.isolated(sample.site),
            address=f"https://{sample.host}",
            reference=sample.language.isolated("err_01jd0000"),
        )
        if name == "limited":
            sentence = f"{sentence} {try_again_in(_WAIT, sample.language)}"
        where, label = _WAYS_ON.get(name, _TO_SIGN_IN)
        return {
            "tone": "warn",
            "title": sample.say(text.title),
            "sentence": sentence,
            "link": where,
            "label": sample.say(label),
        }

    return fill


_AGAIN: Final = (SAME_PAGE, "Try again")
_WAYS_ON: Final = {
    "misdirected": ("/", "Continue"),
    "internal": _AGAIN,
    "unavailable": _AGAIN,
    "too_many_streams": _AGAIN,
    "not_ready": _AGAIN,
}


def _words() -> dict[str, Fill]:
    """Return the pages whose words stand in the tables of the pages that show them."""
    ended = {
        f"code_{state.value}": _word("warn", *ENDED[state], (links.SIGN_IN, "Start again"))
        for state in ENDED
        if state is not ChallengeState.PENDING
    }
    refused = {
        f"change_{refusal.value}": _word("warn", "Nothing was changed", REFUSALS[refusal], _TO_ACCOUNT)
        for refusal in ChangeRefusal
    }
    reported = {
        f"report_{outcome.value}": _word(page.tone, page.title, page.sentence, (page.link, page.label))
        for outcome, page in ENDINGS.items()
    }
    errors = {f"error_{name}": _error(name, text) for name, text in {**TEXTS, "unreadable": UNREADABLE}.items()}
    return {**ended, **refused, **reported, **errors}


STATES: Final[tuple[PageState, ...]] = (
    *states(
        "word.html",
        _word(
            "good",
            "You have a new password",
            "Everyone is signed out, and we’ll tell you at all your email addresses and phone numbers. Sign in with your new password now.",
            _TO_SIGN_IN,
        ),
        new_password={},
        signed_out=_word("good", "You’re signed out", "Nobody is signed in to {site} on this browser.", _TO_SIGN_IN),
        account_known=_word(
            "good",
            "You already have an account",
            "It was created with this email address or phone number while your code was on its way. Sign in with its password.",
            _TO_SIGN_IN,
        ),
        waiting_time=_word(
            "good",
            "The waiting time has started, if nothing prevents it",
            "If there is such an account, we’re telling all its email addresses and phone numbers now. Each can"
            " stop this. We do not start if someone else is waiting for it or has stopped this lately. If nobody"
            " stops it, come back on {day} or in the week after. You can then recover the account with your new"
            " contact details.",
            ("/recover/lost", "See what you asked for"),
        ),
        withdrawn=_word(
            "good",
            "You have withdrawn your request",
            "Your request has ended. Nobody can ask to recover the same account for a day.",
            _TO_SIGN_IN,
        ),
        nothing_asked=_word(
            "warn",
            "There is no request from this browser",
            "It was already withdrawn, it has ended, or another browser made it.",
            _TO_WAIT,
        ),
        no_waiting_time=_word(
            "warn",
            "You need contact details on the account to recover it here",
            "You need one of its email addresses or phone numbers, or a recovery code. If you have neither, contact {site} to find out what you can do.",
            _TO_RECOVERY,
        ),
        unknown_passkey=_word(
            "warn",
            "We could not sign you in.",
            "This passkey is not for an account here. Try again, or sign in with your password.",
            _TO_SIGN_IN,
        ),
        no_flow=_word(
            "warn",
            "There is nothing to confirm here",
            "You may have finished in another tab, or started in another browser. If this happens again, allow"
            " cookies for this site in your browser.",
            _TO_SIGN_IN,
        ),
        other_flow=_word(
            "warn",
            "This page is out of date",
            "You started something else in this browser after you opened this page. We did not use what you"
            " entered. Check what needs a code now. If it is not what you want, start again.",
            ("/verify", "See what needs a code"),
        ),
        too_many_codes=_word(
            "warn",
            "You need to wait a moment",
            "Too many codes were requested. You can try again {when}.",
            (links.SIGN_IN, "Back"),
        ),
        stronger_proof=_word(
            "warn",
            "You need a stronger way to confirm it’s you",
            "None of your email addresses and phone numbers is strong enough for this.",
            _TO_ACCOUNT,
        ),
        denied=_word(
            "bad",
            "You cannot sign in from here",
            "You cannot sign in from your network. Use another one.",
            (links.SIGN_IN, "Try again"),
        ),
        **_words(),
    ),
    *states(
        "leave.html",
        lambda one: {"title": one.say("One moment"), "address": "#content"},
        leaving={},
    ),
)
