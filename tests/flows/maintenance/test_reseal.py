"""Resealing and replaced indexes: all that is stored is renewed while others work, and what people have goes on working."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.clock import MINUTE
from tests.flows.authenticators import app_code, enrols_app, recovery_codes
from tests.flows.integration_codes import made
from tests.flows.people import ADA, PASSWORD, Visitor, ada
from tests.flows.place import SHOP, approvals, done, place_at, refused
from tests.flows.renewal import indexes_in_use, kids_in_use, look_again, resealed, rotated, whole

from countersign.domain.accounts.change import ChangeKind, ChangeRequest
from countersign.domain.shared.contact import parse_contact
from countersign.domain.verifications.challenge import Action, Refusal
from countersign.errors import SettingsError
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.context import CodeRequested, InvalidCredentials, SignedIn
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.integration_codes import verify_code
from countersign.flows.maintenance import reseal as reseal_flow
from countersign.flows.maintenance.audit import hold_log, verify_events
from countersign.flows.maintenance.renewal import RowRenewal
from countersign.flows.maintenance.reseal import count_sealed, reseal
from countersign.flows.maintenance.rotate_keys import retire, rotate_keys
from countersign.flows.verifications.idempotency import IdempotencyKey
from countersign.keys import Keyring
from countersign.store.tables import accounts
from countersign.store.tables.protected_columns import position, replace_rows
from countersign.store.tables.schema import ACCOUNTS, IDENTIFIERS, STANDINGS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clock import FixedClock
    from tests.flows.place import Place

PHONE = "+447700900123"

pytestmark = pytest.mark.timeout(120)


async def furnished(home: Place) -> tuple[Visitor, bytes, tuple[str, ...], str]:
    """Give Ada an app, recovery codes, an integration code, a second contact, and things under way."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    code = await made(visitor)
    codes = await recovery_codes(visitor)
    await home.begun("eve@example.org", application=SHOP)
    secret = await enrols_app(visitor)
    return visitor, secret, codes, code


def _once(place: Place) -> IdempotencyKey:
    blind_index = place.keyring.blind_index
    return IdempotencyKey((SHOP.id, blind_index("idempotency key", SHOP.id, "one")), blind_index("request", "POST"))


@pytest.mark.parametrize("index", [False, True])
async def test_everything_is_renewed_and_goes_on_working(home: Place, index: bool) -> None:  # noqa: FBT001 - a parameter
    """K2: session, app, recovery code, integration code, password, pending code; nothing is left under the old key or index."""
    visitor, secret, codes, code = await furnished(home)
    pending = done(await home.begin("zoe@example.org", once=_once(home))).challenge
    number = home.code(pending)
    old = rotated(home, index=index)
    assert set(await kids_in_use(home)) == {old}
    report = await resealed(home)
    assert (report.unreadable, report.left, report.index) == (0, 0, 1 if index else None)
    assert report.renewed > 20
    assert set(await kids_in_use(home)) == {home.keyring.primary.kid}
    for column, found in (await indexes_in_use(home)).items():
        assert set(found) <= {int(index)}, column
    assert not home.keyring.replacing_index
    again = await resealed(home)
    assert again.renewed == 0, "a second run finds nothing to do"
    assert len(approvals([await home.answer(pending, number)])) == 1
    assert done(await home.begin("zoe@example.org", once=_once(home))).challenge.id == pending.id
    assert await visitor.session() is not None
    assert await verify_code(home.accounts, code, "198.51.100.7") is not None
    other = Visitor(home)
    home.clock.forward(MINUTE)
    assert isinstance(await other.signs_in(PHONE), CodeRequested)
    assert isinstance(await app_code(other, secret), SignedIn)
    assert (await visitor.holdings()).account.id == (await other.holdings()).account.id
    assert len(codes) == 10


async def test_what_people_have_works_while_an_index_is_replaced(home: Place) -> None:
    """K2: before anything is resealed, each hash is found under its old form, and moved to the new one."""
    visitor, secret, _, code = await furnished(home)
    pending = await home.begun("zoe@example.org")
    rotated(home, index=True)
    assert (await home.begun("zoe@example.org")).id == pending.id, "the same request continues its challenge"
    assert await visitor.session() is not None
    assert await verify_code(home.accounts, code, "198.51.100.7") is not None
    home.clock.forward(MINUTE)
    other = Visitor(home)
    assert isinstance(await other.signs_in(ADA, "a wrong password"), InvalidCredentials)
    assert isinstance(await other.signs_in(ADA), CodeRequested)
    assert isinstance(await app_code(other, secret), SignedIn)
    third = Visitor(home)
    asked = await third.signs_up(ADA)
    assert isinstance(asked, CodeRequested)
    assert not await third.session()
    removed = await other.contact(PHONE)
    assert removed.blind_index == home.accounts.blind_index(parse_contact(PHONE))


