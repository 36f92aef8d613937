"""The inbox: the messages of development, as their readers would see them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import falcon
import msgspec

from countersign.domain.shared.contact import read_contact
from countersign.errors import InputError
from countersign.web.http.problems import ProblemError
from countersign.web.http.response import JSON
from countersign.web.http.timestamps import instant
from countersign.web.pages.shared.rendering import render

if TYPE_CHECKING:
    from countersign.providers.inbox import Inbox, InboxMessage
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

LISTED: Final = 100
"""The most messages that the JSON lists."""
SHOWN: Final = 40
"""The most messages that the page lists."""

MAIL_POLICY: Final = "; ".join(  # noqa: FLY002 - one directive a line is what can be read
    (
        "default-src 'none'",
        # A mail brings its styles inside its markup. It may do nothing else: no script, no remote picture, no form.
        "style-src 'unsafe-inline'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
        "sandbox allow-popups allow-popups-to-escape-sandbox",
    )
)
"""The policy of a mail's own document. A `srcdoc` frame would inherit the page's policy, under which no mail looks right."""

_HEAD: Final = re.compile(r"<head[^>]*>", re.IGNORECASE)
_PAUSE: Final = re.compile(r"(?<=[.!?]) (?=[A-ZÄÖÜ])")
_DIGITS: Final = re.compile(r"\d{5,}")


class InboxPage:
    """The page at `/inbox`."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, req: Request, resp: Response) -> None:
        """Show the list and a message. `to` filters, `message` chooses (default: the newest), `part=text` shows a mail's text."""
        inbox = _open(self._web)
        version = await inbox.version()
        typed = req.get_param("to") or ""
        listed = await inbox.list(_canonical(typed), SHOWN + 1)
        found = listed[:SHOWN]
        wanted = req.get_param("message")
        chosen = next((message for message in found if message.id == wanted), None)
        opened = chosen or (found[0] if found else None)
        render(
            resp,
            "inbox.html",
            site="Countersign",
            version=version,
            typed=typed.strip(),
            messages=found,
            more=len(listed) > SHOWN,
            opened=opened,
            chosen=chosen is not None,
            part=req.get_param("part") or "html",
            here=_here,
            preview=_preview,
            sentences=_sentences,
        )

    async def post(self, _: Request, resp: Response) -> None:
        """Delete all messages, for the page's form, which cannot send DELETE. Redirects to the page."""
        inbox = _open(self._web)
        await inbox.clear()
        resp.redirect("/inbox")


class InboxMessages:
    """The JSON at `/inbox/messages`."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, req: Request, resp: Response) -> None:
        """Return the messages, newest first, optionally those to `to`. Answers 304 if nothing changed since `If-None-Match`."""
        inbox = _open(self._web)
        tag = f'"{await inbox.version()}"'
        resp.set_header("ETag", tag)
        resp.set_header("Cache-Control", "private, no-cache")
        if req.get_header("If-None-Match") == tag:
            resp.status = falcon.HTTP_304
            return
        found = await inbox.list(_canonical(req.get_param("to")), LISTED)
        resp.write(msgspec.json.encode([_told(message) for message in found]), JSON)

    async def delete(self, _: Request, resp: Response) -> None:
        """Delete all messages. Answers 204."""
        inbox = _open(self._web)
        await inbox.clear()
        resp.status = falcon.HTTP_204


class InboxMail:
    """The HTML part of one mail in a document of its own, where it can neither run nor fetch anything."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, _: Request, resp: Response, message_id: str) -> None:
        """Return the mail's HTML. Its links open in a new tab. Answers 404 if there is none."""
        inbox = _open(self._web)
        for message in await inbox.list(None, LISTED):
            if message.id == message_id and message.html:
                break
        else:
            raise ProblemError("not_found")
        resp.content_type = "text/html; charset=utf-8"
        resp.set_header("Content-Security-Policy", MAIL_POLICY)
        resp.text = _HEAD.sub(lambda head: f'{head[0]}<base target="_blank">', message.html, count=1)


def _open(web: WebContext) -> Inbox:
    if not web.settings.development or web.inbox is None:
        raise ProblemError("not_found")
    return web.inbox


def _canonical(typed: str | None) -> str | None:
    """Return the canonical form of an address, or the input. A space at the start of a number was a plus before the query was decoded."""
    if typed is None or not typed.strip():
        return None
    if typed.startswith(" ") and _DIGITS.search(typed):
        typed = f"+{typed.strip()}"
    try:
        return read_contact(typed).address
    except InputError:
        return typed.strip()


def _told(message: InboxMessage) -> dict[str, object]:
    return {
        "id": message.id,
        "to": message.to,
        "channel": message.channel.value,
        "subject": message.subject,
        "text": message.text,
        "html": message.html,
        "at": instant(message.at),
    }


def _here(typed: str, message: str = "", part: str = "") -> str:
    """Return the page's address with this filter, message and part."""
    query = urlencode({name: value for name, value in (("to", typed), ("message", message), ("part", part)) if value})
    return f"/inbox?{query}" if query else "/inbox"


def _preview(message: InboxMessage) -> str:
    """Return the line for a message in the list."""
    return message.subject or message.text.strip().split("\n", maxsplit=1)[0]


def _sentences(message: InboxMessage) -> list[str]:
    """Return the sentences of a call, one on each line."""
    return _PAUSE.split(message.text)
