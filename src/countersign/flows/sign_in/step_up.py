"""Step up: ask a signed-in user for a further proof before a page is shown or an action is carried out (RFC 9470).

`complete.py` raises the session once the proof is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.domain.accounts.login_flow import FLOW_LIFETIME, InterruptedRequest, LoginFlow, LoginFlowKind
from countersign.domain.accounts.session import ProofRequirement, Session
from countersign.flows.accounts.context import AccountContext, BrowserContext, CodeRequestResult, NoEligibleMethod
from countersign.flows.accounts.request_code import send_code_by_first_method
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.store.tables import devices

if TYPE_CHECKING:
    from countersign.domain.accounts.account import AccountSnapshot
    from countersign.domain.accounts.device import Device


async def step_up(
    context: AccountContext,
    browser: BrowserContext,
    session: Session,
    requirement: ProofRequirement,
    interrupted: InterruptedRequest,
) -> CodeRequestResult:
    """Request a code that raises this session to what `requirement` asks for.

    `session` does not satisfy `requirement`; the caller has checked that. `interrupted` is the request that continues afterwards, once
    (semantics U1). Only methods that are strong enough are used (U5): NoEligibleMethod means that the account has none. For example:

        requirement = ProofRequirement(Level.MAIL_CODE, max_age=900)
        if not satisfies(session, requirement, context.now()):
            await step_up(context, browser, session, requirement, InterruptedRequest(path="/account/contacts"))
    """
    snapshot, device = await context.database.read(_find_account_and_device, session)
    if snapshot is None:
        return NoEligibleMethod()
    now = context.now()
    trusted_device_id = device.id if device is not None and device.trusted(now) else ""
    device_secret = browser.device or context.secret()
    flow = LoginFlow(
        kind=LoginFlowKind.STEP_UP,
        begun_at=now,
        expires_at=now + FLOW_LIFETIME,
        device_token_hash=context.token_hash(device_secret).hex(),
        account=session.account,
        session=session.id,
        requirement=requirement,
        interrupted=interrupted,
        requester=browser.requester(trusted_device_id),
        place=context.place(browser.ip),
        epoch=session.epoch,
    )
    return await send_code_by_first_method(context, browser, snapshot, flow, device_secret)


async def _find_account_and_device(session: Session) -> tuple[AccountSnapshot | None, Device | None]:
    return await find_snapshot(session.account), await devices.find(session.account, session.device_token_hash)