async def test_a_flow_that_is_under_way_survives_the_new_index(home: Place) -> None:
    """K2: the password is typed before, the code after; in the same browser, and in no other."""
    await ada(home)
    visitor = Visitor(home)
    assert isinstance(await visitor.signs_in(), CodeRequested)
    code = await visitor.code()
    rotated(home, index=True)
    thief = Visitor(home, browser=visitor.browser.__class__(flow=visitor.browser.flow, device="another"))
    assert await login_flow.find_flow(home.accounts, thief.browser) is None
    assert isinstance(await visitor.types(code), SignedIn)


async def test_a_remembered_browser_stays_remembered_under_the_new_index(home: Place) -> None:
    """K2, S3."""
    visitor = await ada(home)
    home.clock.forward(20 * MINUTE)
    await visitor.is_let_in(remember=True)
    rotated(home, index=True)
    assert isinstance(await visitor.signs_in(), SignedIn), "no code is asked for"
    await resealed(home)
    assert isinstance(await visitor.signs_in(), SignedIn)


async def test_failures_are_not_forgotten_with_the_index(each_place: Place) -> None:
    """K2, C6: wrong codes in a row count on, for a challenge of before and for one of after, before a reseal and after it."""
    early = await each_place.begun()
    for _ in range(2):
        await each_place.answer(early, each_place.wrong(early))
    rotated(each_place, index=True)
    await each_place.answer(early, each_place.wrong(early))
    assert [row[1] for row in await whole(each_place, STANDINGS)] == [3]
    late = await each_place.begun(action=Action("Pay EUR 5.00", "h"))
    await each_place.answer(late, each_place.wrong(late))
    assert [row[1] for row in await whole(each_place, STANDINGS)] == [4]
    await resealed(each_place)
    await each_place.answer(early, each_place.wrong(early))
    await each_place.answer(late, each_place.wrong(late))
    assert [row[1] for row in await whole(each_place, STANDINGS)] == [6]


async def test_two_who_claim_one_contact_under_two_indexes_are_one(
    home: Place, tmp_path: Path, database_url: str, clock: FixedClock
) -> None:
    """K2, A1: a program that has not read the new index, and one that has, in any order; 20 rounds."""
    folder = tmp_path / "late"
    folder.mkdir()
    (folder / "keys.json").write_bytes(home.key_file.read_bytes())
    (folder / "keys.json").chmod(0o600)
    async with place_at(database_url, folder, clock=clock, live=("carrier",)) as late:
        rotated(home, index=True)
        # The late program reads its own file, which nobody has copied the new index to.
        assert not late.keyring.replacing_index
        for number in range(20):
            contact = parse_contact(f"claim{number}@example.org")
            claims = [
                _claim(which, f"acc_{name}{number}", contact.address) for name, which in (("a", home), ("b", late))
            ]
            results = await asyncio.gather(*(claims if number % 2 else claims[::-1]), return_exceptions=True)
            assert sum(isinstance(one, BaseException) for one in results) == 1, results
    report = await resealed(home)
    assert report.left == 0
    stored = [row for row in await whole(home, IDENTIFIERS) if row[2].startswith("con_claim")]
    assert len(stored) == len({bytes(row[0]) for row in stored}) == 20
    assert set((await indexes_in_use(home))["identifiers.blind"]) == {1}


async def _claim(place: Place, account: str, address: str) -> None:
    from countersign.domain.accounts.account import OwnedContact
    from countersign.store.engine.database import Write

    contact = parse_contact(address)
    claimed = OwnedContact(
        account=account,
        id=f"con_{contact.address.partition('@')[0]}",
        added_at=0,
        kind=contact.kind,
        blind_index=place.accounts.blind_index(contact),
        address=b"",
        masked="",
        proved_at=0,
    )

    async def insert() -> None:
        await Write((accounts.insert_identifier(claimed),), last=True)

    await place.database.run(insert)


