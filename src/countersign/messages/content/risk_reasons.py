"""The reason for asking for a code, in a sentence for the person, from the findings of the risk rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.risk import RiskFinding
from countersign.messages.language.catalogue import mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countersign.messages.language.catalogue import Language

FOR_THE_PERSON: Final = {
    RiskFinding.IMPOSSIBLE_TRAVEL: mark("We ask because you were far away a short while ago."),
    RiskFinding.NEW_COUNTRY: mark("We ask because you seem to be in a different country from before."),
    RiskFinding.MANY_FAILURES: mark("We ask because a wrong password was entered several times."),
    RiskFinding.LISTED: mark("We ask because your network hides where you are."),
    RiskFinding.NEW_BROWSER: mark("We ask because this browser is new."),
    RiskFinding.UNTRUSTED_BROWSER: mark("We ask because this browser is not trusted."),
    RiskFinding.NEW_CONTACT: mark("We ask because your contact details are new."),
    RiskFinding.REFUSED_LIST: mark("You cannot sign in from your network. Use another one."),
}
"""In order of usefulness: the first that applies is shown."""


def reason(findings: Sequence[str], language: Language) -> str:
    """Return the most useful finding as a sentence, or an empty string."""
    chosen = next((sentence for finding, sentence in FOR_THE_PERSON.items() if finding.value in findings), "")
    return language.say(chosen) if chosen else ""
