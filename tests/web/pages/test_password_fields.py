"""Password fields and the offer of stronger methods, as the pages have them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.web.pages.page_browser import PageBrowser, signed_up

import countersign

if TYPE_CHECKING:
    from countersign.wiring import Runtime

PAGES = Path(countersign.__file__).parent / "web" / "pages"
INPUT = re.compile(r'<input[^>]*type="password"[^>]*>')


@pytest.mark.parametrize(("path", "purpose"), [("/sign-in", "current-password"), ("/sign-up", "new-password")])
async def test_password_fields_say_what_they_are_for_and_let_people_paste(
    runtime: Runtime, path: str, purpose: str
) -> None:
    """S9: managers fill them in, and nothing stands in the way of pasting."""
    page = (await PageBrowser(runtime).get(path)).body.decode()
    (field,) = INPUT.findall(page)
    assert f'autocomplete="{purpose}"' in field
    assert "onpaste" not in page
    for script in PAGES.rglob("*.js"):
        assert not re.search(r"""["']paste["'].{0,200}preventDefault""", script.read_text(), re.DOTALL), script.name


async def test_where_codes_come_by_telephone_a_passkey_is_offered_and_its_reason_said(runtime: Runtime) -> None:
    """NIST SP 800-63B-4, 3.1.3.3: another method is offered, and the page says what codes cannot do."""
    owner = await signed_up(runtime)
    page = (await owner.get("/account/methods")).body.decode()
    assert "Add a passkey" in page
    assert "Add an authenticator app" in page
    assert "A passkey is the safest way to sign in." in page
