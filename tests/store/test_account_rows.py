"""Rows of accounts: what a statement must leave alone, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace
from tests.flows.integration_codes import made
from tests.flows.people import Visitor, ada
from tests.flows.place import query

from countersign.domain.accounts.authenticator import Authenticator, AuthenticatorKind
from countersign.domain.accounts.change import ChangeKind, ChangeRequest
from countersign.domain.shared.contact import parse_contact
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.integration_codes import verify_code
from countersign.store.engine.database import Write
from countersign.store.tables import accounts, authenticators, changes, devices, integration_codes, sessions

if TYPE_CHECKING:
    from tests.flows.place import Place

    from countersign.domain.accounts.account import Account


async def account_of(place: Place, visitor: Visitor) -> Account:
    session = await visitor.session()
    assert session is not None
    found = await place.database.read(accounts.find, session.account)
    assert found is not None
    return found


async def test_a_hash_that_is_made_anew_does_not_replace_a_newer_password(home: Place) -> None:
    """S9: a sign-in with the old password is being hashed anew while the owner changes it."""
    visitor = await ada(home)
    account = await account_of(home, visitor)
    newer = home.keyring.seal("newer", account.id)
    await home.change("UPDATE accounts SET password = $1 WHERE id = $2", newer, account.id)
    assert not await home.database.run(accounts.replace_password, account.id, account.password, b"stronger, but old")
    assert (await account_of(home, visitor)).password == newer
    assert await home.database.run(accounts.replace_password, account.id, newer, b"stronger")
    assert (await account_of(home, visitor)).password == b"stronger"
    assert not await home.database.run(accounts.replace_password, "acc_unknown", b"", b"x")


async def test_a_recovery_code_that_was_used_is_used_up_even_if_its_row_comes_back(home: Place) -> None:
    """R4: an undo clears the end of a row, but not its use."""
    account = (await account_of(home, await ada(home))).id
    code = Authenticator(account, "fac_1", AuthenticatorKind.RECOVERY_CODE, 1, b"mark", b"", b"")

    async def insert() -> None:
        await Write(authenticators.insert([code]), last=True)

    await home.database.run(insert)
    assert await home.database.run(authenticators.use_recovery_code, account, b"mark", 5)
    assert not await home.database.run(authenticators.use_recovery_code, account, b"mark", 6)
    await home.change("UPDATE factors SET ended_at = NULL WHERE id = 'fac_1'")
    assert not await home.database.run(authenticators.use_recovery_code, account, b"mark", 7)
    assert [one.used for one in await home.database.read(authenticators.list_active, account)] == [1]


async def test_a_recovery_code_is_found_by_its_account_and_its_kind(home: Place) -> None:
    """R4: neither another account's nor another kind's mark is one."""
    account = (await account_of(home, await ada(home))).id
    rows = [
        Authenticator(account, "fac_1", AuthenticatorKind.PASSKEY, 1, b"key", b"", b""),
        Authenticator("acc_other", "fac_2", AuthenticatorKind.RECOVERY_CODE, 1, b"mark", b"", b""),
    ]

    async def insert() -> None:
        await Write(authenticators.insert(rows), last=True)

    await home.database.run(insert)
    assert not await home.database.run(authenticators.use_recovery_code, account, b"key", 5)
    assert not await home.database.run(authenticators.use_recovery_code, account, b"mark", 5)
    assert await home.database.run(authenticators.use_recovery_code, "acc_other", b"mark", 5)


async def test_giving_a_shared_contact_up_leaves_its_owners_sign_in(home: Place) -> None:
    """A7."""
    visitor = await ada(home)
    account = await account_of(home, visitor)
    (mail,) = (await visitor.holdings()).contacts
    await home.database.run(accounts.delete_identifier, replace(mail, account="acc_other"))
    assert await home.database.read(accounts.find_id_by_identifier, mail.blind_index) == account.id
    await home.database.run(accounts.delete_identifier, mail)
    assert await home.database.read(accounts.find_id_by_identifier, mail.blind_index) == ""


async def test_a_device_that_was_forgotten_is_not_known(home: Place) -> None:
    """S3, A4."""
    visitor = await ada(home)
    session = await visitor.session()
    assert session is not None
    assert await home.database.read(devices.find, session.account, session.device_token_hash) is not None
    await home.change("UPDATE devices SET ended_at = 1")
    assert await home.database.read(devices.find, session.account, session.device_token_hash) is None
    assert await home.database.read(devices.list_active, session.account) == []
    newest = await home.database.read(devices.find_newest, session.account)
    assert newest is not None


async def test_the_mark_of_recovery_is_cleared_by_any_contact_but_that_one(home: Place) -> None:
    """R2."""
    visitor = await ada(home)
    account = await account_of(home, visitor)
    for contact, left in (("con_1", "con_1"), ("con_2", ""), ("", "")):
        await home.change("UPDATE accounts SET recovered_by = 'con_1'")
        await home.database.run(accounts.clear_recovered_by, account.id, contact)
        assert (await account_of(home, visitor)).recovered_by == left
    await home.change("UPDATE accounts SET recovered_by = 'con_1'")
    await home.database.run(accounts.clear_recovered_by, "acc_other", "con_2")
    assert (await account_of(home, visitor)).recovered_by == "con_1"


async def test_a_contact_counts_for_those_who_have_it_now(home: Place) -> None:
    """A7."""
    await ada(home)
    index = home.accounts.blind_index(parse_contact("ada@example.org"))
    assert await home.database.read(accounts.count_owners, index) == 1
    await home.change("UPDATE contacts SET ended_at = 1")
    assert await home.database.read(accounts.count_owners, index) == 0


async def test_what_ends_for_one_account_ends_for_no_other(home: Place) -> None:
    """A4, S4, I3: sessions, trust and integration codes."""
    one, other = await ada(home), await ada(home, "grace@example.org")
    mine, theirs = (await account_of(home, one)).id, (await account_of(home, other)).id
    code = await made(one)
    await home.change("UPDATE credentials SET account = $1", theirs)
    await home.change("UPDATE devices SET trusted_at = 5")
    assert await home.database.run(integration_codes.end_all, mine, home.clock()) == []
    assert await home.database.run(devices.end_trust, mine) == 1
    assert len(await home.database.run(sessions.end_all, mine)) == 1
    assert await verify_code(home.accounts, code, "a test") is not None
    assert [device.trusted_at for device in await home.database.read(devices.list_active, theirs)] == [5]
    assert await other.session() is not None


async def test_an_authenticator_or_a_code_that_has_ended_is_not_used(home: Place) -> None:
    """A4, I3: neither found by its mark, nor used by who has read it before."""
    account = (await account_of(home, await ada(home))).id
    row = Authenticator(account, "fac_1", AuthenticatorKind.PASSKEY, 1, b"key", b"", b"")

    async def insert() -> None:
        await Write(authenticators.insert([row]), last=True)

    await home.database.run(insert)
    assert await home.database.run(authenticators.use, account, "fac_1", 1, 5)
    assert await home.database.run(authenticators.record_use, account, "fac_1", 5)
    await home.change("UPDATE factors SET ended_at = 6")
    assert await home.database.read(authenticators.find_by_mark, b"key") is None
    assert not await home.database.run(authenticators.use, account, "fac_1", 2, 7)
    assert not await home.database.run(authenticators.record_use, account, "fac_1", 7)


async def test_a_change_is_open_until_its_time_is_over(home: Place) -> None:
    """A5: a lock undoes what can still be undone, and nothing else."""
    visitor = await ada(home)
    hashed = await home.accounts.passwords.hash("a better battery staple")
    assert isinstance(await visitor.changes(ChangeRequest(ChangeKind.PASSWORD_CHANGED, password=hashed)), Applied)
    account = (await account_of(home, visitor)).id
    (change,) = await home.database.read(changes.list_open, account, home.clock())
    assert await home.database.read(changes.list_open, account, change.until - 1) == [change]
    assert await home.database.read(changes.list_open, account, change.until) == []


async def test_the_use_of_an_integration_code_is_recorded_while_it_is_active(home: Place) -> None:
    """I3: one that has ended in the same moment is told from one that was used before."""
    await made(await ada(home))
    (key,) = [row[0] for row in await home.database.read(query, "SELECT key FROM credentials")]
    now = home.clock()
    assert await home.database.run(integration_codes.record_use, key, "here", now)
    (expires_at,) = [row[0] for row in await home.database.read(query, "SELECT expires_at FROM credentials")]
    assert not await home.database.run(integration_codes.record_use, key, "here", expires_at)
    await home.change("UPDATE credentials SET ended_at = $1", now)
    assert not await home.database.run(integration_codes.record_use, key, "here", now)
