"""The account of a signed-in person for programs: contacts, devices, sessions, methods, integration codes, changes and activity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from countersign.domain.accounts.authenticator import STRONG_KINDS
from countersign.domain.accounts.change import UNDO_PERIOD
from countersign.domain.accounts.session import Session, current_level, is_enrolment_only
from countersign.domain.shared.activity import MAX_SHOWN
from countersign.flows.accounts.activity import recent
from countersign.flows.accounts.context import BrowserContext
from countersign.flows.accounts.sessions import find_session, overview_of
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.changes.integration_codes import list_codes
from countersign.flows.oidc.token import find_access_token
from countersign.store.tables import changes
from countersign.web.http.authentication import bearer
from countersign.web.http.problems import ProblemError
from countersign.web.http.timestamps import instant

if TYPE_CHECKING:
    from countersign.flows.accounts.sessions import Overview
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

SCOPE: Final = "account"
"""The scope that an access token needs."""
SINCE: Final = 4 * UNDO_PERIOD

_encode: Final = msgspec.json.Encoder().encode


class Reader(msgspec.Struct, frozen=True):
    """The account that is read, and the id of the session that reads it (empty for a token)."""

    account: str
    session: str


async def _reader(web: WebContext, req: Request) -> Reader:
    """Return the reader: a signed-in browser, or a program with a token. Raises ProblemError for neither."""
    accounts = web.accounts
    if given := bearer(req):
        token = await find_access_token(accounts, given)
        if token is None or SCOPE not in token.scope.split():
            raise ProblemError("not_signed_in")
        return Reader(token.account, "")
    _, session = await browser_in(web, req)
    return Reader(session.account, session.id)


async def browser_in(web: WebContext, req: Request) -> tuple[BrowserContext, Session]:
    """Return the signed-in browser and its session. Raises ProblemError without one."""
    browser, accounts = web.browser(req), web.accounts
    session = await find_session(accounts, browser)
    if session is None or is_enrolment_only(session, accounts.sign_in_policy, accounts.now()):
        raise ProblemError("not_signed_in")
    return browser, session


async def _overview(web: WebContext, reader: Reader) -> Overview:
    found = await overview_of(web.accounts, reader.account)
    if found is None:
        raise ProblemError("not_signed_in")
    return found


async def contacts(web: WebContext, req: Request, resp: Response) -> None:
    """GET /v1/me/contacts."""
    found = await _overview(web, await _reader(web, req))
    _tell(
        resp,
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


async def devices(web: WebContext, req: Request, resp: Response) -> None:
    """GET /v1/me/devices."""
    found, now = await _overview(web, await _reader(web, req)), web.accounts.now()
    _tell(
        resp,
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


async def sessions(web: WebContext, req: Request, resp: Response) -> None:
    """GET /v1/me/sessions."""
    reader, now = await _reader(web, req), web.accounts.now()
    found = await _overview(web, reader)
    _tell(
        resp,
        "sessions",
        [
            {
                "id": one.id,
                "here": one.id == reader.session,
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


async def methods(web: WebContext, req: Request, resp: Response) -> None:
    """GET /v1/me/methods."""
    reader, accounts = await _reader(web, req), web.accounts
    snapshot = await accounts.database.read(find_snapshot, reader.account)
    if snapshot is None:
        raise ProblemError("not_signed_in")
    found = [
        {
            "id": one.id,
            "kind": one.kind.value,
            "name": accounts.keyring.unseal(one.name, one.id),
            "added_at": instant(one.added_at),
            "last_used_at": instant(one.last_used_at) if one.last_used_at else None,
        }
        for one in snapshot.authenticators
        if one.kind in STRONG_KINDS
    ]
    _tell(resp, "methods", found, recovery_codes_left=snapshot.recovery_codes)


async def integration_codes(web: WebContext, req: Request, resp: Response) -> None:
    """GET /v1/me/integration-codes."""
    reader = await _reader(web, req)
    _tell(
        resp,
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
            for one in await list_codes(web.accounts, reader.account)
        ],
    )


async def changes_of(web: WebContext, req: Request, resp: Response) -> None:
    """GET /v1/me/changes."""
    reader, accounts = await _reader(web, req), web.accounts
    now = accounts.now()
    found = await accounts.database.read(changes.list_since, reader.account, now - SINCE, MAX_SHOWN)
    _tell(
        resp,
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
                "undoable_until": instant(one.until) if one.is_undoable(now) else None,
            }
            for one in found
        ],
    )


async def activity(web: WebContext, req: Request, resp: Response) -> None:
    """GET /v1/me/activity."""
    reader = await _reader(web, req)
    happened, sent = await recent(web.accounts, reader.account, MAX_SHOWN)
    _tell(
        resp,
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


def _tell(resp: Response, name: str, found: list[dict[str, Any]], **more: object) -> None:
    resp.json(_encode({name: found, **more}))
