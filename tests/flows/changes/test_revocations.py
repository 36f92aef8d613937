"""What an act takes away is gone from the database, not only behind a closed door: sessions, trust, codes, tokens and what waited."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import msgspec
import pytest_asyncio
from tests.flows.changes.test_delayed_recovery import claims
from tests.flows.integration_codes import made
from tests.flows.oidc.test_token import BACK, tokens_of
from tests.flows.people import ADA, Visitor, ada, alive

from countersign.domain.accounts.change import DAY, RECOVERY_WAIT, ChangeKind, ChangeRequest, ChangeState
from countersign.domain.accounts.session import ProofRequirement
from countersign.domain.shared.application import Application, ApplicationDraft, ApplicationMode
from countersign.domain.shared.contact import parse_contact
from countersign.flows.accounts.context import BrowserContext, CodeRequested
from countersign.flows.accounts.sessions import end_others, end_session
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.forget_browser import forget_browser
from countersign.flows.changes.integration_codes import verify_code
from countersign.flows.changes.report_change import report_change
from countersign.flows.maintenance.applications import add_application
from countersign.flows.oidc.token import find_access_token
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.store.tables import changes, devices, integration_codes, sessions

if TYPE_CHECKING:
    from tests.flows.place import Place

    from countersign.domain.accounts.session import Session

NEW = "ada@elsewhere.example"
BETTER = "a better battery staple"
PHONE = "+14155550123"
SAFARI = BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en")


class Held(msgspec.Struct):
    """What an account has that opens something: ids of sessions and trusted browsers, how many codes, and what waits by its kind."""

    sessions: set[str]
    trusted: int
    codes: int
    waiting: list[str]


async def held(place: Place, account: str) -> Held:
    """Return what stands in the database."""
    now, read = place.clock(), place.database.read
    return Held(
        {one.id for one in await read(sessions.list_active, account, now)},
        sum(one.trusted_at is not None for one in await read(devices.list_active, account)),
        len(await read(integration_codes.list_active, account, now)),
        [one.kind.value for one in await read(changes.list_open, account, now) if one.state is ChangeState.PENDING],
    )


class Scene(msgspec.Struct):
    """An owner at one browser, somebody at another that is trusted, a token and a code of that one, and two changes that wait."""

    owner: Visitor
    other: Visitor
    claimant: Visitor
    account: str
    here: Session
    there: Session
    token: str
    code: str

    async def token_is_good(self) -> bool:
        """Say whether the relying party's token still opens something."""
        return await find_access_token(self.owner.place.accounts, self.token) is not None

    async def code_is_good(self) -> bool:
        """Say whether the integration code still opens something."""
        return await verify_code(self.owner.place.accounts, self.code, "a test") is not None


@pytest_asyncio.fixture
async def scene(home: Place) -> Scene:
    """Everything that may have to end."""
    draft = ApplicationDraft("shop", ApplicationMode.LIVE, redirect_uris=(BACK,))
    shop: Application
    shop, _ = await add_application(home.database, home.accounts.log, home.keyring, draft, 1, secrets.token_bytes)
    owner = await ada(home)
    code = await made(owner)
    claimant = await claims(home)
    home.clock.forward(61_000)
    other = Visitor(home, SAFARI)
    await other.is_let_in(remember=True)
    token = (await tokens_of(home, other, shop)).access_token
    new = parse_contact(PHONE)
    wanted = ChangeRequest(ChangeKind.CONTACT_ADDED, "", new.masked, "Add it", new)
    assert isinstance(await other.changes(wanted), CodeRequested)
    here, there = await alive(owner), await alive(other)
    found = Scene(owner, other, claimant, here.account, here, there, token, code)
    assert await held(home, here.account) == Held({here.id, there.id}, 1, 1, ["contact_added", "access_recovered"])
    assert await found.token_is_good()
    assert await found.code_is_good()
    return found


async def test_locking_an_account_leaves_nothing_that_opens_it(home: Place, scene: Scene) -> None:
    """S6, A4, S8: sessions, trust, integration codes, tokens of applications and every change that waits, also a claim."""
    reference = await scene.owner.told("A new browser signed in to your account")
    assert await report_change(home.accounts, BrowserContext(), reference) is not None
    assert await held(home, scene.account) == Held(set(), 0, 0, [])
    assert not await scene.token_is_good()
    assert not await scene.code_is_good()
    home.clock.forward(RECOVERY_WAIT)
    # The claim that waited does not come back when its time is over.
    assert isinstance(await scene.claimant.recovers(NEW), CodeRequested)
    assert "No account found" in (await scene.claimant.reads(NEW)).text


async def test_a_changed_password_leaves_the_session_that_changed_it_and_nothing_else(
    home: Place, scene: Scene
) -> None:
    """A5, S4, A3."""
    hashed = await home.accounts.passwords.hash(BETTER)
    wanted = ChangeRequest(ChangeKind.PASSWORD_CHANGED, about="", summary="Change it", password=hashed)
    assert isinstance(await scene.owner.changes(wanted), Applied)
    after = await held(home, scene.account)
    assert (after.sessions, after.trusted, after.waiting) == ({scene.here.id}, 0, [])
    assert await scene.owner.session() is not None
    assert not await scene.token_is_good()


