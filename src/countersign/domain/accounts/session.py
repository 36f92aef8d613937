"""Sessions: what a browser has proved, when, and the authentication level that these proofs are worth now.

Levels, methods and their ages follow OpenID Connect Core 1.0 (`acr`, `amr`, `auth_time`, `max_age`), RFC 8176 and NIST SP 800-63B.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum, StrEnum
from typing import Final

import msgspec

from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.challenge import Action

HOUR: Final = 3_600_000
SESSION_LIFETIME: Final = 12 * HOUR
"""Milliseconds from sign-in to the end of a session, and from a proof to the end of the level it gave (semantics S8, U3)."""
REMEMBERED_SESSION_LIFETIME: Final = 30 * 24 * HOUR
"""Milliseconds that the session of a trusted browser lasts. After SESSION_LIFETIME it is at the lowest level."""
APPROVAL_LIFETIME: Final = 300_000
"""Milliseconds within which an approved action must be carried out."""
OWN_PAGES: Final = "own"
"""The audience of a proof that our own pages asked for."""
LAST_SEEN_INTERVAL: Final = 60_000
"""Milliseconds between two updates of the time at which a session was last used."""


class SignInPolicy(msgspec.Struct, frozen=True):
    """What an installation asks for at sign-in.

    - `session_lifetime`: milliseconds that a session lasts, except on a trusted browser.
    - `trusts_browsers`: whether a user may choose to skip the code on this browser.
    - `sent_codes`: whether a code by email or phone is enough. Where it is not, a user without an authenticator app or a passkey still
      signs in with such a code, but only to enrol one (semantics S10).
    """

    session_lifetime: int = SESSION_LIFETIME
    trusts_browsers: bool = True
    sent_codes: bool = True


class Method(StrEnum):
    """The authentication method of a proof. The values are stored."""

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
    """The authentication level of a session, weakest first. Clients know a level by its `acr`."""

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


LEVEL_OF_ACR: Final = {level.acr: level for level in Level}

LEVEL_OF_METHOD: Final = {
    Method.PASSWORD: Level.PASSWORD,
    Method.TRUSTED_DEVICE: Level.TRUSTED_DEVICE,
    Method.MAIL_CODE: Level.MAIL_CODE,
    Method.SMS_CODE: Level.PHONE_CODE,
    Method.VOICE_CODE: Level.PHONE_CODE,
    Method.APP_CODE: Level.APP_CODE,
    # A look-up secret (NIST SP 800-63B-4, 3.1.2) is something the user has, entered like a code of an app.
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
    # RFC 8176: a passkey that is synced between devices is a software key, one bound to its device a hardware key.
    Method.PASSKEY: ("swk", "user"),
    Method.SECURITY_KEY: ("hwk", "user"),
}
_DIGEST_LABEL: Final = "countersign approval v2"
_SECOND_FACTORS: Final = frozenset(
    {Method.SMS_CODE, Method.VOICE_CODE, Method.MAIL_CODE, Method.APP_CODE, Method.RECOVERY_CODE}
)
_MULTI_FACTOR: Final = frozenset({Method.PASSKEY, Method.SECURITY_KEY})
"""Methods that are two factors by themselves: a key the user has, unlocked by a PIN or a fingerprint (semantics U4)."""


STRONG_METHODS: Final = frozenset({Method.APP_CODE, Method.PASSKEY, Method.SECURITY_KEY})
"""Methods of an enrolled authenticator, which no contact stands in for."""


class SessionProof(msgspec.Struct, frozen=True, omit_defaults=True):
    """One proof by the user: the method and the time (milliseconds since the epoch).

    `action_digest` names the one act that the proof approves (`ProofRequirement.action_digest`). Such a proof counts for that act alone,
    and is removed once the act is carried out. It is empty for a proof that counts for the session (semantics P1, P2).

    `source` is the id of the contact or authenticator that proved. It is empty for a password and a trusted browser.
    """

    method: Method
    proved_at: int = msgspec.field(name="at")
    action_digest: str = msgspec.field(name="action", default="")
    source: str = msgspec.field(name="by", default="")


class Session(msgspec.Struct, frozen=True):
    """A signed-in browser. Times are milliseconds since the epoch.

    `token_hash` is the keyed hash of the session cookie and changes with every step-up; `id` stays the same. `device_token_hash` is the
    keyed hash of the device cookie of the same browser. `epoch` is that of the account in which the proofs were given: in any other one
    they count for nothing (semantics A8, P3).
    """

    token_hash: bytes
    id: str
    account: str
    device_token_hash: bytes
    created_at: int
    user_agent: str
    ip: str
    place: str
    proofs: tuple[SessionProof, ...]
    last_seen_at: int
    expires_at: int
    epoch: int = 0

    def __repr__(self) -> str:
        """Show what may stand in a log."""
        return f"Session({self.id})"


class ProofRequirement(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a page or an action requires of the session.

    - `level`: the lowest level that is enough.
    - `max_age`: the greatest age of the proof in seconds. None: as long as the level lasts.
    - `action`: the action to approve. With one, no earlier proof is enough: the code is requested for this very action and approves no
      other (semantics U2).
    - `excluded_contact`: the id of a contact that may not approve where there is another method (semantics A1).
    - `client_id`: the id of the application that asks; empty if our own pages ask.
    - `kind`: the kind of the act, for example "contact_removed". Two acts of different kinds are never the same act (semantics P1).
    """

    level: Level = Level.PASSWORD
    max_age: int | None = None
    action: Action = Action()
    excluded_contact: str = msgspec.field(name="without", default="")
    client_id: str = msgspec.field(name="client", default="")
    kind: str = ""

    @property
    def is_for_one_action(self) -> bool:
        """Whether the approval counts for one action only."""
        return not self.action.is_empty

    @property
    def challenge_action(self) -> Action:
        """Return the action as a challenge keeps it: its code joins no challenge of another act, or of another audience (semantics P1)."""
        return msgspec.structs.replace(self.action, digest=self.action_digest)

    @property
    def action_digest(self) -> str:
        """Return the SHA-256 digest (hex) of the act and of its audience; empty if there is no act.

        Every part stands behind its own length, so no two acts have the same digest (semantics P1).
        """
        if not self.is_for_one_action:
            return ""
        audience = f"client:{self.client_id}" if self.client_id else OWN_PAGES
        digest = hashlib.sha256()
        for part in (_DIGEST_LABEL, audience, self.kind, self.excluded_contact, self.action.summary, self.action.hash):
            encoded = part.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(4) + encoded)
        return digest.hexdigest()


