"""GET /v1/me/...: what the account's page shows, for programs; with the session of the page, or a token with the scope for it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import msgspec
import pytest
import yaml

from countersign.domain.accounts.authenticator import Authenticator, AuthenticatorKind
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import Method, SessionProof
from countersign.domain.verifications.code import derive
from countersign.flows.accounts.context import BrowserContext, SignedIn
from countersign.flows.changes.apply import Applied
from countersign.flows.sign_in.start_session import NewAccount, start_session
from countersign.flows.sign_in.verify import check_code, view_flow
from countersign.store.engine.database import Write
from countersign.store.tables import accounts, authenticators, grants
from countersign.store.tables.grants import AccessToken

if TYPE_CHECKING:
    from tests.web.client import Answer, Client

    from countersign.flows.accounts.context import AccountContext
    from countersign.wiring import Runtime

CONTRACT = yaml.safe_load((Path(__file__).parents[2] / "src" / "countersign" / "web" / "openapi.yaml").read_text())
PARTS = ("contacts", "devices", "sessions", "methods", "integration-codes", "changes", "activity")


def keeps_the_contract(part: str, answer: dict[str, Any]) -> None:
    """Validate an answer against its schema; raises ValidationError. A field that the contract does not name is a fault too."""
    response = CONTRACT["paths"][f"/v1/me/{part}"]["get"]["responses"]["200"]
    schema = response["content"]["application/json"]["schema"]
    assert set(answer) == set(schema["properties"])
    jsonschema_rs.validate({**schema, "components": CONTRACT["components"]}, answer, validate_formats=True)
    for name, rows in answer.items():
        for row in rows if isinstance(rows, list) else ():
            item = schema["properties"][name]["items"]["$ref"].rpartition("/")[2]
            assert set(row) <= set(CONTRACT["components"]["schemas"][item]["properties"])


async def signed_in(context: AccountContext) -> tuple[str, str, str]:
    """Make an account with a session; return its id, and the secrets of session and browser."""
    from countersign.domain.accounts.account import Account, OwnedContact
    from countersign.domain.shared.contact import parse_contact

    account, contact, now = context.id("acc"), context.id("con"), context.now()
    mail = parse_contact("ada@example.org")
    seal = context.keyring.seal
    owned = OwnedContact(
        account,
        contact,
        now,
        mail.kind,
        context.blind_index(mail),
        seal(mail.address, contact),
        mail.masked,
        now,
        primary=True,
    )
    row = Account(account, now, seal("Ada", account), "en", seal("no hash", account), now)
    entered = await start_session(
        context,
        BrowserContext(device=context.secret(), ip="192.0.2.1", user_agent="Firefox"),
        account,
        (SessionProof(Method.PASSWORD, now), SessionProof(Method.MAIL_CODE, now)),
        interrupted=InterruptedRequest(),
        new_account=NewAccount(accounts.insert(row, owned), context.blind_index(mail)),
    )
    assert isinstance(entered, SignedIn)
    return account, entered.session, entered.device


@pytest.mark.parametrize("part", PARTS)
async def test_each_part_is_read_with_the_pages_session(client: Client, runtime: Runtime, part: str) -> None:
    _, session, _ = await signed_in(runtime.accounts)
    answer = await client.ask(
        "GET", f"/v1/me/{part}", headers={"Cookie": f"__Host-session={session}", "Authorization": ""}
    )
    assert answer.status == 200, answer.body
    assert isinstance(answer.json[part.replace("-", "_")], list)
    keeps_the_contract(part, answer.json)
    assert session not in answer.body.decode()
    assert "ada@example.org" not in answer.body.decode()


async def test_a_method_is_shown_with_its_name(client: Client, runtime: Runtime) -> None:
    context = runtime.accounts
    account, session, _ = await signed_in(context)
    method, now = context.id("fac"), context.now()
    seal = context.keyring.seal
    row = Authenticator(
        account, method, AuthenticatorKind.APP, now, b"mark", seal("secret", method), seal("My phone", method)
    )
    await context.database.run(insert_method, row)
    answer = await client.ask(
        "GET", "/v1/me/methods", headers={"Cookie": f"__Host-session={session}", "Authorization": ""}
    )
    keeps_the_contract("methods", answer.json)
    (shown,) = answer.json["methods"]
    assert (shown["id"], shown["kind"], shown["name"], shown["last_used_at"]) == (method, "app", "My phone", None)


async def insert_method(method: Authenticator) -> None:
    """Store an authenticator."""
    await Write(authenticators.insert([method]))


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
    context = runtime.accounts
    account, secret, _ = await signed_in(context)
    sessions = (
        await client.ask("GET", "/v1/me/sessions", headers={"Cookie": f"__Host-session={secret}", "Authorization": ""})
    ).json
    access, now = "cst_" + context.secret(), context.now()
    from countersign.store.tables import applications

    (application, *_) = await context.database.read(applications.list_all)
    token = AccessToken(
        context.token_hash(access),
        b"grant",
        application.id,
        account,
        sessions["sessions"][0]["id"],
        scope,
        now,
        now + 60_000,
    )
    await context.database.run(grants.add_token, token)
    answer = await client.ask("GET", "/v1/me/contacts", headers={"Authorization": f"Bearer {access}"})
    assert answer.status == status


class Person:
    """A browser that is signed in, and its answers."""

    def __init__(self, client: Client, context: AccountContext, session: str, device: str) -> None:
        self.client, self.accounts, self.session = client, context, session
        self.browser = BrowserContext(session=session, device=device)

    async def posts(self, path: str, body: object, **headers: str) -> Answer:
        """Send a change, and keep the cookies that come back."""
        cookie = f"__Host-session={self.session}; __Host-device={self.browser.device}; __Host-visit={self.browser.flow}"
        answer = await self.client.ask(
            "POST",
            path,
            body,
            headers={"Cookie": cookie, "Authorization": "", "Sec-Fetch-Site": "same-origin", **headers},
        )
        for name in ("device", "visit"):
            if found := re.search(rf"__Host-{name}=([^;]+)", "\n".join(answer.cookies)):
                self.browser = msgspec.structs.replace(self.browser, **{"flow" if name == "visit" else name: found[1]})
        return answer

    async def proves(self) -> object:
        """Give the proof that is waited for, as the screen would."""
        browser = msgspec.structs.replace(self.browser, session=self.session)
        seen = await view_flow(self.accounts, browser)
        assert seen is not None
        assert seen.challenge is not None
        terms = seen.challenge.terms
        key = self.accounts.keyring.named(terms.kid).code
        code = derive(key, seen.challenge.id, seen.challenge.round, terms.policy.shape).reveal()
        outcome = await check_code(self.accounts, browser, code, remember=False)
        if isinstance(outcome, SignedIn):
            self.session = outcome.session
        return outcome


@pytest.fixture
async def person(client: Client, runtime: Runtime) -> Person:
    _, session, device = await signed_in(runtime.accounts)
    return Person(client, runtime.accounts, session, device)


async def test_a_contact_is_added_with_a_proof_for_this_very_act(person: Person) -> None:
    """A1, U2: the same request is sent again after the proof, and carried out once."""
    body = {"add": "+14155550123"}
    asked = await person.posts("/v1/me/contacts", body)
    assert (asked.status, asked.json["verify"]) == (403, "/verify")
    assert asked.json["type"].endswith("/step-up-required")
    assert isinstance(await person.proves(), SignedIn)
    other = await person.posts("/v1/me/contacts", {"add": "+14155550177"})
    assert other.status == 403
    taken = await person.posts("/v1/me/contacts", body)
    assert (taken.status, taken.json) == (202, {"verify": "/verify"})
    assert isinstance(await person.proves(), Applied)


async def test_the_last_contact_is_refused_with_the_reason(person: Person, client: Client) -> None:
    """A4."""
    cookie = {"Cookie": f"__Host-session={person.session}", "Authorization": ""}
    (only,) = (await client.ask("GET", "/v1/me/contacts", headers=cookie)).json["contacts"]
    refused = await person.posts("/v1/me/contacts", {"remove": only["id"]})
    assert (refused.status, refused.json["reason"]) == (409, "last_contact")


async def test_an_integration_code_is_made_and_shown_once(person: Person, client: Client) -> None:
    """I1, I3."""
    body = {"name": "Bookkeeping", "scopes": ["read"], "days": 90}
    assert (await person.posts("/v1/me/integration-codes", body)).status == 403
    assert isinstance(await person.proves(), SignedIn)
    made = await person.posts("/v1/me/integration-codes", body)
    assert made.status == 200
    verified = await client.post("/v1/integration-codes/verify", {"code": made.json["code"]})
    assert verified.json["scopes"] == ["read"]
    cookie = {"Cookie": f"__Host-session={person.session}", "Authorization": ""}
    for part in ("integration-codes", "changes", "activity"):
        shown = (await client.ask("GET", f"/v1/me/{part}", headers=cookie)).json
        assert shown[part.replace("-", "_")], part
        keeps_the_contract(part, shown)
    again = await person.posts("/v1/me/integration-codes", body)
    assert again.status == 403


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("contacts", {}),
        ("contacts", {"add": "+14155550123", "remove": "con_1"}),
        ("contacts", {"add": "nothing"}),
        ("integration-codes", {"name": "x", "scopes": ["fly"]}),
        ("integration-codes", {"name": "x", "scopes": ["read"], "days": 31}),
        ("changes", {}),
        ("sessions", {"end": ""}),
    ],
)
async def test_a_malformed_change_is_refused(person: Person, path: str, body: object) -> None:
    """H3."""
    assert (await person.posts(f"/v1/me/{path}", body)).status == 400


async def test_sessions_end_and_browsers_are_forgotten_with_a_fresh_proof(person: Person) -> None:
    """A4: the sign-in itself is fresh enough."""
    assert (await person.posts("/v1/me/sessions", {"end": "others"})).json == {"ended": 0}
    assert (await person.posts("/v1/me/devices", {"remove": "dev_nothing"})).json == {"ended": 0}


@pytest.mark.parametrize("path", ["contacts", "devices", "sessions", "methods", "integration-codes", "changes"])
async def test_another_site_changes_nothing(person: Person, path: str) -> None:
    """H5: the cookie is sent from wherever a browser was told to; the request is refused."""
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = await person.posts(f"/v1/me/{path}", {}, **headers)
        assert answer.status == 403
        assert answer.json["type"].endswith("/cross-origin")


@pytest.mark.parametrize("path", ["contacts", "devices", "sessions", "methods", "integration-codes", "changes"])
async def test_nobody_else_changes_anything(client: Client, path: str) -> None:
    """I2: neither an application's key nor an access token opens it."""
    assert (await client.post(f"/v1/me/{path}", {})).status == 401
