"""Step up: a signed-in person is asked for a further proof before a section opens or an act is carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.domain.accounts.login_flow import LASTS, Interrupted, Visit, VisitKind
from countersign.domain.accounts.session import Need, Session
from countersign.flows.accounts.context import Asking, Browser, Gate, Unmet
from countersign.flows.accounts.request_code import ask_by_first_way
from countersign.flows.accounts.snapshot import held
from countersign.store.tables import devices

if TYPE_CHECKING:
    from countersign.domain.accounts.change import Holdings
    from countersign.domain.accounts.device import Device


async def step_up(gate: Gate, browser: Browser, session: Session, need: Need, then: Interrupted) -> Asking:
    """Ask for a code that raises this session to what is needed; the interrupted request goes on afterwards, once (semantics U1).

    Only ways that are strong enough are used (semantics U5). The caller has seen that the session does not meet the need.
    """
    holdings, device = await gate.database.read(_who, session)
    if holdings is None:
        return Unmet()
    now = gate.now()
    trusted = device.id if device is not None and device.trusted(now) else ""
    secret = browser.device or gate.secret()
    visit = Visit(
        kind=VisitKind.STEP_UP,
        begun_at=now,
        expires_at=now + LASTS,
        device=gate.mark(secret).hex(),
        account=session.account,
        session=session.id,
        need=need,
        then=then,
        requester=browser.requester(trusted),
        place=gate.place(browser.ip),
    )
    return await ask_by_first_way(gate, browser, holdings, visit, secret)


async def _who(session: Session) -> tuple[Holdings | None, Device | None]:
    holdings = await held(session.account)
    return holdings, (await devices.find(session.account, session.device))
