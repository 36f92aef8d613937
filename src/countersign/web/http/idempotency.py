"""Idempotency keys: the same request under the same key is carried out once (semantics H2).

In this process the second of two that meet is told 409. Across processes the ledger decides: the key is a row of the very
transaction that carries the request out, so the second finds the first answer.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from countersign.errors import InputError
from countersign.flows.verifications.idempotency import IdempotencyKey
from countersign.web.http.problems import ProblemError

if TYPE_CHECKING:
    from countersign.domain.shared.application import Application
    from countersign.keys import Keyring
    from countersign.store.ledger.unit_of_work import AnswerKey
    from countersign.web.http.request import Request

HEADER: Final = "Idempotency-Key"
_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")
_SOON: Final = ("Retry-After", "1")


def idempotency_key_of(keyring: Keyring, req: Request, application: Application, body: bytes) -> IdempotencyKey | None:
    """Return the request's idempotency key with a digest of the whole request, or None without a key. Raises InputError.

    The digest is keyed: a body holds a code of few digits, which a plain hash at rest would give away.
    """
    key = req.get_header(HEADER)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise InputError("Idempotency-Key", "malformed", "An idempotency key is 1 to 255 printable ASCII characters.")
    digest = hashlib.sha256(body).hexdigest()
    return IdempotencyKey(
        (application.id, keyring.blind_index("idempotency key", application.id, key)),
        keyring.blind_index("idempotent request", req.method, req.path, digest),
    )


class InFlight:
    """The idempotency keys of the requests that this process is handling."""

    def __init__(self) -> None:
        self._keys: set[AnswerKey] = set()

    def __call__(self, once: IdempotencyKey | None) -> Turn:
        """Return a context for handling a request. Entering it raises ProblemError while another request has the same key."""
        return Turn(self._keys, once)


class Turn:
    """The time during which one request holds its key."""

    __slots__ = ("_keys", "_once")

    def __init__(self, keys: set[AnswerKey], once: IdempotencyKey | None) -> None:
        self._keys = keys
        self._once = once

    def __enter__(self) -> None:
        if self._once is not None:
            if self._once.key in self._keys:
                raise ProblemError("in_flight", headers=(_SOON,))
            self._keys.add(self._once.key)

    def __exit__(self, *_: object) -> None:
        if self._once is not None:
            self._keys.discard(self._once.key)
