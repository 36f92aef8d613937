"""Receipts: what a webhook's sender says later of a message it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.flows.deliver import take_receipt
from countersign.providers.webhook import WebhookSettings, parse_receipt
from countersign.web.call import Reply
from countersign.web.problems import ProblemError
from countersign.web.reading import body_of

if TYPE_CHECKING:
    from countersign.web.call import Call
    from countersign.web.desk import Desk


async def receipt(desk: Desk, call: Call) -> Reply:
    """POST /v1/receipts/{provider}: signed, so that only the provider itself can move a message on."""
    settings = desk.runtime.settings.providers.get(call.it)
    if not isinstance(settings, WebhookSettings):
        raise ProblemError("receipt_unknown")
    body = await body_of(call)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in call.scope["headers"]}
    told = parse_receipt(settings, headers, body, desk.house.clock())
    if not await take_receipt(desk.runtime.post, told):
        raise ProblemError("receipt_unknown")
    return Reply(204, b"")
