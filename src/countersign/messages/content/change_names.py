"""The names of changes to an account, as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.change import ChangeKind
from countersign.messages.custom.sanitize import MAX_SUMMARY
from countersign.messages.language.catalogue import mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countersign.domain.accounts.change import AccountChange
    from countersign.messages.language.catalogue import Language

CHANGE_NAMES: Final = {
    ChangeKind.CONTACT_ADDED: mark("Contact details added: {about}"),
    ChangeKind.CONTACT_REPLACED: mark("Contact details replaced with {about}"),
    ChangeKind.CONTACT_PRIMARY: mark("Codes go to {about} first"),
    ChangeKind.CONTACT_REMOVED: mark("Contact details removed: {about}"),
    ChangeKind.PASSWORD_CHANGED: mark("Password changed"),
    ChangeKind.PASSWORD_RECOVERED: mark("Password reset by account recovery"),
    ChangeKind.METHOD_ADDED: mark("Sign-in method added: {about}"),
    ChangeKind.METHOD_REMOVED: mark("Sign-in method removed: {about}"),
    ChangeKind.RECOVERY_CODES_MADE: mark("New recovery codes created"),
    ChangeKind.BROWSER_REMOVED: mark("Browser forgotten"),
    ChangeKind.INTEGRATION_CODE_MADE: mark("Integration code created: {about}"),
    ChangeKind.INTEGRATION_CODE_ROTATED: mark("Integration code renewed: {about}"),
    ChangeKind.INTEGRATION_CODE_REVOKED: mark("Integration code revoked: {about}"),
    ChangeKind.ACCESS_RECOVERED: mark("Account recovered with new contact details: {about}"),
}
"""What a change is, by its kind; `{about}` is what it was about, such as a masked contact."""


def change_name(change: AccountChange, language: Language, about: str) -> str:
    """Return what a change is; `about` is what its contact or authenticator is called."""
    return language.say(CHANGE_NAMES[change.kind], about=language.isolated(about))


_CONTACTS: Final = {
    ChangeKind.CONTACT_ADDED: mark("Add {contact} to your account"),
    ChangeKind.CONTACT_REPLACED: mark("Replace {before} with {contact}"),
    ChangeKind.CONTACT_PRIMARY: mark("Send codes to {contact} first"),
    ChangeKind.CONTACT_REMOVED: mark("Remove {contact} from your account"),
}
DELETE_ACCOUNT: Final = mark("Delete your account")
"""What the owner approves who asks for the deletion of the account."""
EXPORT_DATA: Final = mark("Download everything we store about you")
"""What the owner approves who downloads the data of the account."""


def contact_summary(kind: ChangeKind, language: Language, before: str, contact: str) -> str:
    """Return what a person approves who changes a contact: `before` is what an old one is called, `contact` a new one."""
    return language.say(_CONTACTS[kind], before=language.isolated(before), contact=language.isolated(contact or before))


_CODES: Final = {
    ChangeKind.INTEGRATION_CODE_MADE: mark("Create an integration code for {days}, with the scopes {scopes}: “{name}”"),
    ChangeKind.INTEGRATION_CODE_ROTATED: mark(
        "Renew an integration code for {days}, with the scopes {scopes}: “{name}”"
    ),
}


def integration_code_summary(kind: ChangeKind, language: Language, name: str, scopes: Sequence[str], days: int) -> str:
    """Return what a person approves who makes or renews an integration code: for how long, what it may do, and its name.

    The name comes last, since a summary that is too long for a message is cut there. Of many scopes the first are named, with the
    number of the others.
    """
    summary = ""
    for named in range(len(scopes), 0, -1):
        others = f" (+{len(scopes) - named})" if named < len(scopes) else ""
        summary = language.say(
            _CODES[kind],
            days=language.count("{number} day", "{number} days", days),
            scopes=", ".join(scopes[:named]) + others,
            name=name,
        )
        if len(summary) <= MAX_SUMMARY:
            break
    return summary


ALLOW_RECOVERY: Final = mark("Allow requests to recover your account with new contact details")
"""What the owner approves who lifts the bar on delayed recoveries."""
