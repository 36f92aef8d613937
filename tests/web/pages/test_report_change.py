"""The page behind "this was not me" in a notice, and those of a delayed recovery: each sentence is true when it is said."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from tests.web.client import Client

from countersign.domain.accounts.account import Account, OwnedContact
from countersign.domain.accounts.change import AccountChange, ChangeKind, ChangeState
from countersign.domain.delivery.notice import CONTACT_FACT, Notice, NoticeKind
from countersign.domain.shared.contact import ContactKind
from countersign.flows.verifications.cancel import not_me_reference
from countersign.store.engine.database import Write
from countersign.store.tables import accounts, changes, notices
from countersign.web.app import make_app

if TYPE_CHECKING:
    from tests.web.conftest import Opener

    from countersign.wiring import Runtime

FORM = {"content-type": "application/x-www-form-urlencoded", "origin": "http://localhost:8000"}
DAY = 86_400_000


async def _insert(runtime: Runtime, kind: NoticeKind, *, waits: bool) -> None:
    """Write an account, one notice to its contact, and a delayed recovery that waits, if one does."""
    context = runtime.accounts
    now = context.now()
    account = Account("acc_1", now, context.keyring.seal("Ada", "acc_1"), "en", context.keyring.seal("x", "acc_1"), now)
    contact = OwnedContact(
        "acc_1",
        "con_1",
        now,
        ContactKind.MAIL,
        b"b",
        context.keyring.seal("ada@example.org", "con_1"),
        "a***@example.org",
        now,
    )
    notice = Notice(
        id="ntc_1",
        account="acc_1",
        application=context.own.id,
        kind=kind,
        to=context.keyring.seal("ada@example.org", "ntc_1"),
        to_kind=ContactKind.MAIL,
        masked="a***@example.org",
        locale="en",
        facts={CONTACT_FACT: "con_1", "change": "chg_1"},
        created_at=now,
        expires_at=now + 7 * DAY,
    )
    change = AccountChange(
        "acc_1",
        "chg_1",
        ChangeKind.ACCESS_RECOVERED,
        now,
        "",
        b"z",
        "z***",
        b"",
        "",
        "",
        ChangeState.PENDING,
        now + 14 * DAY,
    )

    async def write() -> None:
        rows = (
            *accounts.insert(account, contact),
            *notices.insert([notice]),
            *([changes.insert(change)] if waits else []),
        )
        await Write(rows, last=True)

    await context.database.run(write)


@pytest.mark.parametrize(
    ("kind", "waits", "first", "then"),
    [
        (
            NoticeKind.NEW_DEVICE,
            False,
            (200, b"Your account is locked"),
            (200, b"Your account is already locked"),
        ),
        (NoticeKind.ACCESS_ASKED, True, (200, b"You have stopped this"), (200, b"This was already stopped")),
        (NoticeKind.ACCESS_WAITS, False, (200, b"There is nothing to stop"), (200, b"There is nothing to stop")),
    ],
)
async def test_a_second_press_says_what_is_then_true(
    client: Client,
    runtime: Runtime,
    kind: NoticeKind,
    *,
    waits: bool,
    first: tuple[int, bytes],
    then: tuple[int, bytes],
) -> None:
    """R6, R7, R3: opening the page changes nothing; the button works once."""
    await _insert(runtime, kind, waits=waits)
    reference = not_me_reference(runtime.core.keyring, "ntc_1")
    form = urlencode({"ref": reference}).encode()
    for _ in range(2):
        assert (await client.get(f"/not-me?ref={reference}")).status == 200
    for status, title in (first, then):
        answer = await client.post("/not-me", raw=form, headers=FORM)
        assert (answer.status, title in answer.body) == (status, True), answer.body
    again = await client.get(f"/not-me?ref={reference}")
    assert then[1] in again.body
    assert b"<form" not in again.body


async def test_a_link_of_before_a_recovery_is_gone(client: Client, runtime: Runtime) -> None:
    """R7: the page says that nothing was changed, and where to go."""
    await _insert(runtime, NoticeKind.NEW_DEVICE, waits=False)
    reference = not_me_reference(runtime.core.keyring, "ntc_1")
    now = runtime.accounts.now()

    async def recovered() -> None:
        account = await accounts.lock("acc_1")
        assert account is not None
        from msgspec.structs import replace

        from countersign.domain.accounts.recovery import RecoveryRecord

        await Write((accounts.update(replace(account, recovery=RecoveryRecord(links_ended_at=now))),), last=True)

    await runtime.accounts.database.run(recovered)
    for answer in (
        await client.get(f"/not-me?ref={reference}"),
        await client.post("/not-me", raw=urlencode({"ref": reference}).encode(), headers=FORM),
    ):
        assert answer.status == 410
        assert b"This link is no longer valid" in answer.body
        assert b'href="/recover"' in answer.body


async def test_where_it_is_off_the_page_says_what_to_do_instead(open_house: Opener) -> None:
    """R8: no dead end, by GET and by POST; /recover offers no way there."""
    runtime = await open_house(recovery_delayed="no")
    client = Client(make_app(runtime, worker_alive=lambda: True))
    lost = urlencode({"identifier": "ada@example.org", "contact": "new@example.org"}).encode()
    for answer in (await client.get("/recover/lost"), await client.post("/recover/lost", raw=lost, headers=FORM)):
        assert answer.status == 404
        assert b"You need contact details on the account to recover it here" in answer.body
        assert b'href="/recover"' in answer.body
    recover = await client.get("/recover")
    assert b"/recover/lost" not in recover.body
    assert b"you need a recovery code. If you have none, contact" in recover.body
