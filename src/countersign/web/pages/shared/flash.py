"""A word about what was just done, for the page on which the browser lands next. It is shown once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.messages.language.catalogue import mark
from countersign.web.http.cookies import WORD, WORD_KEPT, drop, keep, secret_in

if TYPE_CHECKING:
    from countersign.messages.language.catalogue import Language
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

SIGNED_OUT: Final = "signed-out"
SESSION_ENDED: Final = "session-ended"

WORDS: Final = {
    SIGNED_OUT: mark("You are signed out."),
    SESSION_ENDED: mark("Your session had ended, so nothing was changed. Sign in, and you are back at the form."),
}
"""What each word of the cookie says. Nothing else is ever shown of it."""


def leave_word(resp: Response, word: str) -> None:
    """Leave one of WORDS for the next page."""
    keep(resp, WORD, word, WORD_KEPT)


def take_word(req: Request, resp: Response, language: Language) -> str:
    """Return what was left for this page, in words; empty if nothing was. It is not there for the next one."""
    word = secret_in(req, WORD)
    if not word:
        return ""
    drop(resp, WORD)
    return language.say(WORDS[word]) if word in WORDS else ""
