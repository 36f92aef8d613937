"""Helpers of tests that need an integration code of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.people import ADA, Visitor

from countersign.domain.accounts.session import ProofRequirement
from countersign.flows.accounts.context import CodeRequested, SignedIn
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.integration_codes import make_code

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from countersign.domain.accounts.session import Session
    from countersign.flows.changes.submit import SubmitResult


async def approved(visitor: Visitor, ask: Callable[[Session], Awaitable[SubmitResult]]) -> SubmitResult:
    """Ask for a change, approve it with a code, and ask again."""
    session = await visitor.session()
    assert session is not None
    need = await ask(session)
    assert isinstance(need, ProofRequirement), need
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code(ADA)), SignedIn)
    session = await visitor.session()
    assert session is not None
    return await ask(session)


async def made(visitor: Visitor, *, days: int = 30, scopes: tuple[str, ...] = ("read",)) -> str:
    """Create an integration code as the page does."""
    codes: list[str] = []

    async def ask(session: Session) -> SubmitResult:
        outcome, code = await make_code(
            visitor.place.accounts, visitor.browser, session, "Bookkeeping", scopes, days=days, summary="Make it"
        )
        codes.append(code)
        return outcome

    assert isinstance(await approved(visitor, ask), Applied)
    return codes[-1]
