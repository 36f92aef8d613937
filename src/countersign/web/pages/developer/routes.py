"""The routes of the pages for development."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.web.pages.developer.documents import Documents
from countersign.web.pages.developer.inbox import InboxMail, InboxMessages, InboxPage

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.router import Routes


def routes(web: WebContext) -> Routes:
    """Return the routes."""
    page, messages = InboxPage(web), InboxMessages(web)
    return {
        "/docs": {"GET": Documents(web).get},
        "/inbox": {"GET": page.get, "POST": page.post},
        "/inbox/messages": {"GET": messages.get, "DELETE": messages.delete},
        "/inbox/mail/{message_id}": {"GET": InboxMail(web).get},
    }
