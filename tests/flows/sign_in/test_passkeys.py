"""Passkeys: enrolled, used alone and for a flow, and every way in which a response is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.flows.authenticators import without_codes
from tests.flows.passkeys import SYNCED, asked, enrolling, enrols, signs_in
from tests.flows.people import Visitor, ada
from tests.peers.authenticator import PRESENT, VERIFIED, Authenticator

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.change import ChangeKind, ChangeRequest
from countersign.domain.accounts.session import Level, ProofRequirement, amr_values, current_level
from countersign.flows.accounts.context import BrowserContext, CodeRequested, InvalidCredentials, SignedIn
from countersign.flows.changes.apply import Applied, apply_change
from countersign.flows.changes.report_change import report_change
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.flows.sign_in.passkeys import (
    begin_passkey_proof,
    finish_passkey_enrolment,
    prove_with_passkey,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.flows.place import Place


async def test_a_passkey_is_enrolled_and_signs_in_by_itself(home: Place) -> None:
    """U4: nothing else is asked for; it is the strongest level, two factors, and synced or not is told apart."""
    visitor = await ada(home)
    options = await enrolling(visitor)
    told = json.loads(options)
    assert told["rp"]["id"] == "verify.example"
    assert told["authenticatorSelection"]["userVerification"] == "required"
    assert told["authenticatorSelection"]["residentKey"] == "required"
    hardware = await enrols(visitor, Authenticator(count=1))
    hardware.count = 2
    other = Visitor(home)
    before = await home.count("deliveries")
    assert isinstance(await signs_in(other, hardware.uses(await asked(other))), SignedIn)
    session = await other.session()
    assert session is not None
    assert current_level(session, home.clock()) is Level.PASSKEY
    assert amr_values(session, home.clock()) == ["hwk", "user", "mfa"]
    # The notice of the new browser alone: no code was sent.
    assert await home.count("deliveries") == before + 1
    await visitor.told("A sign-in method was added to your account")


async def test_a_synced_passkey_never_counts(home: Place) -> None:
    visitor = await ada(home)
    synced = await enrols(visitor, Authenticator(flags=SYNCED))
    for _ in range(2):
        other = Visitor(home)
        assert isinstance(await signs_in(other, synced.uses(await asked(other))), SignedIn)
        session = await other.session()
        assert session is not None
        assert amr_values(session, home.clock()) == ["swk", "user", "mfa"]


async def test_a_synced_passkey_is_let_in_whatever_its_counter(home: Place) -> None:
    """A11: it lives on several devices, and each of them counts for itself."""
    visitor = await ada(home)
    synced = await enrols(visitor, Authenticator(flags=SYNCED, count=1))
    for count in (3, 2, 1, 0):
        synced.count = count
        other = Visitor(home)
        assert isinstance(await signs_in(other, synced.uses(await asked(other))), SignedIn)
        assert isinstance(await other.signs_in(), CodeRequested)
        options = await begin_passkey_proof(home.accounts, other.browser)
        assert options is not None
        proved = await prove_with_passkey(home.accounts, other.browser, synced.uses(options), remember=False)
        assert isinstance(proved, SignedIn)
    assert await home.count("notices WHERE kind = 'passkey_refused'") == 0


async def test_a_passkey_that_was_copied_is_refused_and_its_owner_told(home: Place) -> None:
    """A11: bound to one device, its counter goes up. Whoever has no such key tells nobody anything."""
    visitor = await ada(home)
    bound = await enrols(visitor, Authenticator(count=5))
    other, stranger = Visitor(home), replace(bound, key=Authenticator().key)
    assert isinstance(await signs_in(other, stranger.uses(await asked(other))), InvalidCredentials)
    assert await home.count("notices WHERE kind = 'passkey_refused'") == 0
    bound.count = 4
    assert isinstance(await signs_in(other, bound.uses(await asked(other))), InvalidCredentials)
    await visitor.told("A passkey on your account was refused")
    bound.count = 6
    assert isinstance(await signs_in(other, bound.uses(await asked(other))), SignedIn)


async def test_accounts_are_told_apart_where_passkeys_are_chosen(home: Place) -> None:
    """A10, A11: by the whole address, and the person's name."""
    for address in ("ada@example.org", "anna@example.org"):
        user = json.loads(await enrolling(await ada(home, address), to=address))["user"]
        assert (user["name"], user["displayName"]) == (address, "Ada")


