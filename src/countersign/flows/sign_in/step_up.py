"""Step up: a signed-in person is asked for a further proof before a section opens or an act is carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.domain.accounts.login_flow import LASTS, InterruptedRequest, LoginFlow, LoginFlowKind
from countersign.domain.accounts.session import ProofRequirement, Session
from countersign.flows.accounts.context import AccountContext, BrowserContext, CodeRequestResult, NoEligibleMethod
from countersign.flows.accounts.request_code import send_code_by_first_method
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.store.tables import devices

if TYPE_CHECKING:
    from countersign.domain.accounts.change import AccountSnapshot
    from countersign.domain.accounts.device import Device


async def step_up(
    context: AccountContext, browser: BrowserContext, session: Session, need: ProofRequirement, then: InterruptedRequest
) -> CodeRequestResult:
    """Ask for a code that raises this session to what is needed; the interrupted request goes on afterwards, once (semantics U1).

    Only ways that are strong enough are used (semantics U5). The caller has seen that the session does not meet the need.
    """
    holdings, device = await context.database.read(_who, session)
    if holdings is None:
        return NoEligibleMethod()
    now = context.now()
    trusted = device.id if device is not None and device.trusted(now) else ""
    secret = browser.device or context.secret()
    flow = LoginFlow(
        kind=LoginFlowKind.STEP_UP,
        begun_at=now,
        expires_at=now + LASTS,
        device=context.mark(secret).hex(),
        account=session.account,
        session=session.id,
        need=need,
        then=then,
        requester=browser.requester(trusted),
        place=context.place(browser.ip),
    )
    return await send_code_by_first_method(context, browser, holdings, flow, secret)


async def _who(session: Session) -> tuple[AccountSnapshot | None, Device | None]:
    holdings = await find_snapshot(session.account)
    return holdings, (await devices.find(session.account, session.device))
