"""Changes of a signed-in person's account by JSON, through the same flows as the pages. Each needs a proof of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from countersign.domain.accounts.change import ChangeKind, ChangeRefusal, ChangeRequest
from countersign.domain.accounts.integration_code import LIFETIMES
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import Level, ProofRequirement, Session, satisfies
from countersign.domain.shared.contact import Contact, read_contact
from countersign.errors import InputError
from countersign.flows.accounts.account_language import account_language
from countersign.flows.accounts.context import CodeRequested
from countersign.flows.accounts.sessions import end_others, end_session
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.delayed_recovery import Allowed, allow_delayed_recovery
from countersign.flows.changes.forget_browser import forget_browser
from countersign.flows.changes.integration_codes import (
    ListedCode,
    list_codes,
    make_code,
    name_of,
    revoke_code,
    rotate_code,
)
from countersign.flows.changes.name_contacts import contact_request, undo_summary
from countersign.flows.changes.submit import submit_change
from countersign.flows.changes.undo import cancel_change, undo_change
from countersign.flows.sign_in.step_up import step_up
from countersign.flows.verifications.results import Refused
from countersign.messages.content.change_names import ALLOW_RECOVERY, CHANGE_NAMES, integration_code_summary
from countersign.store.tables import changes
from countersign.web.api.me import browser_in
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import keep_flow
from countersign.web.http.json_body import decoded, json_of
from countersign.web.http.problems import ProblemError, of_refusal

if TYPE_CHECKING:
    from countersign.flows.accounts.context import AccountContext, BrowserContext
    from countersign.messages.language.catalogue import Language
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

Id = Annotated[str, Meta(min_length=1, max_length=60)]
FRESH: Final = ProofRequirement(Level.MAIL_CODE, 15 * 60)
"""The proof for ending a session or forgetting a browser, as on the page."""

_encode: Final = msgspec.json.Encoder().encode


class ContactBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of: a contact to `add` (in the place of `replaces`), one to make `primary`, one to `remove` (ids)."""

    add: Annotated[str, Meta(max_length=320)] = ""
    replaces: Annotated[str, Meta(max_length=60)] = ""
    primary: Annotated[str, Meta(max_length=60)] = ""
    remove: Annotated[str, Meta(max_length=60)] = ""

    def __repr__(self) -> str:
        """Hide the contact."""
        return "ContactBody()"


class RemoveBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The id of what is to be removed."""

    remove: Id


class EndBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The session to end, by its id; or `others`."""

    end: Id


class CodeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of: a code to make (`name`, `scopes`, `days`), one to `rotate`, one to `revoke` (ids)."""

    name: Annotated[str, Meta(max_length=60)] = ""
    scopes: Annotated[tuple[Annotated[str, Meta(max_length=40)], ...], Meta(max_length=40)] = ()
    days: int = LIFETIMES[0]
    rotate: Annotated[str, Meta(max_length=60)] = ""
    revoke: Annotated[str, Meta(max_length=60)] = ""


class ChangeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of: a change to `cancel`, one to `undo` (ids), or `allow_recovery`."""

    cancel: Annotated[str, Meta(max_length=60)] = ""
    undo: Annotated[str, Meta(max_length=60)] = ""
    allow_recovery: bool = False


_contact: Final = msgspec.json.Decoder(ContactBody).decode
_remove: Final = msgspec.json.Decoder(RemoveBody).decode
_end: Final = msgspec.json.Decoder(EndBody).decode
_code: Final = msgspec.json.Decoder(CodeBody).decode
_change: Final = msgspec.json.Decoder(ChangeBody).decode


async def change_contacts(web: WebContext, req: Request, resp: Response) -> None:
    """POST /v1/me/contacts."""
    browser, session = await browser_in(web, req)
    language = await account_language(web.accounts, session, language_of(req))
    body = decoded(_contact, await json_of(req))
    _one_of(bool(body.add), bool(body.primary), bool(body.remove))
    contact: Contact | None = read_contact(body.add) if body.add else None
    kind, which = ChangeKind.CONTACT_ADDED, body.replaces
    if body.replaces:
        kind = ChangeKind.CONTACT_REPLACED
    elif body.primary:
        kind, which = ChangeKind.CONTACT_PRIMARY, body.primary
    elif body.remove:
        kind, which = ChangeKind.CONTACT_REMOVED, body.remove
    wanted = await contact_request(web.accounts, session, language, kind, which, contact)
    await _answer(web, req, resp, browser, session, await submit_change(web.accounts, browser, session, wanted))


async def change_methods(web: WebContext, req: Request, resp: Response) -> None:
    """POST /v1/me/methods."""
    browser, session = await browser_in(web, req)
    language = await account_language(web.accounts, session, language_of(req))
    which, accounts = decoded(_remove, await json_of(req)).remove, web.accounts
    snapshot = await accounts.database.read(find_snapshot, session.account)
    factor = next((one for one in (snapshot.authenticators if snapshot else ()) if one.id == which and one.name), None)
    about = accounts.keyring.unseal(factor.name, factor.id) if factor is not None else ""
    kind = ChangeKind.METHOD_REMOVED
    wanted = ChangeRequest(kind, which, about, _summary(language, kind, about))
    await _answer(web, req, resp, browser, session, await submit_change(accounts, browser, session, wanted))


