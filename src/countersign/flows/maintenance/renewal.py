"""Renew rows: seal under the active key what another key sealed, and put keyed hashes into the form of the newest index."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from countersign.domain.verifications.challenge import Challenge, Terms, summary_binding
from countersign.flows.verifications.results import Done, Outcome, Refused
from countersign.keys import Keyring
from countersign.keys.derived_key import DerivedKey
from countersign.store.engine.database import Row, Table
from countersign.store.tables import challenges
from countersign.store.tables.protected_columns import HASHED_OF, SEALED_OF, SealedColumn, position
from countersign.store.tables.schema import ANSWERS, CHALLENGES

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Outcome).decode
_decode_terms: Final = msgspec.json.Decoder(Terms).decode
_OUTCOME: Final = position(ANSWERS, "outcome")


class RowRenewal:
    """Renews rows under the active key and the newest index of a keyring."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def replacing(self) -> bool:
        """Say whether an index is being replaced."""
        return self._keyring.replacing_index

    def earlier_forms(self, hash_: bytes) -> tuple[bytes, ...]:
        """Return the forms under which a hash may still be stored."""
        return self._keyring.earlier_forms(hash_)

    def renew(self, stored: bytes) -> bytes:
        """Return the form of a stored hash under the newest index."""
        return self._keyring.renew(stored)

    def renewed_row(self, table: Table, row: Row) -> Row:
        """Return a row as it would be written now. Raises SettingsError or UnavailableError if a sealed value cannot be opened.

        A value that the active key sealed already stays as it is, so a row that needs nothing is returned unchanged.
        """
        if table == CHALLENGES:
            return self._renewed_challenge(row)
        values = list(row)
        for column in HASHED_OF[table.name]:
            place = position(table, column.column)
            if values[place] and column.holds_hash(row):
                values[place] = self._renew(bytes(values[place]))
        for sealed in SEALED_OF[table.name]:
            place = position(table, sealed.column)
            if values[place]:
                values[place] = self._resealed(bytes(values[place]), _binding(sealed, row), _binding(sealed, values))
        if table == ANSWERS:
            values[_OUTCOME] = self._renewed_outcome(bytes(values[_OUTCOME]))
        return tuple(values)

    def open_row(self, table: Table, row: Row) -> int:
        """Open every sealed value of a row, and return how many it has. Raises SettingsError or UnavailableError for one that cannot be."""
        if table == CHALLENGES:
            return self._open_challenge(challenges.from_row(row))
        opened = 0
        for sealed in SEALED_OF[table.name]:
            value = row[position(table, sealed.column)]
            if value:
                self._keyring.unseal(bytes(value), _binding(sealed, row))
                opened += 1
        if table == ANSWERS:
            outcome = _decode(bytes(row[_OUTCOME]))
            if isinstance(outcome, Done | Refused) and outcome.challenge is not None:
                opened += self._open_challenge(outcome.challenge)
        return opened

    def _open_challenge(self, challenge: Challenge) -> int:
        key, terms = self._keyring.named(challenge.terms.sealing_kid), challenge.terms
        key.unseal(terms.to, challenge.id.encode())
        if terms.summary:
            key.unseal(terms.summary, summary_binding(challenge.id))
        return 1 + bool(terms.summary)

    def is_open(self, hash_: bytes) -> bool:
        """Say whether a stored hash is of an index that is still found."""
        place = self._keyring.hashes.position_of(hash_)
        return place is None or self._keyring.hashes.is_open(place)

    def _renew(self, stored: bytes) -> bytes:
        return self._keyring.hashes.renew(stored, remember=False)

    def _resealed(self, sealed: bytes, bound_to: str, bound_anew: str) -> bytes:
        kid = sealed.partition(b".")[0]
        if kid == self._keyring.primary.kid.encode() and bound_to == bound_anew:
            return sealed
        return self._keyring.seal(self._keyring.unseal(sealed, bound_to), bound_anew)

    def _renewed_challenge(self, row: Row) -> Row:
        before = challenges.from_row(row)
        after = self._renewed(before)
        return row if after == before else challenges.to_row(after)

    def _renewed(self, challenge: Challenge) -> Challenge:
        """Return a challenge with its hashes and its sealed contact renewed. The key that derives its code stays the same."""
        key, terms = self._keyring.primary, challenge.terms
        if terms.sealing_kid != key.kid:
            bound_to = challenge.id.encode()
            sealed_by = self._keyring.named(terms.sealing_kid)
            summary = _resealed_summary(sealed_by, key, terms.summary, challenge.id)
            to = key.seal(sealed_by.unseal(terms.to, bound_to), bound_to)
            terms = replace(terms, to=to, summary=summary, resealed_with=key.kid)
        return replace(
            challenge,
            dedup_key=self._renew(challenge.dedup_key),
            lockout_key=self._renew(challenge.lockout_key),
            terms=terms,
        )

    def _renewed_outcome(self, encoded: bytes) -> bytes:
        outcome = _decode(encoded)
        if not isinstance(outcome, Done | Refused) or outcome.challenge is None:
            return encoded
        renewed = self._renewed(outcome.challenge)
        return encoded if renewed == outcome.challenge else _encode(replace(outcome, challenge=renewed))


def sealing_kid(table: Table, encoded: bytes) -> str:
    """Return the id of the key that seals the contact in a nested column; empty if there is none, or it cannot be read."""
    try:
        if table == CHALLENGES:
            return _decode_terms(encoded).sealing_kid
        outcome = _decode(encoded)
    except msgspec.MsgspecError:
        return ""
    challenge = outcome.challenge if isinstance(outcome, Done | Refused) else None
    return challenge.terms.sealing_kid if challenge is not None else ""


def _resealed_summary(sealed_by: DerivedKey, key: DerivedKey, summary: bytes, challenge: str) -> bytes:
    bound_to = summary_binding(challenge)
    return key.seal(sealed_by.unseal(summary, bound_to), bound_to) if summary else b""


def _binding(column: SealedColumn, row: Row) -> str:
    """Return what a sealed value of this row is bound to."""
    value = row[position(column.table, column.bound_by)]
    return value.hex() if isinstance(value, bytes) else str(value)
