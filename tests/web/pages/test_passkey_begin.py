"""POST /sign-in/passkey/begin, which anybody may send."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.web.browser import Browser

from countersign.flows.sign_in.passkeys import PASSKEY_BEGINS_PER_NETWORK

if TYPE_CHECKING:
    from countersign.web.http.application import WebApplication
    from countersign.wiring import Runtime


async def test_one_network_begins_a_limited_number(app: WebApplication, runtime: Runtime) -> None:
    """L5, H1: each is a row, and there was no limit at all."""
    stranger = Browser(app, runtime)
    answers = [
        await stranger.post("/sign-in/passkey/begin", return_to="/account")
        for _ in range(PASSKEY_BEGINS_PER_NETWORK.burst + 1)
    ]
    assert {answer.status for answer in answers[:-1]} == {200}
    assert answers[-1].status == 429
