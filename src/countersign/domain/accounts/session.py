"""A session: what a browser has proved, when, and what that is worth now."""

from __future__ import annotations

import hashlib
from enum import IntEnum, StrEnum
from typing import Final

import msgspec

from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.challenge import Action

HOUR: Final = 3_600_000
LASTS: Final = 12 * HOUR
"""Milliseconds from sign-in to the end of a session, and from a proof to the end of the level it gave (semantics S8, U3)."""
REMEMBERED_LASTS: Final = 30 * 24 * HOUR
"""Milliseconds that a trusted browser's session lasts, at the lowest level once LASTS is over."""
APPROVAL_LASTS: Final = 300_000
"""Milliseconds within which an approved act must be carried out."""
SEEN_EVERY: Final = 60_000
"""Milliseconds after which it is written down again that a session is in use."""


class SignInPolicy(msgspec.Struct, frozen=True):
    """How an installation lets in: for how long (ms), whether browsers may be trusted, whether codes by mail and phone are enough.

    Where they are not, who has neither an app nor a passkey gets in by such a code to enrol one, and for nothing else.
    """

    lasts: int = LASTS
    trusts: bool = True
    sent_codes: bool = True


class Method(StrEnum):
    """How something was proved."""

    PASSWORD = "password"  # noqa: S105 - the name of a method
    TRUSTED_DEVICE = "trusted_device"
    MAIL_CODE = "mail_code"
    SMS_CODE = "sms_code"
    VOICE_CODE = "voice_code"
    APP_CODE = "app_code"
    RECOVERY_CODE = "recovery_code"
    PASSKEY = "passkey"
    SECURITY_KEY = "security_key"


class Level(IntEnum):
    """How strong a session is, weakest first; `acr` is its public name."""

    PASSWORD = 1
    TRUSTED_DEVICE = 2
    MAIL_CODE = 3
    PHONE_CODE = 4
    APP_CODE = 5
    PASSKEY = 6

    @property
    def acr(self) -> str:
        """Return the authentication context class reference (OpenID Connect Core, 2)."""
        return f"urn:countersign:acr:{self.name.lower().replace('_', '-')}"


LEVELS: Final = {level.acr: level for level in Level}

LEVEL_OF_METHOD: Final = {
    Method.PASSWORD: Level.PASSWORD,
    Method.TRUSTED_DEVICE: Level.TRUSTED_DEVICE,
    Method.MAIL_CODE: Level.MAIL_CODE,
    Method.SMS_CODE: Level.PHONE_CODE,
    Method.VOICE_CODE: Level.PHONE_CODE,
    Method.APP_CODE: Level.APP_CODE,
    # A look-up secret (NIST SP 800-63B-4, 3.1.2): something that one has, typed as a code of an app is.
    Method.RECOVERY_CODE: Level.APP_CODE,
    Method.PASSKEY: Level.PASSKEY,
    Method.SECURITY_KEY: Level.PASSKEY,
}
METHOD_OF_CHANNEL: Final = {
    Channel.EMAIL: Method.MAIL_CODE,
    Channel.SMS: Method.SMS_CODE,
    Channel.WHATSAPP: Method.SMS_CODE,
    Channel.VOICE: Method.VOICE_CODE,
}
_AMR: Final[dict[Method, tuple[str, ...]]] = {
    Method.PASSWORD: ("pwd",),
    Method.TRUSTED_DEVICE: ("user",),
    Method.MAIL_CODE: ("mail", "otp"),
    Method.SMS_CODE: ("sms", "otp"),
    Method.VOICE_CODE: ("tel", "otp"),
    Method.APP_CODE: ("otp",),
    Method.RECOVERY_CODE: ("otp",),
    # One that may be copied between a person's devices is a key in software, one that may not in hardware.
    Method.PASSKEY: ("swk", "user"),
    Method.SECURITY_KEY: ("hwk", "user"),
}
_SECOND: Final = frozenset(
    {Method.SMS_CODE, Method.VOICE_CODE, Method.MAIL_CODE, Method.APP_CODE, Method.RECOVERY_CODE}
)
_ALONE: Final = frozenset({Method.PASSKEY, Method.SECURITY_KEY})
"""Methods that are two factors by themselves: something that one has, opened by something that one is or knows (semantics U4)."""


class SessionProof(msgspec.Struct, frozen=True, omit_defaults=True):
    """One proof: how, and when (ms). `action` is the digest of the one act it approved and that has not been carried out yet."""

    method: Method
    at: int
    action: str = ""


