"""A word about what was just done, for the page on which the browser lands next. It stands in that page's address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.messages.language.catalogue import mark

if TYPE_CHECKING:
    from countersign.messages.language.catalogue import Language
    from countersign.web.http.request import Request

SIGNED_OUT: Final = "signed-out"
SESSION_ENDED: Final = "session-ended"

WORDS: Final = {
    SIGNED_OUT: mark("You’re signed out."),
    SESSION_ENDED: mark("You were signed out, so nothing was changed. Sign in to go back to the form."),
}
"""What each word says. Nothing else of the address is ever shown."""


def word_of(req: Request, language: Language) -> str:
    """Return what is to be said of what was done just before; empty if there is nothing."""
    word = req.get_param("done") or ""
    return language.say(WORDS[word]) if word in WORDS else ""
