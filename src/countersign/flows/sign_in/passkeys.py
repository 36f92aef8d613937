"""Passkeys (WebAuthn): enrol one, sign in with one alone, or prove a login flow with one.

Each of the three begins with a challenge, which is kept in a login flow and answered once.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from countersign import links, webauthn
from countersign.domain.accounts.account import Account, AccountSnapshot
from countersign.domain.accounts.authenticator import Authenticator, AuthenticatorKind
from countersign.domain.accounts.change import ChangeKind, ChangeRefusal, ChangeRequest, check_change
from countersign.domain.accounts.login_flow import FLOW_LIFETIME, InterruptedRequest, LoginFlow, LoginFlowKind
from countersign.domain.accounts.session import (
    Method,
    ProofRequirement,
    Session,
    SessionProof,
    approval_source,
    satisfies,
)
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.activity import record_events
from countersign.flows.accounts.authenticator import StoredPasskey, encode_passkey, stored_passkey
from countersign.flows.accounts.contact_names import opened
from countersign.flows.accounts.context import (
    AccountContext,
    BrowserContext,
    CodeRequested,
    FlowNotFound,
    InvalidCredentials,
    SignedIn,
)
from countersign.flows.accounts.login_flow import StoredFlow
from countersign.flows.accounts.notify import owe_notices
from countersign.flows.accounts.request_code import authenticators_for
from countersign.flows.accounts.sessions import use_approval
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.enrol import authenticator_name
from countersign.flows.changes.keep_codes import CodesToKeep, add_authenticator
from countersign.flows.changes.request import requirement_of
from countersign.flows.sign_in.check_up import lead_to_check_up
from countersign.flows.sign_in.complete import CompletedFlow, complete_flow
from countersign.flows.sign_in.guess_counters import end_password_pause, forget_guesses
from countersign.flows.sign_in.network_limit import count_by_network
from countersign.flows.sign_in.passkey_challenge import OFFER_LIFETIME, is_offered, offered_at, use_key
from countersign.flows.sign_in.start_session import start_session
from countersign.flows.verifications.results import Refused
from countersign.store.engine.database import Write
from countersign.store.tables import accounts, authenticators, login_flows, single_use
from countersign.webauthn import CHALLENGE_BYTES, RelyingParty, asserted, registered

PASSKEY_SIGN_INS_PER_NETWORK: Final = RateLimit("sign_in_passkey", 60, 10 * 60_000)
"""Sign-ins with a passkey that one network may try."""
PASSKEY_BEGINS_PER_NETWORK: Final = RateLimit("begin_passkey", 120, 10 * 60_000)
"""Sign-ins with a passkey that one network may begin, each of which is stored. Half of them may be given up."""

ACCOUNT_PAGE: Final = InterruptedRequest(path=links.ACCOUNT)
"""What follows a sign-in that no other request has led to."""

PasskeyEnrolmentResult: TypeAlias = Applied | CodesToKeep | ChangeRefusal | InvalidCredentials | FlowNotFound


def own_relying_party(context: AccountContext) -> RelyingParty:
    """Return this installation as the relying party of its passkeys."""
    return webauthn.relying_party(context.links.issuer, context.own.site)


# ------------------------------------------------------------------------------------------------------------------ enrol


async def begin_passkey_enrolment(
    context: AccountContext, browser: BrowserContext, session: Session, name: str, summary: str
) -> CodeRequested | ProofRequirement | ChangeRefusal:
    """Begin the flow in which this session's browser creates a passkey.

    `name` is the name of the new passkey as entered, and `summary` is what the user approves, in their language. Returns the proof that
    the session must give first, or why no passkey can be added.
    """
    snapshot = await context.database.read(find_snapshot, session.account)
    if snapshot is None:
        return ChangeRefusal.UNKNOWN
    request = ChangeRequest(ChangeKind.METHOD_ADDED, about=authenticator_name(name, "Passkey"), summary=summary)
    if refusal := check_change(request.kind, "", b"", snapshot, context.now()):
        return refusal
    requirement = requirement_of(context, request, snapshot)
    if not satisfies(session, requirement, context.now()) or not await use_approval(context, session, requirement):
        return requirement
    now, device_secret = context.now(), browser.device or context.secret()
    flow = LoginFlow(
        kind=LoginFlowKind.ENROL_PASSKEY,
        begun_at=now,
        expires_at=now + FLOW_LIFETIME,
        device_token_hash=context.token_hash(device_secret).hex(),
        account=session.account,
        contact=approval_source(session, requirement, now),
        name=request.about,
        session=session.id,
        pending_secret=context.random_bytes(CHALLENGE_BYTES).hex(),
        epoch=session.epoch,
    )
    return CodeRequested(await login_flow.save_flow(context, flow), device_secret)


async def passkey_enrolment_options(context: AccountContext, browser: BrowserContext, session: Session) -> str | None:
    """Return the options, as JSON, for `navigator.credentials.create()`; None if this browser is not enrolling a passkey."""
    stored = await _find_enrolment(context, browser, session)
    if stored is None or stored.flow.pending_authenticator:
        return None
    snapshot = await context.database.read(find_snapshot, session.account)
    if snapshot is None:
        return None
    primary = next((contact for contact in snapshot.contacts if contact.primary), None)
    enrolled = [passkey.mark for passkey in _passkeys_of(snapshot)]
    return webauthn.creation(
        own_relying_party(context),
        _challenge(stored),
        session.account,
        # The whole address: two accounts whose masks are alike could not be told apart where passkeys are chosen.
        opened(context, primary).address if primary is not None else "",
        context.keyring.unseal(snapshot.account.name, session.account),
        enrolled,
    )


async def finish_passkey_enrolment(
    context: AccountContext, browser: BrowserContext, session: Session, response: str
) -> PasskeyEnrolmentResult:
    """Add the passkey that the browser has created.

    `response` is the result of `navigator.credentials.create()` as JSON. InvalidCredentials means that it does not answer the challenge,
    or that the passkey belongs to an account already. CodesToKeep means that it counts once its user has kept recovery codes.
    """
    stored = await _find_enrolment(context, browser, session)
    if stored is None:
        return FlowNotFound()
    if stored.flow.pending_authenticator:
        return CodesToKeep()
    created = registered(own_relying_party(context), response, _challenge(stored))
    if created is None or await context.database.read(authenticators.find_by_mark, created.id) is not None:
        return InvalidCredentials()
    authenticator_id = context.id("fac")
    public_key = encode_passkey(StoredPasskey(created.public_key, created.synced))
    passkey = Authenticator(
        account=session.account,
        id=authenticator_id,
        kind=AuthenticatorKind.PASSKEY,
        added_at=context.now(),
        mark=created.id,
        secret=context.keyring.seal(public_key, authenticator_id),
        name=context.keyring.seal(stored.flow.name, authenticator_id),
        used=created.count,
    )
    return await add_authenticator(context, browser, session, stored, passkey)


async def _find_enrolment(context: AccountContext, browser: BrowserContext, session: Session) -> StoredFlow | None:
    stored = await login_flow.find_flow(context, browser)
    if stored is None or stored.flow.kind is not LoginFlowKind.ENROL_PASSKEY or stored.flow.session != session.id:
        return None
    return stored


# --------------------------------------------------------------------------------------------------------- sign in with one


async def begin_passkey_sign_in(
    context: AccountContext, browser: BrowserContext, interrupted: InterruptedRequest
) -> tuple[CodeRequested, str] | Refused:
    """Begin a sign-in with any passkey of this installation that the user chooses.

    `interrupted` is the request that continues afterwards. Returns the secrets of the flow, and the options, as JSON, for
    `navigator.credentials.get()`. Refused means that this network began too many.
    """
    if refused := await count_by_network(context, browser, PASSKEY_BEGINS_PER_NETWORK):
        return refused
    now, device_secret = context.now(), browser.device or context.secret()
    challenge = context.random_bytes(CHALLENGE_BYTES)
    flow = LoginFlow(
        kind=LoginFlowKind.PASSKEY,
        begun_at=now,
        expires_at=now + FLOW_LIFETIME,
        device_token_hash=context.token_hash(device_secret).hex(),
        interrupted=interrupted,
        requester=browser.requester(),
        place=context.place(browser.ip),
        pending_secret=challenge.hex(),
    )
    options = webauthn.request(own_relying_party(context), challenge, ())
    return CodeRequested(await login_flow.save_flow(context, flow), device_secret), options


async def sign_in_with_passkey(
    context: AccountContext,
    browser: BrowserContext,
    response: str,
    interrupted: InterruptedRequest = ACCOUNT_PAGE,
) -> SignedIn | InvalidCredentials | Refused:
    """Start a session for the owner of a passkey, which is two factors by itself (semantics U4).

    `response` is the result of `navigator.credentials.get()` as JSON. It answers the challenge of this browser's flow, or one that the
    page has offered for autofill: then `interrupted` is the request that continues. Whatever is wrong with it gives the same answer,
    InvalidCredentials. Refused means that this network made too many attempts.
    """
    if refused := await count_by_network(context, browser, PASSKEY_SIGN_INS_PER_NETWORK):
        return refused
    if browser.ip and set(context.geolocation.listed(browser.ip)) & set(context.risk.deny_lists):
        return InvalidCredentials()
    challenge = webauthn.challenge_of(response)
    if is_offered(context, challenge, browser.device):
        # It is used up by its first response, right or wrong, as that of a flow is. The same form, sent twice, is no copied passkey.
        until = context.now() + OFFER_LIFETIME
        if not await context.database.run(single_use.take, use_key(context, challenge), until, offered_at(challenge)):
            return InvalidCredentials()
        browser = msgspec.structs.replace(browser, device=browser.device or context.secret())
    else:
        stored = await login_flow.find_flow(context, browser)
        if stored is None or stored.flow.kind is not LoginFlowKind.PASSKEY:
            return InvalidCredentials()
        if not await context.database.run(login_flows.delete, stored.token_hash):
            return InvalidCredentials()
        challenge, interrupted = _challenge(stored), stored.flow.interrupted
    passkey, account = await context.database.read(_find_passkey_and_account, webauthn.id_of(response))
    if passkey is None or account is None or not account.open:
        return InvalidCredentials()
    method = await _check_assertion(context, browser, passkey, response, challenge)
    if method is None:
        return InvalidCredentials()
    proofs = (SessionProof(method, context.now(), source=passkey.id),)
    started = await start_session(context, browser, account.id, proofs, interrupted=interrupted, epoch=account.epoch)
    if not isinstance(started, SignedIn):
        return InvalidCredentials()
    await end_password_pause(context, account)
    return await lead_to_check_up(context, started, method)


async def _find_passkey_and_account(credential_id: bytes) -> tuple[Authenticator | None, Account | None]:
    passkey = await authenticators.find_by_mark(credential_id)
    if passkey is None or passkey.kind is not AuthenticatorKind.PASSKEY or not credential_id:
        return None, None
    return passkey, await accounts.find(passkey.account)


# ----------------------------------------------------------------------------------------------------- prove a login flow


async def begin_passkey_proof(context: AccountContext, browser: BrowserContext) -> str | None:
    """Return the options, as JSON, for `navigator.credentials.get()`; None if a passkey cannot prove this browser's flow."""
    stored = await login_flow.find_flow(context, browser)
    if stored is None:
        return None
    snapshot = await context.database.read(find_snapshot, stored.flow.account)
    if snapshot is None or AuthenticatorKind.PASSKEY not in authenticators_for(snapshot, stored.flow):
        return None
    challenge = context.random_bytes(CHALLENGE_BYTES)
    waiting = msgspec.structs.replace(stored.flow, pending_secret=challenge.hex())
    if await login_flow.update_flow(context, stored, waiting) is None:
        return None
    allowed = [passkey.mark for passkey in _passkeys_of(snapshot)]
    return webauthn.request(own_relying_party(context), challenge, allowed)


