"""The name, the language and the time zone of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from tests.flows.people import ADA, Visitor, ada, alive

from countersign.domain.accounts.change import ChangeRefusal
from countersign.domain.delivery.notice import NoticeKind
from countersign.flows.accounts.activity import recent
from countersign.flows.accounts.context import CodeRequested, InvalidInput, SignedIn
from countersign.flows.accounts.profile import Profile, ProfileSaved, find_profile, save_profile
from countersign.flows.accounts.sessions import end_others

if TYPE_CHECKING:
    from tests.flows.place import Place


async def saves(owner: Visitor, **fields: str) -> object:
    """Save a profile, as it is but for these fields."""
    session = await alive(owner)
    before = await find_profile(owner.place.accounts, session.account)
    assert before is not None
    wanted = msgspec.structs.replace(before, **fields)
    return await save_profile(owner.place.accounts, owner.browser, session, wanted)


async def test_what_is_saved_is_used_and_told_in_the_language_of_before(home: Place) -> None:
    """P4: a thief cannot switch to a language that the owner does not read, unheard."""
    owner = await ada(home)
    assert await saves(owner, name=" Ada Lovelace ", language="de", timezone="Asia/Tokyo") == ProfileSaved(
        ("name", "language", "timezone")
    )
    assert await owner.told("Your name or language was changed")
    assert await find_profile(home.accounts, (await alive(owner)).account) == Profile(
        "Ada Lovelace", "de", "Asia/Tokyo"
    )
    other = Visitor(home)
    assert isinstance(await other.signs_in(), CodeRequested)
    text = (await other.reads()).text
    assert "Ihr Code" in text or "Code" in text
    assert "MEZ" not in text
    assert "UTC+9" in text or "JST" in text


async def test_a_time_zone_alone_is_recorded_and_bothers_nobody(home: Place) -> None:
    """J7: and nothing that is as before is a change."""
    owner = await ada(home)
    assert await saves(owner, timezone="Europe/Berlin") == ProfileSaved(("timezone",))
    assert await saves(owner) == ProfileSaved(())
    happened, sent = await recent(home.accounts, (await alive(owner)).account, 50)
    assert [one.facts["fields"] for one in happened if one.kind.value == "account.updated"] == ["timezone"]
    assert NoticeKind.DETAILS_CHANGED.value not in {one.what for one in sent}


async def test_what_is_no_name_language_or_zone_is_refused(home: Place) -> None:
    """J7: a zone is looked up by a name that somebody has written."""
    owner = await ada(home)
    for fields in ({"name": " "}, {"language": "xx"}, {"timezone": "../../etc/passwd"}, {"timezone": "Mars/Olympus"}):
        outcome = await saves(owner, **fields)
        assert isinstance(outcome, InvalidInput), fields
        assert set(outcome.faults) == set(fields)


async def test_a_session_that_has_ended_saves_nothing(home: Place) -> None:
    """A8: the transaction that writes judges it."""
    owner, other = await ada(home), Visitor(home)
    await other.is_let_in()
    ended = await alive(other)
    assert await end_others(home.accounts, await alive(owner)) == 1
    profile = Profile("Eve", "en", "")
    assert await save_profile(home.accounts, other.browser, ended, profile) is ChangeRefusal.OUTDATED


async def test_the_zone_of_a_browser_is_learned_once(home: Place) -> None:
    """J7: at sign-up, or at a sign-in if none was known; a later browser changes nothing."""
    tokyo = Visitor(home, msgspec.structs.replace(Visitor(home).browser, timezone="Asia/Tokyo"))
    assert isinstance(await tokyo.signs_up("kim@example.org"), CodeRequested)
    assert isinstance(await tokyo.types(await tokyo.code("kim@example.org")), SignedIn)
    kim = await find_profile(home.accounts, (await alive(tokyo)).account)
    assert kim is not None
    assert kim.timezone == "Asia/Tokyo"
    owner = await ada(home)
    for zone, known in (("", ""), ("Europe/Paris", "Europe/Paris"), ("Asia/Tokyo", "Europe/Paris")):
        visitor = Visitor(home, msgspec.structs.replace(Visitor(home).browser, timezone=zone))
        await visitor.is_let_in(ADA)
        found = await find_profile(home.accounts, (await alive(owner)).account)
        assert found is not None
        assert found.timezone == known
