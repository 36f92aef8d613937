"""A button that is pressed twice acts once: the forms of a login flow say what they had shown when they were drawn (semantics J4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.flows.accounts.login_flow import is_first_press

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.flows.sign_in.verify import VerificationView
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request

FIELD: Final = "seen"
"""The hidden field that a form draws from `seen_of`. Without it a form counts as a new one: only a program sends such a form."""

_PRESSED: Final = ("code", "contact", "channel", "identifier", "far")


def seen_of(view: VerificationView) -> str:
    """Return how far a flow is. Each guess and each message changes it, so a form that is drawn after one differs."""
    challenge = view.challenge
    if challenge is None:
        return f"{view.flow.guesses}"
    return f"{view.flow.guesses}.{challenge.guesses}.{challenge.sends}"


async def is_pressed_twice(web: WebContext, req: Request, fields: Mapping[str, str]) -> bool:
    """Return True if this very form was sent a moment ago, by the same browser and with the same fields."""
    if FIELD not in fields:
        return False
    pressed = "\0".join((req.path, fields[FIELD], *(fields.get(name, "") for name in _PRESSED)))
    return not await is_first_press(web.accounts, web.browser(req), pressed)
