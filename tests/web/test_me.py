"""GET /v1/me/...: what the account's page shows, for programs; with the session of the page, or a token with the scope for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from countersign.domain.session import Method, Proven
from countersign.domain.visit import Interrupted
from countersign.flows.enter import enter
from countersign.flows.gate import Browser, Entered
from countersign.store import accounts, grants
from countersign.store.grants import AccessToken

if TYPE_CHECKING:
    from tests.web.client import Client

    from countersign.flows.gate import Gate
    from countersign.wiring import Runtime

PARTS = ("contacts", "devices", "sessions", "methods", "integration-codes", "changes", "activity")


async def signed_in(gate: Gate) -> tuple[str, str]:
    """Make an account with a session; return its id and the session's secret."""
    from countersign.domain.account import Account, OwnedContact
    from countersign.domain.contact import parse

    account, contact, now = gate.id("acc"), gate.id("con"), gate.now()
    mail = parse("ada@example.org")
    seal = gate.keyring.seal
    owned = OwnedContact(
        account, contact, now, mail.kind, gate.blind(mail), seal(mail.address, contact), mail.masked, now, primary=True
    )
    row = Account(account, now, seal("Ada", account), "en", seal("no hash", account), now)
    entered = await enter(
        gate,
        Browser(ip="192.0.2.1", user_agent="Firefox"),
        account,
        (Proven(Method.PASSWORD, now), Proven(Method.MAIL_CODE, now)),
        gate.secret(),
        then=Interrupted(),
        new=accounts.added(row, owned),
    )
    assert isinstance(entered, Entered)
    return account, entered.session


@pytest.mark.parametrize("part", PARTS)
async def test_each_part_is_read_with_the_pages_session(client: Client, runtime: Runtime, part: str) -> None:
    _, session = await signed_in(runtime.gate)
    answer = await client.ask(
        "GET", f"/v1/me/{part}", headers={"Cookie": f"__Host-session={session}", "Authorization": ""}
    )
    assert answer.status == 200, answer.body
    assert isinstance(answer.json[part.replace("-", "_")], list)
    assert session not in answer.body.decode()
    assert "ada@example.org" not in answer.body.decode()


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": ""},
        {"Authorization": "Bearer csk_test_nothing"},
        {"Authorization": "", "Cookie": "__Host-session=nothing"},
        {"Authorization": "", "Cookie": "session=nothing; __Host-session"},
        {"Authorization": "", "Cookie": "\x00="},
    ],
)
async def test_nobody_else_reads_it(client: Client, part: str, headers: dict[str, str]) -> None:
    """I2: an application's key does not open a person's account."""
    answer = await client.ask("GET", f"/v1/me/{part}", headers=headers)
    assert answer.status == 401
    assert answer.json["type"].endswith("/not-signed-in")
    assert (await client.ask("GET", f"/v1/me/{part}")).status == 401


@pytest.mark.parametrize(("scope", "status"), [("openid account", 200), ("openid profile", 401)])
async def test_a_token_needs_the_scope_for_it(client: Client, runtime: Runtime, scope: str, status: int) -> None:
    gate = runtime.gate
    account, secret = await signed_in(gate)
    sessions = (
        await client.ask("GET", "/v1/me/sessions", headers={"Cookie": f"__Host-session={secret}", "Authorization": ""})
    ).json
    access, now = "cst_" + gate.secret(), gate.now()
    from countersign.store import applications

    (application, *_) = await gate.database.read(applications.all_of_them)
    token = AccessToken(
        gate.mark(access), b"grant", application.id, account, sessions["sessions"][0]["id"], scope, now, now + 60_000
    )
    await gate.database.run(grants.add_token, token)
    answer = await client.ask("GET", "/v1/me/contacts", headers={"Authorization": f"Bearer {access}"})
    assert answer.status == status
