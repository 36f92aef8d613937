"""Make receipts of what providers post to us, and the errors for requests that are none."""

from __future__ import annotations

import base64

from countersign.domain.delivery.delivery import Reason, Receipt, ReceiptState
from countersign.errors import InputError
from countersign.providers.http.client import MAX_BODY, MAX_ID


def make_receipt(provider: str, identifier: object, state: ReceiptState, reason: Reason | None = None) -> Receipt:
    """Return a receipt.

    Arguments:
        provider: the name in `[providers.NAME]`.
        identifier: the provider's id of the message, as it was posted.
        state: what became of the message.
        reason: why it was not delivered; REFUSED if nothing is said.

    Raises InputError if the id cannot be one.

    """
    if not isinstance(identifier, str) or not 0 < len(identifier) <= MAX_ID or not identifier.isprintable():
        raise malformed_receipt()
    undelivered = state is ReceiptState.UNDELIVERED
    return Receipt(provider, identifier, state, (reason or Reason.REFUSED) if undelivered else None)


def check_size(body: bytes) -> None:
    """Raise InputError for a body that is larger than what is read."""
    if len(body) > MAX_BODY:
        raise InputError("", "too_large", f"A receipt has at most {MAX_BODY} bytes.")


def basic_credentials(username: str, password: str) -> str:
    """Return the Authorization header of Basic authentication (RFC 7617); an empty text without a password."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}" if password else ""


def malformed_receipt() -> InputError:
    """Return the error for a request that is not what the provider's documentation describes."""
    return InputError("", "malformed", "This is no receipt as the provider's documentation describes it.")


def wrong_signature() -> InputError:
    """Return the error for a request that is not signed with the secret that we share with the provider."""
    return InputError("headers", "signature_wrong", "The receipt is not signed with the secret that the settings hold.")