async def test_a_contact_that_is_removed_while_an_index_is_replaced_signs_in_nowhere(home: Place) -> None:
    """K2, A4: its identifier goes in every form, so that a later reseal does not bring it back."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    rotated(home, index=True)
    await visitor.adds("ada.new@example.org")
    for contact in (PHONE, "ada.new@example.org"):
        owned = await visitor.contact(contact)
        removed = ChangeRequest(ChangeKind.CONTACT_REMOVED, owned.id, owned.masked, "Remove it")
        assert isinstance(await visitor.changes(removed), Applied)
    left = await whole(home, IDENTIFIERS)
    account = (await visitor.holdings()).account.id
    assert {row[2] for row in left if row[1] == account} == {(await visitor.contact(ADA)).id}
    await resealed(home)
    for contact in (PHONE, "ada.new@example.org"):
        assert isinstance(await Visitor(home).signs_in(contact), InvalidCredentials)


async def test_a_change_that_is_made_meanwhile_is_never_overwritten(home: Place) -> None:
    """K2: passwords change while the reseal runs, 40 times; the last one is the one that signs in."""
    visitor = await ada(home)
    rotated(home, index=True)
    snapshot = await visitor.holdings()
    context = home.accounts

    async def change(number: int) -> None:
        hashed = await context.passwords.hash(f"{PASSWORD} {number}")

        async def write() -> None:
            from msgspec.structs import replace

            from countersign.store.engine.database import Write

            found = await accounts.lock(snapshot.account.id)
            assert found is not None
            sealed = context.keyring.seal(hashed, found.id)
            await Write((accounts.update(replace(found, password=sealed)),), last=True)

        await home.database.run(write)

    async def changes() -> None:
        for number in range(40):
            await change(number)
            await asyncio.sleep(0)

    async def reseals() -> None:
        for _ in range(10):
            await reseal(home.rows, home.delivery.records, Keyring(home.key_file, home.clock), None, home.clock)

    await asyncio.gather(changes(), reseals())
    found = await home.database.read(accounts.find, snapshot.account.id)
    assert found is not None
    hashed = context.keyring.unseal(found.password, found.id)
    assert (await context.passwords.verify(f"{PASSWORD} 39", hashed)).right


async def test_a_reseal_that_was_stopped_goes_on_where_it_was(
    each_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K2: batch by batch; what was renewed before stays."""
    for number in range(30):
        await each_place.begun(f"p{number}@example.org")
    old = rotated(each_place, index=True)
    monkeypatch.setattr(reseal_flow, "BATCH", 4)
    keyring, seen = Keyring(each_place.key_file, each_place.clock), 0

    def stop(progress: reseal_flow.ResealProgress) -> None:
        nonlocal seen
        if progress.table == "challenges":
            seen = progress.renewed
        if seen >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await reseal(each_place.rows, each_place.accounts.log, keyring, each_place.key_file, each_place.clock, stop)
    half = await kids_in_use(each_place)
    assert half[old] == 22
    assert (await count_sealed(each_place.rows, keyring)) == {old: 22}
    report = await resealed(each_place)
    assert report.left == report.unreadable == 0
    assert set(await kids_in_use(each_place)) == {each_place.keyring.primary.kid}


async def test_a_record_that_cannot_be_opened_is_left_and_told(each_place: Place) -> None:
    """K2: it stops nothing, and closes nothing."""
    await each_place.begun()
    await each_place.change(
        "INSERT INTO notices (id, account, application, kind, recipient, recipient_kind, masked, locale, facts, created_at, expires_at)"
        " VALUES ('not_1', 'acc_1', 'app_own', 'new_device', $1, 'mail', '', 'en', '{}', 1, 2)",
        each_place.keyring.seal("ada@example.org", "another record"),
    )
    rotated(each_place, index=True)
    report = await resealed(each_place)
    assert (report.unreadable, report.closed, report.index) == (1, (), None)
    assert each_place.keyring.replacing_index


async def test_a_key_is_closed_when_nothing_is_sealed_with_it(home: Place) -> None:
    """K1: retired first or resealed first, the end is the same; the log says both."""
    visitor = await ada(home)
    log = home.accounts.log
    await rotate_keys(home.rows, log, home.key_file, home.clock(), MINUTE)
    old = home.keyring.primary.kid
    home.clock.forward(2 * MINUTE)
    look_again(home.keyring)
    other = Keyring(home.key_file, home.clock)
    retired = await retire(home.rows, log, other, home.key_file, old, home.clock())
    assert retired.sealed > 0
    assert retired.key.closed_at is None, "what it sealed would be lost"
    report = await resealed(home)
    assert report.closed == (old,)
    assert home.keyring.named(old).code, "codes that are under way are right until they end"
    home.clock.forward(12 * MINUTE)
    with pytest.raises(SettingsError, match="was retired"):
        home.keyring.named(old)
    assert isinstance(await Visitor(home).signs_in(), CodeRequested)
    assert await visitor.session() is not None
    assert not (await verify_events(home.rows, home.keyring)).findings


