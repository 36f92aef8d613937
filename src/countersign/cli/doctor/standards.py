"""Standards: which statements of NIST SP 800-63B-4 and OWASP ASVS 5.0 a configuration meets, and which it departs from, and why."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec

from countersign.config import Settings
from countersign.domain.verifications.purpose import MAX_LIFETIME

NIST: Final = "NIST SP 800-63B-4"
ASVS: Final = "OWASP ASVS 5.0"
AAL2_HOURS: Final = 24
ALONE: Final = 15
"""Code points of a password that stands alone, by NIST; strongly recommended by ASVS."""


class Conformance(StrEnum):
    """How a configuration stands to a statement."""

    MET = "met"
    DEPARTS = "departs"


class Assessment(msgspec.Struct, frozen=True):
    """What is said of one statement: how it stands, and why."""

    standing: Conformance
    why: str


class Statement(msgspec.Struct, frozen=True):
    """One statement that bears on what Countersign does, in our words; `judged` says how a configuration stands to it."""

    source: str
    number: str
    asks: str
    judged: Callable[[Settings], Assessment]

    @property
    def name(self) -> str:
        """Return where it stands."""
        return f"{self.source}, {self.number}"


class AssessedStatement(msgspec.Struct, frozen=True):
    """A statement, and what is said of it."""

    source: str
    number: str
    asks: str
    standing: Conformance
    why: str


def assess(settings: Settings) -> list[AssessedStatement]:
    """Return how a configuration stands to every statement."""
    found: list[AssessedStatement] = []
    for one in STATEMENTS:
        word = one.judged(settings)
        found.append(AssessedStatement(one.source, one.number, one.asks, word.standing, word.why))
    return found


def _always(why: str) -> Callable[[Settings], Assessment]:
    return lambda _: Assessment(Conformance.MET, why)


def _never(why: str) -> Callable[[Settings], Assessment]:
    return lambda _: Assessment(Conformance.DEPARTS, why)


def _length(settings: Settings) -> Assessment:
    least = settings.passwords.least
    if least >= ALONE:
        return Assessment(Conformance.MET, f"passwords.least is {least}.")
    if not settings.sign_in.trusted_browsers:
        return Assessment(Conformance.MET, f"passwords.least is {least}, and every sign-in needs a second factor.")
    return Assessment(
        Conformance.DEPARTS,
        f"passwords.least is {least}, and on a browser that a person trusts the password stands alone for 30 days.",
    )


def _breached(settings: Settings) -> Assessment:
    if settings.passwords.breached_file is not None:
        return Assessment(Conformance.MET, "passwords.breached_file is searched for each new password.")
    return Assessment(
        Conformance.DEPARTS, "passwords.breached_file is not set; common passwords and those made of names are refused."
    )


def _sent(settings: Settings) -> Assessment:
    if not settings.sign_in.sent_codes:
        return Assessment(
            Conformance.MET, "sign_in.sent_codes is no: such a code serves to enrol an app or a passkey alone."
        )
    return Assessment(
        Conformance.DEPARTS,
        "sign_in.sent_codes is yes: a code by e-mail lets in where no app or passkey is enrolled, and is reported as mail-code.",
    )


def _trust(settings: Settings) -> Assessment:
    if not settings.sign_in.trusted_browsers:
        return Assessment(Conformance.MET, "sign_in.trusted_browsers is no.")
    return Assessment(
        Conformance.DEPARTS,
        "sign_in.trusted_browsers is yes: a browser may skip the code at sign-in for 30 days. It does not claim mfa, and skips no step-up.",
    )


def _session(settings: Settings) -> Assessment:
    hours = settings.sign_in.session_hours
    if settings.sign_in.trusted_browsers:
        return Assessment(
            Conformance.DEPARTS,
            f"Sessions end after {hours} hours, but after 30 days on a trusted browser; its level falls after 12 hours all the same.",
        )
    return Assessment(Conformance.MET, f"Sessions end {hours} hours after sign-in, at most {AAL2_HOURS}.")


def _lifetime(settings: Settings) -> Assessment:
    longest = max(policy.lifetime for policy in settings.purposes.values())
    return Assessment(
        Conformance.MET,
        f"The longest lifetime of a code is {longest} seconds; more than {MAX_LIFETIME} does not start.",
    )


def _tls(settings: Settings) -> Assessment:
    if settings.public_url.startswith("https://"):
        return Assessment(Conformance.MET, "public_url is https; cookies are Secure, and HSTS is sent.")
    return Assessment(Conformance.DEPARTS, "public_url is not https, which is for development alone.")


STATEMENTS: Final = (
    Statement(NIST, "3.1.1.2", "A password that stands alone has at least 15 characters, with a second factor 8.", _length),
    Statement(NIST, "3.1.1.2", "No rules of composition, no change at intervals, and 64 characters at least are taken.", _always("Up to 256 code points of any kind; nothing expires.")),
    Statement(NIST, "3.1.1.2", "New passwords are compared with a list of common and breached ones.", _breached),
    Statement(NIST, "3.1.1.2", "Passwords are kept salted and hashed by a costly function.", _always("Argon2id, 19 MiB, two passes, sealed on top; hashed anew when the parameters rise.")),
    Statement(NIST, "3.1.2.1", "Recovery codes (look-up secrets) are used once and kept hashed.", _always("Ten of 80 bits, spent in the transaction that accepts them.")),
    Statement(NIST, "3.1.3.1", "Out-of-band codes do not go by e-mail.", _sent),
    Statement(NIST, "3.1.3.2", "A code that is sent has at least six digits, is accepted once, and within ten minutes.", _lifetime),
    Statement(NIST, "3.1.3.3", "Where codes go by telephone, another way is offered, and the person is told of the risk.", _always("Apps and passkeys are offered on /account/methods, and the page says what a passkey is better at.")),
    Statement(NIST, "3.1.4.2", "A code of an authenticator app is accepted once in its time.", _always("Each step once, over the whole window of one step before and after.")),
    Statement(NIST, "3.1.7", "A cryptographic authenticator verifies its person where it counts as two factors.", _always("Passkeys are asked for with user verification, always.")),
    Statement(NIST, "3.2.2", "Failures in a row are limited to 100 for each account.", _always("Five a code, twenty a day pause a contact, a hundred in a row lock it until it is bound anew; apps and recovery codes 10 in six hours.")),
    Statement(NIST, "3.2.5", "A way that cannot be phished is offered.", _always("Passkeys, which alone are the highest level.")),
    Statement(NIST, "2.2.1", "At AAL2 two factors are shown at each authentication.", _trust),
    Statement(NIST, "2.2.3", "At AAL2 a session ends after 24 hours at most.", _session),
    Statement(NIST, "2.2.3", "At AAL2 a session ends after an hour without use, unless the risk is accepted.", _never("Sessions do not end by inactivity. What is sensitive asks for a proof of its own.")),
    Statement(NIST, "4.2", "Recovery does not lower what is enrolled, and is told to the account's contacts.", _always("A reset signs nobody in, gets past no app, passkey or other contact, and is told to all.")),
    Statement(NIST, "4.6", "Changes of authenticators and contacts are told.", _always("To all proved contacts, each with a way to undo it.")),
    Statement(NIST, "5.1", "Session secrets are random, kept by the browser alone, and renewed when the level rises.", _always("256 bits in a __Host- cookie; a new one at each sign-in and step-up.")),
    Statement(ASVS, "6.2.1", "Passwords have at least 8 characters.", lambda settings: Assessment(Conformance.MET, f"passwords.least is {settings.passwords.least}.")),
    Statement(ASVS, "6.2.3", "Changing a password asks for the current one.", _never("It asks for a code, an app or a passkey for this very act instead: whoever has stolen a password cannot change it with it.")),
    Statement(ASVS, "6.2.4", "New passwords are compared with the 3,000 most common.", _always("zxcvbn's list of 30,000, whatever is configured.")),
    Statement(ASVS, "6.2.5", "Passwords of any composition are taken.", _always("There are no such rules.")),
    Statement(ASVS, "6.2.7", "Paste and password managers work.", _always("Nothing hinders them; fields say what they are for.")),
    Statement(ASVS, "6.2.8", "A password is verified exactly as it was typed.", _never("It is put in Unicode's form NFC first, as NIST advises, so that it is the same from every keyboard. Nothing is cut or folded.")),
    Statement(ASVS, "6.2.9", "64 characters at least are permitted.", _always("256.")),
    Statement(ASVS, "6.2.11", "Words of the context are refused.", _always("Passwords made of the site's and the person's names.")),
    Statement(ASVS, "6.2.12", "New passwords are compared with breached ones.", _breached),
    Statement(ASVS, "6.3.8", "Who has an account cannot be told from answers or their time.", _always("Sign-in is measured over 500 samples; sign-up and recovery send as much and say the same.")),
    Statement(ASVS, "6.5.1", "Codes and look-up secrets work once.", _always("Decided in one transaction.")),
    Statement(ASVS, "6.5.5", "Codes that are sent live ten minutes at most, those of apps 30 seconds.", _lifetime),
    Statement(ASVS, "6.6.2", "A code is bound to the request it was made for.", _always("Derived from its challenge, which fixes purpose, act and browser.")),
    Statement(ASVS, "12.2.1", "Everything travels by TLS.", _tls),
)  # fmt: skip
"""Every statement, in the order of its source; the numbers are those of the published texts."""
