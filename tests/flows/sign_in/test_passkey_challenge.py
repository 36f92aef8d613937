"""The challenge that a page offers for autofill: answered once, in time, and in the browser to which it was offered."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from tests.flows.passkeys import SYNCED, enrols
from tests.flows.people import Visitor, ada
from tests.peers.authenticator import Authenticator

from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.flows.accounts.context import InvalidCredentials, SignedIn
from countersign.flows.sign_in.passkey_challenge import OFFER_LIFETIME, offered_challenge
from countersign.flows.sign_in.passkeys import sign_in_with_passkey

if TYPE_CHECKING:
    from tests.flows.place import Place

THEN = InterruptedRequest(path="/oauth/authorize?client_id=x")


def offered(visitor: Visitor) -> str:
    """Return what the page of a browser offers, as its script puts it."""
    return json.dumps({"challenge": offered_challenge(visitor.place.accounts, visitor.browser.device)})


async def signs_in(visitor: Visitor, answer: str) -> object:
    return visitor._kept(await sign_in_with_passkey(visitor.place.accounts, visitor.browser, answer, THEN))


async def test_autofill_signs_in_without_a_stored_flow_and_goes_on_where_the_page_was_asked_for(home: Place) -> None:
    """U4, L5: a page that is shown writes nothing, however often; what was offered names no account."""
    passkey = await enrols(await ada(home), Authenticator(flags=SYNCED))
    other, before = Visitor(home), (await home.count("visits"), await home.count("single_uses"))
    challenges = {offered(other) for _ in range(50)}
    assert len(challenges) == 50
    assert (await home.count("visits"), await home.count("single_uses")) == before
    entered = await signs_in(other, passkey.uses(challenges.pop()))
    assert isinstance(entered, SignedIn)
    assert entered.interrupted.path.startswith("/account/check-up?return_to=%2Foauth%2Fauthorize")
    assert await other.session() is not None


async def test_an_offered_challenge_is_answered_once_right_or_wrong(home: Place) -> None:
    """C3: the same form sent twice is one sign-in, and no copied passkey."""
    visitor = await ada(home)
    passkey = await enrols(visitor, Authenticator(count=1))
    other, options = Visitor(home), ""
    options = offered(other)
    passkey.count = 2
    answer = passkey.uses(options)
    assert isinstance(await signs_in(other, answer), SignedIn)
    for again in (Visitor(home), other):
        assert isinstance(await signs_in(again, answer), InvalidCredentials)
    assert await home.count("notices WHERE kind = 'passkey_refused'") == 0
    passkey.count, third = 3, Visitor(home)
    options = offered(third)
    assert isinstance(await signs_in(third, passkey.uses(options, signature=b"\x30\x00")), InvalidCredentials)
    assert isinstance(await signs_in(third, passkey.uses(options)), InvalidCredentials)


async def test_a_challenge_ends_and_none_is_made_up_or_carried_elsewhere(home: Place) -> None:
    """C4, A11: too old, from the future, changed, of one's own making, or offered to another known browser."""
    visitor = await ada(home)
    passkey = await enrols(visitor, Authenticator(flags=SYNCED))
    other, options = Visitor(home), offered(visitor)
    assert isinstance(await signs_in(other, passkey.uses(options)), InvalidCredentials)
    old = offered(other)
    home.clock.forward(OFFER_LIFETIME)
    assert isinstance(await signs_in(other, passkey.uses(old)), InvalidCredentials)
    fresh = json.loads(offered(other))["challenge"]
    raw = bytearray(base64.urlsafe_b64decode(fresh + "=" * (-len(fresh) % 4)))
    for place in (0, 7, 12, 30):
        changed = bytearray(raw)
        changed[place] ^= 1
        text = base64.urlsafe_b64encode(bytes(changed)).rstrip(b"=").decode()
        assert isinstance(await signs_in(other, passkey.uses(json.dumps({"challenge": text}))), InvalidCredentials)
    for made_up in ("", "AAAA", base64.urlsafe_b64encode(bytes(56)).decode()):
        assert isinstance(await signs_in(other, passkey.uses(json.dumps({"challenge": made_up}))), InvalidCredentials)
    assert isinstance(await signs_in(other, passkey.uses(json.dumps({"challenge": fresh}))), SignedIn)