async def test_a_log_of_two_indexes_is_found_whole_and_a_forged_page_is_not(each_place: Place, tmp_path: Path) -> None:
    """K2, O4: a page under the old index counts only where a checkpoint holds it."""
    await each_place.begun()
    leaked = tmp_path / "leaked.keys"
    leaked.write_bytes(each_place.key_file.read_bytes())
    leaked.chmod(0o600)
    early = Keyring(leaked, each_place.clock)
    rotated(each_place, index=True)
    await each_place.begun("zoe@example.org")
    assert not (await verify_events(each_place.rows, each_place.keyring)).findings
    await resealed(each_place)
    await each_place.begun("eve@example.org")
    await hold_log(each_place.rows, each_place.keyring, each_place.clock())
    assert not (await verify_events(each_place.rows, each_place.keyring)).findings
    # Who has the old file and writes to the database adds a chain that looks as if it were of before.
    from countersign.domain.shared.event import Event, EventKind
    from countersign.store.ledger import event_log
    from countersign.store.ledger.event_log import Chain, Log

    forger = Log(Chain(lambda: "wforged", early.link))
    await forger.run(
        each_place.rows, event_log.append_event, Event(1, EventKind.KEYS_ROTATED, "", "k0", {"active_from": 1})
    )
    (finding,) = (await verify_events(each_place.rows, each_place.keyring)).findings
    assert "no checkpoint holds it" in finding.what


async def test_an_index_is_not_closed_while_another_program_may_not_have_read_it(each_place: Place) -> None:
    """K2: a minute is waited for at least."""
    from countersign.keys import rotate_index

    await each_place.begun()
    rotate_index(each_place.key_file, each_place.clock(), 0)
    look_again(each_place.keyring)
    with pytest.raises(SettingsError, match="again in a minute"):
        await resealed(each_place)
    assert each_place.keyring.replacing_index
    each_place.clock.forward(MINUTE)
    assert (await resealed(each_place)).index == 1


async def test_everybody_is_served_while_an_index_is_replaced_and_all_is_resealed(each_place: Place) -> None:
    """K2, C3: 60 codes are typed, asked for again and typed again, in the middle of it; each is right once, and none is lost."""
    before = [await each_place.begun(f"p{number}@example.org") for number in range(60)]
    typed = {one.id: each_place.code(one) for one in before}
    rotated(each_place, index=True)

    async def person(number: int) -> int:
        await asyncio.sleep(number / 400)
        again = await each_place.begun(f"p{number}@example.org")
        assert again.id == before[number].id, "the same request continues its challenge"
        wrong = await each_place.answer(again, each_place.wrong(again))
        assert refused(wrong).refusal is Refusal.WRONG_CODE
        outcomes = await asyncio.gather(*(each_place.answer(again, typed[again.id]) for _ in range(2)))
        return len(approvals(outcomes))

    resealing = asyncio.create_task(resealed(each_place))
    assert await asyncio.gather(*(person(number) for number in range(60))) == [1] * 60
    report = await resealing
    again = await resealed(each_place)
    assert (again.left, again.unreadable) == (0, 0)
    assert report.unreadable == 0
    assert all(set(found) <= {1} for found in (await indexes_in_use(each_place)).values())
    stored = await whole(each_place, STANDINGS)
    assert len(stored) == 60, "each contact has one count of failures"


async def test_a_row_that_changed_since_it_was_read_is_left_to_the_next_pass(home: Place) -> None:
    """K2: the new value stays; a column that the reseal does not touch is never written back."""
    visitor = await ada(home)
    account = (await visitor.holdings()).account.id
    rotated(home, index=True)
    renewal = RowRenewal(home.keyring)
    (before,) = await whole(home, ACCOUNTS)
    after = renewal.renewed_row(ACCOUNTS, before)
    newer = home.keyring.seal("another hash", account)
    await home.change("UPDATE accounts SET password = $1, locale = 'de' WHERE id = $2", newer, account)
    assert await home.rows.run(replace_rows, ACCOUNTS, [(before, after)]) == 0
    (now,) = await whole(home, ACCOUNTS)
    assert bytes(now[position(ACCOUNTS, "password")]) == newer
    await resealed(home)
    (now,) = await whole(home, ACCOUNTS)
    assert home.keyring.unseal(bytes(now[position(ACCOUNTS, "password")]), account) == "another hash"
    assert now[position(ACCOUNTS, "locale")] == "de"
    assert set(await kids_in_use(home)) == {home.keyring.primary.kid}
