"""Receipts that come in over SMPP: each is taken down before it is answered, and one that outran our own record waits a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from countersign.domain.delivery.delivery import Receipt, ReceiptState
from countersign.errors import UnavailableError
from countersign.providers.smpp.pdu import MalformedError, short_message
from countersign.providers.smpp.receipt import SmppReceipt, parse_receipt, spellings
from countersign.providers.smpp.status import NOT_UNDERSTOOD, OK, TRY_LATER

WAITS: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between looks for a message that is not known yet: its hand-over is written down within one or two."""
MOST_JOINED: Final = 10_000
"""Messages of several parts whose receipts are still awaited; of the oldest, the last part alone speaks."""

_log = structlog.get_logger("countersign.smpp")


Hear = Callable[[Receipt], Awaitable[bool]]


class ReceiptReceiver:
    """Takes down what the SMSC tells of messages of the provider `name`; `ids` says how receipts write their ids.

    `hear` is who takes down; a message of several parts is known by the id of its last.
    """

    def __init__(self, name: str, ids: str) -> None:
        self._name = name
        self._ids = ids
        self._parts: dict[str, tuple[str, ...]] = {}
        self._missing: dict[str, set[str]] = {}
        self._last: dict[str, str] = {}
        self.hear: Hear | None = None

    def join(self, identifiers: Sequence[str]) -> None:
        """Remember that these are the parts of one message, so that it has arrived when all have."""
        last = identifiers[-1]
        self._missing[last] = set(identifiers)
        self._parts[last] = tuple(identifiers)
        self._last.update(dict.fromkeys(identifiers, last))
        while len(self._parts) > MOST_JOINED:
            oldest = next(iter(self._parts))
            del self._missing[oldest]
            for part in self._parts.pop(oldest):
                self._last.pop(part, None)

    async def take(self, body: bytes) -> int:
        """Take down the body of a deliver_sm and return the status to answer with.

        ESME_ROK: it is written down, or nobody will ever know its message. ESME_RX_T_APPN: it could not be, and must come again.
        """
        try:
            heard = parse_receipt(short_message(body))
        except MalformedError:
            _log.warning("receipt_malformed", provider=self._name)
            return NOT_UNDERSTOOD
        if heard is None:
            return OK  # a person wrote to us; there is nobody who would read it
        if heard.state is None or self.hear is None:
            return OK
        if heard.state is ReceiptState.UNDELIVERED:
            _log.info("receipt_undelivered", provider=self._name, reason=heard.reason, error=heard.error)
        try:
            return await self._take_down(self.hear, heard, heard.state)
        except UnavailableError:
            return TRY_LATER
        except Exception as error:  # noqa: BLE001 - a receipt that breaks something must not end the session
            _log.error("receipt_broke", provider=self._name, error=type(error).__name__)
            return TRY_LATER

    async def _take_down(self, hear: Hear, heard: SmppReceipt, state: ReceiptState) -> int:
        likely = spellings(heard.id, "same" if self._ids == "any" else self._ids)
        guesses = ("decimal", "hex") if self._ids == "any" else ()
        # Only a letter shows that one side writes in hexadecimal; digits alone would lead to somebody else's message.
        guessed = [
            (name, guess)
            for guess in guesses
            for name in spellings(heard.id, guess)
            if not (name.isdigit() and heard.id.isdigit())
        ]
        every = (*likely, *(name for name, _ in guessed))
        part: str | None = None
        for wait in (*WAITS, 0):
            # Looked up each time: a part's receipt can come before the last part was answered.
            part = next((name for name in every if name in self._last), None)
            if part is not None and not self._tells_of_all(part, state):
                return OK
            for name in likely if part is None else (self._last[part],):
                if await hear(Receipt(self._name, name, state, heard.reason)):
                    return OK
            await asyncio.sleep(wait)
        for name, guess in guessed if part is None else ():
            if await hear(Receipt(self._name, name, state, heard.reason)):
                self._ids = guess  # from now on without the wait
                return OK
        _log.info("receipt_unknown", provider=self._name)
        return OK

    def _tells_of_all(self, part: str, state: ReceiptState) -> bool:
        """Say whether the whole message has come to that state, now that this part has: one lost part is enough to lose it."""
        missing = self._missing[self._last[part]]
        if state is ReceiptState.DELIVERED:
            missing.discard(part)
            return not missing
        return True