class Session(msgspec.Struct, frozen=True):
    """A signed-in browser; times in ms. `mark` is the keyed hash of its secret, `device` its device's mark; `id` outlives secrets."""

    mark: bytes
    id: str
    account: str
    device: bytes
    created_at: int
    user_agent: str
    ip: str
    place: str
    proofs: tuple[SessionProof, ...]
    last_seen_at: int
    expires_at: int

    def __repr__(self) -> str:
        """Show what may stand in a log."""
        return f"Session({self.id})"


class ProofRequirement(msgspec.Struct, frozen=True):
    """What a section or an act asks for: a level, the greatest age of its proof (seconds; None: the session's own), and the act it is for.

    With an action, nothing that was proved before will do: the code is asked for this very act, and is worth nothing for another
    (semantics U2). `without` is the id of a contact that does not approve where there is another way (semantics A1).
    """

    level: Level = Level.PASSWORD
    max_age: int | None = None
    action: Action = Action()
    without: str = ""

    @property
    def binds(self) -> bool:
        """Say whether the approval is worth one act only."""
        return bool(self.action.summary or self.action.hash)

    @property
    def digest(self) -> str:
        """Return what tells this act from every other; empty if there is none."""
        if not self.binds:
            return ""
        return hashlib.sha256(f"{self.action.summary}\0{self.action.hash}".encode("utf-8", "surrogatepass")).hexdigest()


def valid_proofs(session: Session, now: int, max_age: int | None = None) -> tuple[SessionProof, ...]:
    """Return the proofs that still count at `now`, of at most `max_age` seconds; a level ends by itself with its age."""
    oldest = now - (LASTS if max_age is None else min(LASTS, max_age * 1_000))
    return tuple(proof for proof in session.proofs if oldest <= proof.at <= now)


def level_of(session: Session, now: int, max_age: int | None = None) -> Level:
    """Return the strongest level that still counts; one that has run out is never reported."""
    return max((LEVEL_OF_METHOD[proof.method] for proof in valid_proofs(session, now, max_age)), default=Level.PASSWORD)


def meets(session: Session, need: ProofRequirement, now: int) -> bool:
    """Say whether the session needs no further proof for this."""
    fresh = valid_proofs(session, now, need.max_age)
    if need.binds:
        fresh = tuple(proof for proof in fresh if proof.action == need.digest and now - proof.at <= APPROVAL_LASTS)
        return max((LEVEL_OF_METHOD[proof.method] for proof in fresh), default=0) >= need.level
    if need.max_age is not None:
        # Trust proves nothing new: only what a person did counts as fresh.
        fresh = tuple(proof for proof in fresh if proof.method is not Method.TRUSTED_DEVICE)
        if not fresh:
            return False
    return max((LEVEL_OF_METHOD[proof.method] for proof in fresh), default=Level.PASSWORD) >= need.level


def amr_of(session: Session, now: int) -> list[str]:
    """Return the authentication methods (RFC 8176; `mail` is ours), `mfa` only where a second factor was really shown (semantics S5)."""
    methods = {proof.method for proof in valid_proofs(session, now)}
    found = [value for method in Method if method in methods for value in _AMR[method]]
    if methods & _ALONE or (Method.PASSWORD in methods and methods & _SECOND):
        found.append("mfa")
    return list(dict.fromkeys(found))


def auth_time_of(session: Session) -> int:
    """Return when a person last proved something (seconds): the true event, which looking at a page does not move."""
    return max((proof.at for proof in session.proofs), default=session.created_at) // 1_000


def with_proof(session: Session, mark: bytes, proof: SessionProof) -> Session:
    """Return the session after a further proof, under a new secret; its end stays where it was."""
    kept = tuple(old for old in session.proofs if old.method is not proof.method)
    return msgspec.structs.replace(session, mark=mark, proofs=(*kept, proof), last_seen_at=proof.at)


def with_approval_used(session: Session, need: ProofRequirement) -> Session:
    """Return the session with the approval of an act used up: it is carried out once (semantics U1)."""
    proofs = tuple(
        msgspec.structs.replace(proof, action="") if need.binds and proof.action == need.digest else proof
        for proof in session.proofs
    )
    return msgspec.structs.replace(session, proofs=proofs)


def is_closed(session: Session, entrance: SignInPolicy, now: int) -> bool:
    """Say whether a session may do nothing but enrol: it was let in by a code that is not enough here (semantics S10)."""
    return not entrance.sent_codes and level_of(session, now) < Level.APP_CODE
