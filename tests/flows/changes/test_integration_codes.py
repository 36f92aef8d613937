"""Integration codes: shown once, kept hashed, scoped, renewed with an overlap, and revoked at once."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING

from tests.flows.integration_codes import approved, made
from tests.flows.people import ada

from countersign.domain.accounts.change import ChangeRefusal, ChangeRequest
from countersign.domain.accounts.integration_code import (
    CODE_BYTES,
    DAY,
    MAX_INTEGRATION_CODES,
    ROTATION_OVERLAP,
    IntegrationCode,
)
from countersign.flows.accounts.context import BrowserContext
from countersign.flows.changes.apply import Applied, apply_change
from countersign.flows.changes.integration_codes import (
    lifetime_of,
    list_codes,
    name_of,
    read_code,
    revoke_code,
    rotate_code,
    verify_code,
    well_formed,
)
from countersign.flows.changes.report_change import report_change

if TYPE_CHECKING:
    from tests.flows.place import Place

    from countersign.domain.accounts.session import Session
    from countersign.flows.changes.submit import SubmitResult


async def test_a_code_is_strong_shown_once_kept_hashed_and_says_what_it_opens(home: Place) -> None:
    """I1, I3."""
    visitor = await ada(home)
    code = await made(visitor, scopes=("read", "write"))
    assert code.startswith("csi_")
    assert CODE_BYTES * 8 >= 128
    assert len(base64.b32decode(code[4:-7].upper() + "=")) == CODE_BYTES
    session = await visitor.session()
    assert session is not None
    found = await verify_code(home.accounts, code, "Ledger, Vienna")
    assert isinstance(found, IntegrationCode)
    assert (found.account, found.scopes) == (session.account, ("read", "write"))
    (shown,) = await list_codes(home.accounts, session.account)
    assert (shown.name, shown.last_used_from, shown.last_used_at) == ("Bookkeeping", "Ledger, Vienna", home.clock())
    assert shown.expires_at == shown.created_at + 30 * DAY
    rows = await home.database.read(_all, "credentials")
    assert all(code[4:-7] not in repr(row) and b"Bookkeeping" not in bytes(row[4]) for row in rows)
    await visitor.told("An integration code was created in your account")


def _all(table: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    from countersign.store.engine.database import Sql

    return (yield Sql(f"SELECT * FROM {table}"))  # noqa: S608 - names are ours


async def test_it_ends_with_its_time(home: Place) -> None:
    """I1."""
    code = await made(await ada(home))
    home.clock.forward(30 * DAY - 1)
    assert await verify_code(home.accounts, code, "") is not None
    home.clock.forward(1)
    assert await verify_code(home.accounts, code, "") is None


async def test_two_overlap_while_one_is_renewed(home: Place) -> None:
    """I3."""
    visitor = await ada(home)
    old = await made(visitor)
    session = await visitor.session()
    assert session is not None
    (before,) = await list_codes(home.accounts, session.account)
    home.clock.forward(61_000)
    codes: list[str] = []

    async def ask(session: Session) -> SubmitResult:
        outcome, code = await rotate_code(home.accounts, visitor.browser, session, before.id, "Renew it")
        codes.append(code)
        return outcome

    assert isinstance(await approved(visitor, ask), Applied)
    new = codes[-1]
    assert new != old
    both = [await verify_code(home.accounts, code, "") for code in (old, new)]
    assert all(both)
    assert both[0] is not None
    assert both[1] is not None
    assert both[0].scopes == both[1].scopes
    await visitor.told("An integration code on your account was renewed")
    home.clock.forward(ROTATION_OVERLAP)
    assert await verify_code(home.accounts, old, "") is None
    assert await verify_code(home.accounts, new, "") is not None


async def test_revoking_works_at_the_next_request(home: Place) -> None:
    """I3: also for the uses that come at the same time, each of which is before or after it."""
    visitor = await ada(home)
    code = await made(visitor)
    session = await visitor.session()
    assert session is not None
    (before,) = await list_codes(home.accounts, session.account)
    home.clock.forward(61_000)

    async def ask(session: Session) -> SubmitResult:
        return await revoke_code(home.accounts, visitor.browser, session, before.id, "Revoke it")

    outcome, *_ = await asyncio.gather(
        approved(visitor, ask), *(verify_code(home.accounts, code, str(number)) for number in range(10))
    )
    assert isinstance(outcome, Applied)
    assert await verify_code(home.accounts, code, "") is None
    assert await list_codes(home.accounts, session.account) == []


async def test_another_account_neither_renews_nor_revokes_it(home: Place) -> None:
    code = await made(await ada(home))
    stranger = await ada(home, "grace@example.org")
    session = await stranger.session()
    assert session is not None
    found = await verify_code(home.accounts, code, "")
    assert found is not None
    from countersign.domain.accounts.change import ChangeKind

    wanted = ChangeRequest(ChangeKind.INTEGRATION_CODE_REVOKED, found.id, "x", "x")
    assert await apply_change(home.accounts, stranger.browser, wanted.for_session(session)) is (ChangeRefusal.UNKNOWN)
    assert await verify_code(home.accounts, code, "") is not None


async def test_of_two_at_the_bound_one_is_made(home: Place) -> None:
    """I3: the bound holds also for two that are made at the same time."""
    visitor = await ada(home)
    session = await visitor.session()
    assert session is not None
    from countersign.domain.accounts.change import ChangeKind

    def wanted(number: int) -> ChangeRequest:
        id_ = home.accounts.id("cre")
        credential = IntegrationCode(
            home.accounts.token_hash(f"code {number}"),
            session.account,
            id_,
            home.clock(),
            b"",
            ("read",),
            home.clock() + DAY,
        )
        return ChangeRequest(ChangeKind.INTEGRATION_CODE_MADE, about=str(number), integration_code=credential)

    for number in range(MAX_INTEGRATION_CODES - 1):
        request = wanted(number).for_session(session)
        assert isinstance(await apply_change(home.accounts, visitor.browser, request), Applied)
    outcomes = await asyncio.gather(
        *(apply_change(home.accounts, visitor.browser, wanted(number).for_session(session)) for number in (100, 101))
    )
    assert sorted(type(one).__name__ for one in outcomes) == ["Applied", "ChangeRefusal"]


async def test_not_me_ends_every_code(home: Place) -> None:
    """S6, I3."""
    visitor = await ada(home)
    code = await made(visitor)
    reference = await visitor.told("An integration code was created in your account")
    assert await report_change(home.accounts, BrowserContext(), reference) is not None
    assert await verify_code(home.accounts, code, "") is None


async def test_what_has_not_the_form_is_never_looked_up(home: Place) -> None:
    code = await made(await ada(home))
    assert well_formed(code)
    for text in (
        "",
        "csi_",
        "123456",
        code[:-1],
        code + "a",
        code.upper(),
        code.replace("csi_", "csk_"),
        "csi_" + "é" * 46,
    ):
        assert not well_formed(text)
        assert await verify_code(home.accounts, text, "") is None
    other = code[:10] + ("b" if code[10] == "a" else "a") + code[11:]
    assert not well_formed(other)


async def test_a_code_is_read_as_it_was_sent(home: Place) -> None:
    """J3: with a line end, quotes, marks, its scheme, or broken over two lines; two different ones are none."""
    visitor = await ada(home)
    code = await made(visitor)
    for sent in (
        f"{code}\r\n",
        f" {code} ",
        f"\ufeff{code}\u200b",
        f"Bearer {code}",
        f'"{code}"',
        f"{code[:20]}\n{code[20:]}",
        f"token={code}&x=1",
    ):
        assert read_code(sent) == code, ascii(sent)
        assert await verify_code(home.accounts, sent, "") is not None
    assert read_code(f"{code} {code}") == code
    assert read_code("x" * 5_000 + code) is None


def test_a_name_and_a_lifetime_are_taken_with_care() -> None:
    assert name_of("  Book\x00keeping\n ") == "Bookkeeping"
    assert name_of("x" * 100) == "x" * 60
    hostile = ("", "31", "x", "9" * 5_000, "٣٠", "00309999", "0365000", "0030", "30 ", " 30", "+30", "3_0", "30\n")
    assert [lifetime_of(text) for text in ("30", "90", "365")] == [30, 90, 365]
    assert {lifetime_of(text) for text in hostile} == {None}
