"""Keep one session with an SMSC: it is bound when a message or a receipt needs it, and again after it was lost."""

from __future__ import annotations

import asyncio
import random
from typing import Final

import structlog

from countersign.domain.delivery.delivery import Reason
from countersign.providers.smpp.receiver import ReceiptReceiver
from countersign.providers.smpp.session import SILENT, SessionFailure, SmppSession, SmscAccount, connect

WAITS: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before each new attempt to bind, lengthened by chance so that many processes do not try at once."""

_STOPPING: Final = SessionFailure(Reason.UNREACHABLE, "This program is stopping.")

_log = structlog.get_logger("countersign.smpp")


class KeptSession:
    """One session that is bound by one task for all that wait for it.

    Arguments:
        account: the SMSC and the account there.
        receiver: gets the receipts that arrive.
        name: the provider's name, for the log.

    """

    def __init__(self, account: SmscAccount, receiver: ReceiptReceiver, name: str) -> None:
        self._account = account
        self._receiver = receiver
        self._name = name
        self._session: SmppSession | None = None
        self._opening: asyncio.Task[SmppSession | SessionFailure] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._refusal: SessionFailure | None = None
        self._retry_at = 0.0
        self._attempts = 0
        self._closed = False
        self.listen_until = 0.0  # in the loop's time: when the last expected receipt is overdue
        self.load = 0  # messages that are under way or wait for this session

    @property
    def bound(self) -> bool:
        """Return True if a message can be sent at once."""
        return self._session is not None and self._session.usable

    @property
    def resting(self) -> bool:
        """Return True if binding failed, and the next attempt is not due yet."""
        return not self.bound and self._refusal is not None and asyncio.get_running_loop().time() < self._retry_at

    async def get(self, until: float) -> SmppSession | SessionFailure:
        """Return the session, bound again if it was lost, or why there is none until `until` (in the loop's time).

        While the next attempt to bind is not due, the last failure is returned at once.
        """
        if self._session is not None and self._session.usable:
            return self._session
        if self._opening is None:
            if self._closed:
                return _STOPPING
            if self._refusal is not None and self.resting:
                return self._refusal
            self._opening = asyncio.get_running_loop().create_task(self._open())
        opening = self._opening
        await asyncio.wait((opening,), timeout=until - asyncio.get_running_loop().time())
        if not opening.done():
            return SILENT
        return _STOPPING if opening.cancelled() else opening.result()

    async def close(self) -> None:
        """Unbind; nothing is bound again."""
        self._closed = True
        tasks = [task for task in (self._opening, self._watching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _open(self) -> SmppSession | SessionFailure:
        try:
            found = await connect(self._account, self._receiver.receive)
            if isinstance(found, SessionFailure):
                self._refusal = found
                wait = WAITS[min(self._attempts, len(WAITS) - 1)]
                self._attempts += 1
                spread = 1 + random.random() / 4  # noqa: S311 - spreads the attempts, guards nothing
                self._retry_at = asyncio.get_running_loop().time() + wait * spread
                _log.warning("smpp_not_bound", provider=self._name, reason=found.reason, detail=found.text)
                return found
            self._session, self._refusal, self._attempts = found, None, 0
            _log.info("smpp_bound", provider=self._name)
            if self._watching is None or self._watching.done():
                self._watching = asyncio.get_running_loop().create_task(self._watch(found))
            return found
        finally:
            self._opening = None

    async def _watch(self, session: SmppSession) -> None:
        """Wait for the end of the session, and bind it again as long as receipts are expected."""
        loop = asyncio.get_running_loop()
        current: SmppSession | None = session
        while True:
            if current is not None:
                await current.ended.wait()
                _log.warning("smpp_lost", provider=self._name, detail=current.why_ended.text)
            # An SMSC that binds us and then hangs up must not be tried without a pause.
            await asyncio.sleep(max(WAITS[0], self._retry_at - loop.time()))
            if loop.time() >= self.listen_until and not self.bound:
                return
            found = await self.get(loop.time() + self._account.timeout)
            current = found if isinstance(found, SmppSession) else None