async def prove_with_passkey(
    context: AccountContext, browser: BrowserContext, response: str, *, remember: bool
) -> CompletedFlow | InvalidCredentials:
    """Prove a flow with a passkey of its account, and complete it.

    `response` is the result of `navigator.credentials.get()` as JSON, and `remember` the user's wish to trust this browser. A challenge
    is used up by its first response, right or wrong.
    """
    stored = await login_flow.find_flow(context, browser)
    if stored is None:
        return FlowNotFound()
    flow = stored.flow
    snapshot = await context.database.read(find_snapshot, flow.account)
    is_possible = snapshot is not None and AuthenticatorKind.PASSKEY in authenticators_for(snapshot, flow)
    if snapshot is None or not is_possible or not flow.pending_secret:
        return FlowNotFound()
    answered = await login_flow.update_flow(context, stored, msgspec.structs.replace(flow, pending_secret=""))
    if answered is None:
        return FlowNotFound()
    credential_id = webauthn.id_of(response)
    passkey = next((one for one in _passkeys_of(snapshot) if one.mark == credential_id), None)
    method = (
        await _check_assertion(context, browser, passkey, response, _challenge(stored)) if passkey is not None else None
    )
    if passkey is None or method is None:
        return InvalidCredentials()
    await forget_guesses(context, snapshot.account, flow)
    proof = SessionProof(method, context.now(), source=passkey.id)
    return await complete_flow(context, browser, answered, proof, remember=remember)


