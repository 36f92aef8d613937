"""People for tests of accounts: a browser with its cookies, and the phone or mailbox in which its person reads."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import msgspec

from countersign.domain.visit import Interrupted
from countersign.flows import verify
from countersign.flows.gate import Browser, Entered, ToVerify
from countersign.flows.sessions import find_session
from countersign.flows.sign_in import sign_in
from countersign.flows.sign_up import sign_up
from countersign.flows.step_up import step_up

if TYPE_CHECKING:
    from tests.flows.place import Place

    from countersign.domain.account import Way
    from countersign.domain.delivery import Message
    from countersign.domain.session import Need, Session
    from countersign.flows.gate import Asking, Denied, Faulty, Gone, Unmet, Wrong
    from countersign.flows.outcome import Outcome, Refused
    from countersign.flows.verify import Answered, View

T = TypeVar("T")

PASSWORD = "correct horse battery"
ADA = "ada@example.org"
CARRIER = "carrier"


@dataclass
class Visitor:
    """A browser that keeps what it is told to keep."""

    place: Place
    browser: Browser = field(default_factory=lambda: Browser(ip="203.0.113.9", user_agent="Firefox", locale="en"))

    async def signs_up(
        self, identifier: str = ADA, password: str = PASSWORD, name: str = "Ada"
    ) -> ToVerify | Faulty | Refused:
        """Fill in the form."""
        return self._kept(
            await sign_up(self.place.gate, self.browser, name, identifier, password, Interrupted(path="/account"))
        )

    async def signs_in(
        self, identifier: str = ADA, password: str = PASSWORD, then: str = "/account"
    ) -> ToVerify | Entered | Wrong | Denied | Refused | Unmet:
        """Fill in the form."""
        return self._kept(await sign_in(self.place.gate, self.browser, identifier, password, Interrupted(path=then)))

    async def steps_up(self, need: Need, then: Interrupted | None = None) -> Asking:
        """Go where a further proof is asked for."""
        session = await self.session()
        assert session is not None
        return self._kept(await step_up(self.place.gate, self.browser, session, need, then or Interrupted()))

    async def types(self, code: str, *, remember: bool = False) -> Answered:
        """Type a code."""
        return self._kept(await verify.answer(self.place.gate, self.browser, code, remember=remember))

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

    async def is_let_in(self, identifier: str = ADA, *, remember: bool = False) -> Entered:
        """Sign in with the code."""
        assert isinstance(await self.signs_in(identifier), ToVerify)
        entered = await self.types(await self.code(identifier), remember=remember)
        assert isinstance(entered, Entered), entered
        return entered

    async def session(self) -> Session | None:
        """Return the session that this browser bears."""
        return await find_session(self.place.gate, self.browser)

    async def sees(self) -> View | None:
        """Return what the verification screen shows."""
        return await verify.look(self.place.gate, self.browser)

    async def asks_again(self) -> Outcome | Gone:
        """Press "send it again"."""
        return await verify.resend(self.place.gate, self.browser)

    async def asks_another_way(self, way: Way) -> Outcome | Gone:
        """Press "use another way"."""
        return await verify.another_way(self.place.gate, self.browser, way)

    def _kept(self, outcome: T) -> T:
        if isinstance(outcome, ToVerify):
            self.browser = msgspec.structs.replace(self.browser, visit=outcome.visit, device=outcome.device)
        elif isinstance(outcome, Entered):
            self.browser = msgspec.structs.replace(
                self.browser, session=outcome.session, device=outcome.device, visit=""
            )
        return outcome


async def ada(place: Place, identifier: str = ADA) -> Visitor:
    """Return the browser on which Ada has just opened her account."""
    visitor = Visitor(place)
    assert isinstance(await visitor.signs_up(identifier), ToVerify)
    entered = await visitor.types(await visitor.code(identifier))
    assert isinstance(entered, Entered), entered
    return visitor
