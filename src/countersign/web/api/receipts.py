"""Receipts: a provider's later report on a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.flows.delivery.receipts import record_receipt
from countersign.providers import AnswersChallenge, Callback
from countersign.web.http.problems import ProblemError

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response


async def receipt(web: WebContext, req: Request, resp: Response, path_id: str) -> None:
    """POST /v1/receipts/{provider}. It is signed, so that only the provider can change a message's state."""
    provider = web.receivers.get(path_id)
    if provider is None:
        raise ProblemError("receipt_unknown")
    receipts = await provider.receipts(await _callback(req))
    unknown = [one for one in receipts if not await record_receipt(web.delivery, one)]
    if unknown:
        raise ProblemError("receipt_unknown")
    resp.status = 204


async def greeting(web: WebContext, req: Request, resp: Response, path_id: str) -> None:
    """GET /v1/receipts/{provider}: the check that a provider (WhatsApp) makes once, when our address is registered there."""
    provider: object = web.receivers.get(path_id)
    challenge = provider.answer_challenge(req.query_string) if isinstance(provider, AnswersChallenge) else None
    if challenge is None:
        raise ProblemError("receipt_unknown")
    resp.write(challenge.encode(), "text/plain; charset=utf-8")


async def _callback(req: Request) -> Callback:
    body = await req.body()
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in req.scope["headers"]}
    return Callback(req.method, req.query_string, headers, body)
