"""A site that points its own name at this machine does not get to read the inbox or the test key."""

from __future__ import annotations

import pytest
from tests.web.client import Client, assert_problem


@pytest.mark.parametrize("path", ["/", "/inbox", "/inbox/messages"])
async def test_pages_of_development_answer_under_no_other_name(client: Client, path: str) -> None:
    assert_problem(await client.ask("GET", path, headers={"host": "evil.example:8000"}), 421, "misdirected")


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST"])
async def test_they_answer_under_the_names_of_this_machine(client: Client, host: str) -> None:
    assert (await client.ask("GET", "/inbox/messages", headers={"host": host})).status == 200
