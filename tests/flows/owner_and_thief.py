"""An owner and a thief of one account. Each acts through the real flows with what they hold, and reads what comes to their contacts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
from tests.clock import DAY, HOUR, MINUTE
from tests.flows.authenticators import app_code, keeps
from tests.flows.people import ADA, CARRIER, PASSWORD, Visitor

from countersign.domain.accounts.authenticator import STRONG_KINDS, AuthenticatorKind
from countersign.domain.accounts.change import ChangeKind, ChangeRequest, ChangeState
from countersign.domain.accounts.session import ProofRequirement
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.contact import parse_contact
from countersign.flows.accounts.context import BrowserContext, CodeRequested, InvalidInput, SignedIn
from countersign.flows.accounts.sessions import end_others
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.delayed_recovery import RecoveryPending
from countersign.flows.changes.enrol import begin_app, draft_app, finish_app
from countersign.flows.changes.report_change import (
    DELAYED_RECOVERY_NOTICES,
    NoticeLink,
    ReportOutcome,
    ReportResult,
    find_link,
    report_change,
)
from countersign.flows.changes.submit import submit_change
from countersign.flows.changes.undo import cancel_change, undo_change
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.flows.sign_in.recover import begin_delayed_recovery
from countersign.flows.verifications.results import Done
from countersign.store.tables import accounts, changes, sessions
from countersign.totp import STEP, code_at

if TYPE_CHECKING:
    from tests.flows.place import Place

    from countersign.domain.accounts.account import AccountSnapshot
    from countersign.domain.accounts.change import AccountChange
    from countersign.flows.changes.submit import SubmitResult
    from countersign.flows.sign_in.verify import CheckResult

PHONE = "+14155550123"
EVIL = "thief@evil.example"
LOST = "nobody@elsewhere.example"
OWNERS = BrowserContext(ip="203.0.113.9", user_agent="Firefox", locale="en")
THIEFS = BrowserContext(ip="192.0.2.66", user_agent="Safari", locale="en")
ADDRESS_OF = {parse_contact(one).masked: one for one in (ADA, PHONE, EVIL, LOST)}
OWN = (ADA, PHONE)


@dataclass
class Person:
    """Somebody with a browser, what they know, and the contacts in which they read."""

    place: Place
    name: str
    visitor: Visitor
    reads: set[str] = field(default_factory=set)
    passwords: list[str] = field(default_factory=list)
    apps: list[bytes] = field(default_factory=list)
    made: set[str] = field(default_factory=set)
    old_links: list[str] = field(default_factory=list)
    chosen: int = 0
    acts: int = 0

    async def is_in(self) -> bool:
        """Say whether this browser is signed in."""
        return await self.visitor.session() is not None

    # ---------------------------------------------------------------------------------------------------- proofs

    async def _wait(self) -> None:
        """Let the minute pass in which no further code is sent."""
        self.place.clock.forward(MINUTE + 1_000)

    async def _deliver(self) -> None:
        while await self.place.deliver():
            pass

    async def _code(self, to: str) -> str:
        await self._deliver()
        texts = [one.text for one in self.place.carriers[CARRIER].sent if one.to == to]
        found = re.search(r"\b(\d{3}) ?(\d{3})\b", texts[-1]) if texts else None
        return found[1] + found[2] if found else "000000"

    async def proves(self) -> CheckResult | None:
        """Give the proof that the browser's flow asks for, with whatever this person holds; None if they hold nothing that serves."""
        view = await self.visitor.sees()
        if view is None:
            return None
        for secret in self.apps if AuthenticatorKind.APP in view.authenticators else ():
            self.place.clock.forward(2 * STEP)
            proved = await app_code(self.visitor, secret)
            if isinstance(proved, SignedIn | PasswordResetAllowed | Applied):
                return proved
        if view.challenge is not None:
            to = ADDRESS_OF.get(view.challenge.terms.to_masked, "")
            if to in self.reads:
                return await self.visitor.types(await self._code(to))
        for way in view.contact_methods:
            to = ADDRESS_OF.get(way.masked, "")
            if to in self.reads:
                await self._wait()
                if isinstance(await self.visitor.asks_another_way(way), Done):
                    return await self.visitor.types(await self._code(to))
        return None

    # ---------------------------------------------------------------------------------------------------- ways in

    async def signs_in(self) -> bool:
        """Try every password that is known with every contact that is read."""
        for password in list(reversed(self.passwords))[:3]:
            for identifier in OWN:
                self.acts += 1
                await self._wait()
                asked = await self.visitor.signs_in(identifier, password)
                if isinstance(asked, SignedIn):
                    return True
                if isinstance(asked, CodeRequested):
                    if isinstance(await self.proves(), SignedIn):
                        return True
                    break
        return False

    async def recovers(self, identifier: str) -> bool:
        """Recover the account by a contact, with a password that is known or without."""
        self.acts += 1
        await self._wait()
        if not isinstance(await self.visitor.recovers(identifier), CodeRequested):
            return False
        if not isinstance(await self.proves(), PasswordResetAllowed):
            return False
        self.chosen += 1
        password = f"{self.name} chose these words {self.chosen}"
        outcome = None
        for current in [*list(reversed(self.passwords))[:2], ""]:
            outcome = await self.visitor.chooses(password, current)
            if not isinstance(outcome, InvalidInput):
                break
        if isinstance(outcome, Applied):
            self.passwords.append(password)
            self.made.add(outcome.change.id)
            return True
        return False

    async def claims(self) -> bool:
        """Say that every contact is lost, and prove a contact of one's own."""
        self.acts += 1
        await self._wait()
        own = LOST if LOST in self.reads else EVIL
        asked = self.visitor._kept(await begin_delayed_recovery(self.place.accounts, self.visitor.browser, ADA, own))
        if not isinstance(asked, CodeRequested):
            return False
        return isinstance(await self.visitor.types(await self._code(own)), RecoveryPending)

    # ---------------------------------------------------------------------------------------------------- links

    async def links(self) -> list[tuple[str, NoticeLink]]:
        """Return the links that this person can press, the oldest first, with what each would be worth."""
        await self._deliver()
        texts = [one.text for one in self.place.carriers[CARRIER].sent if one.to in self.reads]
        references = [match[1] for text in texts if (match := re.search(r"ref=(ntc_[\w.~-]+)", text))]
        found: list[tuple[str, NoticeLink]] = []
        for reference in dict.fromkeys([*self.old_links, *references]):
            link = await find_link(self.place.accounts, reference)
            if link is not None:
                found.append((reference, link))
        return found

    async def presses(self, reference: str) -> ReportResult | None:
        """Press a "this was not me", and hold what the page says against what is stored."""
        self.acts += 1
        link = await find_link(self.place.accounts, reference)
        account = link.notice.account if link is not None else ""
        before = await stored(self.place, account)
        result = await report_change(self.place.accounts, self.visitor.browser, reference)
        after = await stored(self.place, account)
        if result is None:
            assert before == after, "the link leads nowhere, and something has changed"
            return None
        waiting = [one for one in after.open_changes if one.state is ChangeState.PENDING]
        claims = [one for one in waiting if one.kind is ChangeKind.ACCESS_RECOVERED]
        match result.outcome:
            case ReportOutcome.LOCKED:
                assert after.snapshot is not None
                assert after.snapshot.account.locked_at is not None, "it is not closed"
                assert not after.sessions, "not everybody is signed out"
                assert not waiting, "something waits still"
            case ReportOutcome.STOPPED | ReportOutcome.ALREADY_STOPPED:
                assert not claims, "somebody waits to take over the account"
                assert after.snapshot is not None
                assert after.snapshot.account.recovery.barred_until > self.place.clock(), "it can be asked for again"
            case ReportOutcome.NOTHING_WAITS | ReportOutcome.ALREADY_DONE:
                assert not claims or link is None or link.outcome is result.outcome
            case ReportOutcome.ALREADY_LOCKED | ReportOutcome.OUTRANKED | ReportOutcome.ENDED:
                assert before == after, "nothing was changed, it says"
        return result

    # ---------------------------------------------------------------------------------------------------- changes

    async def changes(self, wanted: ChangeRequest) -> SubmitResult | CheckResult | None:
        """Ask for a change in one's session, and give the proofs that it needs."""
        self.acts += 1
        session = await self.visitor.session()
        if session is None:
            return None
        await self._wait()
        outcome = self.visitor._kept(await submit_change(self.place.accounts, self.visitor.browser, session, wanted))
        if isinstance(outcome, ProofRequirement):
            if not await self._steps_up(outcome):
                return outcome
            session = await self.visitor.session()
            assert session is not None
            outcome = self.visitor._kept(
                await submit_change(self.place.accounts, self.visitor.browser, session, wanted)
            )
        result: SubmitResult | CheckResult = outcome
        if isinstance(outcome, CodeRequested) and wanted.contact is not None:
            await self._remember_pending()
            result = await self.visitor.types(await self._code(wanted.contact.address))
        if isinstance(result, Applied):
            self.made.add(result.change.id)
        return result

    async def _remember_pending(self) -> None:
        session = await self.visitor.session()
        assert session is not None
        for one in await self.place.database.read(changes.list_open, session.account, self.place.clock()):
            if one.session == session.id:
                self.made.add(one.id)

    async def _steps_up(self, need: ProofRequirement) -> bool:
        if not isinstance(await self.visitor.steps_up(need), CodeRequested):
            return False
        return isinstance(await self.proves(), SignedIn)

    async def adds(self, address: str) -> None:
        """Add a contact of one's own."""
        new = parse_contact(address)
        await self.changes(ChangeRequest(ChangeKind.CONTACT_ADDED, "", new.masked, "Add it", new))

    async def removes(self, address: str) -> None:
        """Remove a contact."""
        if not await self.is_in():
            return
        for one in (await self.visitor.holdings()).contacts:
            if ADDRESS_OF.get(one.masked) == address:
                await self.changes(ChangeRequest(ChangeKind.CONTACT_REMOVED, one.id, one.masked, "Remove it"))

    async def changes_password(self) -> None:
        """Choose a new password in one's session."""
        self.chosen += 1
        password = f"{self.name} chose these words {self.chosen}"
        hashed = await self.place.accounts.passwords.hash(password)
        outcome = await self.changes(ChangeRequest(ChangeKind.PASSWORD_CHANGED, summary="Change it", password=hashed))
        if isinstance(outcome, Applied):
            self.passwords.append(password)

    async def enrols_app(self) -> None:
        """Set up an authenticator app in one's session."""
        self.acts += 1
        context, session = self.place.accounts, await self.visitor.session()
        if session is None:
            return
        await self._wait()
        begun = await begin_app(context, self.visitor.browser, session, f"{self.name}'s app", "Add the app")
        if isinstance(begun, ProofRequirement):
            if not await self._steps_up(begun):
                return
            session = await self.visitor.session()
            assert session is not None
            begun = await begin_app(context, self.visitor.browser, session, f"{self.name}'s app", "Add the app")
        if not isinstance(self.visitor._kept(begun), CodeRequested):
            return
        draft = await draft_app(context, self.visitor.browser, session)
        assert draft is not None
        code = code_at(draft.secret, context.now() // STEP)
        outcome = await keeps(self.visitor, session, await finish_app(context, self.visitor.browser, session, code))
        if isinstance(outcome, Applied):
            self.apps.append(draft.secret)
            self.made.add(outcome.change.id)

    async def undoes_foreign_changes(self) -> None:
        """Cancel and undo every change that somebody else has made, as the page of changes offers it."""
        session = await self.visitor.session()
        if session is None:
            return
        place = self.place
        for one in await place.database.read(changes.list_open, session.account, place.clock()):
            if one.id in self.made:
                continue
            if one.state is ChangeState.PENDING:
                await cancel_change(place.accounts, self.visitor.browser, session.account, one.id)
            elif one.is_undoable(place.clock()):
                await self._wait()
                need = await undo_change(place.accounts, self.visitor.browser, session, one.id, "Undo it")
                if isinstance(need, ProofRequirement) and await self._steps_up(need):
                    session = await self.visitor.session()
                    assert session is not None
                    await undo_change(place.accounts, self.visitor.browser, session, one.id, "Undo it")

    async def ends_other_sessions(self) -> None:
        """Sign out everybody else."""
        session = await self.visitor.session()
        if session is not None:
            await end_others(self.place.accounts, session)


class Stored(msgspec.Struct, frozen=True):
    """What is stored of an account, as far as a report may change it."""

    snapshot: AccountSnapshot | None
    open_changes: tuple[AccountChange, ...]
    sessions: int


async def stored(place: Place, account: str) -> Stored:
    """Return what is stored of an account."""
    now = place.clock()
    return Stored(
        await place.database.read(find_snapshot, account),
        tuple(await place.database.read(changes.list_open, account, now)),
        len(await place.database.read(sessions.list_active, account, now)),
    )


async def opens(place: Place) -> tuple[Person, str]:
    """Let the owner open an account with a mailbox and a phone, both old enough to recover it; return the account's id too."""
    owner = Person(place, "owner", Visitor(place, OWNERS), reads=set(OWN), passwords=[PASSWORD])
    assert isinstance(await owner.visitor.signs_up(), CodeRequested)
    assert isinstance(await owner.proves(), SignedIn)
    await owner.adds(PHONE)
    session = await owner.visitor.session()
    assert session is not None
    place.clock.forward(8 * DAY)
    assert await owner.signs_in()
    return owner, session.account


async def takes_back(owner: Person, stolen: str) -> None:
    """Do all that a sensible owner does, once. `stolen` is the contact in which the thief reads; empty if there is none.

    1. Press "stop it" in each message about a delayed recovery.
    2. Press "this was not me" in the oldest message about something that the owner did not do, first in a contact that nobody else reads.
    3. Recover the account: first by that contact.
    4. Sign in, undo whatever the owner did not do, remove the contact that is read by another, and every contact and app of another.
    5. Choose a new password, and sign everybody else out.
    """
    owner.place.clock.forward(HOUR)
    safe = [one for one in OWN if one != stolen]
    await _reports_all(owner, safe)
    for identifier in [*safe, stolen]:
        if identifier and await owner.recovers(identifier) and await owner.signs_in():
            break
    if not await owner.is_in():
        return
    await owner.undoes_foreign_changes()
    for address in (EVIL, LOST, stolen):
        await owner.removes(address)
    for one in (await owner.visitor.holdings()).authenticators:
        known = one.name and owner.place.keyring.unseal(one.name, one.id) == "owner's app"
        if one.kind in STRONG_KINDS and not known:
            await owner.changes(ChangeRequest(ChangeKind.METHOD_REMOVED, one.id, "its app", "Remove it"))
    await owner.changes_password()
    await owner.ends_other_sessions()


async def _reports_all(owner: Person, safe: list[str]) -> None:
    """Stop what waits, and report the oldest act that was not the owner's: by a contact in `safe`, if one was told."""
    for reference, link in await owner.links():
        if link.notice.kind in DELAYED_RECOVERY_NOTICES and link.outcome is ReportOutcome.STOPPED:
            await owner.presses(reference)
    masks = {parse_contact(one).masked for one in safe}
    reported = [
        (link.notice.masked not in masks, reference)
        for reference, link in await owner.links()
        if link.outcome is ReportOutcome.LOCKED and link.notice.facts.get("user_agent") == THIEFS.user_agent
    ]
    if reported:
        await owner.presses(min(reported, key=lambda one: one[0])[1])


async def strikes(thief: Person) -> None:
    """Try every way in that a thief has, once: each link, each sign-in, each recovery."""
    thief.place.clock.forward(HOUR)
    for reference, _ in await thief.links():
        await thief.presses(reference)
    await thief.signs_in()
    for identifier in sorted(thief.reads):
        if await thief.is_in():
            return
        await thief.recovers(identifier)
        await thief.signs_in()


async def has_pending_claim(place: Place, account: str) -> int:
    """Return how many delayed recoveries of an account wait."""
    open_ = await place.database.read(changes.list_open, account, place.clock())
    return sum(one.kind is ChangeKind.ACCESS_RECOVERED and one.state is ChangeState.PENDING for one in open_)


async def contacts_of(place: Place, account: str) -> set[str]:
    """Return the addresses of an account."""
    return {ADDRESS_OF[one.masked] for one in await place.database.read(accounts.list_contacts, account)}


def kinds(found: list[tuple[str, NoticeLink]]) -> list[NoticeKind]:
    """Return what the messages with links are about."""
    return [link.notice.kind for _, link in found]