def satisfies(session: Session, requirement: ProofRequirement, now: int) -> bool:
    """Return True if the session needs no further proof for this requirement.

    For example, a session with a code by email from ten minutes ago satisfies `ProofRequirement(Level.MAIL_CODE, max_age=900)`.
    """
    proofs = matching_proofs(session, requirement, now)
    if requirement.max_age is not None:
        # Trust in a browser proves nothing new: only what the user did counts as fresh.
        proofs = tuple(proof for proof in proofs if proof.method is not Method.TRUSTED_DEVICE)
    if not proofs and (requirement.is_for_one_action or requirement.max_age is not None):
        return False
    return _strongest(proofs) >= requirement.level


def matching_proofs(session: Session, requirement: ProofRequirement, now: int) -> tuple[SessionProof, ...]:
    """Return the proofs that count for this requirement at `now` (milliseconds), whatever their level.

    For an act only its own approvals count, for everything else only proofs that approve no act (semantics P1, P2).
    """
    longest = APPROVAL_LIFETIME if requirement.is_for_one_action else SESSION_LIFETIME
    if requirement.max_age is not None:
        longest = min(longest, requirement.max_age * 1_000)
    return tuple(
        proof
        for proof in session.proofs
        if proof.action_digest == requirement.action_digest and now - longest <= proof.proved_at <= now
    )


def approval_source(session: Session, requirement: ProofRequirement, now: int) -> str:
    """Return the id of the contact or authenticator that has approved an act last, at `now` (ms); empty if none has."""
    approvals = matching_proofs(session, requirement, now) if requirement.is_for_one_action else ()
    return max(approvals, key=lambda one: one.proved_at).source if approvals else ""


