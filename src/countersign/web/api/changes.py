"""My changes: a signed-in person's account is changed by JSON, by the same flows as on the page, each with a proof of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta

from countersign.domain.accounts.change import ChangeKind, ChangeRefusal
from countersign.domain.accounts.integration_code import LIFETIMES
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import Level, ProofRequirement, Session, satisfies
from countersign.domain.shared.contact import Contact, parse
from countersign.errors import InputError
from countersign.flows.accounts.context import CodeRequested
from countersign.flows.accounts.sessions import end_device, end_others, end_session
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.integration_codes import make_code, name_of, revoke_code, rotate_code
from countersign.flows.changes.request import ChangeRequest
from countersign.flows.changes.submit import submit_change
from countersign.flows.changes.undo import cancel_change, undo_change
from countersign.flows.sign_in.step_up import step_up
from countersign.flows.verifications.results import Refused
from countersign.messages.language.catalogue import negotiate
from countersign.web.api.me import browser_in
from countersign.web.http.body import decoded, json_of
from countersign.web.http.cookies import DEVICE, DEVICE_KEPT, VISIT, VISIT_KEPT, written
from countersign.web.http.problems import ProblemError, of_refusal, problem
from countersign.web.http.request import Header, Reply
from countersign.web.pages.account.changes import KINDS

if TYPE_CHECKING:
    from countersign.flows.accounts.context import BrowserContext
    from countersign.web.http.context import Desk
    from countersign.web.http.request import Call

Id = Annotated[str, Meta(min_length=1, max_length=60)]
FRESH: Final = ProofRequirement(Level.MAIL_CODE, 15 * 60)
"""What ending a session or forgetting a browser asks for, as on the page."""

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
    """What is to be removed, by its id."""

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
    """One of: a change to `cancel`, one to `undo` (ids)."""

    cancel: Annotated[str, Meta(max_length=60)] = ""
    undo: Annotated[str, Meta(max_length=60)] = ""


_contact: Final = msgspec.json.Decoder(ContactBody).decode
_remove: Final = msgspec.json.Decoder(RemoveBody).decode
_end: Final = msgspec.json.Decoder(EndBody).decode
_code: Final = msgspec.json.Decoder(CodeBody).decode
_change: Final = msgspec.json.Decoder(ChangeBody).decode


async def change_contacts(desk: Desk, call: Call) -> Reply:
    """POST /v1/me/contacts."""
    browser, session = await browser_in(desk, call)
    body = decoded(_contact, await json_of(call))
    _one_of(bool(body.add), bool(body.primary), bool(body.remove))
    contact: Contact | None = parse(body.add) if body.add else None
    kind, which = ChangeKind.CONTACT_ADDED, body.replaces
    if body.replaces:
        kind = ChangeKind.CONTACT_REPLACED
    elif body.primary:
        kind, which = ChangeKind.CONTACT_PRIMARY, body.primary
    elif body.remove:
        kind, which = ChangeKind.CONTACT_REMOVED, body.remove
    holdings = await desk.runtime.accounts.database.read(find_snapshot, session.account)
    masked = next((one.masked for one in (holdings.contacts if holdings else ()) if one.id == which), "")
    about = contact.masked if contact is not None else masked
    wanted = ChangeRequest(kind, which, about, _summary(call, kind, about), contact)
    return await _answered(desk, browser, session, await submit_change(desk.runtime.accounts, browser, session, wanted))


async def change_methods(desk: Desk, call: Call) -> Reply:
    """POST /v1/me/methods."""
    browser, session = await browser_in(desk, call)
    which, context = decoded(_remove, await json_of(call)).remove, desk.runtime.accounts
    holdings = await context.database.read(find_snapshot, session.account)
    factor = next((one for one in (holdings.authenticators if holdings else ()) if one.id == which and one.name), None)
    about = context.keyring.unseal(factor.name, factor.id) if factor is not None else ""
    kind = ChangeKind.METHOD_REMOVED
    wanted = ChangeRequest(kind, which, about, _summary(call, kind, about))
    return await _answered(desk, browser, session, await submit_change(context, browser, session, wanted))


async def change_integration_codes(desk: Desk, call: Call) -> Reply:
    """POST /v1/me/integration-codes."""
    browser, session = await browser_in(desk, call)
    body, context = decoded(_code, await json_of(call)), desk.runtime.accounts
    _one_of(bool(body.name or body.scopes), bool(body.rotate), bool(body.revoke))
    code = ""
    if body.revoke:
        kind = ChangeKind.INTEGRATION_CODE_REVOKED
        outcome = await revoke_code(context, browser, session, body.revoke, _summary(call, kind, ""))
    elif body.rotate:
        kind = ChangeKind.INTEGRATION_CODE_ROTATED
        outcome, code = await rotate_code(context, browser, session, body.rotate, _summary(call, kind, ""))
    else:
        offered, name = desk.runtime.settings.integration_scopes, name_of(body.name)
        if not name:
            raise InputError("name", "malformed", "An integration code has a name of 1 to 60 characters.")
        if not body.scopes or not set(body.scopes) <= set(offered):
            raise InputError("scopes", "malformed", f"Expected some of: {', '.join(offered)}.")
        if body.days not in LIFETIMES:
            raise InputError("days", "malformed", "Expected 30, 90 or 365.")
        summary = _summary(call, ChangeKind.INTEGRATION_CODE_MADE, name)
        scopes = sorted(set(body.scopes))
        outcome, code = await make_code(context, browser, session, name, scopes, days=body.days, summary=summary)
    return await _answered(desk, browser, session, outcome, **({"code": code} if code else {}))


async def change_changes(desk: Desk, call: Call) -> Reply:
    """POST /v1/me/changes."""
    browser, session = await browser_in(desk, call)
    body, context = decoded(_change, await json_of(call)), desk.runtime.accounts
    _one_of(bool(body.cancel), bool(body.undo))
    if body.cancel:
        canceled = await cancel_change(context, browser, session.account, body.cancel)
        return await _answered(desk, browser, session, canceled)
    summary = negotiate(_languages(call)).say("Undo: {what}", what=body.undo)
    return await _answered(desk, browser, session, await undo_change(context, browser, session, body.undo, summary))


async def end_sessions(desk: Desk, call: Call) -> Reply:
    """POST /v1/me/sessions."""
    browser, session = await browser_in(desk, call)
    which, context = decoded(_end, await json_of(call)).end, desk.runtime.accounts
    if not satisfies(session, FRESH, context.now()):
        return await _asked(desk, browser, session, FRESH)
    ended = await end_others(context, session) if which == "others" else int(await end_session(context, session, which))
    return Reply(200, _encode({"ended": ended}))


async def forget_devices(desk: Desk, call: Call) -> Reply:
    """POST /v1/me/devices."""
    browser, session = await browser_in(desk, call)
    which, context = decoded(_remove, await json_of(call)).remove, desk.runtime.accounts
    if not satisfies(session, FRESH, context.now()):
        return await _asked(desk, browser, session, FRESH)
    return Reply(200, _encode({"ended": int(await end_device(context, session, which))}))


async def _answered(
    desk: Desk,
    browser: BrowserContext,
    session: Session,
    outcome: Applied | CodeRequested | ProofRequirement | ChangeRefusal | Refused,
    **more: str,
) -> Reply:
    """Return what came of it; a proof that is needed, or a new contact's, is given in the browser at /verify."""
    match outcome:
        case Applied(done):
            desk.runtime.accounts.database.announce()
            told = {"id": done.id, "kind": done.kind.value, "state": done.state.value}
            return Reply(200, _encode({"change": told, **more}))
        case CodeRequested():
            desk.runtime.accounts.database.announce()
            return Reply(202, _encode({"verify": "/verify"}), headers=_cookies(outcome))
        case ProofRequirement():
            return await _asked(desk, browser, session, outcome)
        case ChangeRefusal():
            return problem("change_refused", more={"reason": outcome.value})
        case Refused():
            return of_refusal(outcome)


