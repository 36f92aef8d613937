"""Somebody has the key file, and a copy of the database. The way back of docs/operations.md is gone, step by step."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.clock import MINUTE
from tests.flows.authenticators import recovery_codes
from tests.flows.integration_codes import made
from tests.flows.people import ADA, Visitor, ada
from tests.flows.place import done
from tests.flows.renewal import indexes_in_use, kids_in_use, look_again, resealed, whole

from countersign.domain.verifications.code import derive
from countersign.errors import SettingsError, UnavailableError
from countersign.flows.accounts.context import CodeRequested, SignedIn
from countersign.flows.changes.integration_codes import verify_code
from countersign.flows.changes.report_change import find_notice
from countersign.flows.maintenance.audit import verify_events
from countersign.flows.maintenance.rotate_keys import retire, rotate_hash_index, rotate_keys
from countersign.flows.verifications.cancel import find_reported, not_me_reference
from countersign.keys import Keyring, read_file
from countersign.store.tables import metadata
from countersign.store.tables.protected_columns import PROTECTED_TABLES, SEALED_COLUMNS, position

if TYPE_CHECKING:
    from pathlib import Path

    from tests.flows.place import Place

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def leaked(home: Place, tmp_path: Path) -> Keyring:
    """What the thief has: the file as it was."""
    path = tmp_path / "leaked.keys"
    path.write_bytes(home.key_file.read_bytes())
    path.chmod(0o600)
    return Keyring(path, home.clock)


async def goes_the_way_back(home: Place) -> str:
    """Rotate key and index, reseal, retire; then let the last code and token of before end. Returns the old key's id."""
    old, log = home.keyring.primary.kid, home.accounts.log
    await rotate_keys(home.rows, log, home.key_file, home.clock(), MINUTE)
    await rotate_hash_index(home.rows, log, home.key_file, home.clock(), MINUTE)
    home.clock.forward(2 * MINUTE)
    look_again(home.keyring)
    report = await resealed(home)
    assert (report.left, report.unreadable, report.index) == (0, 0, 1)
    await retire(home.rows, log, Keyring(home.key_file, home.clock), home.key_file, old, home.clock())
    home.clock.forward(20 * MINUTE)
    look_again(home.keyring)
    return old


async def test_the_accounts_are_kept(home: Place, leaked: Keyring) -> None:
    """K2: sessions, passwords, integration codes and recovery codes are what they were, and the log is whole."""
    visitor = await ada(home)
    code, codes = await made(visitor), await recovery_codes(visitor)
    await goes_the_way_back(home)
    assert leaked.primary.kid != home.keyring.primary.kid
    assert await visitor.session() is not None
    assert await verify_code(home.accounts, code, "198.51.100.7") is not None
    assert isinstance(await Visitor(home).signs_in(), CodeRequested)
    other = Visitor(home)
    home.clock.forward(MINUTE)
    assert isinstance(await other.recovers(), CodeRequested)
    assert len(codes) == 10
    assert not (await verify_events(home.rows, home.keyring)).findings


async def test_the_old_file_opens_nothing_in_a_copy_of_the_database(home: Place, leaked: Keyring) -> None:
    """K2, C4: neither a sealed value nor, by trying addresses, a keyed hash."""
    await ada(home)
    await home.begun("eve@example.org")
    await goes_the_way_back(home)
    old = leaked.primary
    assert old.kid not in await kids_in_use(home)
    for sealed in SEALED_COLUMNS:
        for row in await whole(home, sealed.table):
            value = bytes(row[position(sealed.table, sealed.column)] or b"")
            binding = row[position(sealed.table, sealed.bound_by)]
            bound_to = binding.hex() if isinstance(binding, bytes) else binding
            if not value:
                continue
            with pytest.raises(UnavailableError):
                leaked.unseal(value, bound_to)
            with pytest.raises(SettingsError):
                old.unseal(value.partition(b".")[2], bound_to.encode())
    assert all(set(found) <= {1} for found in (await indexes_in_use(home)).values())
    tried = {
        leaked.blind_index("contact", ADA),
        leaked.blind_index("standing", "app_shop", "user-42", "eve@example.org"),
    }
    stored = {
        bytes(value)
        for table in PROTECTED_TABLES.values()
        for row in await whole(home, table)
        for value in row
        if isinstance(value, bytes)
    }
    assert not tried & stored
    assert not {one[:16] for one in tried} & {one[1:17] for one in stored}