def fresh_strong_proof(session: Session, now: int) -> SessionProof | None:
    """Return the app's code or the passkey that the user has given within APPROVAL_LIFETIME, at `now` (ms); None if there is none.

    A recovery code is none of these, nor is the approval of an act (semantics P2).
    """
    requirement = ProofRequirement(max_age=APPROVAL_LIFETIME // 1_000)
    fresh = [one for one in matching_proofs(session, requirement, now) if one.method in STRONG_METHODS]
    return max(fresh, key=lambda one: one.proved_at, default=None)


def current_level(session: Session, now: int, max_age: int | None = None) -> Level:
    """Return the strongest level whose proof is still valid, and at most `max_age` seconds old if that is given.

    The approval of an act raises no level (semantics P2).
    """
    return _strongest(matching_proofs(session, ProofRequirement(max_age=max_age), now))


def strongest_method(session: Session, now: int) -> Method:
    """Return how the user has proved the present level of a session: of two that are as strong, the later one."""
    proofs = matching_proofs(session, ProofRequirement(), now)
    found = max(proofs, key=lambda one: (LEVEL_OF_METHOD[one.method], one.proved_at), default=None)
    return Method.PASSWORD if found is None else found.method


def in_epoch(session: Session, epoch: int) -> Session:
    """Return the session as it counts in the present epoch of its account: without proofs, if they are of another one (semantics P3).

    A session that is left without proofs is still signed in, at the lowest level.
    """
    return session if session.epoch == epoch else msgspec.structs.replace(session, proofs=(), epoch=epoch)


def into_epoch(session: Session, epoch: int, ended: frozenset[str]) -> Session:
    """Return the session that has just changed its account, with its proofs carried into the new epoch.

    The proofs by a contact or an authenticator that has ended are left behind; `ended` holds their ids.
    """
    kept = tuple(proof for proof in session.proofs if not proof.source or proof.source not in ended)
    return msgspec.structs.replace(session, proofs=kept, epoch=epoch)


def _strongest(proofs: tuple[SessionProof, ...]) -> Level:
    return max((LEVEL_OF_METHOD[proof.method] for proof in proofs), default=Level.PASSWORD)


class AuthenticationEvent(msgspec.Struct, frozen=True):
    """How and when the user was authenticated, as an ID token reports it; `auth_time` is in seconds since the epoch."""

    acr: str
    amr: tuple[str, ...]
    auth_time: int


def authentication_event(session: Session, requirement: ProofRequirement, now: int) -> AuthenticationEvent:
    """Return what may be reported to the client whose request had this requirement.

    A level that has expired, or that is older than the requested `max_age`, is not reported (semantics U3). The approval of an act is
    reported in the answer to that act, and in no other (semantics P2).
    """
    approvals = matching_proofs(session, requirement, now) if requirement.is_for_one_action else ()
    max_age = None if requirement.is_for_one_action else requirement.max_age
    level = max(current_level(session, now, max_age), _strongest(approvals))
    last_approval = max((proof.proved_at for proof in approvals), default=0) // 1_000
    methods = {proof.method for proof in (*matching_proofs(session, ProofRequirement(), now), *approvals)}
    return AuthenticationEvent(level.acr, tuple(_amr(methods)), max(auth_time(session), last_approval))


def amr_values(session: Session, now: int) -> list[str]:
    """Return the `amr` claim: the authentication methods by RFC 8176, and `mail`, which is ours.

    It holds `mfa` only if the user proved two different factors (semantics S5). For example `["pwd", "sms", "otp", "mfa"]`.
    """
    return _amr({proof.method for proof in matching_proofs(session, ProofRequirement(), now)})


def _amr(methods: set[Method]) -> list[str]:
    values = [value for method in Method if method in methods for value in _AMR[method]]
    if methods & _MULTI_FACTOR or (Method.PASSWORD in methods and methods & _SECOND_FACTORS):
        values.append("mfa")
    return list(dict.fromkeys(values))


def auth_time(session: Session) -> int:
    """Return the `auth_time` claim: when the user last proved something for the session, in seconds since the epoch.

    Visiting a page does not move it, nor does the approval of an act (semantics P2).
    """
    times = (proof.proved_at for proof in session.proofs if not proof.action_digest)
    return max(times, default=session.created_at) // 1_000


def with_proof(session: Session, token_hash: bytes, proof: SessionProof) -> Session:
    """Return the session after a further proof, under the keyed hash of a new cookie. It ends when it would have ended before.

    A proof replaces the one before it that had the same method and the same act. Approvals that have run out are dropped.
    """
    kept = tuple(
        old
        for old in session.proofs
        if (old.method, old.action_digest) != (proof.method, proof.action_digest)
        and (not old.action_digest or proof.proved_at - old.proved_at <= APPROVAL_LIFETIME)
    )
    return msgspec.structs.replace(session, token_hash=token_hash, proofs=(*kept, proof), last_seen_at=proof.proved_at)


def with_approval_used(session: Session, requirement: ProofRequirement) -> Session:
    """Return the session without its approvals of this act, so that the act is carried out once (semantics U1).

    What is used up counts for nothing else either (semantics P2).
    """
    digest = requirement.action_digest
    if not digest:
        return session
    proofs = tuple(proof for proof in session.proofs if proof.action_digest != digest)
    return msgspec.structs.replace(session, proofs=proofs)


def is_enrolment_only(session: Session, policy: SignInPolicy, now: int) -> bool:
    """Return True if the session may only enrol an authenticator, because codes by email and phone are not enough here (S10)."""
    return not policy.sent_codes and current_level(session, now) < Level.APP_CODE