async def _asked(desk: Desk, browser: BrowserContext, session: Session, need: ProofRequirement) -> Reply:
    """Ask for the proof; the same request is carried out when it comes again afterwards, once."""
    asked = await step_up(desk.runtime.accounts, browser, session, need, InterruptedRequest(path="/account"))
    if isinstance(asked, CodeRequested):
        desk.runtime.accounts.database.announce()
        return problem("step_up_required", more={"verify": "/verify"}, headers=_cookies(asked))
    if isinstance(asked, Refused):
        return of_refusal(asked)
    return problem("unmet")


def _cookies(begun: CodeRequested) -> tuple[Header, ...]:
    return (
        (b"set-cookie", written(DEVICE, begun.device, DEVICE_KEPT).encode()),
        (b"set-cookie", written(VISIT, begun.flow, VISIT_KEPT).encode()),
    )


def _summary(call: Call, kind: ChangeKind, about: str) -> str:
    return negotiate(_languages(call)).say(KINDS[kind], about=about)


def _languages(call: Call) -> str:
    return (call.header(b"accept-language") or b"").decode("latin-1").partition(",")[0].partition(";")[0][:35]


def _one_of(*given: Any) -> None:  # noqa: ANN401
    if sum(map(bool, given)) != 1:
        raise ProblemError("malformed", detail="Exactly one thing can be asked for at a time.")
