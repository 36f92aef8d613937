"""The application on whose behalf a person is here is named in the messages of the way, by its registered name (semantics J6)."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec
from tests.flows.people import ADA, Visitor, ada

from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import Level, ProofRequirement
from countersign.domain.shared.application import Application, ApplicationDraft, ApplicationMode
from countersign.flows.accounts.asking_application import with_asker
from countersign.flows.accounts.context import CodeRequested
from countersign.flows.maintenance.applications import add_application, remove_application
from countersign.flows.sign_in.sign_up import sign_up

if TYPE_CHECKING:
    from tests.flows.place import Place
BACK = "https://shop.example/signed-in"


async def added(home: Place, name: str, site: str) -> Application:
    """Register an application."""
    draft = ApplicationDraft(name, ApplicationMode.LIVE, site=site, redirect_uris=(BACK,))
    made, _ = await add_application(home.database, home.accounts.log, home.keyring, draft, 1, secrets.token_bytes)
    return made


def path(client: Application, **more: str) -> str:
    """Return the path of an authorization request."""
    return "/oauth/authorize?" + urlencode({"client_id": client.id, "redirect_uri": BACK, **more})


async def test_a_code_to_sign_in_names_the_application(home: Place) -> None:
    """J6: in the letter; what a link says of itself does not count."""
    shop = await added(home, "shop", "Leaf & Kettle")
    await ada(home)
    visitor = Visitor(home)
    assert isinstance(await visitor.signs_in(then=path(shop, site="Evil", name="Evil")), CodeRequested)
    letter = await visitor.reads()
    assert "To continue to: Leaf & Kettle" in letter.text
    assert "Evil" not in letter.text


async def test_a_sign_up_and_a_step_up_name_it_too(home: Place) -> None:
    """J6."""
    shop = await added(home, "shop", "Leaf & Kettle")
    visitor = Visitor(home)
    then = InterruptedRequest(path=path(shop))
    begun = await sign_up(home.accounts, visitor.browser, "Ada", "new@example.org", "correct horse battery", then)
    assert isinstance(begun, CodeRequested)
    assert "Leaf & Kettle" in (await visitor.reads("new@example.org")).text
    person = await ada(home)
    home.clock.forward(60_000)
    need = ProofRequirement(Level.MAIL_CODE, max_age=0)
    named = msgspec.structs.replace(then, asker="Leaf & Kettle")
    assert isinstance(await person.steps_up(need, named), CodeRequested)
    assert "To continue to: Leaf & Kettle" in (await person.reads(ADA)).text


async def test_our_own_pages_name_nobody(home: Place) -> None:
    await ada(home)
    visitor = Visitor(home)
    await visitor.signs_in()
    assert "To continue to" not in (await visitor.reads()).text


async def test_two_applications_never_share_a_code(home: Place) -> None:
    """P1, J6: each has its own message with its own name."""
    one, other = await added(home, "one", "Leaf & Kettle"), await added(home, "two", "Cup & Saucer")
    await ada(home)
    visitor = Visitor(home)
    for client in (one, other):
        await visitor.signs_in(then=path(client))
        assert client.site in (await visitor.reads()).text


async def test_only_a_registered_application_has_a_name(home: Place) -> None:
    """P5, J6: nobody chooses the words but the operator; what could pass for a link is left out, and a long name is cut."""
    shop = await added(home, "shop", "www.Leaf & https://Kettle " + "x" * 70)
    found = await with_asker(home.accounts, InterruptedRequest(path=path(shop)))
    assert found.asker.startswith("Leaf & Kettle xxx")
    assert len(found.asker) == 60
    own = await added(home, "own", home.accounts.own.site.upper())
    for where in (
        path(own),
        path(shop, redirect_uri="https://evil.example/"),
        "/account",
        "/oauth/authorize?client_id=app_unknown&redirect_uri=" + BACK,
        "/oauth/authorize?" + "&".join(f"a{number}=b" for number in range(100)),
    ):
        assert (await with_asker(home.accounts, InterruptedRequest(path=where))).asker == "", where
    await remove_application(home.database, home.accounts.log, "shop", home.accounts.now())
    assert (await with_asker(home.accounts, InterruptedRequest(path=path(shop)))).asker == ""
