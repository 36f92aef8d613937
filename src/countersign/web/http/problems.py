"""All problems of HTTP requests in one table: status, name, and what each says to the person who can act (RFC 9457)."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, Final

import msgspec

from countersign.domain.verifications.challenge import Refusal
from countersign.errors import InputError, NotFoundError, UnavailableError
from countersign.web.http.response import PROBLEM

if TYPE_CHECKING:
    from countersign.flows.verifications.results import Refused
    from countersign.web.http.response import Headers, Response

TYPES: Final = "https://countersign.dev/problems/"
MS: Final = 1_000
NOTHING_DONE: Final = "nothing_done"
UNKNOWN: Final = "unknown"
"""Values of `outcome`, a member of each 503: whether what was asked for may have been carried out."""

_CHALLENGE: Final[Headers] = (("WWW-Authenticate", 'Bearer realm="countersign"'),)
_encode: Final = msgspec.json.Encoder().encode


class Problem(msgspec.Struct, frozen=True):
    """One row. `detail` says what happened and why; `remedy` says what to do."""

    status: int
    title: str
    detail: str
    remedy: str

    @property
    def sentences(self) -> tuple[str, str, str]:
        """Return all texts that people read."""
        return (self.title, self.detail, self.remedy)


_AGAIN: Final = "Begin a new verification."
_LATER: Final = "Wait for as many seconds as Retry-After says, then send the same request again."
_CONTRACT: Final = "Compare the request with /openapi.yaml."
_MAKER: Final = "Tell whoever runs this installation, with the reference if there is one."

PROBLEMS: Final[dict[str, Problem]] = {
    # ---- the request itself
    "malformed": Problem(
        400, "The request is malformed", "A part of the request is not what the contract asks for.", _CONTRACT
    ),
    "unauthorized": Problem(
        401,
        "No valid key",
        "The request bears no key that opens this, in its Authorization header.",
        "Send `Authorization: Bearer csk_...` with the key that `countersign apps add` showed. Keys are read from nowhere else.",
    ),
    "not_signed_in": Problem(
        401,
        "Nobody is signed in",
        "The request bears neither a session of ours nor what lets an application read this (the scope `account`).",
        "Sign in on this site in the same browser, or have the person let your application in with that scope.",
    ),
    "step_up_required": Problem(
        403,
        "A proof is needed first",
        "This act asks for a proof of its own, which the browser that sent the request can give at `verify`.",
        "Lead the person there, and send the same request again within five minutes.",
    ),
    "unmet": Problem(
        403,
        "No method is strong enough",
        "The account has no way to prove what this act asks for.",
        "Let the person add a passkey or an authenticator app.",
    ),
    "change_refused": Problem(
        409,
        "Nothing was changed",
        "The account cannot be changed so; `reason` says why.",
        "Read the account again, and ask for what is possible.",
    ),
    "forbidden": Problem(
        403,
        "Not from here",
        "This address is open in development alone, to this very machine.",
        "Set metrics.token and send it, or set metrics.port.",
    ),
    "cross_origin": Problem(
        403,
        "The request comes from another site",
        "A page of another origin sent it, and such requests change nothing here.",
        "Open the page on this site and send it from there.",
    ),
    "misdirected": Problem(
        421,
        "Not under this name",
        "In development, pages are shown under the name of this machine alone, so that no other site can read the inbox.",
        "Open http://localhost and the port, or set public_url (COUNTERSIGN_PUBLIC_URL) to the name that you use.",
    ),
    "not_found": Problem(
        404, "Not found", "There is nothing at this address.", "Compare the address with /openapi.yaml."
    ),
    "missing": Problem(
        404,
        "No such verification",
        "There is no verification with this id, or it is another application's.",
        "Use the id that beginning it returned, with a key of the same application.",
    ),
    "receipt_unknown": Problem(
        404,
        "No such message",
        "No provider of this name takes receipts, or no message is known by this id yet.",
        "Check the name in the address; if it is right, send the receipt again later.",
    ),
    "method_not_allowed": Problem(
        405, "Not by this method", "This address does not take this method.", "Use one that Allow names."
    ),
    "timed_out": Problem(
        408, "The body did not come", "The request's body was not complete in time.", "Send it again."
    ),
    "in_flight": Problem(
        409,
        "Still being carried out",
        "The request with this idempotency key is still being carried out.",
        "Send it again in a moment; the first answer will be given again.",
    ),
    "clock_shared": Problem(
        409,
        "The clock is not ours alone",
        "A clock is moved only where one process serves and delivers on SQLite: others would go on by their own.",
        "Use `countersign emulate`, or one process on SQLite.",
    ),
    "clock_unmoved": Problem(
        422,
        "The clock was not moved",
        "A clock moves ahead only, and at most 400 days in all; `reason` says which of the two was asked to be broken.",
        "Ask for less, or begin anew with `countersign emulate`.",
    ),
    "too_large": Problem(413, "The body is too large", "A body may have 64 KiB at most.", "Send less."),
    "not_json": Problem(
        415,
        "The body is not JSON",
        "This address takes JSON in UTF-8, not compressed.",
        "Send `Content-Type: application/json`, and no Content-Encoding.",
    ),
    "key_reused": Problem(
        422,
        "The idempotency key was used before",
        "This idempotency key came with another request within the last 24 hours.",
        "Use a fresh key for each new request, and the same one only to repeat a request unchanged.",
    ),
    # ---- refusals of the rules
    "already_approved": Problem(
        409, "Already approved", "The right code was given before, and a code is accepted once.", _AGAIN
    ),
    "exhausted": Problem(409, "No guesses left", "Too many wrong codes were given.", _AGAIN),
    "canceled": Problem(409, "Canceled", "The verification was canceled, by you or by the person it went to.", _AGAIN),
    "expired": Problem(409, "Expired", "The time for this code ran out.", _AGAIN),
    "contact_locked": Problem(
        409,
        "The contact is locked",
        "Too many wrong codes in a row were given for this contact.",
        "Let the person bind the contact anew: begin a verification with the purpose bind_contact.",
    ),
    "purpose_not_allowed": Problem(
        403,
        "The purpose is not allowed",
        "There is no such purpose, or this application may not ask for it.",
        "Use a purpose from countersign.toml that the application was added with.",
    ),
    "application_suspended": Problem(
        403,
        "The application is suspended",
        "Whoever runs this installation has suspended the application: nothing is sent for it.",
        _MAKER,
    ),
    "channel_not_allowed": Problem(
        403,
        "The channel is not allowed",
        "Nothing can be sent to this contact this way: the policy leaves the channel out, or it has no route.",
        "Choose another channel, or give this one a route in countersign.toml.",
    ),
    "unusable_destination": Problem(
        422,
        "The destination cannot be used",
        "Nothing can be sent to this destination by this channel.",
        "Ask the person for another address or number; `reason` says what is wrong with this one.",
    ),
    "too_soon": Problem(429, "Too soon", "The last message was sent a moment ago.", _LATER),
    "no_sends_left": Problem(
        429,
        "No messages left",
        "As many messages were sent for this verification as its policy allows.",
        "Let the person use a code that has come, or begin a new verification when this one has ended.",
    ),
    "limited": Problem(429, "Too many requests", "The budget that `limit` names is used up.", _LATER),
    "contact_paused": Problem(
        429,
        "The contact is resting",
        "Too many wrong codes for this contact were given today from browsers that are not remembered.",
        "Offer the person another method, or wait for as many seconds as Retry-After says.",
    ),
    # ---- faults of ours
    "internal": Problem(500, "Something broke", "The fault is ours, and it has been noted.", _MAKER),
    "unavailable": Problem(503, "Not available just now", "Something this depends on is down or full.", _LATER),
    "too_many_streams": Problem(
        503, "Too many are watching", "As many streams are open as this program keeps.", _LATER
    ),
    "not_ready": Problem(503, "Not ready", "Something this depends on is missing; `checks` names it.", _MAKER),
}
"""All problems by the name at the end of their `type` (with dashes)."""

_LIMITS: Final = {Refusal.TOO_SOON: "resend", Refusal.NO_SENDS_LEFT: "sends"}
_ENDED: Final = frozenset(
    {Refusal.ALREADY_APPROVED, Refusal.EXHAUSTED, Refusal.CANCELED, Refusal.EXPIRED, Refusal.CONTACT_LOCKED}
)


class AnsweredError(Exception, abc.ABC):
    """A request is not carried out. Raised wherever that is found; the response is written in one place."""

    @abc.abstractmethod
    def write(self, response: Response) -> None:
        """Write the response."""


class ProblemError(AnsweredError):
    """A request is answered with a problem.

    Args:
        name: the problem's name in `PROBLEMS`.
        status: its HTTP status, where that is not the table's.
        detail: what happened, where the table's sentence is not enough.
        retry_after: seconds after which the request may be sent again; 0 leaves that out.
        headers: further headers of the response.
        more: further members of the JSON, or other words for `remedy`.
    """

    def __init__(
        self,
        name: str,
        *,
        status: int = 0,
        detail: str = "",
        retry_after: int = 0,
        headers: Headers = (),
        **more: object,
    ) -> None:
        super().__init__(name)
        self.name = name
        self.status = status or PROBLEMS[name].status
        self.detail = detail
        self.retry_after = retry_after
        self.headers = headers
        self.more = more

    def write(self, response: Response) -> None:
        """Write the response as application/problem+json."""
        row = PROBLEMS[self.name]
        body: dict[str, object] = {
            "type": TYPES + slug(self.name),
            "title": row.title,
            "status": self.status,
            "detail": self.detail or row.detail,
            "remedy": row.remedy,
            **self.more,
        }
        headers = self.headers
        if self.status == 503 and self.name != "not_ready":  # noqa: PLR2004
            body.setdefault("outcome", NOTHING_DONE)
        if self.retry_after:
            body["retry_after"] = self.retry_after
            headers = (*headers, ("Retry-After", str(self.retry_after)))
        if self.name == "unauthorized":
            headers = (*headers, *_CHALLENGE)
        response.write(_encode(body), PROBLEM, self.status, headers)


def slug(name: str) -> str:
    """Return the last part of a problem's `type`."""
    return name.replace("_", "-")


