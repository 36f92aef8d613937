"""Verifications: begin one, check what was typed, send again, cancel, look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from countersign.domain.shared import identifier
from countersign.domain.shared.contact import Channel, Contact, parse_contact
from countersign.domain.verifications.challenge import Action, Refusal, Requester
from countersign.errors import InputError
from countersign.flows.verifications.begin import BeginRequest, begin_challenge
from countersign.flows.verifications.cancel import cancel_challenge
from countersign.flows.verifications.check import check_challenge, sign_proof
from countersign.flows.verifications.get import get_challenge
from countersign.flows.verifications.resend import resend_code
from countersign.flows.verifications.results import Done, KeyReused, Missing, Outcome, Refused
from countersign.web.api.views import DeliveryView, in_full, message, shown
from countersign.web.http.authentication import caller
from countersign.web.http.body import clean, decoded, json_if_any, json_of
from countersign.web.http.idempotency import once_of
from countersign.web.http.problems import ProblemError, of_refusal, problem
from countersign.web.http.request import Reply

if TYPE_CHECKING:
    from countersign.web.http.context import Desk
    from countersign.web.http.request import Call

Id = Annotated[str, Meta(max_length=200)]


class ActionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an approval is worth."""

    summary: Id = ""
    hash: Id = ""


class RequesterBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who asks, as the application sees it."""

    ip: Annotated[str, Meta(max_length=45, pattern=r"\A[0-9A-Fa-f:.]+\Z")] = ""
    user_agent: Annotated[str, Meta(max_length=1_000)] = ""
    device: Id = ""


class BeginBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a begin brings."""

    to: Annotated[str, Meta(min_length=1, max_length=320)]
    channel: Literal["email", "sms", "voice", "whatsapp", "auto"] = "auto"
    purpose: Annotated[str, Meta(min_length=1, max_length=40)] = "sign_in"
    subject: Id = ""
    action: ActionBody = ActionBody()
    locale: Annotated[str, Meta(max_length=35, pattern=r"\A[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*\Z")] = ""
    requester: RequesterBody = RequesterBody()

    def __repr__(self) -> str:
        """Hide who is asked."""
        return "BeginBody()"


class CheckBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a check brings."""

    code: Annotated[str, Meta(min_length=1, max_length=64)]

    def __repr__(self) -> str:
        """Hide what was typed."""
        return "CheckBody()"


class ResendBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a resend may bring."""

    channel: Channel | UnsetType = UNSET


class CancelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a cancel brings: nothing."""


_begin: Final = msgspec.json.Decoder(BeginBody).decode
_check: Final = msgspec.json.Decoder(CheckBody).decode
_resend: Final = msgspec.json.Decoder(ResendBody).decode
_cancel: Final = msgspec.json.Decoder(CancelBody).decode
_OUTCOMES: Final = {Done: "done", Missing: "missing", KeyReused: "key_reused"}
_NOBODY: Final = RequesterBody()
_NOTHING: Final = ActionBody()
_NO_ACTION: Final = Action()
_NO_REQUESTER: Final = Requester()


async def begin(desk: Desk, call: Call) -> Reply:
    """POST /v1/verifications."""
    application = await caller(desk, call)
    body = await json_of(call)
    asked = _asked(decoded(_begin, body))
    once = once_of(desk.core.keyring, call, application, body)
    with desk.in_flight(once):
        outcome = await begin_challenge(desk.core, application, asked, once)
    _count(desk, "begin", outcome)
    if isinstance(outcome, Done):
        challenge = outcome.challenge
        headers = ((b"location", f"/v1/verifications/{challenge.id}".encode()), *desk.budgets.left(outcome.rate_limit))
        status = 200 if outcome.continued else 201
        return Reply(status, shown(challenge, delivery=_owed(outcome)), headers=headers)
    return _not_done(desk, outcome, beginning=True)


async def check(desk: Desk, call: Call) -> Reply:
    """POST /v1/verifications/{id}/check."""
    application = await caller(desk, call)
    id_ = id_of(call)
    body = await json_of(call)
    typed = decoded(_check, body).code
    if typed.isspace():
        raise InputError("code", "too_short", "The code is empty; nothing was compared.")
    once = once_of(desk.core.keyring, call, application, body)
    with desk.in_flight(once):
        outcome = await check_challenge(desk.core, application, id_, typed, once)
    _count(desk, "check", outcome)
    if isinstance(outcome, Done):
        return Reply(200, shown(outcome.challenge, proof=sign_proof(desk.core, outcome.challenge)))
    if isinstance(outcome, Refused) and outcome.refusal is Refusal.WRONG_CODE and outcome.challenge is not None:
        return Reply(200, shown(outcome.challenge, refusal=outcome.refusal.value))
    return _not_done(desk, outcome)


async def resend(desk: Desk, call: Call) -> Reply:
    """POST /v1/verifications/{id}/resend."""
    application = await caller(desk, call)
    id_ = id_of(call)
    body = await json_if_any(call)
    channel = decoded(_resend, body).channel or None
    once = once_of(desk.core.keyring, call, application, body)
    with desk.in_flight(once):
        outcome = await resend_code(desk.core, application, id_, channel, once)
    _count(desk, "resend", outcome)
    if isinstance(outcome, Done):
        return Reply(
            200, shown(outcome.challenge, delivery=_owed(outcome)), headers=desk.budgets.left(outcome.rate_limit)
        )
    return _not_done(desk, outcome)


async def cancel(desk: Desk, call: Call) -> Reply:
    """POST /v1/verifications/{id}/cancel."""
    application = await caller(desk, call)
    id_ = id_of(call)
    body = await json_if_any(call)
    decoded(_cancel, body)
    once = once_of(desk.core.keyring, call, application, body)
    with desk.in_flight(once):
        outcome = await cancel_challenge(desk.core, application, id_, once)
    _count(desk, "cancel", outcome)
    if isinstance(outcome, Done):
        return Reply(200, shown(outcome.challenge))
    return _not_done(desk, outcome)


async def get(desk: Desk, call: Call) -> Reply:
    """GET /v1/verifications/{id}."""
    application = await caller(desk, call)
    seen = await get_challenge(desk.core, application, id_of(call))
    if seen is None:
        raise ProblemError("missing")
    return Reply(200, in_full(seen, desk.core.now()))


def _asked(body: BeginBody) -> BeginRequest:
    action, requester = body.action, body.requester
    return BeginRequest(
        to=_destination(body.to),
        channel=None if body.channel == "auto" else Channel(body.channel),
        purpose=body.purpose,
        subject=clean("subject", body.subject),
        action=_NO_ACTION
        if action == _NOTHING
        else Action(clean("action.summary", action.summary), clean("action.hash", action.hash)),
        locale=body.locale,
        requester=_NO_REQUESTER
        if requester == _NOBODY
        else Requester(
            requester.ip,
            clean("requester.user_agent", requester.user_agent),
            clean("requester.device", requester.device),
        ),
    )


def _destination(typed: str) -> Contact:
    """Return the contact; one that fits the contract and still cannot be reached is another fault than a misfit."""
    try:
        return parse_contact(typed)
    except InputError as error:
        raise ProblemError("unusable_destination", detail=str(error), field=error.field, reason=error.reason) from None


def id_of(call: Call) -> str:
    """Return the id in the path; what cannot be one is unknown, and the database is not asked."""
    if not identifier.is_identifier("ver", call.it):
        raise ProblemError("missing")
    return call.it


def _owed(done: Done) -> DeliveryView | None:
    return None if done.delivery is None else message(done.delivery, done.challenge.terms.locale)


def _count(desk: Desk, act: str, outcome: Outcome) -> None:
    desk.stats.outcome(act, outcome.refusal.value if isinstance(outcome, Refused) else _OUTCOMES[type(outcome)])


def _not_done(desk: Desk, outcome: Outcome, *, beginning: bool = False) -> Reply:
    match outcome:
        case Missing():
            return problem("missing")
        case KeyReused():
            return problem("key_reused")
        case Refused():
            headers = desk.budgets.spent(outcome.limit, outcome.retry_after)
            return of_refusal(outcome, headers, beginning=beginning)
        case Done():
            raise AssertionError("what was done has its answer where it was asked")
