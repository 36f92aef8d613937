"""Ask a provider for the account behind a key, as `countersign doctor` does: that shows whether the key is right, and sends nothing."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from countersign.errors import DeliveryFailedError
from countersign.providers import Connectivity
from countersign.providers.http.client import ApiResponse, HttpClient, measure_ahead

REFUSED: Final = 401
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
_NOT_OFFERED: Final = frozenset({NOT_FOUND, 405, 501})
_THROTTLED: Final = 429


class AccountFinding(msgspec.Struct, frozen=True):
    """What an answer says of an account: the end of a sentence about the provider, and the remedy; "" if all is well."""

    seen: str
    remedy: str = ""


ACCEPTED: Final = AccountFinding("accepts our key")
LIMITED_KEY: Final = AccountFinding("accepts our key, which may not ask about the account")
"""A key that may do nothing but send is a good one."""


async def check_account(
    client: HttpClient, ask: Callable[[], Awaitable[ApiResponse]], judge: Callable[[ApiResponse], AccountFinding]
) -> Connectivity:
    """Return whether a provider can be reached, and whether it accepts our key.

    Arguments:
        client: the connections to the provider.
        ask: makes the request for the account.
        judge: says what the answer means.

    """
    reached = await client.check()
    if reached.remedy:
        return reached
    before = time.time()
    try:
        response = await ask()
    except DeliveryFailedError as error:
        return msgspec.structs.replace(
            reached,
            seen=f"{reached.seen}, but: {error}",
            remedy="Look at the provider's page of outages, and try again.",
        )
    found = judge(response)
    return msgspec.structs.replace(
        reached,
        seen=f"{reached.seen}, and {found.seen}",
        remedy=found.remedy,
        ahead=measure_ahead(response.headers, before),
    )


def judge_status(response: ApiResponse, remedy: str) -> AccountFinding:
    """Return what the status alone says of our key; `remedy` is for one that is refused."""
    status = response.status
    if response.ok:
        return ACCEPTED
    if status == REFUSED:
        return AccountFinding("refuses our key", remedy)
    if status == FORBIDDEN:
        return LIMITED_KEY
    if status in _NOT_OFFERED:
        return AccountFinding("does not say whether our key is right; only sending a message would show it")
    if status == _THROTTLED:
        return AccountFinding("was asked too often to say whether our key is right")
    return AccountFinding(
        f"answered {status} when it was asked for the account", "Look at the provider's page of outages, and try again."
    )