async def test_a_passkey_proves_a_sign_in_and_a_step_up(home: Place) -> None:
    """R2, U4: with the password where a code would have been asked, and for an act of the strongest level."""
    visitor = await ada(home)
    synced = await enrols(visitor, Authenticator(flags=SYNCED))
    other = Visitor(home)
    assert isinstance(await other.signs_in(), CodeRequested)
    seen = await other.sees()
    assert seen is not None
    assert (seen.contact_methods, seen.authenticators) == ((), (AuthenticatorKind.PASSKEY,))
    options = await begin_passkey_proof(home.accounts, other.browser)
    assert options is not None
    assert len(json.loads(options)["allowCredentials"]) == 1
    entered = other._kept(await prove_with_passkey(home.accounts, other.browser, synced.uses(options), remember=False))
    assert isinstance(entered, SignedIn)
    assert isinstance(await other.steps_up(ProofRequirement(Level.PASSKEY, 60)), CodeRequested | SignedIn)
    options = await begin_passkey_proof(home.accounts, other.browser)
    assert options is not None
    raised = other._kept(await prove_with_passkey(home.accounts, other.browser, synced.uses(options), remember=False))
    assert isinstance(raised, SignedIn)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda one: replace(one, origin="https://verify.example.evil.example", count=6),
        lambda one: replace(one, origin="http://verify.example", count=6),
        lambda one: replace(one, host="evil.example", count=6),
        lambda one: replace(one, flags=PRESENT, count=6),
        lambda one: replace(one, flags=VERIFIED, count=6),
        lambda one: replace(one, count=4),
        lambda one: replace(one, count=5),
        lambda one: replace(one, count=0),
        lambda one: replace(one, id=b"somebody else's passkey", count=6),
        lambda one: replace(one, key=Authenticator().key, count=6),
    ],
    ids=["origin", "scheme", "host", "unverified", "absent", "lower", "same", "none", "unknown", "key"],
)
async def test_a_wrong_answer_is_refused(home: Place, spoil: Callable[[Authenticator], Authenticator]) -> None:
    """The negative cases of WebAuthn, 7.2, told alike, to sign in and to prove; the right one works afterwards.

    Each has one fault alone: the counter goes up, unless it is the counter that is wrong.
    """
    visitor = await ada(home)
    good = await enrols(visitor, Authenticator(count=5))
    other = Visitor(home)
    bad = spoil(good)
    assert isinstance(await signs_in(other, bad.uses(await asked(other))), InvalidCredentials)
    assert await other.session() is None
    assert isinstance(await other.signs_in(), CodeRequested)
    options = await begin_passkey_proof(home.accounts, other.browser)
    assert options is not None
    assert isinstance(
        await prove_with_passkey(home.accounts, other.browser, bad.uses(options), remember=False), InvalidCredentials
    )
    good.count = 6
    assert isinstance(await signs_in(other, good.uses(await asked(other))), SignedIn)


async def test_a_challenge_is_answered_once_and_in_its_own_browser(home: Place) -> None:
    """C3, C4: replayed, carried to another browser's flow, or answered after a wrong answer."""
    visitor = await ada(home)
    synced = await enrols(visitor, Authenticator(flags=SYNCED))
    first, second = Visitor(home), Visitor(home)
    answer = synced.uses(await asked(first))
    await asked(second)
    assert isinstance(await signs_in(second, answer), InvalidCredentials)
    before = first.browser
    assert isinstance(await signs_in(first, answer), SignedIn)
    first.browser = before
    assert isinstance(await signs_in(first, answer), InvalidCredentials)
    options = await asked(first)
    assert isinstance(await signs_in(first, synced.uses(options, signature=b"\x30\x00")), InvalidCredentials)
    assert isinstance(await signs_in(first, synced.uses(options)), InvalidCredentials)
    wrong_kind = synced.uses(await asked(first), kind="webauthn.create")
    assert isinstance(await signs_in(first, wrong_kind), InvalidCredentials)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"rawId": 5}', '{"rawId": "§"}', "x" * 20_000, "[" * 9_000])