async def test_the_old_file_forges_nothing(home: Place, leaked: Keyring) -> None:
    """K1, K2: no proof, no ID token, no code, no reference of a link; and it starts no program on this database."""
    visitor = await ada(home)
    pending = await home.begun("eve@example.org")
    home.clock.forward(MINUTE)
    await Visitor(home).is_let_in()
    told = not_me_reference(leaked, (await whole(home, PROTECTED_TABLES["notices"]))[0][0])
    assert await find_notice(home.accounts, told) is not None
    proof, identity = leaked.primary.sign({"sub": "eve"}), leaked.primary.sign_identity({"sub": "eve"})
    reference = not_me_reference(leaked, pending.id)
    assert await find_reported(home.core, reference) is not None
    assert home.keyring.verified(proof) is not None
    old = await goes_the_way_back(home)
    assert home.keyring.verified(proof) is None
    assert home.keyring.verified_identity(identity) is None
    assert not {old, f"{old}-id"} & {key["kid"] for key in home.keyring.jwks()["keys"]}
    assert await find_reported(home.core, reference) is None
    assert await find_notice(home.accounts, told) is None
    fresh = await home.begun("zoe@example.org")
    guessed = derive(leaked.primary.code, fresh.id, 0, fresh.terms.policy.shape).reveal()
    assert guessed != home.code(fresh)
    known = await home.rows.read(metadata.find, metadata.KEYS)
    assert known is not None
    assert home.keyring.belongs_to(known)
    assert not leaked.belongs_to(known), "a program with the old file does not start"
    assert await visitor.session() is not None


async def test_the_old_file_and_a_write_to_the_database_make_no_session(home: Place, leaked: Keyring) -> None:
    """K2: a row whose keyed hash the old index makes is found by nobody, and a value that the old key sealed is not opened."""
    visitor = await ada(home)
    account = (await visitor.holdings()).account
    await goes_the_way_back(home)
    await home.change(
        "INSERT INTO sessions (mark, id, account, device, created_at, user_agent, ip, place, proofs, last_seen_at, expires_at)"
        " SELECT $1, 'ses_forged', account, device, created_at, user_agent, ip, place, proofs, last_seen_at, expires_at FROM sessions",
        leaked.hash_secret("of the thief"),
    )
    thief = Visitor(home, browser=visitor.browser.__class__(session="of the thief"))
    assert await thief.session() is None
    password = await home.accounts.passwords.hash("of the thief")
    await home.change("UPDATE accounts SET password = $1 WHERE id = $2", leaked.seal(password, account.id), account.id)
    with pytest.raises(SettingsError, match="was retired"):
        await Visitor(home).signs_in(ADA, "of the thief")


async def test_what_is_under_way_while_the_keys_change_is_finished(home: Place) -> None:
    """O2, K2: a code that was sent before is right afterwards, as long as it lives."""
    await ada(home)
    visitor = Visitor(home)
    assert isinstance(await visitor.signs_in(), CodeRequested)
    code = await visitor.code()
    challenge = done(await home.begin("zoe@example.org")).challenge
    typed = home.code(challenge)
    log, old = home.accounts.log, home.keyring.primary.kid
    await rotate_keys(home.rows, log, home.key_file, home.clock(), MINUTE)
    await rotate_hash_index(home.rows, log, home.key_file, home.clock(), MINUTE)
    home.clock.forward(2 * MINUTE)
    look_again(home.keyring)
    await resealed(home)
    await retire(home.rows, log, Keyring(home.key_file, home.clock), home.key_file, old, home.clock())
    look_again(home.keyring)
    assert isinstance(await visitor.types(code), SignedIn)
    approved = done(await home.answer(challenge, typed)).challenge
    assert approved.ended_at is not None


async def test_the_file_keeps_what_the_hashes_are_founded_on(home: Place) -> None:
    """K2: the secret that leaked stays as the first layer; an older release refuses such a file instead of reading half of it."""
    await ada(home)
    first = read_file(home.key_file)
    old = await goes_the_way_back(home)
    stored = read_file(home.key_file)
    assert stored.index == first.index
    assert stored.indexes[0].alone_from is not None
    assert [key.kid for key in stored.keys if key.closed_at is not None] == [old]
    assert set(json.loads(home.key_file.read_text())) > {"index", "keys"}