# ------------------------------------------------------------------------------------------------------------------ shared


def _passkeys_of(snapshot: AccountSnapshot) -> list[Authenticator]:
    return [one for one in snapshot.authenticators if one.kind is AuthenticatorKind.PASSKEY]


def _challenge(stored: StoredFlow) -> bytes:
    return bytes.fromhex(stored.flow.pending_secret)


async def _check_assertion(
    context: AccountContext, browser: BrowserContext, passkey: Authenticator, response: str, challenge: bytes
) -> Method | None:
    """Return the method that a response proves, and store its signature counter; None if the response is wrong.

    A synced passkey lives on several devices, and each counts for itself: its counter says nothing. That of a passkey bound to one device
    must go up. Otherwise it was copied (WebAuthn, 6.1.1): it is refused, and its owner is told.
    """
    stored = stored_passkey(context, passkey)
    counter = asserted(own_relying_party(context), response, challenge, stored.public_key)
    if counter is None:
        return None
    if stored.synced or counter == passkey.used == 0:
        accepted = await context.database.run(authenticators.record_use, passkey.account, passkey.id, context.now())
    else:
        accepted = await context.database.run(authenticators.use, passkey.account, passkey.id, counter, context.now())
    if accepted:
        return Method.PASSKEY if stored.synced else Method.SECURITY_KEY
    await context.log.run(context.database, _tell_of_copy, context, browser, passkey)
    context.database.notify()
    return None


async def _tell_of_copy(context: AccountContext, browser: BrowserContext, passkey: Authenticator) -> None:
    """Tell every contact that a passkey was refused because somebody may have copied it; nothing if it has ended."""
    snapshot = await find_snapshot(passkey.account)
    if snapshot is None or all(one.id != passkey.id for one in snapshot.authenticators):
        return
    now, place, name = context.now(), context.place(browser.ip), context.keyring.unseal(passkey.name, passkey.id)
    event = Event(now, EventKind.PASSKEY_REFUSED, context.own.id, passkey.account, {"about": name})
    activity = await record_events(context, [event], browser, place)
    notices = await owe_notices(
        context,
        snapshot.account,
        snapshot.contacts,
        NoticeKind.PASSKEY_REFUSED,
        browser=browser,
        place=place,
        now=now,
        facts={"about": name},
    )
    await Write((*notices, *activity), last=True)