async def change_integration_codes(web: WebContext, req: Request, resp: Response) -> None:
    """POST /v1/me/integration-codes."""
    browser, session = await browser_in(web, req)
    language = await account_language(web.accounts, session, language_of(req))
    body, accounts = decoded(_code, await json_of(req)), web.accounts
    _one_of(bool(body.name or body.scopes), bool(body.rotate), bool(body.revoke))
    code = ""
    if body.revoke:
        kind, found = ChangeKind.INTEGRATION_CODE_REVOKED, await _find_code(accounts, session, body.revoke)
        summary = _summary(language, kind, found.name if found is not None else "")
        outcome = await revoke_code(accounts, browser, session, body.revoke, summary)
    elif body.rotate:
        kind, found = ChangeKind.INTEGRATION_CODE_ROTATED, await _find_code(accounts, session, body.rotate)
        summary = ""
        if found is not None:
            summary = integration_code_summary(kind, language, found.name, found.scopes, found.days)
        outcome, code = await rotate_code(accounts, browser, session, body.rotate, summary)
    else:
        offered, name = web.settings.integration_codes.scopes, name_of(body.name)
        if not name:
            raise InputError("name", "malformed", "An integration code has a name of 1 to 60 characters.")
        if not body.scopes or not set(body.scopes) <= set(offered):
            raise InputError("scopes", "malformed", f"Expected some of: {', '.join(offered)}.")
        if body.days not in LIFETIMES:
            raise InputError("days", "malformed", "Expected 30, 90 or 365.")
        scopes = sorted(set(body.scopes))
        summary = integration_code_summary(ChangeKind.INTEGRATION_CODE_MADE, language, name, scopes, body.days)
        outcome, code = await make_code(accounts, browser, session, name, scopes, days=body.days, summary=summary)
    await _answer(web, req, resp, browser, session, outcome, **({"code": code} if code else {}))


async def change_changes(web: WebContext, req: Request, resp: Response) -> None:
    """POST /v1/me/changes."""
    browser, session = await browser_in(web, req)
    body, accounts = decoded(_change, await json_of(req)), web.accounts
    _one_of(bool(body.cancel), bool(body.undo), body.allow_recovery)
    if body.allow_recovery:
        allowed = await allow_delayed_recovery(accounts, browser, session, language_of(req).say(ALLOW_RECOVERY))
        if isinstance(allowed, Allowed):
            web.database.notify()
            resp.json(_encode({"recovery_barred_until": None}))
        else:
            await _answer(web, req, resp, browser, session, allowed)
        return
    if body.cancel:
        canceled = await cancel_change(accounts, browser, session.account, body.cancel)
        await _answer(web, req, resp, browser, session, canceled)
        return
    language = await account_language(accounts, session, language_of(req))
    found = await accounts.database.read(changes.find, session.account, body.undo)
    summary, masked = await undo_summary(accounts, session, found, language)
    undone = await undo_change(accounts, browser, session, body.undo, summary, masked)
    await _answer(web, req, resp, browser, session, undone)


async def end_sessions(web: WebContext, req: Request, resp: Response) -> None:
    """POST /v1/me/sessions."""
    browser, session = await browser_in(web, req)
    which, accounts = decoded(_end, await json_of(req)).end, web.accounts
    if not satisfies(session, FRESH, accounts.now()):
        await _ask(web, req, resp, browser, session, FRESH)
    ended = (
        await end_others(accounts, session) if which == "others" else int(await end_session(accounts, session, which))
    )
    resp.json(_encode({"ended": ended}))


async def forget_devices(web: WebContext, req: Request, resp: Response) -> None:
    """POST /v1/me/devices."""
    browser, session = await browser_in(web, req)
    which, accounts = decoded(_remove, await json_of(req)).remove, web.accounts
    if not satisfies(session, FRESH, accounts.now()):
        await _ask(web, req, resp, browser, session, FRESH)
    resp.json(_encode({"ended": int(await forget_browser(accounts, session, which))}))


async def _answer(
    web: WebContext,
    req: Request,
    resp: Response,
    browser: BrowserContext,
    session: Session,
    outcome: Applied | CodeRequested | ProofRequirement | ChangeRefusal | Refused,
    **more: str,
) -> None:
    """Write the outcome. A missing proof, or that of a new contact, is given in the browser at /verify."""
    match outcome:
        case Applied(done):
            web.database.notify()
            change = {"id": done.id, "kind": done.kind.value, "state": done.state.value}
            resp.json(_encode({"change": change, **more}))
        case CodeRequested():
            web.database.notify()
            keep_flow(req, resp, outcome)
            resp.json(_encode({"verify": "/verify"}), 202)
        case ProofRequirement():
            await _ask(web, req, resp, browser, session, outcome)
        case ChangeRefusal():
            raise ProblemError("change_refused", reason=outcome.value)
        case Refused():
            raise of_refusal(outcome)


async def _ask(
    web: WebContext, req: Request, resp: Response, browser: BrowserContext, session: Session, need: ProofRequirement
) -> None:
    """Ask for a proof by raising a problem. The same request, sent again afterwards, is carried out once."""
    asked = await step_up(web.accounts, browser, session, need, InterruptedRequest(path="/account"))
    if isinstance(asked, CodeRequested):
        web.database.notify()
        keep_flow(req, resp, asked)
        raise ProblemError("step_up_required", verify="/verify")
    if isinstance(asked, Refused):
        raise of_refusal(asked)
    raise ProblemError("unmet")


async def _find_code(accounts: AccountContext, session: Session, code_id: str) -> ListedCode | None:
    return next((one for one in await list_codes(accounts, session.account) if one.id == code_id), None)


def _summary(language: Language, kind: ChangeKind, about: str) -> str:
    return language.say(CHANGE_NAMES[kind], about=about)


def _one_of(*given: bool) -> None:
    if sum(given) != 1:
        raise ProblemError("malformed", detail="Exactly one thing can be asked for at a time.")