async def test_a_recovered_password_leaves_no_session_no_trust_and_nothing_that_waits(
    home: Place, scene: Scene
) -> None:
    """A5, R2."""
    stranger = Visitor(home)
    assert isinstance(await stranger.recovers(), CodeRequested)
    assert isinstance(await stranger.types(await stranger.code()), PasswordResetAllowed)
    assert isinstance(await stranger.chooses(BETTER), Applied)
    after = await held(home, scene.account)
    assert (after.sessions, after.trusted, after.waiting) == (set(), 0, [])
    assert not await scene.token_is_good()


async def test_a_finished_claim_leaves_no_session_no_trust_and_nothing_that_waits(home: Place, scene: Scene) -> None:
    """R5: whoever was in is out."""
    home.clock.forward(RECOVERY_WAIT)
    late = Visitor(home, SAFARI)
    await late.is_let_in(remember=True)
    claimant = scene.claimant
    assert isinstance(await claimant.recovers(NEW), CodeRequested)
    assert isinstance(await claimant.types(await claimant.code(NEW)), PasswordResetAllowed)
    assert isinstance(await claimant.chooses(BETTER), Applied)
    after = await held(home, scene.account)
    assert (after.sessions, after.trusted, after.waiting) == (set(), 0, [])
    assert await late.session() is None


async def test_a_new_contact_ends_trust_and_no_session(home: Place, scene: Scene) -> None:
    """S4: who adds a contact may be a thief, and a trusted browser would ask nobody."""
    assert isinstance(await scene.owner.adds("ada@third.example"), Applied)
    after = await held(home, scene.account)
    assert (after.sessions, after.trusted) == ({scene.here.id, scene.there.id}, 0)
    home.clock.forward(61_000)
    assert isinstance(await scene.other.signs_in(), CodeRequested)


async def test_forgetting_a_browser_ends_what_it_held(home: Place, scene: Scene) -> None:
    """A4, S16: and when it comes back it is new: every contact is told, and it stands in the list."""
    known = await home.database.read(devices.list_active, scene.account)
    there = next(one for one in known if one.token_hash == scene.there.device_token_hash)
    assert await forget_browser(home.accounts, await alive(scene.owner), there.id)
    after = await held(home, scene.account)
    assert (after.sessions, after.trusted, after.codes) == ({scene.here.id}, 0, 1)
    assert not await scene.token_is_good()
    assert len(await home.database.read(devices.list_active, scene.account)) == len(known) - 1
    home.clock.forward(DAY)
    told = await home.count("notices")
    await scene.other.is_let_in()
    assert await home.count("notices") == told + 1
    assert "A new browser signed in" in (await scene.other.reads()).text
    assert len(await home.database.read(devices.list_active, scene.account)) == len(known)


async def test_ending_a_session_ends_its_token_and_its_change_and_no_other(home: Place, scene: Scene) -> None:
    """A4, A3, S8."""
    assert await end_session(home.accounts, scene.here, scene.there.id)
    assert (await held(home, scene.account)).sessions == {scene.here.id}
    assert not await scene.token_is_good()
    assert await scene.code_is_good()
    # What that session asked for is not finished any more.
    code = await scene.other.code(PHONE)
    assert not isinstance(await scene.other.types(code), Applied)
    assert [one.masked for one in (await scene.owner.holdings()).contacts] == ["a***@example.org"]


async def test_ending_all_others_leaves_this_one(home: Place, scene: Scene) -> None:
    """A4."""
    third = Visitor(home)
    home.clock.forward(61_000)
    await third.is_let_in()
    assert await end_others(home.accounts, scene.here) == 2
    assert (await held(home, scene.account)).sessions == {scene.here.id}
    assert not await scene.token_is_good()
    assert await end_others(home.accounts, scene.here) == 0


async def test_an_approval_of_an_undo_is_used_up_by_it(home: Place) -> None:
    """U1: the session keeps no approval, and of two presses at once one undoes."""
    from countersign.flows.changes.undo import undo_change

    visitor = await ada(home)
    change = await visitor.adds(PHONE)
    assert isinstance(change, Applied)
    home.clock.forward(61_000)
    need = await undo_change(home.accounts, visitor.browser, await alive(visitor), change.change.id, "Undo it")
    assert isinstance(need, ProofRequirement)
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    await visitor.types(await visitor.code(ADA))
    session = await alive(visitor)
    assert [proof.action_digest for proof in session.proofs if proof.action_digest] == [need.action_digest]
    done = await undo_change(home.accounts, visitor.browser, session, change.change.id, "Undo it")
    assert isinstance(done, Applied)
    assert not any(proof.action_digest for proof in (await alive(visitor)).proofs)
