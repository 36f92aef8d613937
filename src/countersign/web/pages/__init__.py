"""Pages: what a person sees of Countersign, as templates that are filled on the server and made livelier by small modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.web.pages.assets import Assets
from countersign.web.pages.demonstration import Demonstration
from countersign.web.pages.inbox import InboxMail, InboxMessages, InboxPage
from countersign.web.pages.not_me import NotMePage

if TYPE_CHECKING:
    from countersign.wiring import Runtime


def routes(runtime: Runtime) -> tuple[tuple[str, object], ...]:
    """Return the address (a template of Falcon's) and the resource of every page and of what pages are made of."""
    return (
        ("/", Demonstration(runtime)),
        ("/inbox", InboxPage(runtime)),
        ("/inbox/messages", InboxMessages(runtime)),
        ("/inbox/mail/{message_id}", InboxMail(runtime)),
        ("/not-me", NotMePage(runtime)),
        ("/static/{version}/{name}", Assets()),
    )