def seconds(milliseconds: int) -> int:
    """Return whole seconds for Retry-After, rounded up, at least one."""
    return max(1, -(-milliseconds // MS))


def of_refusal(refused: Refused, headers: Headers = (), *, beginning: bool = False) -> ProblemError:
    """Return the problem for a refusal of the rules.

    Args:
        refused: the refusal, as the flow returned it.
        headers: further headers of the response, such as those of rate limits.
        beginning: True where a verification was to begin: a locked contact is then one that cannot be used.
    """
    refusal = refused.refusal
    more: dict[str, Any] = {}
    if refusal in _ENDED and not beginning:
        more["refusal"] = refusal.value
    if refusal is Refusal.UNUSABLE_DESTINATION:
        more["reason"] = refused.reason or "wrong_channel"
        more["field"] = "channel" if refused.reason == "wrong_channel" else "to"
    status = PROBLEMS[refusal.value].status
    if refusal is Refusal.CONTACT_LOCKED and beginning:
        status = 422
        more["reason"] = refusal.value
    wait = 0
    if status == 429:  # noqa: PLR2004
        wait = seconds(refused.retry_after)
        more["limit"] = refused.limit or _LIMITS.get(refusal, refusal.value)
    return ProblemError(refusal.value, status=status, retry_after=wait, headers=headers, **more)


def of_error(error: InputError | NotFoundError | UnavailableError, *, committed: bool = False) -> ProblemError:
    """Return the problem for an exception that was raised on purpose. Its text for the operator is left out.

    Args:
        error: the exception.
        committed: True if a part of what was asked for was committed before.
    """
    if isinstance(error, InputError):
        return ProblemError("malformed", detail=str(error), field=error.field or "body", reason=error.reason)
    if isinstance(error, NotFoundError):
        return ProblemError("missing")
    outcome = NOTHING_DONE if error.outcome_known and not committed else UNKNOWN
    return ProblemError("unavailable", retry_after=max(1, error.retry_after), outcome=outcome)
