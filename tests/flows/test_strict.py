"""An installation in which codes by mail and phone do not let in: who has nothing else gets in to enrol, and for nothing more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.flows.people import ADA, Visitor, ada
from tests.flows.test_enrol import app_code, enrols

from countersign.domain.accounts.session import SignInPolicy, is_enrolment_only
from countersign.flows.accounts.context import CodeRequested, SignedIn
from countersign.totp import STEP

if TYPE_CHECKING:
    from tests.flows.place import Place

STRICT = SignInPolicy(8 * 3_600_000, trusts_browsers=False, sent_codes=False)


@pytest.fixture
def strict(home: Place) -> Place:
    home.accounts = msgspec.structs.replace(home.accounts, sign_in_policy=STRICT)
    return home


async def test_a_code_lets_in_to_enrol_alone_and_the_app_lets_in(strict: Place) -> None:
    """S10."""
    visitor = await ada(strict)
    session = await visitor.session()
    assert session is not None
    assert is_enrolment_only(session, STRICT, strict.clock())
    assert not is_enrolment_only(session, SignInPolicy(), strict.clock())
    secret = await enrols(visitor)
    strict.clock.forward(5 * STEP)
    other = Visitor(strict)
    assert isinstance(await other.signs_in(), CodeRequested)
    seen = await other.sees()
    assert seen is not None
    assert seen.contact_methods == ()
    assert isinstance(await app_code(other, secret), SignedIn)
    session = await other.session()
    assert session is not None
    assert not is_enrolment_only(session, STRICT, strict.clock())
    assert session.expires_at == strict.clock() + STRICT.session_lifetime


async def test_no_browser_is_trusted_not_even_one_that_was(strict: Place, home: Place) -> None:
    """S4, S8."""
    strict.accounts = msgspec.structs.replace(strict.accounts, sign_in_policy=SignInPolicy())
    await ada(strict)
    visitor = Visitor(strict)
    await visitor.is_let_in(remember=True)
    assert isinstance(await visitor.signs_in(), SignedIn)
    home.accounts = msgspec.structs.replace(home.accounts, sign_in_policy=STRICT)
    assert isinstance(await visitor.signs_in(), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code(ADA), remember=True), SignedIn)
    session = await visitor.session()
    assert session is not None
    assert session.expires_at == home.clock() + STRICT.session_lifetime
    assert isinstance(await visitor.signs_in(), CodeRequested)
