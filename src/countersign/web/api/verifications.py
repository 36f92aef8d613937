"""Verifications: begin, check, resend, cancel and get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from countersign.domain.shared import identifier
from countersign.domain.shared.contact import Channel, Contact, read_contact
from countersign.domain.shared.typed_text import MAX_TYPED
from countersign.domain.verifications.challenge import Action, Refusal, Requester
from countersign.domain.verifications.code import Alphabet, CodeShape
from countersign.errors import InputError
from countersign.flows.verifications.begin import BeginRequest, begin_challenge
from countersign.flows.verifications.cancel import cancel_challenge
from countersign.flows.verifications.check import check_challenge, sign_proof
from countersign.flows.verifications.get import get_challenge
from countersign.flows.verifications.resend import resend_code
from countersign.flows.verifications.results import MALFORMED, Done, KeyReused, Missing, Outcome, Refused
from countersign.messages.custom.sanitize import MAX_SUMMARY, one_line
from countersign.messages.language.catalogue import canonical_tag
from countersign.web.api.views import DeliveryView, in_full, message, shown
from countersign.web.http.authentication import application_of
from countersign.web.http.idempotency import idempotency_key_of
from countersign.web.http.json_body import clean, decoded, json_if_any, json_of
from countersign.web.http.problems import ProblemError, of_refusal

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

Id = Annotated[str, Meta(max_length=200)]


class ActionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The act that an approval is for."""

    summary: Id = ""
    hash: Id = ""


class RequesterBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The requester, as the application sees it."""

    ip: Annotated[str, Meta(max_length=45, pattern=r"\A[0-9A-Fa-f:.]+\Z")] = ""
    user_agent: Annotated[str, Meta(max_length=1_000)] = ""
    device: Id = ""


class BeginBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a begin."""

    to: Annotated[str, Meta(min_length=1, max_length=320)]
    channel: Literal["email", "sms", "voice", "whatsapp", "auto"] = "auto"
    purpose: Annotated[str, Meta(min_length=1, max_length=40)] = "sign_in"
    subject: Id = ""
    action: ActionBody = ActionBody()
    locale: Annotated[str, Meta(max_length=35, pattern=r"\A[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*\Z")] = ""
    requester: RequesterBody = RequesterBody()

    def __repr__(self) -> str:
        """Hide the destination."""
        return "BeginBody()"


class CheckBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a check: the code, or the message that it came in."""

    code: Annotated[str, Meta(min_length=1, max_length=MAX_TYPED)]

    def __repr__(self) -> str:
        """Hide the code."""
        return "CheckBody()"


class ResendBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a resend."""

    channel: Channel | UnsetType = UNSET


class CancelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a cancel: nothing."""


_begin: Final = msgspec.json.Decoder(BeginBody).decode
_check: Final = msgspec.json.Decoder(CheckBody).decode
_resend: Final = msgspec.json.Decoder(ResendBody).decode
_cancel: Final = msgspec.json.Decoder(CancelBody).decode
_OUTCOMES: Final = {Done: "done", Missing: "missing", KeyReused: "key_reused"}
_NOBODY: Final = RequesterBody()
_NOTHING: Final = ActionBody()
_NO_ACTION: Final = Action()
_NO_REQUESTER: Final = Requester()


async def begin(web: WebContext, req: Request, resp: Response) -> None:
    """POST /v1/verifications."""
    application = await application_of(web, req)
    body = await json_of(req)
    asked = _asked(decoded(_begin, body))
    once = idempotency_key_of(web.keyring, req, application, body)
    with web.in_flight(once):
        outcome = await begin_challenge(web.core, application, asked, once)
    _count(web, "begin", outcome)
    if not isinstance(outcome, Done):
        raise _not_done(web, outcome, beginning=True)
    challenge = outcome.challenge
    headers = (("Location", f"/v1/verifications/{challenge.id}"), *web.rate_limits.left(outcome.rate_limit))
    resp.json(shown(challenge, delivery=_owed(outcome)), 200 if outcome.continued else 201, headers)


async def check(web: WebContext, req: Request, resp: Response, path_id: str) -> None:
    """POST /v1/verifications/{id}/check."""
    application = await application_of(web, req)
    id_ = checked_id(path_id)
    body = await json_of(req)
    typed = decoded(_check, body).code
    if typed.isspace():
        raise InputError("code", "too_short", "The code is empty; nothing was compared.")
    once = idempotency_key_of(web.keyring, req, application, body)
    with web.in_flight(once):
        outcome = await check_challenge(web.core, application, id_, typed, once)
    _count(web, "check", outcome)
    if isinstance(outcome, Done):
        resp.json(shown(outcome.challenge, proof=sign_proof(web.core, outcome.challenge)))
    elif isinstance(outcome, Refused) and outcome.refusal is Refusal.WRONG_CODE and outcome.challenge is not None:
        if outcome.reason == MALFORMED:
            raise _not_a_code(outcome.challenge.terms.policy.shape)
        resp.json(shown(outcome.challenge, refusal=outcome.refusal.value))
    else:
        raise _not_done(web, outcome)


async def resend(web: WebContext, req: Request, resp: Response, path_id: str) -> None:
    """POST /v1/verifications/{id}/resend."""
    application = await application_of(web, req)
    id_ = checked_id(path_id)
    body = await json_if_any(req)
    channel = decoded(_resend, body).channel or None
    once = idempotency_key_of(web.keyring, req, application, body)
    with web.in_flight(once):
        outcome = await resend_code(web.core, application, id_, channel, once)
    _count(web, "resend", outcome)
    if not isinstance(outcome, Done):
        raise _not_done(web, outcome)
    resp.json(shown(outcome.challenge, delivery=_owed(outcome)), headers=web.rate_limits.left(outcome.rate_limit))


async def cancel(web: WebContext, req: Request, resp: Response, path_id: str) -> None:
    """POST /v1/verifications/{id}/cancel."""
    application = await application_of(web, req)
    id_ = checked_id(path_id)
    body = await json_if_any(req)
    decoded(_cancel, body)
    once = idempotency_key_of(web.keyring, req, application, body)
    with web.in_flight(once):
        outcome = await cancel_challenge(web.core, application, id_, once)
    _count(web, "cancel", outcome)
    if not isinstance(outcome, Done):
        raise _not_done(web, outcome)
    resp.json(shown(outcome.challenge))


async def get(web: WebContext, req: Request, resp: Response, path_id: str) -> None:
    """GET /v1/verifications/{id}."""
    application = await application_of(web, req)
    seen = await get_challenge(web.core, application, checked_id(path_id))
    if seen is None:
        raise ProblemError("missing")
    resp.json(in_full(seen, web.core.now()))


def _asked(body: BeginBody) -> BeginRequest:
    action, requester = body.action, body.requester
    return BeginRequest(
        to=_destination(body.to),
        channel=None if body.channel == "auto" else Channel(body.channel),
        purpose=body.purpose,
        subject=clean("subject", body.subject),
        action=_NO_ACTION if action == _NOTHING else _action(action),
        locale=canonical_tag(body.locale),
        requester=_NO_REQUESTER
        if requester == _NOBODY
        else Requester(
            requester.ip,
            clean("requester.user_agent", requester.user_agent),
            clean("requester.device", requester.device),
        ),
    )


def _action(body: ActionBody) -> Action:
    """Return the act. A message leaves out whatever could be mistaken for a link, and something must be left (semantics P4)."""
    summary = clean("action.summary", body.summary)
    if summary and not one_line(summary, MAX_SUMMARY):
        raise InputError("action.summary", "malformed", "Nothing of this summary can stand in a message.")
    return Action(summary, clean("action.hash", body.hash))


def _destination(typed: str) -> Contact:
    """Return the contact. An address that fits the contract but cannot be used is a different problem than a malformed body."""
    try:
        return read_contact(typed)
    except InputError as error:
        raise ProblemError("unusable_destination", detail=str(error), field=error.field, reason=error.reason) from None


def checked_id(path_id: str) -> str:
    """Return the id in a path. An impossible id raises ProblemError without a query of the database."""
    if not identifier.is_identifier("ver", path_id):
        raise ProblemError("missing")
    return path_id


def _not_a_code(shape: CodeShape) -> InputError:
    """Return the error for what cannot be a code of this shape: nothing was compared, and no guess was counted (semantics J3)."""
    symbols = "digits" if shape.alphabet is Alphabet.DIGITS else "letters and digits"
    return InputError("code", "malformed", f"The code has {shape.length} {symbols}; nothing was compared.")


def _owed(done: Done) -> DeliveryView | None:
    return None if done.delivery is None else message(done.delivery, done.challenge.terms.locale)


def _count(web: WebContext, act: str, outcome: Outcome) -> None:
    if isinstance(outcome, Done):
        web.writes.succeeded()
    elif isinstance(outcome, Refused) and outcome.limit:
        web.metrics.limited(outcome.limit)
    web.metrics.outcome(act, outcome.refusal.value if isinstance(outcome, Refused) else _OUTCOMES[type(outcome)])


def _not_done(web: WebContext, outcome: Outcome, *, beginning: bool = False) -> ProblemError:
    match outcome:
        case Missing():
            return ProblemError("missing")
        case KeyReused():
            return ProblemError("key_reused")
        case Refused():
            headers = web.rate_limits.spent(outcome.limit, outcome.retry_after)
            return of_refusal(outcome, headers, beginning=beginning)
        case Done():
            raise AssertionError("what was done has its answer where it was asked")
