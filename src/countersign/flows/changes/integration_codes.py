"""Integration codes: their owner creates, rotates and revokes them, and services verify them."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.accounts.change import ChangeKind, ChangeRequest
from countersign.domain.accounts.integration_code import (
    CODE_BYTES,
    DAY,
    LAST_USED_INTERVAL,
    LIFETIMES,
    MAX_NAME,
    PREFIX,
    IntegrationCode,
)
from countersign.domain.shared.typed_name import read_label
from countersign.domain.shared.typed_text import MAX_TYPED, tidy
from countersign.errors import InputError
from countersign.flows.changes.submit import SubmitResult, submit_change
from countersign.store.tables import accounts, integration_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countersign.domain.accounts.account import Account
    from countersign.domain.accounts.session import Session
    from countersign.flows.accounts.context import AccountContext, BrowserContext

_CHECK_SYMBOLS: Final = 7
_CODE: Final = re.compile(rf"{PREFIX}[a-z2-7]{{{-(-CODE_BYTES * 8 // 5) + _CHECK_SYMBOLS}}}(?![a-z0-9])")


class ListedCode(msgspec.Struct, frozen=True):
    """An integration code as its owner sees it; times in milliseconds since the epoch."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: int
    expires_at: int
    last_used_at: int | None
    last_used_from: str

    @property
    def days(self) -> int:
        """Return its lifetime in days, rounded."""
        return round((self.expires_at - self.created_at) / DAY)


async def make_code(
    context: AccountContext,
    browser: BrowserContext,
    session: Session,
    name: str,
    scopes: Sequence[str],
    *,
    days: int,
    summary: str,
) -> tuple[SubmitResult, str]:
    """Create a code; return it with the result. Show it once, and only if the change was applied (semantics I1, I3).

    `name` is as entered, `days` is its lifetime, and `summary` what the user approves, in their language. Raises InputError for a
    lifetime that is not offered.
    """
    if days not in LIFETIMES:
        raise InputError("days", "malformed", "Expected 30, 90 or 365.")
    code, created = _fresh(context, session.account, name_of(name), tuple(scopes), context.now() + days * DAY)
    about = f"{name_of(name)} ({', '.join(scopes)})"
    request = ChangeRequest(
        ChangeKind.INTEGRATION_CODE_MADE, str(days), about=about, summary=summary, integration_code=created
    )
    return await submit_change(context, browser, session, request), code


async def rotate_code(
    context: AccountContext, browser: BrowserContext, session: Session, code_id: str, summary: str
) -> tuple[SubmitResult, str]:
    """Create a code of the same name, scopes and lifetime. The old one works for another day (semantics I3)."""
    before = await context.database.read(_one, session.account, code_id, context.now())
    name = context.keyring.unseal(before.name, before.id) if before is not None else ""
    lasts = before.ends_at - before.created_at if before is not None else 0
    scopes = before.scopes if before is not None else ()
    code, created = _fresh(context, session.account, name, scopes, context.now() + lasts)
    request = ChangeRequest(ChangeKind.INTEGRATION_CODE_ROTATED, code_id, name, summary, integration_code=created)
    return await submit_change(context, browser, session, request), code


async def revoke_code(
    context: AccountContext, browser: BrowserContext, session: Session, code_id: str, summary: str
) -> SubmitResult:
    """Revoke a code: it is refused from the next request on (semantics I3)."""
    before = await context.database.read(_one, session.account, code_id, context.now())
    name = context.keyring.unseal(before.name, before.id) if before is not None else ""
    return await submit_change(
        context, browser, session, ChangeRequest(ChangeKind.INTEGRATION_CODE_REVOKED, code_id, name, summary)
    )


async def list_codes(context: AccountContext, account: str) -> list[ListedCode]:
    """Return the active codes of an account, newest first."""
    found = await context.database.read(integration_codes.list_active, account, context.now())
    return [
        ListedCode(
            one.id,
            context.keyring.unseal(one.name, one.id),
            one.scopes,
            one.created_at,
            one.ends_at,
            one.last_used_at,
            one.last_used_from,
        )
        for one in found
        if one.active(context.now())
    ]


async def verify_code(context: AccountContext, code: str, used_from: str) -> IntegrationCode | None:
    """Return the integration code that was sent, or None if it is not valid. Its use is recorded at most once a minute.

    `used_from` says from where it was used, for its owner to read.
    """
    meant = read_code(code)
    if meant is None:
        return None
    key, now = context.token_hash(meant), context.now()
    found, account = await context.database.read(_found, key)
    if found is None or account is None or not account.open or not found.active(now):
        return None
    if found.last_used_at is None or now - found.last_used_at >= LAST_USED_INTERVAL:
        alive = await context.database.run(integration_codes.record_use, key, used_from, now)
        return found if alive else None
    return found


async def _found(key: bytes) -> tuple[IntegrationCode | None, Account | None]:
    found = await integration_codes.find(key)
    return found, None if found is None else (await accounts.find(found.account))


async def _one(account: str, code_id: str, now: int) -> IntegrationCode | None:
    alive = await integration_codes.list_active(account, now)
    return next((one for one in alive if one.id == code_id and one.active(now)), None)


def _fresh(
    context: AccountContext, account: str, name: str, scopes: tuple[str, ...], expires_at: int
) -> tuple[str, IntegrationCode]:
    body = _base32(context.random_bytes(CODE_BYTES))
    code, id_ = PREFIX + body + _check(body), context.id("cre")
    return code, IntegrationCode(
        key=context.token_hash(code),
        account=account,
        id=id_,
        created_at=context.now(),
        name=context.keyring.seal(name, id_),
        scopes=scopes,
        expires_at=expires_at,
    )


def read_code(sent: str) -> str | None:
    """Return the integration code that a service was sent, or None if there is none in it, or there are several.

    It is found behind a word such as `Bearer`, with a line end, in quotes, broken over two lines, or with marks around it.
    """
    if len(sent) > MAX_TYPED:
        return None
    text = tidy(sent)
    whole = "".join(text.split())
    found = {one for one in (*_CODE.findall(text), *_CODE.findall(whole)) if well_formed(one)}
    return found.pop() if len(found) == 1 else None


def well_formed(code: str) -> bool:
    """Return True if a text has the form of an integration code: its last seven symbols are the CRC-32 of those before."""
    body, check = code[len(PREFIX) : -_CHECK_SYMBOLS], code[-_CHECK_SYMBOLS:]
    if not code.startswith(PREFIX) or not code.isascii():
        return False
    try:
        raw = base64.b32decode(body.upper() + "=" * (-len(body) % 8))
    except binascii.Error:
        return False
    return len(raw) == CODE_BYTES and _base32(raw) == body and _check(body) == check


def name_of(entered: str) -> str:
    """Return the name of a code as it is stored; empty if nothing of it can be."""
    return read_label(entered, MAX_NAME)


def lifetime_of(entered: str) -> int | None:
    """Return the lifetime in days that was chosen, or None if it is not one of those offered, written as they are."""
    return next((days for days in LIFETIMES if entered == str(days)), None)


def _check(body: str) -> str:
    return _base32(zlib.crc32(body.encode()).to_bytes(4))


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()
