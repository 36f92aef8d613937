"""Receive receipts over SMPP: each is recorded before it is answered, and one that comes before our own record waits a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from countersign.domain.delivery.delivery import Receipt, ReceiptState
from countersign.errors import UnavailableError
from countersign.providers import ReceiptHandler
from countersign.providers.smpp.pdu import MalformedError, decode_short_message
from countersign.providers.smpp.receipt import SmppReceipt, parse_receipt, spellings, zero_padded
from countersign.providers.smpp.status import NOT_UNDERSTOOD, OK, TRY_LATER

WAITS: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between searches for a message that is not known yet: its hand-over is recorded within one or two seconds."""
MAX_CONCATENATED: Final = 10_000
"""Messages of several parts whose receipts are expected; for older ones only the receipt of the last part counts."""

_log = structlog.get_logger("countersign.smpp")


class ReceiptReceiver:
    """Records the receipts of one provider; a message of several parts is known by the id of its last part.

    Arguments:
        name: the provider's name.
        ids: how receipts write the ids of messages; see `spellings`, or "any" to find out.

    `on_receipt` is called with each receipt; until it is set, receipts are ignored.
    """

    def __init__(self, name: str, ids: str) -> None:
        self._name = name
        self._ids = ids
        self._parts: dict[str, tuple[str, ...]] = {}
        self._missing: dict[str, set[str]] = {}
        self._last: dict[str, str] = {}
        self.on_receipt: ReceiptHandler | None = None

    def join(self, identifiers: Sequence[str]) -> None:
        """Remember the ids of the parts of one message, which is delivered when all of them are."""
        last = identifiers[-1]
        self._missing[last] = set(identifiers)
        self._parts[last] = tuple(identifiers)
        self._last.update(dict.fromkeys(identifiers, last))
        while len(self._parts) > MAX_CONCATENATED:
            oldest = next(iter(self._parts))
            del self._missing[oldest]
            for part in self._parts.pop(oldest):
                self._last.pop(part, None)

    async def receive(self, body: bytes) -> int:
        """Record the receipt in the body of a deliver_sm and return the status to answer with.

        ESME_ROK: it is recorded, or its message is unknown. ESME_RX_T_APPN: it could not be recorded, and must be sent again.
        """
        try:
            receipt = parse_receipt(decode_short_message(body))
        except MalformedError:
            _log.warning("receipt_malformed", provider=self._name)
            return NOT_UNDERSTOOD
        if receipt is None:
            return OK  # a person has written to us; nobody would read it
        if receipt.state is None or self.on_receipt is None:
            return OK
        if receipt.state is ReceiptState.UNDELIVERED:
            _log.info("receipt_undelivered", provider=self._name, reason=receipt.reason, error=receipt.error)
        try:
            return await self._record(self.on_receipt, receipt, receipt.state)
        except UnavailableError:
            return TRY_LATER
        except Exception as error:  # noqa: BLE001 - a receipt that causes a fault must not end the session
            _log.error("receipt_broke", provider=self._name, error=type(error).__name__)
            return TRY_LATER

    async def _record(self, on_receipt: ReceiptHandler, receipt: SmppReceipt, state: ReceiptState) -> int:
        likely = spellings(receipt.id, "same" if self._ids == "any" else self._ids)
        guesses = ("decimal", "hex") if self._ids == "any" else ()
        # Only a letter proves that one side writes hexadecimal; with digits alone it could be another message.
        guessed = [
            (name, guess)
            for guess in guesses
            for name in spellings(receipt.id, guess)
            if not (name.isdigit() and receipt.id.isdigit())
        ]
        padded = zero_padded(receipt.id, "same" if self._ids == "any" else self._ids)
        every = (*likely, *padded, *(name for name, _ in guessed))
        part: str | None = None
        for turn, wait in enumerate((*WAITS, 0)):
            # Looked up each time: the receipt of a part can come before the response to the last part.
            part = next((name for name in every if name in self._last), None)
            if part is not None and not self._completes(part, state):
                return OK
            # An id with other zeros is rare: it is looked for at the beginning and the end, not each time.
            names = (*likely, *padded) if turn in {0, len(WAITS)} else likely
            for name in names if part is None else (self._last[part],):
                if await on_receipt(Receipt(self._name, name, state, receipt.reason)):
                    return OK
            await asyncio.sleep(wait)
        for name, guess in guessed if part is None else ():
            if await on_receipt(Receipt(self._name, name, state, receipt.reason)):
                self._ids = guess  # from now on without waiting
                return OK
        _log.info("receipt_unknown", provider=self._name)
        return OK

    def _completes(self, part: str, state: ReceiptState) -> bool:
        """Return True if the whole message is in that state, now that this part is: one lost part loses the message."""
        missing = self._missing[self._last[part]]
        if state is ReceiptState.DELIVERED:
            missing.discard(part)
            return not missing
        return True
