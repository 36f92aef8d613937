"""The security check-up: how the user of an account would get back in after a loss, and where nothing would be left.

Pure rules on what the account holds. They follow how a sign-in and a recovery choose their proofs (semantics A11, R2).
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec.structs import replace


class Loss(StrEnum):
    """What somebody may lose.

    - PHONE: the phone with its number and the authenticator apps on it.
    - DEVICE: the devices to which passkeys are bound.
    - MAILBOX: the access to every mailbox.
    - PASSWORD: it was forgotten.
    - PHONE_AND_PASSWORD: both.
    """

    PHONE = "phone"
    DEVICE = "device"
    MAILBOX = "mailbox"
    PASSWORD = "password"  # noqa: S105 - the name of a loss
    PHONE_AND_PASSWORD = "phone_and_password"  # noqa: S105


class WayKind(StrEnum):
    """How somebody gets back in, the quickest first. WAITING is a delayed recovery."""

    PASSKEY = "passkey"
    APP = "app"
    CODE = "code"
    RECOVERY_CODE = "recovery_code"
    BOUND_PASSKEY = "bound_passkey"
    WAITING = "waiting"


class Verdict(StrEnum):
    """How good the ways back are.

    - SAFE: one of them is there. UNSURE: there is a passkey, unless it was on what is lost.
    - SLOW: nothing but a delayed recovery. SHUT_OUT: nothing.
    """

    SAFE = "safe"
    UNSURE = "unsure"
    SLOW = "slow"
    SHUT_OUT = "shut_out"


class Holdings(msgspec.Struct, frozen=True):
    """What an account holds, by the names that its user knows.

    `synced_passkeys` live on several devices, `bound_passkeys` on one. `recovery_codes` counts those that are kept. `is_strong`: an app or
    a passkey is enrolled, so codes by mail and phone do not let in. `waits`: a delayed recovery is offered.
    """

    mailboxes: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()
    synced_passkeys: tuple[str, ...] = ()
    bound_passkeys: tuple[str, ...] = ()
    recovery_codes: int = 0
    waits: bool = True

    @property
    def is_strong(self) -> bool:
        """Whether codes by mail and phone do not let in."""
        return bool(self.apps or self.synced_passkeys or self.bound_passkeys)

    @property
    def contacts(self) -> tuple[str, ...]:
        """Return the contacts to which a code can be sent."""
        return (*self.mailboxes, *self.phones)


class Way(msgspec.Struct, frozen=True):
    """One way back, and what it needs by name: all of `names` are as good as one another."""

    kind: WayKind
    names: tuple[str, ...] = ()


class LossOutcome(msgspec.Struct, frozen=True):
    """What a loss would mean. `ways` are those that are left, the quickest first."""

    loss: Loss
    ways: tuple[Way, ...]
    verdict: Verdict


def check_up(held: Holdings) -> tuple[LossOutcome, ...]:
    """Return what each loss would mean that can happen to the user of this account."""
    has_phone = bool(held.phones or held.apps)
    losses = [
        (Loss.PHONE, has_phone),
        (Loss.DEVICE, bool(held.bound_passkeys)),
        (Loss.MAILBOX, bool(held.mailboxes)),
        (Loss.PASSWORD, True),
        (Loss.PHONE_AND_PASSWORD, has_phone),
    ]
    return tuple(_outcome(held, loss) for loss, can_happen in losses if can_happen)


def _outcome(held: Holdings, loss: Loss) -> LossOutcome:
    left = _without(held, loss)
    forgot = loss in {Loss.PASSWORD, Loss.PHONE_AND_PASSWORD}
    quick = [*_passkeys(held, left, loss), *(_after_reset(held, left) if forgot else _with_password(held, left))]
    ways = [Way(kind, names) for kind in WayKind for one, names in quick if one is kind]
    if held.waits:
        ways.append(Way(WayKind.WAITING))
    return LossOutcome(loss, tuple(ways), _verdict({way.kind for way in ways}))


def _verdict(kinds: set[WayKind]) -> Verdict:
    if kinds - {WayKind.BOUND_PASSKEY, WayKind.WAITING}:
        return Verdict.SAFE
    if WayKind.BOUND_PASSKEY in kinds:
        return Verdict.UNSURE
    return Verdict.SLOW if kinds else Verdict.SHUT_OUT


def _without(held: Holdings, loss: Loss) -> Holdings:
    """Return what is left after a loss."""
    match loss:
        case Loss.PHONE | Loss.PHONE_AND_PASSWORD:
            return replace(held, phones=(), apps=())
        case Loss.DEVICE:
            return replace(held, bound_passkeys=())
        case Loss.MAILBOX:
            return replace(held, mailboxes=())
        case Loss.PASSWORD:
            return held


def _passkeys(held: Holdings, left: Holdings, loss: Loss) -> list[tuple[WayKind, tuple[str, ...]]]:
    """Return the passkeys that let in, alone. Nobody but its user knows whether one that is bound to a device was on the lost phone."""
    may_be_lost = loss in {Loss.PHONE, Loss.PHONE_AND_PASSWORD}
    sure = held.synced_passkeys if may_be_lost else (*held.synced_passkeys, *left.bound_passkeys)
    unsure = left.bound_passkeys if may_be_lost else ()
    found = [(WayKind.PASSKEY, sure), (WayKind.BOUND_PASSKEY, unsure)]
    return [(kind, names) for kind, names in found if names]


def _with_password(held: Holdings, left: Holdings) -> list[tuple[WayKind, tuple[str, ...]]]:
    """Return what lets in beside the password."""
    found: list[tuple[WayKind, tuple[str, ...]]] = []
    if left.apps:
        found.append((WayKind.APP, left.apps))
    if left.contacts and not held.is_strong:
        found.append((WayKind.CODE, left.contacts))
    if left.recovery_codes:
        found.append((WayKind.RECOVERY_CODE, ()))
    return found


def _after_reset(held: Holdings, left: Holdings) -> list[tuple[WayKind, tuple[str, ...]]]:
    """Return what lets in beside a new password. It is set by a contact, which does not let in then unless it is the only one."""
    codes = left.recovery_codes
    by_contact = len(left.contacts) > 1 or (bool(left.contacts) and (len(held.contacts) == 1 or codes > 0))
    found: list[tuple[WayKind, tuple[str, ...]]] = []
    if left.apps and (left.contacts or codes):
        found.append((WayKind.APP, left.apps))
    if by_contact and not held.is_strong:
        found.append((WayKind.CODE, left.contacts))
    if codes > 1 or (codes and left.contacts):
        found.append((WayKind.RECOVERY_CODE, ()))
    return found
