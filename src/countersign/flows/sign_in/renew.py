"""Send a new code in place of one that has run out or was used up by wrong guesses, in the same flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.login_flow import LoginFlowKind
from countersign.domain.verifications.challenge import REFUSAL_OF_STATE, ChallengeState, Refusal
from countersign.domain.verifications.lanes import Lane
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.context import AccountContext, BrowserContext, FlowNotFound
from countersign.flows.changes.submit import CHANGES_PER_ACCOUNT
from countersign.flows.sign_in.network_limit import count_by_network
from countersign.flows.sign_in.recover import RECOVERIES_PER_NETWORK
from countersign.flows.sign_in.sign_up import SIGN_UPS_PER_NETWORK
from countersign.flows.sign_in.verify import find_methods, send_by
from countersign.flows.verifications.counters import counter_key
from countersign.flows.verifications.get import get_challenge
from countersign.flows.verifications.results import Done, Outcome, Refused
from countersign.store.tables import rate_limits

if TYPE_CHECKING:
    from countersign.domain.accounts.login_flow import LoginFlow

RENEWABLE: Final = frozenset({ChallengeState.EXPIRED, ChallengeState.EXHAUSTED})
"""The ends of a code after which a new one may be asked for. Whoever got a code that was stopped has said that they did not ask."""

_PER_NETWORK: Final = {
    LoginFlowKind.SIGN_UP: SIGN_UPS_PER_NETWORK,
    LoginFlowKind.RECOVER: RECOVERIES_PER_NETWORK,
    LoginFlowKind.DELAYED_RECOVERY: RECOVERIES_PER_NETWORK,
}
"""What anybody may begin is counted for their network: a new code counts as a new beginning."""


async def renew_code(context: AccountContext, browser: BrowserContext) -> Outcome | FlowNotFound:
    """Send a new code to the same contact by the same channel, as a new beginning would, and within its limits.

    The counts of wrong codes of the contact and the account go on (semantics C5, C6). While the code of before is still worth something,
    nothing is sent. Refused says which limit is used up; then the flow waits as before.
    """
    stored = await login_flow.find_flow(context, browser)
    if stored is None or not stored.flow.challenge:
        return FlowNotFound()
    flow = stored.flow
    found = await get_challenge(context.core, context.own, flow.challenge)
    if found is None:
        return FlowNotFound()
    ended, state = found.challenge, found.challenge.state_at(context.now())
    if state is ChallengeState.PENDING:
        return Done(ended)
    if state not in RENEWABLE:
        return Refused(REFUSAL_OF_STATE[state], ended)
    allowed, _ = await find_methods(context, flow)
    same = [one for one in allowed if (one.contact, one.channel) == (flow.owned_contact, ended.channel)]
    if not same:
        return Refused(Refusal.CHANNEL_NOT_ALLOWED, ended)
    if refused := await _count_beginning(context, browser, flow):
        return refused
    return await send_by(context, browser, stored, same[0], decoy=ended.terms.decoy_notice)


async def _count_beginning(context: AccountContext, browser: BrowserContext, flow: LoginFlow) -> Refused | None:
    """Count what a new beginning of this flow would be counted for, besides its message. Return Refused over the limit."""
    if limit := _PER_NETWORK.get(flow.kind):
        return await count_by_network(context, browser, limit)
    if flow.kind is not LoginFlowKind.BIND_CONTACT:
        return None
    key = counter_key(context.keyring, CHANGES_PER_ACCOUNT.name, Lane.SESSION, flow.account)
    (result,) = await context.database.run(rate_limits.consume, [(CHANGES_PER_ACCOUNT, key)], context.now())
    if result.allowed:
        return None
    return Refused(Refusal.LIMITED, retry_after=result.retry_after, limit=CHANGES_PER_ACCOUNT.name, at=context.now())
