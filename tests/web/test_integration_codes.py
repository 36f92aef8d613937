"""POST /v1/integration-codes/verify, as a service that accepts integration codes calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.web.client import Client

PATH = "/v1/integration-codes/verify"


@pytest.mark.parametrize(
    "code", ["123456", "csi_", "csi_" + "a" * 46, "csk_test_" + "a" * 39, "é" * 40, "x" * 200, "correct horse battery"]
)
async def test_whatever_is_no_code_of_ours_opens_nothing(client: Client, code: str) -> None:
    """I2: answered alike."""
    answer = await client.post(PATH, {"code": code})
    assert (answer.status, answer.json) == (200, {"active": False})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"code": ""},
        {"code": 5},
        {"code": "x" * 201},
        {"code": "x", "more": 1},
        {"code": "x", "requester": {"ip": "nowhere"}},
    ],
)
async def test_a_malformed_question_is_refused(client: Client, body: Any) -> None:
    """H3."""
    assert (await client.post(PATH, body)).status == 400
