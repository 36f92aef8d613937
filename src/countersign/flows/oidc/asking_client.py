"""What a page shows of the application that asks: its name, and the identifier that it suggests (semantics J6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from countersign.domain.oidc.authorization_request import MAX_LOGIN_HINT
from countersign.flows.accounts.asking_application import (
    authorization_parameters,
    find_asking_application,
    shown_name,
)
from countersign.flows.oidc.pushed_request import find_continued
from countersign.messages.custom.sanitize import one_line

if TYPE_CHECKING:
    from countersign.flows.accounts.context import AccountContext


class AskingClient(msgspec.Struct, frozen=True):
    """The application that asks. Empty fields say that there is none, or that it says nothing.

    - `site` is the name that the operator registered for it; empty if it is the name of this very site.
    - `origin` is that of its registered redirect URI, to which the browser goes back.
    - `login_hint` is the identifier that it suggests, for a field that the person sees and can change.
    """

    site: str = ""
    origin: str = ""
    login_hint: str = ""


NOBODY: Final = AskingClient()


async def find_asking_client(context: AccountContext, path: str) -> AskingClient:
    """Return the application that the authorization request at `path` leads to; NOBODY for any other path."""
    client = await find_asking_application(context, path)
    if client is None:
        return NOBODY
    params = authorization_parameters(context, path)
    parts = urlsplit(params["redirect_uri"])
    params = await find_continued(context, client, params) or params
    return AskingClient(
        shown_name(context, client), f"{parts.scheme}://{parts.netloc}", _usable_hint(params.get("login_hint", ""))
    )


def _usable_hint(login_hint: str) -> str:
    """Return a hint that may stand in a field: short, on one line, and without invisible characters. Others are as good as none."""
    fits = len(login_hint) <= MAX_LOGIN_HINT and one_line(login_hint, MAX_LOGIN_HINT) == login_hint
    return login_hint if fits else ""
