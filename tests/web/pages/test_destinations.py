"""Where a page leads next: to a path of ours, to a registered address of an application, and nowhere else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from tests.web.pages.page_browser import PageBrowser, signed_up

from countersign.domain.shared.application import Application, ApplicationDraft, ApplicationMode
from countersign.flows.maintenance.applications import add_application, remove_application

if TYPE_CHECKING:
    from countersign.wiring import Runtime

BACK = "https://shop.example/signed-in"


async def shop(runtime: Runtime) -> Application:
    """Return a relying party."""
    draft = ApplicationDraft("shop", ApplicationMode.LIVE, redirect_uris=(BACK,))
    added, _ = await add_application(
        runtime.core.database, runtime.accounts.log, runtime.core.keyring, draft, 1, os.urandom
    )
    return added


ELSEWHERE = (
    "//evil.example",
    "//evil.example/account",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example/",
    "https:evil.example",
    "javascript:alert(1)",
    f"{BACK}/more",
    f"{BACK}?x=1",
    "https://shop.example.evil.example/signed-in",
    "/account\r\nX: y",
    "/konto\u00e4",
    "/" + "x" * 4_000,
    "",
)


@pytest.mark.parametrize("wanted", ELSEWHERE)
async def test_nobody_is_led_elsewhere_after_signing_in(runtime: Runtime, wanted: str) -> None:
    """S8: neither by the form, nor by the page's address when there is a session already."""
    await shop(runtime)
    await signed_up(runtime)
    browser = PageBrowser(runtime)
    assert (await browser.signs_in(return_to=wanted)).headers["location"] == "/verify"
    assert (await browser.types()).headers["location"] == "/account"
    again = await browser.get("/sign-in?" + urlencode({"return_to": wanted}))
    assert (again.status, again.headers["location"]) == (303, "/account")


@pytest.mark.parametrize("wanted", ["/account/contacts", "/oauth/authorize?client_id=x", BACK])
async def test_a_path_of_ours_and_a_registered_address_are_where_it_goes_on(runtime: Runtime, wanted: str) -> None:
    await shop(runtime)
    await signed_up(runtime)
    browser = PageBrowser(runtime)
    await browser.signs_in(return_to=wanted)
    assert (await browser.types()).headers["location"] == wanted


async def form_action_of(runtime: Runtime, **asked: str) -> str:
    """Return where the forms of the sign-in page may lead when an authorization request asked for it."""
    path = "/oauth/authorize?" + urlencode(asked)
    page = await PageBrowser(runtime).get("/sign-in?" + urlencode({"return_to": path}))
    policy = page.headers["content-security-policy"].split("; ")
    return next(part for part in policy if part.startswith("form-action"))


async def test_a_form_leads_only_to_the_registered_origin_of_the_application_that_asked(runtime: Runtime) -> None:
    """H4: what stands in the address of a page does not widen its policy."""
    ours = await shop(runtime)
    assert await form_action_of(runtime, client_id=ours.id, redirect_uri=BACK) == (
        "form-action 'self' https://shop.example"
    )
    for asked in (
        {"client_id": ours.id, "redirect_uri": "https://evil.example/"},
        {"client_id": ours.id, "redirect_uri": f"{BACK}/more"},
        {"client_id": "app_unknown", "redirect_uri": BACK},
        {"client_id": ours.id},
        {"redirect_uri": BACK},
    ):
        assert await form_action_of(runtime, **asked) == "form-action 'self'", asked
    await remove_application(runtime.core.database, runtime.accounts.log, "shop", runtime.core.clock())
    assert await form_action_of(runtime, client_id=ours.id, redirect_uri=BACK) == "form-action 'self'"


async def test_only_an_authorization_request_leads_to_an_application(runtime: Runtime) -> None:
    """H4."""
    ours = await shop(runtime)
    for path in ("/account", "/oauth/authorize/x", "/sign-in"):
        page = await PageBrowser(runtime).get(
            "/sign-in?" + urlencode({"return_to": f"{path}?{urlencode({'client_id': ours.id, 'redirect_uri': BACK})}"})
        )
        assert "https://shop.example" not in page.headers["content-security-policy"]
