"""Attack: a thief with a session for an hour makes an integration code that outlives everything, under a harmless name."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from tests.flows.integration_codes import made
from tests.flows.people import ada
from tests.web.conftest import _made_home, app, client, open_house, runtime
from tests.web.test_me import signed_in

from countersign.domain.accounts.change import ChangeKind
from countersign.domain.accounts.integration_code import DAY, LIFETIMES, IntegrationCode
from countersign.errors import InputError
from countersign.flows.accounts.context import BrowserContext
from countersign.flows.changes.integration_codes import list_codes, make_code, verify_code
from countersign.flows.sign_in.verify import view_flow
from countersign.messages.content.change_names import integration_code_summary
from countersign.messages.custom.sanitize import MAX_SUMMARY
from countersign.messages.language.catalogue import languages, negotiate
from countersign.store.engine.database import Sql

if TYPE_CHECKING:
    from tests.flows.place import Place
    from tests.web.client import Client

    from countersign.wiring import Runtime

__all__ = ["_made_home", "app", "client", "open_house", "runtime"]

PATH = "/account/integration-codes"


async def ask(client: Client, runtime: Runtime, days: str) -> tuple[int, str, BrowserContext]:
    """Ask for a code as the page does; return the status, the page, and the browser with the flow it was led to."""
    _, session, device = await signed_in(runtime.accounts)
    (scope, *_) = runtime.settings.integration_codes.scopes
    answer = await client.post(
        PATH,
        raw=urlencode({"name": "Bookkeeping", f"scope-{scope}": "yes", "days": days}).encode(),
        headers={
            "content-type": "application/x-www-form-urlencoded",
            "cookie": f"__Host-session={session}; __Host-device={device}",
        },
    )
    browser = f"__Host-session={session}; __Host-device={device}"
    flow = answer.headers.get("set-cookie", "").partition("__Host-visit=")[2].partition(";")[0]
    if answer.headers["location"] == PATH:
        kept = "; ".join(line.partition(";")[0] for line in answer.cookies)
        answer = await client.get(PATH, headers={"cookie": f"{browser}; {kept}"})
    return answer.status, answer.body.decode(), BrowserContext(session=session, device=device, flow=flow)


@pytest.mark.parametrize(
    "days",
    ["00309999", "0365000", "0030" + "9" * 30, "030", "3651", "30.5", "1e9", "", "-30", "\u0663\u0660", "9" * 4_500],
)
async def test_a_lifetime_that_is_not_offered_makes_no_code(client: Client, runtime: Runtime, days: str) -> None:
    """I1: the whole value is judged; four characters of it were, and `00309999` was 850 years."""
    status, page, _ = await ask(client, runtime, days)
    assert status == 422
    assert "Choose how long it works." in page


async def test_the_message_names_what_the_code_may_do_and_for_how_long(client: Client, runtime: Runtime) -> None:
    """U2: what is approved is what is made."""
    status, _, browser = await ask(client, runtime, "365")
    assert status == 303
    view = await view_flow(runtime.accounts, browser)
    assert view is not None
    summary = view.flow.requirement.action.summary
    assert "365" in summary
    assert runtime.settings.integration_codes.scopes[0] in summary
    assert "Bookkeeping" in summary
    assert view.challenge is not None
    assert view.challenge.terms.action.summary == summary


@pytest.mark.parametrize("tag", languages())
@pytest.mark.parametrize("kind", [ChangeKind.INTEGRATION_CODE_MADE, ChangeKind.INTEGRATION_CODE_ROTATED])
def test_a_long_name_and_many_scopes_push_nothing_out_of_the_message(tag: str, kind: ChangeKind) -> None:
    scopes = [f"scope-{number:02}.read-and-write" for number in range(40)]
    summary = integration_code_summary(kind, negotiate(tag), "x" * 60, scopes, 365)
    shown = summary[:MAX_SUMMARY]
    assert "365" in shown
    assert scopes[0] in shown
    assert "(+" in shown


async def test_the_flow_takes_no_other_lifetime_either(home: Place) -> None:
    visitor = await ada(home)
    session = await visitor.session()
    assert session is not None
    for days in (0, -30, 31, 309_999, 10**30):
        with pytest.raises(InputError, match="30, 90 or 365"):
            await make_code(home.accounts, visitor.browser, session, "x", ("read",), days=days, summary="x")


async def test_a_code_of_an_earlier_release_ends_in_a_year_too(home: Place) -> None:
    """I1: the row keeps what was written; what counts is the longest lifetime that was ever offered."""
    visitor = await ada(home)
    code = await made(visitor, days=365)

    async def as_it_was() -> None:
        await Sql("UPDATE credentials SET expires_at = expires_at + $1", (300_000 * DAY,))

    await home.database.run(as_it_was)
    session = await visitor.session()
    assert session is not None
    (listed,) = await list_codes(home.accounts, session.account)
    assert listed.days == LIFETIMES[-1]
    assert isinstance(await verify_code(home.accounts, code, ""), IntegrationCode)
    home.clock.forward(LIFETIMES[-1] * DAY)
    assert await verify_code(home.accounts, code, "") is None
    assert await list_codes(home.accounts, session.account) == []
