"""Me: a signed-in person's contacts, devices, sessions, methods, integration codes, changes and activity, as a program reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from countersign.domain.accounts.authenticator import STRONG_KINDS
from countersign.domain.accounts.change import UNDO_LASTS
from countersign.domain.accounts.session import Session, current_level, is_enrolment_only
from countersign.domain.shared.activity import SHOWN
from countersign.flows.accounts.activity import recent
from countersign.flows.accounts.context import BrowserContext
from countersign.flows.accounts.sessions import find_session, overview_of
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.changes.integration_codes import list_codes
from countersign.flows.oidc.token import find_access_token
from countersign.store.tables import changes
from countersign.web.http.authentication import bearer
from countersign.web.http.cookies import DEVICE, MAX_AGENT, SESSION, VISIT, sole
from countersign.web.http.problems import ProblemError
from countersign.web.http.request import Reply
from countersign.web.http.templates import instant

if TYPE_CHECKING:
    from countersign.flows.accounts.sessions import Overview
    from countersign.web.http.context import Desk
    from countersign.web.http.request import Call

SCOPE: Final = "account"
"""What an access token has to be granted to read these."""
SINCE: Final = 4 * UNDO_LASTS

_encode: Final = msgspec.json.Encoder().encode


class Asking(msgspec.Struct, frozen=True):
    """Whose account is read, and the id of the session that reads it (empty where a token does)."""

    account: str
    session: str


async def _who(desk: Desk, call: Call) -> Asking:
    """Return who is signed in here, or let a program in; raises ProblemError for neither."""
    context = desk.runtime.accounts
    if given := bearer(call):
        token = await find_access_token(context, given)
        if token is None or SCOPE not in token.scope.split():
            raise ProblemError("not_signed_in")
        return Asking(token.account, "")
    _, session = await browser_in(desk, call)
    return Asking(session.account, session.id)


async def browser_in(desk: Desk, call: Call) -> tuple[BrowserContext, Session]:
    """Return the browser that is signed in here, and its session; raises ProblemError for one that is not."""
    given: dict[str, list[str]] = {}
    for part in (call.header(b"cookie") or b"").decode("latin-1").split(";"):
        name, _, value = part.strip().partition("=")
        given.setdefault(name, []).append(value)
    context = desk.runtime.accounts
    browser = BrowserContext(
        session=sole(given.get(SESSION, [])),
        device=sole(given.get(DEVICE, [])),
        flow=sole(given.get(VISIT, [])),
        ip=desk.proxies.client(call.scope),
        user_agent=(call.header(b"user-agent") or b"").decode("latin-1")[:MAX_AGENT],
    )
    session = await find_session(context, browser)
    if session is None or is_enrolment_only(session, context.sign_in_policy, context.now()):
        raise ProblemError("not_signed_in")
    return browser, session


async def _overview(desk: Desk, asking: Asking) -> Overview:
    found = await overview_of(desk.runtime.accounts, asking.account)
    if found is None:
        raise ProblemError("not_signed_in")
    return found


async def contacts(desk: Desk, call: Call) -> Reply:
    """GET /v1/me/contacts."""
    found = await _overview(desk, await _who(desk, call))
    return _told(
        "contacts",
        [
            {
                "id": one.id,
                "kind": one.kind.value,
                "to": one.masked,
                "primary": one.primary,
                "added_at": instant(one.added_at),
                "recovers_from": instant(max(one.settled_at, one.added_at)),
            }
            for one in found.contacts
        ],
    )


async def devices(desk: Desk, call: Call) -> Reply:
    """GET /v1/me/devices."""
    found, now = await _overview(desk, await _who(desk, call)), desk.runtime.accounts.now()
    return _told(
        "devices",
        [
            {
                "id": one.id,
                "user_agent": one.user_agent,
                "place": one.place,
                "added_at": instant(one.created_at),
                "last_seen_at": instant(one.last_seen_at),
                "trusted_until": instant(one.trusted_until) if one.trusted(now) else None,
            }
            for one in found.devices
        ],
    )


async def sessions(desk: Desk, call: Call) -> Reply:
    """GET /v1/me/sessions."""
    asking, now = await _who(desk, call), desk.runtime.accounts.now()
    found = await _overview(desk, asking)
    return _told(
        "sessions",
        [
            {
                "id": one.id,
                "here": one.id == asking.session,
                "user_agent": one.user_agent,
                "ip": one.ip,
                "place": one.place,
                "acr": current_level(one, now).acr,
                "began_at": instant(one.created_at),
                "last_seen_at": instant(one.last_seen_at),
                "expires_at": instant(one.expires_at),
            }
            for one in found.sessions
        ],
    )


async def methods(desk: Desk, call: Call) -> Reply:
    """GET /v1/me/methods."""
    asking, context = await _who(desk, call), desk.runtime.accounts
    holdings = await context.database.read(find_snapshot, asking.account)
    if holdings is None:
        raise ProblemError("not_signed_in")
    found = [
        {
            "id": one.id,
            "kind": one.kind.value,
            "name": context.keyring.unseal(one.name, one.id),
            "added_at": instant(one.added_at),
            "last_used_at": instant(one.last_used_at) if one.last_used_at else None,
        }
        for one in holdings.authenticators
        if one.kind in STRONG_KINDS
    ]
    return _told("methods", found, recovery_codes_left=holdings.recovery_codes)


async def integration_codes(desk: Desk, call: Call) -> Reply:
    """GET /v1/me/integration-codes."""
    asking = await _who(desk, call)
    return _told(
        "integration_codes",
        [
            {
                "id": one.id,
                "name": one.name,
                "scopes": one.scopes,
                "made_at": instant(one.created_at),
                "expires_at": instant(one.expires_at),
                "last_used_at": instant(one.last_used_at) if one.last_used_at else None,
                "last_used_from": one.last_used_from,
            }
            for one in await list_codes(desk.runtime.accounts, asking.account)
        ],
    )


async def changes_of(desk: Desk, call: Call) -> Reply:
    """GET /v1/me/changes."""
    asking, context = await _who(desk, call), desk.runtime.accounts
    now = context.now()
    found = await context.database.read(changes.list_since, asking.account, now - SINCE, SHOWN)
    return _told(
        "changes",
        [
            {
                "id": one.id,
                "kind": one.kind.value,
                "about": one.about,
                "state": one.state_at(now).value,
                "asked_at": instant(one.asked_at),
                "user_agent": one.user_agent,
                "place": one.place,
                "undoable_until": instant(one.until) if one.undoable(now) else None,
            }
            for one in found
        ],
    )


async def activity(desk: Desk, call: Call) -> Reply:
    """GET /v1/me/activity."""
    asking = await _who(desk, call)
    happened, sent = await recent(desk.runtime.accounts, asking.account, SHOWN)
    return _told(
        "activity",
        [{"at": instant(one.at), "kind": one.kind.value, **_shown(one.facts)} for one in happened],
        messages=[
            {
                "what": one.what,
                "to": one.to,
                "channel": one.channel.value,
                "at": instant(one.at),
                "state": one.state.value,
            }
            for one in sent
        ],
    )


def _shown(facts: dict[str, str]) -> dict[str, str]:
    return {name: facts[name] for name in ("user_agent", "place", "about") if facts.get(name)}


def _told(name: str, found: list[dict[str, Any]], **more: object) -> Reply:
    return Reply(200, _encode({name: found, **more}))