async def test_nonsense_is_refused(home: Place, text: str) -> None:
    """H3."""
    visitor = await ada(home)
    other = Visitor(home)
    await asked(other)
    assert isinstance(await signs_in(other, text), InvalidCredentials)
    await enrolling(visitor)
    session = await visitor.session()
    assert session is not None
    assert isinstance(await finish_passkey_enrolment(home.accounts, visitor.browser, session, text), InvalidCredentials)


@pytest.mark.parametrize(
    "bad",
    [Authenticator(origin="https://evil.example"), Authenticator(host="evil.example"), Authenticator(flags=PRESENT)],
)
async def test_a_passkey_that_was_created_wrongly_is_not_added(home: Place, bad: Authenticator) -> None:
    """WebAuthn, 7.1: wrong origin, wrong host, nobody verified."""
    visitor = await ada(home)
    answer = bad.makes(await enrolling(visitor))
    session = await visitor.session()
    assert session is not None
    assert isinstance(
        await finish_passkey_enrolment(home.accounts, visitor.browser, session, answer), InvalidCredentials
    )
    assert (await visitor.holdings()).authenticators == ()


async def test_anothers_passkey_does_not_prove_my_flow(home: Place) -> None:
    """C4."""
    await enrols(await ada(home), Authenticator(flags=SYNCED))
    grace = await ada(home, "grace@example.org")
    synced = Authenticator(flags=SYNCED)
    answer = synced.makes(await enrolling(grace, to="grace@example.org"))
    session = await grace.session()
    assert session is not None
    await without_codes(grace, await finish_passkey_enrolment(home.accounts, grace.browser, session, answer))
    thief = Visitor(home)
    assert isinstance(await thief.signs_in(), CodeRequested)
    options = await begin_passkey_proof(home.accounts, thief.browser)
    assert options is not None
    assert isinstance(
        await prove_with_passkey(home.accounts, thief.browser, synced.uses(options), remember=False), InvalidCredentials
    )


async def test_the_same_passkey_is_not_added_to_a_second_account(home: Place) -> None:
    synced = await enrols(await ada(home), Authenticator(flags=SYNCED))
    grace = await ada(home, "grace@example.org")
    answer = synced.makes(await enrolling(grace, to="grace@example.org"))
    session = await grace.session()
    assert session is not None
    assert isinstance(await finish_passkey_enrolment(home.accounts, grace.browser, session, answer), InvalidCredentials)


async def test_a_removed_passkey_and_a_locked_account_open_nothing(home: Place) -> None:
    """A4, S6, R2: and a reset by mail does not get past it."""
    visitor = await ada(home)
    synced = await enrols(visitor, Authenticator(flags=SYNCED))
    thief = Visitor(home)
    home.clock.forward(61_000)
    assert isinstance(await thief.recovers(), CodeRequested)
    assert isinstance(await thief.types(await thief.code()), PasswordResetAllowed)
    assert isinstance(await thief.chooses("a better battery staple"), Applied)
    assert isinstance(await thief.signs_in(password="a better battery staple"), CodeRequested)
    seen = await thief.sees()
    assert seen is not None
    assert seen.contact_methods == ()
    reference = await visitor.told("Your password was reset")
    owner = Visitor(home)
    assert isinstance(await signs_in(owner, synced.uses(await asked(owner))), SignedIn)
    session = await owner.session()
    assert session is not None
    assert await report_change(home.accounts, BrowserContext(), reference) is not None
    assert isinstance(await signs_in(owner, synced.uses(await asked(owner))), InvalidCredentials)
    assert isinstance(await thief.recovers(), CodeRequested)
    home.clock.forward(61_000)
    assert isinstance(await thief.types(await thief.code()), PasswordResetAllowed)
    assert isinstance(await thief.chooses("yet another battery"), Applied)
    assert isinstance(await signs_in(owner, synced.uses(await asked(owner))), SignedIn)
    (factor,) = (await owner.holdings()).authenticators
    session = await owner.session()
    assert session is not None
    wanted = ChangeRequest(ChangeKind.METHOD_REMOVED, factor.id, "x", "x")
    assert isinstance(await apply_change(home.accounts, owner.browser, wanted.for_session(session)), Applied)
    assert isinstance(await signs_in(owner, synced.uses(await asked(owner))), InvalidCredentials)
