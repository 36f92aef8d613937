"""Accounts in every state that a stranger may ask about, for the walks that compare what is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.flows.authenticators import enrols_app, recovery_codes, without_codes
from tests.flows.passkeys import enrolling
from tests.flows.people import Visitor, ada
from tests.peers.authenticator import Authenticator

from countersign.flows.accounts.context import CodeRequested
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.delayed_recovery import RecoveryPending
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.flows.sign_in.passkeys import finish_passkey_enrolment
from countersign.flows.sign_in.recover import begin_delayed_recovery

if TYPE_CHECKING:
    from tests.flows.place import Place


MAIL: Final = "kim@example.org"
PHONE: Final = "+14155550123"
OTHERS: Final = {MAIL: "ben@example.com", PHONE: "+14155550177"}
"""The address of whoever has an account where nobody asks about it."""
MINE: Final = "zoe@example.net"
"""The stranger's own mailbox."""
BETTER: Final = "a better battery staple"


async def plain(place: Place, address: str) -> None:
    """An account with a password and one contact."""
    await ada(place, address)


async def locked(place: Place, address: str) -> None:
    """An account that its owner has closed by "not me"."""
    await ada(place, address)
    await place.change("UPDATE accounts SET locked_at = $1", place.clock())


async def disabled(place: Place, address: str) -> None:
    """An account that was switched off."""
    await ada(place, address)
    await place.change("UPDATE accounts SET disabled_at = $1", place.clock())


async def too_new(place: Place, address: str) -> None:
    """An account whose contact was added a moment ago, and cannot recover it yet."""
    owner = await ada(place, "first@example.net")
    await owner.adds(address, "first@example.net")


async def recovered(place: Place, address: str) -> None:
    """An account that this contact has recovered, so that it does not sign in alone."""
    owner = await ada(place, address)
    await owner.adds("second@example.net", address)
    other = Visitor(place)
    assert isinstance(await other.recovers(address), CodeRequested)
    assert isinstance(await other.types(await other.code(address)), PasswordResetAllowed)
    assert isinstance(await other.chooses(BETTER), Applied)


async def strong(place: Place, address: str) -> None:
    """An account with an authenticator app, a passkey and recovery codes."""
    owner = await ada(place, address)
    await recovery_codes(owner, address)
    await enrols_app(owner, address)


async def with_passkey(place: Place, address: str) -> None:
    """An account with a passkey."""
    owner, passkey = await ada(place, address), Authenticator()
    answer = passkey.makes(await enrolling(owner, to=address))
    session = await owner.session()
    assert session is not None
    await without_codes(owner, await finish_passkey_enrolment(place.accounts, owner.browser, session, answer))


async def claimed(place: Place, address: str) -> None:
    """An account for which a delayed recovery waits."""
    await ada(place, address)
    other = Visitor(place)
    assert isinstance(
        other._kept(await begin_delayed_recovery(place.accounts, other.browser, address, "claims@example.net")),
        CodeRequested,
    )
    assert isinstance(await other.types(await other.code("claims@example.net")), RecoveryPending)


OWNERS: Final = {
    one.__name__: one for one in (plain, locked, disabled, too_new, recovered, strong, with_passkey, claimed)
}
