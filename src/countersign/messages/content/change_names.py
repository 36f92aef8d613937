"""The names of changes to an account, as people read them."""

from __future__ import annotations

from typing import Final

from countersign.domain.accounts.change import ChangeKind
from countersign.messages.language.catalogue import mark

CHANGE_NAMES: Final = {
    ChangeKind.CONTACT_ADDED: mark("Contact added: {about}"),
    ChangeKind.CONTACT_REPLACED: mark("Contact replaced by {about}"),
    ChangeKind.CONTACT_PRIMARY: mark("Codes go to {about} first"),
    ChangeKind.CONTACT_REMOVED: mark("Contact removed: {about}"),
    ChangeKind.PASSWORD_CHANGED: mark("Password changed"),
    ChangeKind.PASSWORD_RECOVERED: mark("Password replaced by recovery"),
    ChangeKind.METHOD_ADDED: mark("Way to confirm added: {about}"),
    ChangeKind.METHOD_REMOVED: mark("Way to confirm removed: {about}"),
    ChangeKind.RECOVERY_CODES_MADE: mark("New recovery codes made"),
    ChangeKind.BROWSER_REMOVED: mark("Browser forgotten"),
    ChangeKind.INTEGRATION_CODE_MADE: mark("Integration code made: {about}"),
    ChangeKind.INTEGRATION_CODE_ROTATED: mark("Integration code renewed: {about}"),
    ChangeKind.INTEGRATION_CODE_REVOKED: mark("Integration code revoked: {about}"),
    ChangeKind.ACCESS_RECOVERED: mark("Account taken over by {about}"),
}
"""What a change is, by its kind; `{about}` is what it was about, such as a masked contact."""
ALLOW_RECOVERY: Final = mark("Allow people to ask for the account without its contacts")
"""What the owner approves who lifts the bar on delayed recoveries."""
