"""The addresses that flows are given lead somewhere: `web` serves each of them."""

import pytest
from tests.web.client import Client

from countersign import links
from countersign.wiring import Runtime

PATHS = (links.ACCOUNT, links.CONTACTS, links.SIGN_IN, links.RECOVER, links.NOT_ME, links.AUTHORIZE)


@pytest.mark.parametrize("path", PATHS)
async def test_every_address_that_flows_hand_out_is_served(client: Client, path: str) -> None:
    answer, unknown = await client.get(path), await client.get("/no-such-page")
    assert unknown.status == 404
    assert answer.body != unknown.body
    assert answer.status < 405


def test_addresses_begin_with_the_public_address_of_the_installation(runtime: Runtime) -> None:
    made = runtime.core.links
    assert made.issuer == runtime.settings.public_url == "http://localhost:8000"
    assert made.sign_in == "http://localhost:8000/sign-in"
    assert made.report("x") == "http://localhost:8000/not-me?ref=x"
