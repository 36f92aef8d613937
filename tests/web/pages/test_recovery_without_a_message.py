"""The pages of a recovery for which no message can be sent: a recovery code goes on, and nothing shows whether there is an account."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tests.web.client import Client

from countersign.domain.accounts.account import Account, OwnedContact
from countersign.domain.shared.contact import parse_contact
from countersign.store.engine.database import Change, Write
from countersign.store.tables import accounts
from countersign.web.app import make_app

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.web.conftest import Opener

    from countersign.wiring import Runtime


class Browser:
    """A client that keeps its cookies."""

    def __init__(self, app: Callable[..., Awaitable[None]], peer: str) -> None:
        self._client = Client(app, peer=peer)
        self._cookies: dict[str, str] = {}
        client_app = self._client.app

        async def listening(
            scope: object, receive: object, send: Callable[[dict[str, object]], Awaitable[None]]
        ) -> None:
            async def sent(event: dict[str, object]) -> None:
                headers = event.get("headers")
                for name, value in headers if isinstance(headers, list) else ():
                    if name == b"set-cookie":
                        key, _, rest = value.decode().partition("=")
                        self._cookies[key] = rest.partition(";")[0]
                await send(event)

            await client_app(scope, receive, sent)

        self._client.app = listening

    async def goes(self, method: str, path: str, **fields: str) -> tuple[int, str, str]:
        """Return status, address and text of the answer."""
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        headers |= {"content-type": "application/x-www-form-urlencoded", "origin": "http://localhost:8000"}
        answer = await self._client.ask(method, path, raw=urlencode(fields).encode(), headers=headers)
        text = re.sub(r'nonce-\S+|name="flow" value="[^"]*"|[a-z]\*\*\*@example.org', "", answer.body.decode())
        return answer.status, answer.headers.get("location", ""), text


async def _write(rows: tuple[Change, ...]) -> None:
    await Write(rows, last=True)


async def opens_account(runtime: Runtime, to: str) -> None:
    """Write an account with this contact."""
    keys, contact, now = runtime.accounts.keyring, parse_contact(to), runtime.accounts.now()
    account = Account("acc_1", now, keys.seal("Ada", "acc_1"), "en", keys.seal("none", "acc_1"), now)
    owned = OwnedContact(
        "acc_1", "con_1", now, contact.kind, runtime.accounts.blind_index(contact), keys.seal(to, "con_1"),
        contact.masked, proved_at=now, primary=True,
    )  # fmt: skip
    await runtime.core.database.run(_write, accounts.insert(account, owned))


async def test_a_recovery_goes_on_by_recovery_code_and_looks_alike_with_and_without_an_account(
    open_house: Opener,
) -> None:
    """L2, R1: after the messages of the day, every page and answer of the flow."""
    runtime = await open_house()
    app = make_app(runtime, worker_alive=lambda: True)
    await opens_account(runtime, "ada@example.org")
    seen = []
    for number, name in enumerate(("ada@example.org", "bob@example.org")):
        for stranger in range(12):
            await Browser(app, f"198.51.{number}.{stranger}").goes("POST", "/recover", identifier=name)
        browser = Browser(app, f"203.0.{number}.9")
        seen.append(
            [
                await browser.goes("POST", "/recover", identifier=name),
                await browser.goes("GET", "/verify"),
                await browser.goes("POST", "/verify/recovery-code", code="0000-0000-0000-0000"),
                await browser.goes("POST", "/verify/way", contact="", channel="email"),
                await browser.goes("POST", "/verify/resend"),
                await browser.goes("GET", "/recover/password"),
            ]
        )
    assert seen[0] == seen[1]
    (began, screen, wrong, way, *_) = seen[0]
    assert began[:2] == (303, "/verify")
    assert "Enter a recovery code" in screen[2]
    assert "Too many codes were requested." in screen[2]
    assert wrong[:2] == (303, "/verify?by=recovery_code")
    assert way[:2] == (303, "/verify")
