"""Tell users how they would get back in after a loss, and what they are asked for next."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from countersign import links
from countersign.domain.accounts.authenticator import AuthenticatorKind, has_way_back
from countersign.domain.accounts.check_up import Holdings, LossOutcome, check_up
from countersign.domain.accounts.session import STRONG_METHODS, Method
from countersign.domain.shared.contact import ContactKind
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.authenticator import stored_passkey
from countersign.flows.accounts.contact_names import opened
from countersign.flows.accounts.snapshot import find_snapshot

if TYPE_CHECKING:
    from countersign.domain.accounts.account import AccountSnapshot
    from countersign.domain.accounts.authenticator import Authenticator
    from countersign.flows.accounts.context import AccountContext, BrowserContext, SignedIn


class NextProof(msgspec.Struct, frozen=True):
    """What a sign-in with a new password asks for.

    One of the `authenticators`, or a code to one of the masked `contacts`.
    """

    authenticators: tuple[AuthenticatorKind, ...] = ()
    contacts: tuple[str, ...] = ()


async def losses_of(context: AccountContext, account: str) -> tuple[LossOutcome, ...]:
    """Return what each loss would mean for the user of an account; nothing if there is no such account."""
    snapshot = await context.database.read(find_snapshot, account)
    return () if snapshot is None else check_up(_holdings(context, snapshot))


def _holdings(context: AccountContext, snapshot: AccountSnapshot) -> Holdings:
    def of(kind: AuthenticatorKind) -> list[Authenticator]:
        return [one for one in snapshot.authenticators if one.kind is kind]

    def names(found: list[Authenticator]) -> tuple[str, ...]:
        return tuple(context.keyring.unseal(one.name, one.id) for one in found)

    def contacts(kind: ContactKind) -> tuple[str, ...]:
        proved = [one for one in snapshot.contacts if one.kind is kind and one.proved_at is not None]
        return tuple(opened(context, one).address for one in proved)

    synced = {one.id: stored_passkey(context, one).synced for one in of(AuthenticatorKind.PASSKEY)}
    return Holdings(
        mailboxes=contacts(ContactKind.MAIL),
        phones=contacts(ContactKind.PHONE),
        apps=names(of(AuthenticatorKind.APP)),
        synced_passkeys=names([one for one in of(AuthenticatorKind.PASSKEY) if synced[one.id]]),
        bound_passkeys=names([one for one in of(AuthenticatorKind.PASSKEY) if not synced[one.id]]),
        recovery_codes=sum(not one.unkept for one in of(AuthenticatorKind.RECOVERY_CODE)),
        waits=context.recovery_policy.delayed,
    )


async def lead_to_check_up(context: AccountContext, signed_in: SignedIn, method: Method) -> SignedIn:
    """Return the sign-in as it goes on: by the check-up, if the loss of one thing would shut its user out (semantics A11).

    Accounts are older than the rule that asks for recovery codes, and codes are used up. Nobody is locked out for it: the check-up leads
    to where the sign-in was going. `method` is how the user has signed in: without an app or a passkey there is nothing to look for.
    """
    then = signed_in.interrupted
    if method not in STRONG_METHODS | {Method.RECOVERY_CODE} or then.method != "GET":
        return signed_in
    snapshot = await context.database.read(find_snapshot, signed_in.account)
    if snapshot is None or has_way_back(snapshot.authenticators):
        return signed_in
    path = f"{links.CHECK_UP}?return_to={quote(then.path or links.ACCOUNT, safe='')}"
    return replace(signed_in, interrupted=replace(then, path=path))


async def next_proof(context: AccountContext, browser: BrowserContext) -> NextProof:
    """Return what will be asked for beside the password that is being recovered in this browser.

    It is told only to a browser that has proved the account is its user's. Any other one gets an empty answer.
    """
    stored = await login_flow.find_flow(context, browser)
    if stored is None or stored.flow.recovery_proof is None:
        return NextProof()
    flow = stored.flow
    snapshot = await context.database.read(find_snapshot, flow.account)
    if snapshot is None or (flow.change and not context.recovery_policy.keeps_authenticators):
        return NextProof()
    kinds = {one.kind for one in snapshot.authenticators}
    if snapshot.strong:
        return NextProof(authenticators=tuple(kind for kind in AuthenticatorKind if kind in kinds))
    others = [one for one in snapshot.contacts if one.id != flow.contact and one.proved_at is not None]
    codes = (AuthenticatorKind.RECOVERY_CODE,) if AuthenticatorKind.RECOVERY_CODE in kinds else ()
    return NextProof(codes if others else (), tuple(one.masked for one in others))
