"""The states of the pages that report a message or judge one, and of those that say one thing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from countersign.domain.accounts.change import ChangeRefusal
from countersign.domain.accounts.phishing_check import PhishingVerdict
from countersign.domain.verifications.challenge import ChallengeState
from countersign.messages.content.device_name import device_name
from countersign.messages.content.purposes import ACTS
from countersign.messages.language.datetimes import span
from countersign.web.pages.reports.phishing_check import TRICKS, VERDICTS
from countersign.web.pages.reports.report_change import ENDINGS as CHANGE_ENDINGS
from countersign.web.pages.reports.report_code import ENDINGS, STOPPED, UNKNOWN
from countersign.web.pages.shared.word_pages import REFUSALS
from countersign.web.pages.sign_in.verify import ENDED
from countersign.web.preview.sample import (
    ADDRESS,
    APPLICATION,
    MASKED_MAIL,
    MINUTE,
    SUMMARY,
    SUPPORT,
    USER_AGENT,
    PageState,
    Sample,
    states,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from countersign.web.pages.reports.report_code import Ending


def _asked(sample: Sample) -> Mapping[str, Any]:
    return {
        "ending": None,
        "reference": "ver_1.x",
        "title": sample.say("Did you ask for this code?"),
        "sentence": sample.say("Somebody asked for a code at {site}, and we sent it to you.", site=sample.site),
        "facts": [
            (sample.say("Sent to"), MASKED_MAIL),
            (sample.say("When"), sample.when(0)),
            (sample.say("Device"), device_name(USER_AGENT, sample.language.tag)),
            (sample.say("Network address"), ADDRESS),
        ],
        "warning": sample.say("Nobody from {site} will ever ask you for this code.", site=sample.site),
        "button": sample.say("No, stop this code"),
        "otherwise": sample.say("If you asked for it, close this page. The code still works."),
        "purpose": sample.say(ACTS["step_up"].title),
        "summary": "",
        "approves": "",
    }


def _ending(ending: Ending) -> Callable[[Sample], Mapping[str, Any]]:
    def fill(sample: Sample) -> Mapping[str, Any]:
        return {
            "ending": ending,
            "title": sample.say(ending.title),
            "sentence": sample.say(ending.sentence, site=sample.site),
            "advice": sample.say(ending.advice, site=sample.site) if ending.advice else "",
            "link": ("/account/password", sample.say("Change your password")) if ending.advice else None,
        }

    return fill


def _judged(sample: Sample) -> Mapping[str, Any]:
    written = {
        PhishingVerdict.OURS: (sample.host, sample.host, ""),
        PhishingVerdict.LOOKS_LIKE: (
            f"https://{sample.host}.codes.example",
            "codes.example",
            sample.say(next(iter(TRICKS.values()))),
        ),
        PhishingVerdict.FOREIGN: ("prizes@winner.example", "", ""),
    }
    return {
        "text": "Your account is closed! https://codes.example",
        "asked": True,
        "cut": True,
        "not_ours": True,
        "support": SUPPORT,
        "found": [
            {
                "tone": VERDICTS[verdict][0],
                "title": sample.say(VERDICTS[verdict][1]),
                "found": found,
                "counts": counts,
                "why": why,
            }
            for verdict, (found, counts, why) in written.items()
        ],
    }


def _word(tone: str, title: str, sentence: str, link: str, label: str) -> Callable[[Sample], Mapping[str, Any]]:
    def fill(sample: Sample) -> Mapping[str, Any]:
        return {
            "tone": tone,
            "title": sample.say(title),
            "sentence": sample.say(sentence, time=span(10 * MINUTE, sample.language.locale)),
            "link": link,
            "label": sample.say(label),
        }

    return fill


def _endings() -> dict[str, Callable[[Sample], Mapping[str, Any]]]:
    found = {state.value: _ending(ENDINGS[state]) for state in ENDINGS}
    return {
        "stopped": _ending(STOPPED),
        "unknown": _ending(UNKNOWN),
        **{f"code_{name}": fill for name, fill in found.items()},
    }


def _words() -> dict[str, Callable[[Sample], Mapping[str, Any]]]:
    """Return the pages that say one thing, from the tables of the pages that show them."""
    ended = {
        f"code_{state.value}": _word("warn", *ENDED[state], "/sign-in", "Start again")
        for state in ENDED
        if state is not ChallengeState.PENDING
    }
    refused = {
        f"change_{refusal.value}": _word(
            "warn", "Nothing was changed", REFUSALS[refusal], "/account", "To your account"
        )
        for refusal in (ChangeRefusal.LAST_CONTACT, ChangeRefusal.CONTESTED)
    }
    reported = {
        f"report_{outcome.value}": _word(page.tone, page.title, page.sentence, page.link, page.label)
        for outcome, page in CHANGE_ENDINGS.items()
    }
    return {**ended, **refused, **reported}


STATES: Final[tuple[PageState, ...]] = (
    *states(
        "not_me.html",
        _asked,
        asked={},
        asked_of_an_act=lambda one: {
            "summary": SUMMARY,
            "approves": one.say("With it you approve for {application}", application=f"\u2068{APPLICATION}\u2069"),
        },
        **_endings(),
    ),
    *states(
        "is_this_us.html",
        lambda _: {
            "text": "",
            "asked": False,
            "most": 4_000,
            "found": [],
            "cut": False,
            "not_ours": False,
            "support": None,
        },
        empty={},
        judged=_judged,
        ours=lambda one: {**_judged(one), "not_ours": False, "cut": False, "found": _judged(one)["found"][:1]},
        nothing_to_judge={"text": "Hello", "asked": True},
    ),
    *states(
        "word.html",
        _word(
            "good",
            "You have a new password",
            "Everybody is signed out, and all your contacts are told. Sign in with it now.",
            "/sign-in",
            "Sign in",
        ),
        new_password={},
        **_words(),
    ),
)
