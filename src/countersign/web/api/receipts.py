"""Receipts: what a provider says later of a message it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.flows.delivery.receipts import record_receipt
from countersign.providers import AnswersChallenge, Callback
from countersign.web.http.body import body_of
from countersign.web.http.problems import ProblemError
from countersign.web.http.request import Reply

if TYPE_CHECKING:
    from countersign.web.http.context import Desk
    from countersign.web.http.request import Call


async def receipt(desk: Desk, call: Call) -> Reply:
    """POST /v1/receipts/{provider}: signed, so that only the provider itself can move a message on."""
    provider = desk.runtime.receivers.get(call.it)
    if provider is None:
        raise ProblemError("receipt_unknown")
    told = await provider.receipts(await _callback(call, "POST"))
    unknown = [one for one in told if not await record_receipt(desk.runtime.delivery, one)]
    if unknown:
        raise ProblemError("receipt_unknown")
    return Reply(204, b"")


async def greeting(desk: Desk, call: Call) -> Reply:
    """GET /v1/receipts/{provider}: the check that a provider (WhatsApp) makes once, when our address is entered there."""
    provider: object = desk.runtime.receivers.get(call.it)
    challenge = provider.answer_challenge(_query(call)) if isinstance(provider, AnswersChallenge) else None
    if challenge is None:
        raise ProblemError("receipt_unknown")
    return Reply(200, challenge.encode(), b"text/plain; charset=utf-8")


async def _callback(call: Call, method: str) -> Callback:
    body = await body_of(call)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in call.scope["headers"]}
    return Callback(method, _query(call), headers, body)


def _query(call: Call) -> str:
    text: str = call.scope["query_string"].decode("latin-1")
    return text
