"""The statements of NIST SP 800-63B-4 and OWASP ASVS 5.0 that a configuration meets or departs from, with the reasons."""

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
"""Minimum length of a password used alone, in code points: required by NIST, strongly recommended by ASVS."""


class Conformance(StrEnum):
    """How a configuration compares with a statement."""

    MET = "met"
    DEPARTS = "departs"


class Assessment(msgspec.Struct, frozen=True):
    """The assessment of one statement, with the reason."""

    standing: Conformance
    why: str


class Statement(msgspec.Struct, frozen=True):
    """A statement that concerns Countersign, in our words. `judged` assesses a configuration.

    `attacked_by` are the tests that try to break it; each statement that some configuration meets has one.
    """

    source: str
    number: str
    asks: str
    judged: Callable[[Settings], Assessment]
    attacked_by: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return the source and the number of the statement."""
        return f"{self.source}, {self.number}"


class AssessedStatement(msgspec.Struct, frozen=True):
    """A statement together with its assessment."""

    source: str
    number: str
    asks: str
    standing: Conformance
    why: str
    attacked_by: tuple[str, ...]


def assess(settings: Settings) -> list[AssessedStatement]:
    """Return the assessment of every statement for a configuration."""
    found: list[AssessedStatement] = []
    for one in STATEMENTS:
        word = one.judged(settings)
        found.append(AssessedStatement(one.source, one.number, one.asks, word.standing, word.why, one.attacked_by))
    return found


def _always(why: str) -> Callable[[Settings], Assessment]:
    return lambda _: Assessment(Conformance.MET, why)


def _never(why: str) -> Callable[[Settings], Assessment]:
    return lambda _: Assessment(Conformance.DEPARTS, why)


def _recovery(settings: Settings) -> Assessment:
    alone = "A reset does not sign in and bypasses no app, passkey or other contact. All contacts are notified."
    if not settings.recovery.delayed:
        return Assessment(Conformance.MET, alone)
    passes = "contact" if settings.recovery.keeps_authenticators else "app, passkey and contact"
    return Assessment(
        Conformance.DEPARTS,
        f"{alone} But recovery.delayed lets a new contact past every {passes} after 7 days, if nobody stops it.",
    )


def _length(settings: Settings) -> Assessment:
    least = settings.passwords.least
    if least >= ALONE:
        return Assessment(Conformance.MET, f"passwords.least is {least}.")
    if not settings.sign_in.trusted_browsers:
        return Assessment(Conformance.MET, f"passwords.least is {least}, and every sign-in needs a second factor.")
    return Assessment(
        Conformance.DEPARTS,
        f"passwords.least is {least}, and on a trusted browser the password is enough for 30 days.",
    )


def _breached(settings: Settings) -> Assessment:
    if settings.passwords.breached_file is not None:
        return Assessment(Conformance.MET, "each new password is looked up in passwords.breached_file.")
    return Assessment(
        Conformance.DEPARTS, "passwords.breached_file is not set. Common passwords and those made of names are refused."
    )


def _sent(settings: Settings) -> Assessment:
    if not settings.sign_in.sent_codes:
        return Assessment(
            Conformance.MET, "sign_in.sent_codes is no: such a code only serves to enrol an app or a passkey."
        )
    return Assessment(
        Conformance.DEPARTS,
        "sign_in.sent_codes is yes: without an app or a passkey, a code by e-mail signs in and is reported as mail-code.",
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
            f"Sessions end after {hours} hours, but after 30 days on a trusted browser. Their level still falls after 12 hours.",
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
    return Assessment(Conformance.DEPARTS, "public_url is not https, which is for development only.")


STATEMENTS: Final = (
    Statement(NIST, "3.1.1.2", "A password used alone has at least 15 characters; with a second factor, 8.", _length, ("test_a_stricter_site_asks_for_more",)),
    Statement(NIST, "3.1.1.2", "No composition rules, no periodic changes, and at least 64 characters are accepted.", _always("Up to 256 code points of any kind. Passwords do not expire."), ("test_no_rule_of_composition_is_kept", "test_eight_to_256_code_points_are_taken_whatever_they_are")),
    Statement(NIST, "3.1.1.2", "New passwords are compared with a list of common and breached passwords.", _breached, ("test_every_line_of_a_file_is_found_and_nothing_else",)),
    Statement(NIST, "3.1.1.2", "Passwords are stored salted and hashed with a costly function.", _always("Argon2id with 19 MiB and two passes, then sealed. Hashed again when the parameters rise."), ("test_a_hash_has_the_parameters_that_are_promised_and_a_salt_of_its_own", "test_no_name_contact_or_password_stands_readable_in_the_database")),
    Statement(NIST, "3.1.2.1", "Recovery codes (look-up secrets) are used once and stored hashed.", _always("Ten codes of 80 bits, used up in the transaction that accepts them."), ("test_recovery_codes_are_ten_strong_kept_hashed_and_used_once",)),
    Statement(NIST, "3.1.3.1", "Out-of-band codes are not sent by e-mail.", _sent, ("test_where_sent_codes_are_not_enough_they_let_in_to_enrol_only",)),
    Statement(NIST, "3.1.3.2", "A sent code has at least six digits and is accepted once, within ten minutes.", _lifetime, ("test_a_code_lives_ten_minutes_from_its_first_message", "test_of_many_right_answers_at_once_one_is_an_approval")),
    Statement(NIST, "3.1.3.3", "Where codes go by telephone, another method is offered and the person is warned of the risk.", _always("Apps and passkeys are offered on /account/methods, and the page says what a passkey is better at."), ("test_where_codes_come_by_telephone_a_passkey_is_offered_and_its_reason_said",)),
    Statement(NIST, "3.1.4.2", "A code of an authenticator app is accepted once.", _always("Each time step once, over the whole window of one step before and after."), ("test_each_step_is_accepted_once_over_the_whole_window",)),
    Statement(NIST, "3.1.7", "A cryptographic authenticator verifies its user where it counts as two factors.", _always("Passkeys always require user verification."), ("test_a_wrong_answer_is_refused",)),
    Statement(NIST, "3.2.2", "Consecutive failures are limited to 100 for each account.", _never("Five a code. After a password 20 a day pause a contact, and 100 in a row lock it until it is bound anew; app and recovery codes end at 100 in a row. Passwords, and codes that anybody may ask for, have pauses in place of an end: strangers could bring one about.")),
    Statement(NIST, "3.2.5", "A phishing-resistant method is offered.", _always("Passkeys, which alone reach the highest level."), ("test_a_passkey_is_enrolled_and_signs_in_by_itself",)),
    Statement(NIST, "2.2.1", "At AAL2 each authentication uses two factors.", _trust, ("test_no_browser_is_trusted_not_even_one_that_was",)),
    Statement(NIST, "2.2.3", "At AAL2 a session ends after at most 24 hours.", _session, ("test_a_session_ends_after_twelve_hours_and_signing_out_ends_it_on_the_server", "test_no_browser_is_trusted_not_even_one_that_was")),
    Statement(NIST, "2.2.3", "At AAL2 a session ends after an hour of inactivity, unless the risk is accepted.", _never("Sessions do not end by inactivity. Sensitive acts ask for a proof of their own.")),
    Statement(NIST, "4.2", "Recovery does not weaken enrolled authenticators, and the account's contacts are notified.", _recovery, ("test_the_mailbox_alone_does_not_get_past_an_app", "test_a_reset_does_not_get_past_the_app")),
    Statement(NIST, "4.6", "Changes of authenticators and contacts are notified.", _always("To all verified contacts, each with a way to undo the change."), ("test_every_kind_of_change_that_notifies_has_a_notice_of_its_own", "test_the_old_contact_is_told_and_undoes_it")),
    Statement(NIST, "5.1", "Session secrets are random, held by the browser only, and renewed when the level rises.", _always("256 bits in a __Host- cookie, new at each sign-in and step-up."), ("test_every_sign_in_has_a_new_secret_and_ends_the_one_before", "test_cookies_are_the_hosts_own_and_no_script_reads_them")),
    Statement(ASVS, "6.2.1", "Passwords have at least 8 characters.", lambda settings: Assessment(Conformance.MET, f"passwords.least is {settings.passwords.least}."), ("test_eight_to_256_code_points_are_taken_whatever_they_are",)),
    Statement(ASVS, "6.2.3", "Changing a password asks for the current one.", _never("It asks for a code, an app or a passkey for this act instead, so a stolen password is not enough to change it.")),
    Statement(ASVS, "6.2.4", "New passwords are compared with the 3,000 most common.", _always("zxcvbn's list of 30,000, whatever is configured."), ("test_what_everybody_tries_is_common",)),
    Statement(ASVS, "6.2.5", "Passwords of any composition are accepted.", _always("There are no composition rules."), ("test_no_rule_of_composition_is_kept",)),
    Statement(ASVS, "6.2.7", "Paste and password managers work.", _always("Nothing blocks them, and fields declare their purpose."), ("test_password_fields_say_what_they_are_for_and_let_people_paste",)),
    Statement(ASVS, "6.2.8", "A password is verified exactly as entered.", _never("It is first normalised to NFC, as NIST advises, so that every keyboard gives the same password. Nothing is truncated or case-folded.")),
    Statement(ASVS, "6.2.9", "At least 64 characters are permitted.", _always("256."), ("test_eight_to_256_code_points_are_taken_whatever_they_are",)),
    Statement(ASVS, "6.2.11", "Context-specific words are refused.", _always("Passwords made of the site's or the person's name are refused."), ("test_a_password_made_of_names_is_refused",)),
    Statement(ASVS, "6.2.12", "New passwords are compared with breached passwords.", _breached, ("test_every_line_of_a_file_is_found_and_nothing_else",)),
    Statement(ASVS, "6.3.8", "Responses and their timing do not reveal whether an account exists.", _always("Sign-in is measured over 500 samples. Sign-up and recovery send and say the same in both cases."), ("test_every_answer_of_a_flow_is_the_same_for_a_known_and_an_unknown_address", "test_sign_in_takes_as_long_for_an_unknown_name_as_for_a_known_one")),
    Statement(ASVS, "6.5.1", "Codes and look-up secrets work once.", _always("Decided in one transaction."), ("test_of_many_right_answers_at_once_one_is_an_approval", "test_recovery_codes_are_ten_strong_kept_hashed_and_used_once")),
    Statement(ASVS, "6.5.5", "Sent codes live at most ten minutes, codes of apps 30 seconds.", _lifetime, ("test_a_code_lives_ten_minutes_from_its_first_message", "test_a_code_is_taken_a_step_early_or_late")),
    Statement(ASVS, "6.6.2", "A code is bound to the request that it was created for.", _always("It is derived from its challenge, which fixes purpose, act and browser."), ("test_a_code_of_one_verification_is_worth_nothing_for_another", "test_a_code_works_in_the_browser_that_asked_and_in_no_other")),
    Statement(ASVS, "12.2.1", "All traffic uses TLS.", _tls, ("test_over_tls_every_answer_asks_for_it_again", "test_cookies_are_the_hosts_own_and_no_script_reads_them")),
)  # fmt: skip
"""All statements in the order of their source, with the numbers of the published texts."""
