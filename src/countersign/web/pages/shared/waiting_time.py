"""How long a person has to wait, in words that need no time zone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from countersign.messages.language.catalogue import Language

_IN_SECONDS: Final = 90
_IN_MINUTES: Final = 90 * 60


def try_again_in(seconds: int, language: Language) -> str:
    """Return the sentence that says when something may be tried again. Minutes and hours are rounded up.

    For example, 61 seconds are "61 seconds", 200 seconds are "4 minutes".
    """
    if seconds <= _IN_SECONDS:
        return language.count(
            "You can try again in {number} second.", "You can try again in {number} seconds.", max(1, seconds)
        )
    if seconds <= _IN_MINUTES:
        return language.count(
            "You can try again in {number} minute.", "You can try again in {number} minutes.", -(-seconds // 60)
        )
    return language.count(
        "You can try again in {number} hour.", "You can try again in {number} hours.", -(-seconds // 3600)
    )
