"""Replay: past sign-ins judged by another policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.people import Visitor, ada

from countersign.domain.accounts.risk import RiskPolicy
from countersign.flows.accounts.context import BrowserContext, SignedIn
from countersign.flows.maintenance.replay import replay

if TYPE_CHECKING:
    from tests.flows.place import Place


async def test_a_stricter_policy_shows_whom_it_would_have_asked(home: Place) -> None:
    """S5."""
    await ada(home)
    owner = Visitor(home, BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en"))
    await owner.is_let_in(remember=True)
    await owner.signs_in(password="wrong password")
    assert isinstance(await owner.signs_in(), SignedIn)
    end = home.clock() + 1
    same = await replay(home.database, RiskPolicy(), end - 3_600_000, end)
    assert (same.sign_ins, same.changed) == (2, 0)
    assert same.before == same.after == {"skip": 1, "challenge": 1, "deny": 0}
    strict = await replay(home.database, RiskPolicy(failures=1), end - 3_600_000, end)
    assert strict.after == {"skip": 0, "challenge": 2, "deny": 0}
    (example,) = strict.examples
    assert (example.before, example.after, example.findings) == ("skip", "challenge", ("many_failures", "new_contact"))
    assert (await replay(home.database, RiskPolicy(), end - 7_200_000, end - 3_600_000)).sign_ins == 0
