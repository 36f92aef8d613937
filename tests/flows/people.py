"""People for tests of accounts: a browser with its cookies, and the phone or mailbox in which its person reads."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import msgspec

from countersign.domain.accounts.account import AccountSnapshot
from countersign.domain.accounts.change import ChangeKind, ChangeRequest
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import ProofRequirement
from countersign.domain.shared.contact import parse_contact
from countersign.flows.accounts.context import BrowserContext, CodeRequested, SignedIn
from countersign.flows.accounts.sessions import find_session
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.changes.submit import SubmitResult, submit_change
from countersign.flows.sign_in import verify
from countersign.flows.sign_in.recover import RecoveryResult, recover, reset_password
from countersign.flows.sign_in.sign_in import sign_in
from countersign.flows.sign_in.sign_up import sign_up
from countersign.flows.sign_in.step_up import step_up

if TYPE_CHECKING:
    from tests.flows.place import Place

    from countersign.domain.accounts.account import ContactMethod, OwnedContact
    from countersign.domain.accounts.session import Session
    from countersign.domain.delivery.delivery import Message
    from countersign.flows.accounts.context import (
        CodeRequestResult,
        FlowNotFound,
        InvalidCredentials,
        InvalidInput,
        NoEligibleMethod,
        SignInDenied,
    )
    from countersign.flows.sign_in.verify import CheckResult, VerificationView
    from countersign.flows.verifications.results import Outcome, Refused

T = TypeVar("T")

PASSWORD = "correct horse battery"
ADA = "ada@example.org"
CARRIER = "carrier"


@dataclass
class Visitor:
    """A browser that keeps what it is told to keep."""

    place: Place
    browser: BrowserContext = field(
        default_factory=lambda: BrowserContext(ip="203.0.113.9", user_agent="Firefox", locale="en")
    )

    async def signs_up(
        self, identifier: str = ADA, password: str = PASSWORD, name: str = "Ada"
    ) -> CodeRequested | InvalidInput | Refused:
        """Fill in the form."""
        return self._kept(
            await sign_up(
                self.place.accounts, self.browser, name, identifier, password, InterruptedRequest(path="/account")
            )
        )

    async def signs_in(
        self, identifier: str = ADA, password: str = PASSWORD, then: str = "/account"
    ) -> CodeRequested | SignedIn | InvalidCredentials | SignInDenied | Refused | NoEligibleMethod:
        """Fill in the form."""
        return self._kept(
            await sign_in(self.place.accounts, self.browser, identifier, password, InterruptedRequest(path=then))
        )

    async def steps_up(self, need: ProofRequirement, then: InterruptedRequest | None = None) -> CodeRequestResult:
        """Go where a further proof is asked for."""
        session = await self.session()
        assert session is not None
        return self._kept(await step_up(self.place.accounts, self.browser, session, need, then or InterruptedRequest()))

    async def types(self, code: str, *, remember: bool = False) -> CheckResult:
        """Type a code."""
        return self._kept(await verify.check_code(self.place.accounts, self.browser, code, remember=remember))

    async def reads(self, to: str = ADA) -> Message:
        """Let the worker work, and return the newest message that came."""
        while await self.place.deliver():
            pass
        return next(one for one in reversed(self.place.carriers[CARRIER].sent) if one.to == to)

    async def code(self, to: str = ADA) -> str:
        """Return the code of the newest message."""
        found = re.search(r"\b(\d{3}) ?(\d{3})\b", (await self.reads(to)).text)
        assert found is not None
        return found.group(1) + found.group(2)

    async def is_let_in(self, identifier: str = ADA, *, remember: bool = False) -> SignedIn:
        """Sign in with the code."""
        assert isinstance(await self.signs_in(identifier), CodeRequested)
        entered = await self.types(await self.code(identifier), remember=remember)
        assert isinstance(entered, SignedIn), entered
        return entered

    async def changes(self, wanted: ChangeRequest, to: str = ADA) -> SubmitResult:
        """Ask for a change, and approve it with a code that goes to `to`."""
        session = await self.session()
        assert session is not None
        outcome = await submit_change(self.place.accounts, self.browser, session, wanted)
        if isinstance(outcome, ProofRequirement):
            asked = await self.steps_up(outcome)
            assert isinstance(asked, CodeRequested), asked
            assert isinstance(await self.types(await self.code(to)), SignedIn)
            session = await self.session()
            assert session is not None
            outcome = await submit_change(self.place.accounts, self.browser, session, wanted)
        return self._kept(outcome)

    async def adds(self, contact: str, to: str = ADA, *, replaces: str = "") -> CheckResult:
        """Add a contact, or replace another by it: approve it, and prove the new one."""
        kind = ChangeKind.CONTACT_REPLACED if replaces else ChangeKind.CONTACT_ADDED
        new = parse_contact(contact)
        asked = await self.changes(ChangeRequest(kind, replaces, new.masked, "Add it", new), to)
        assert isinstance(asked, CodeRequested), asked
        return await self.types(await self.code(contact))

    async def holdings(self) -> AccountSnapshot:
        """Return what the account has."""
        session = await self.session()
        assert session is not None
        found = await self.place.accounts.database.read(find_snapshot, session.account)
        assert found is not None
        return found

    async def contact(self, to: str) -> OwnedContact:
        """Return one of the account's contacts."""
        blind_index = self.place.accounts.blind_index(parse_contact(to))
        return next(one for one in (await self.holdings()).contacts if one.blind_index == blind_index)

    async def recovers(self, identifier: str = ADA) -> CodeRequested | InvalidInput | Refused:
        """Say that the password is forgotten."""
        return self._kept(await recover(self.place.accounts, self.browser, identifier))

    async def chooses(self, password: str, current: str = "") -> RecoveryResult:
        """Choose a new password, once the account's ownership was proved."""
        return await reset_password(self.place.accounts, self.browser, password, current)

    async def told(self, title: str, to: str = ADA) -> str:
        """Return the link of the newest message to `to` that has this title."""
        while await self.place.deliver():
            pass
        texts = [one.text for one in self.place.carriers[CARRIER].sent if one.to == to and title in one.text]
        assert texts, [(one.to, one.text[:60]) for one in self.place.carriers[CARRIER].sent]
        found = re.search(r"ref=([\w.~-]+)", texts[-1])
        return found.group(1) if found else ""

    async def session(self) -> Session | None:
        """Return the session that this browser bears."""
        return await find_session(self.place.accounts, self.browser)

    async def sees(self) -> VerificationView | None:
        """Return what the verification screen shows."""
        return await verify.view_flow(self.place.accounts, self.browser)

    async def asks_again(self) -> Outcome | FlowNotFound:
        """Press "send it again"."""
        return await verify.resend_flow_code(self.place.accounts, self.browser)

    async def asks_another_way(self, way: ContactMethod) -> Outcome | FlowNotFound:
        """Press "use another way"."""
        return await verify.use_another_method(self.place.accounts, self.browser, way)

    def _kept(self, outcome: T) -> T:
        if isinstance(outcome, CodeRequested):
            self.browser = msgspec.structs.replace(self.browser, flow=outcome.flow, device=outcome.device)
        elif isinstance(outcome, SignedIn):
            self.browser = msgspec.structs.replace(
                self.browser, session=outcome.session, device=outcome.device, flow=""
            )
        return outcome


async def ada(place: Place, identifier: str = ADA) -> Visitor:
    """Return the browser on which Ada has just opened her account."""
    visitor = Visitor(place)
    assert isinstance(await visitor.signs_up(identifier), CodeRequested)
    entered = await visitor.types(await visitor.code(identifier))
    assert isinstance(entered, SignedIn), entered
    return visitor


async def alive(visitor: Visitor) -> Session:
    """Return the session of a browser that must have one."""
    session = await visitor.session()
    assert session is not None
    return session
