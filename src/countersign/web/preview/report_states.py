"""The states of the pages that report a message or judge one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from countersign.domain.accounts.phishing_check import PhishingVerdict
from countersign.domain.delivery.notice import NoticeKind
from countersign.messages.content.device_name import device_name
from countersign.messages.content.notice import WORDINGS
from countersign.messages.content.purposes import ACTS
from countersign.web.pages.reports.phishing_check import TRICKS, VERDICTS
from countersign.web.pages.reports.report_code import ENDINGS, STOPPED, UNKNOWN
from countersign.web.preview.sample import (
    ADDRESS,
    MASKED_MAIL,
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
        "sentence": sample.say("Someone asked for a code at {site}, and we sent it to you.", site=sample.site),
        "facts": [
            (sample.say("Sent to"), MASKED_MAIL),
            (sample.say("When"), sample.when(0)),
            (sample.say("Device"), device_name(USER_AGENT, sample.language.tag)),
            (sample.say("IP address"), ADDRESS),
        ],
        "warning": sample.say("Nobody from {site} will ever ask you for this code.", site=sample.site),
        "button": sample.say("No, stop this code"),
        "otherwise": sample.say("If you asked for it, close this page. The code still works."),
        "purpose": sample.say(ACTS["step_up"].title),
        "summary": "",
        "approves": "",
    }


def _asked_of_a_change(sample: Sample, *, waits: bool) -> dict[str, Any]:
    kind = NoticeKind.ACCESS_ASKED if waits else NoticeKind.CONTACT_ADDED
    return {
        "reference": "ntc_1.x",
        "title": sample.say("Was this you?"),
        "sentence": f"{sample.say(WORDINGS[kind].title)}.",
        "warning": sample.say("Nobody from {site} will ever ask you for a code or your password.", site=sample.site),
        "button": sample.say("No, stop it") if waits else sample.say("No, this was not me"),
        "otherwise": sample.say("If it was you, close this page. Nothing will change.")
        if waits
        else sample.say(
            "If you say no, we sign out every browser, yours too. We undo what was changed since, where we can, and lock the account until you choose"
            " a new password. If it was you, close this page. Nothing will change."
        ),
        "purpose": sample.say("What we know about it"),
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


def _endings() -> dict[str, Callable[[Sample], Mapping[str, Any]]]:
    found = {state.value: _ending(ENDINGS[state]) for state in ENDINGS}
    return {
        "stopped": _ending(STOPPED),
        "unknown": _ending(UNKNOWN),
        **{f"code_{name}": fill for name, fill in found.items()},
    }


STATES: Final[tuple[PageState, ...]] = (
    *states(
        "not_me.html",
        _asked,
        asked={},
        asked_of_an_act=lambda one: {
            "summary": SUMMARY,
            "approves": one.say("What this approves for {application}", application=f"\u2068{one.asker}\u2069"),
        },
        asked_of_a_change=lambda one: _asked_of_a_change(one, waits=False),
        asked_of_a_wait=lambda one: _asked_of_a_change(one, waits=True),
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
)
