"""The demonstration for developers: one verification through the public API, from the address to the proof."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from babel import Locale

from countersign.domain.shared.contact import Channel
from countersign.messages.language.catalogue import languages
from countersign.store.tables import applications
from countersign.web.pages.shared.leave import origin_of
from countersign.web.pages.shared.rendering import render

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

SAMPLE_MAIL = "ada@example.org"
SAMPLE_PHONE = "+14155550123"
_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
_MOST = 5


class Demonstration:
    """The page at `/`. It holds the demonstration's test key, so it is served in development only."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    @property
    def is_shown(self) -> bool:
        """Return True in development."""
        return self._web.settings.development and self._web.demo_key is not None

    async def get(self, req: Request, resp: Response) -> None:
        """Show the page. It needs the demonstration's key, so it is for development only."""
        web = self._web
        key = web.demo_key or ""
        scheme = "https" if web.proxies.is_tls(req.scope) else "http"
        render(
            resp,
            "demonstration.html",
            site="Countersign",
            key=key,
            curl=_curl(f"{scheme}://{req.netloc}", key),
            channels=_CHANNELS,
            languages=[(tag, _name(tag)) for tag in languages()],
            purposes=sorted(web.core.policy.policies, key=lambda name: (name != "sign_in", name)),
            sample_mail=SAMPLE_MAIL,
            sample_phone=SAMPLE_PHONE,
            shops=await self._shops(),
        )

    async def _shops(self) -> list[tuple[str, str]]:
        """Return the name and address of each application on this machine that signs its people in here."""
        known = await self._web.database.read(applications.list_all)
        starts = [(application.site, origin_of(uri)) for application in known for uri in application.redirect_uris[:1]]
        return [(site, f"{origin}/") for site, origin in starts if urlsplit(origin).hostname in _THIS_MACHINE][:_MOST]


_CHANNELS = (
    (Channel.EMAIL.value, "Email"),
    (Channel.SMS.value, "SMS"),
    (Channel.VOICE.value, "Call"),
    (Channel.WHATSAPP.value, "WhatsApp"),
)


def _curl(base: str, key: str) -> str:
    body = json.dumps({"to": SAMPLE_MAIL, "purpose": "sign_in"})
    return (
        f"curl -sS {base}/v1/verifications \\\n  -H 'Authorization: Bearer {key}' \\\n"
        f"  -H 'Content-Type: application/json' \\\n  -d '{body}'"
    )


def _name(tag: str) -> str:
    locale = Locale.parse(tag, sep="-")
    return (locale.get_display_name() or tag).capitalize()
