"""Changing a password over HTTP: approved for this very password, sealed for this very session."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from tests.web.pages.page_browser import ADA, PASSWORD, PageBrowser, signed_up

from countersign.flows.sign_in.step_up import step_up

if TYPE_CHECKING:
    from countersign.wiring import Runtime

BETTER = "a better battery staple"


async def signs_in_with(runtime: Runtime, password: str) -> bool:
    """Say whether a password is right."""
    answer = await PageBrowser(runtime).signs_in(ADA, password=password)
    return answer.headers["location"] != "/sign-in"


async def test_a_password_is_changed_by_a_code_and_ends_all_other_sessions(runtime: Runtime) -> None:
    """A5, U1: the form goes on by itself after the code."""
    owner = await signed_up(runtime)
    other = PageBrowser(runtime)
    await other.signs_in()
    await other.types()
    assert (await owner.post("/account/password", {"password": BETTER})).headers["location"] == "/verify"
    assert await signs_in_with(runtime, PASSWORD)
    done = await owner.types()
    assert done.headers["location"] == "/account/password?done=password_changed"
    assert await other.session() is None
    assert await owner.session() is not None
    assert await signs_in_with(runtime, BETTER)
    assert not await signs_in_with(runtime, PASSWORD)


async def test_a_weak_password_is_refused_before_anything_is_asked_for(runtime: Runtime) -> None:
    """S9: also one made of the person's name."""
    owner = await signed_up(runtime)
    for weak in ("short", "password123", "Ada-1815", ""):
        answer = await owner.submits("/account/password", {"password": weak})
        assert answer.status == 422, weak
    view = await owner.sees()
    assert view is None


async def test_an_approval_of_one_password_sets_no_other(runtime: Runtime) -> None:
    """U2: whoever gets at the browser between the code and its use does not choose another password."""
    owner = await signed_up(runtime)
    await owner.post("/account/password", {"password": BETTER})
    view = await owner.sees()
    assert view is not None
    requirement = view.flow.requirement
    session = await owner.session()
    assert session is not None
    # The same approval, without the form that waits for it.
    begun = await step_up(
        runtime.accounts, owner.context, session, requirement, view.flow.interrupted.__class__(path="/account")
    )
    owner.cookies["__Host-visit"] = begun.flow  # type: ignore[union-attr] # a code was asked for
    await owner.types()
    answer = await owner.post("/account/password", {"password": "the thief's own words"})
    assert answer.headers["location"] == "/verify"
    assert not await signs_in_with(runtime, "the thief's own words")


async def test_a_hash_that_was_sealed_for_another_session_is_not_taken(runtime: Runtime) -> None:
    """S8: what waits in one browser's form is worth nothing in another's."""
    owner = await signed_up(runtime)
    await owner.post("/account/password", {"password": BETTER})
    view = await owner.sees()
    assert view is not None
    fields = dict(view.flow.interrupted.fields)
    assert set(fields) == {"sealed"}
    hashed = await runtime.accounts.passwords.hash("the thief's own words")
    sealed = base64.b64encode(runtime.core.keyring.seal(hashed, "ses_thief")).decode()
    answer = await owner.submits("/account/password", {"sealed": sealed, "session": "ses_thief", "password": ""})
    assert answer.status == 422
    assert not await signs_in_with(runtime, "the thief's own words")
