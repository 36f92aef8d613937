"""Send the code of a sign-up to another address, because the one that was typed is wrong. Everything else that was typed stays."""

from __future__ import annotations

import msgspec

from countersign.domain.accounts.login_flow import LoginFlowKind
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.contact import read_contact
from countersign.domain.verifications.lanes import Lane
from countersign.errors import InputError
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.context import AccountContext, BrowserContext, FlowNotFound, InvalidInput
from countersign.flows.accounts.request_code import begun_or_refused, send_code
from countersign.flows.sign_in.network_limit import count_by_network
from countersign.flows.sign_in.sign_up import SIGN_UPS_PER_NETWORK
from countersign.flows.verifications.cancel import cancel_challenge
from countersign.flows.verifications.results import Done, Refused
from countersign.store.tables import accounts


async def change_address(
    context: AccountContext, browser: BrowserContext, identifier: str
) -> Done | InvalidInput | Refused | FlowNotFound:
    """Send the code of this browser's sign-up to `identifier`, as entered. The code that went to the wrong address ends.

    It counts as a new sign-up of the network, and the answer does not reveal whether the address has an account. The name and the hash of
    the password wait in the flow. InvalidInput names the fault of the address; FlowNotFound: no sign-up is under way here.
    """
    stored = await login_flow.find_flow(context, browser)
    if stored is None or stored.flow.kind is not LoginFlowKind.SIGN_UP:
        return FlowNotFound()
    flow = stored.flow
    try:
        contact = read_contact(identifier, browser.regions)
    except InputError as error:
        return InvalidInput({"identifier": error.reason})
    if refused := await count_by_network(context, browser, SIGN_UPS_PER_NETWORK):
        return refused
    account, _ = await context.database.read(accounts.find_with_contacts_by_identifier, *context.blind_indexes(contact))
    outcome = begun_or_refused(
        await send_code(
            context,
            browser,
            contact,
            purpose=LoginFlowKind.SIGN_UP.purpose,
            device=browser.device,
            lane=Lane.ANONYMOUS,
            action=flow.challenge_action,
            locale=account.locale if account is not None else "",
            timezone=account.timezone if account is not None else "",
            decoy_notice=NoticeKind.SIGN_UP_KNOWN.value if account is not None else "",
        )
    )
    if isinstance(outcome, Refused):
        return outcome
    moved = msgspec.structs.replace(
        flow,
        challenge=outcome.challenge.id,
        address=contact.address,
        account_exists=account is not None,
        is_switching_method=False,
    )
    # Recorded whatever becomes of the flow: its owner is shown every message that was sent.
    await login_flow.record_sent(context, moved, contact)
    if await login_flow.update_flow(context, stored, moved) is None:
        now_stored = await login_flow.find_flow(context, browser)
        if now_stored is None or now_stored.flow.challenge != outcome.challenge.id:
            # Another request of this browser was faster: the flow does not wait for this code.
            await cancel_challenge(context.core, context.own, outcome.challenge.id)
            return FlowNotFound()
    if flow.challenge and flow.challenge != outcome.challenge.id:
        await cancel_challenge(context.core, context.own, flow.challenge)
    return outcome
