"""One bound session with an SMSC: a window of requests under way, a pulse both ways, and an end that everybody hears of."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final

import msgspec

from countersign.domain.delivery.delivery import Reason
from countersign.errors import DeliveryFailedError
from countersign.providers.smpp.pdu import (
    HEADER,
    MAX_SEQUENCE,
    Command,
    MalformedError,
    Pdu,
    bind_transceiver,
    body_length,
    c_octets,
    decoded,
    message_id,
)
from countersign.providers.smpp.status import OK, TRY_LATER, UNKNOWN_COMMAND, refusal

PULSE: Final = 10.0
"""Seconds of silence after which we ask whether the other side is there; it has as long as one hand-over to answer."""
MOST_HEARD: Final = 256
"""Messages from the SMSC that are being taken down at once; of more it is told to send them later."""
FAREWELL: Final = 1.0
"""Seconds for the SMSC's word when we leave."""

_LONG: Final = 1 / 3  # part of the time-out that is long enough to take silence for absence
_WRONG_STATE: Final = 0x04  # ESME_RINVBNDSTS: it does not know us as bound


class SmscAccount(msgspec.Struct, frozen=True):
    """Where an SMSC is and who we are there. `timeout` in seconds; `window` is how many requests may be under way."""

    host: str
    port: int
    system_id: str
    password: str
    system_type: str
    timeout: float
    window: int
    tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        """Hide the password."""
        return f"Door({self.host}:{self.port})"


class SessionFailure(msgspec.Struct, frozen=True):
    """Why something was not done, to be raised where no library's error hangs on as its context."""

    reason: Reason
    text: str
    permanent: bool = False

    def error(self) -> DeliveryFailedError:
        """Return the error to raise."""
        return DeliveryFailedError(self.reason, self.text, permanent=self.permanent)


HUNG_UP: Final = SessionFailure(Reason.UNREACHABLE, "The SMSC could not be reached, or hung up.")
SILENT: Final = SessionFailure(Reason.TIMED_OUT, "The SMSC did not answer in time.")
NONSENSE: Final = SessionFailure(Reason.PROVIDER_ERROR, "What the SMSC sent is no SMPP.")
LEFT: Final = SessionFailure(Reason.UNREACHABLE, "The session was ended before the SMSC answered.")
UNTRUSTED: Final = SessionFailure(
    Reason.MISCONFIGURED,
    "The SMSC's certificate is not trusted, or not for this name; check host, or name its authority in ca_file.",
    permanent=True,
)


class SmppSession:
    """A session, from `bind` on. `take` is handed the body of each deliver_sm and returns the status to answer with."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        door: SmscAccount,
        take: Callable[[bytes], Awaitable[int]],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._door = door
        self._take = take
        self._sequence = 0
        self._pending: dict[int, asyncio.Future[Pdu | SessionFailure]] = {}
        self._window = asyncio.Semaphore(door.window)
        self._heard_at = asyncio.get_running_loop().time()
        self._tasks: set[asyncio.Task[None]] = set()
        self._taking = 0
        self._bound = False
        self._over: SessionFailure | None = None
        self.ended = asyncio.Event()

    @property
    def usable(self) -> bool:
        """Say whether a request may be sent: bound, and neither side has said goodbye."""
        return self._bound and self._over is None

    @property
    def why_ended(self) -> SessionFailure:
        """Return what ended the session."""
        return self._over or LEFT

    async def bind(self) -> SessionFailure | None:
        """Say who we are, within the time-out of the caller; return why the SMSC would not have us."""
        door = self._door
        self._start(self._read())
        answer = await self._ask(
            Command.BIND_TRANSCEIVER, bind_transceiver(door.system_id, door.password, door.system_type)
        )
        if isinstance(answer, SessionFailure):
            return answer
        if answer.status != OK:
            return _refused(answer.status)
        if answer.command != Command.BIND_TRANSCEIVER_RESP:
            return NONSENSE
        self._bound = True
        self._start(self._keep_alive())
        return None

    async def reserve(self, until: float) -> bool:
        """Wait for room in the window until that loop time; the next `submit` fills it, and whoever does not submit gives it back."""
        try:
            async with asyncio.timeout_at(until):
                return await self._window.acquire()
        except TimeoutError:
            return False

    def give_back(self) -> None:
        """Free the room of a request that is not made, or that ended."""
        self._window.release()

    async def submit(self, body: bytes, until: float) -> str | SessionFailure:
        """Send a submit_sm in the room that was reserved; return the SMSC's id for it, or why there is none `until` that loop time."""
        asked_at = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(until):
                answer = await self._ask(Command.SUBMIT_SM, body)
        except TimeoutError:
            if self._heard_at <= asked_at and until - asked_at > self._door.timeout * _LONG:
                self._end(SILENT)  # not a word in all that time: the next message shall not wait for it as well
            return SILENT
        finally:
            self.give_back()
        if isinstance(answer, SessionFailure):
            return answer
        if answer.status != OK:
            if answer.status == _WRONG_STATE:
                self._end(_refused(answer.status))
            return _refused(answer.status)
        try:
            if answer.command != Command.SUBMIT_SM_RESP:
                raise MalformedError
            return message_id(answer.body)
        except MalformedError:
            return NONSENSE

    async def close(self) -> None:
        """Say goodbye within a second, and hang up."""
        if self.usable:
            self._bound = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await self._ask(Command.UNBIND)
        self._end(LEFT)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._writer.transport.abort()

    def abort(self) -> None:
        """Hang up at once."""
        self._end(LEFT)

    async def _ask(self, command: Command, body: bytes = b"") -> Pdu | SessionFailure:
        """Send a request and return its answer, or what ended the session before."""
        if self._over is not None:
            return self._over
        while (sequence := self._next()) in self._pending:
            pass
        future: asyncio.Future[Pdu | SessionFailure] = asyncio.get_running_loop().create_future()
        self._pending[sequence] = future
        try:
            await self._write(Pdu(command, sequence, body=body))
            return await future
        finally:
            self._pending.pop(sequence, None)

    def _next(self) -> int:
        self._sequence = self._sequence % MAX_SEQUENCE + 1
        return self._sequence

    async def _write(self, pdu: Pdu) -> None:
        """Write a PDU; what breaks on the way ends the session, of which all who wait hear."""
        self._writer.write(pdu.encoded())
        try:
            await self._writer.drain()
        except OSError:
            self._end(HUNG_UP)

    async def _read(self) -> None:
        """Read PDUs until the session ends; nothing in one can end anything but this session."""
        failed = HUNG_UP
        try:
            while self._over is None:
                header = await self._reader.readexactly(HEADER)
                pdu = decoded(header, await self._reader.readexactly(body_length(header)))
                self._heard_at = asyncio.get_running_loop().time()
                await self._heard(pdu)
                await asyncio.sleep(0)  # what has come already is read without a pause otherwise, and others wait
        except MalformedError:
            failed = NONSENSE
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._end(failed)

    async def _heard(self, pdu: Pdu) -> None:
        if pdu.is_response:
            self._answered(pdu)
            return
        match pdu.command:
            case Command.ENQUIRE_LINK:
                await self._write(Pdu(Command.ENQUIRE_LINK_RESP, pdu.sequence))
            case Command.DELIVER_SM if self._taking < MOST_HEARD:
                self._taking += 1
                self._start(self._deliver(pdu))
            case Command.DELIVER_SM:
                await self._write(Pdu(Command.DELIVER_SM_RESP, pdu.sequence, TRY_LATER, c_octets("")))
            case Command.UNBIND:
                self._bound = False
                self._start(self._leave(pdu.sequence))
            case Command.ALERT_NOTIFICATION:
                pass  # it has no answer (4.12.1)
            case _:
                await self._write(Pdu(Command.GENERIC_NACK, pdu.sequence, UNKNOWN_COMMAND))

    def _answered(self, pdu: Pdu) -> None:
        future = self._pending.get(pdu.sequence)
        if future is not None and not future.done():
            future.set_result(pdu)
        elif pdu.command == Command.GENERIC_NACK and pdu.sequence == 0:
            self._end(NONSENSE)  # it could not read a header of ours (4.3.1): we no longer understand each other

    async def _deliver(self, pdu: Pdu) -> None:
        try:
            status = await self._take(pdu.body)
            if self._over is None:
                await self._write(Pdu(Command.DELIVER_SM_RESP, pdu.sequence, status, c_octets("")))
        finally:
            self._taking -= 1

    async def _leave(self, sequence: int) -> None:
        """Answer an unbind once what is under way has been answered, or has had its time."""
        if self._pending:
            await asyncio.wait(list(self._pending.values()), timeout=self._door.timeout)
        await self._write(Pdu(Command.UNBIND_RESP, sequence))
        self._end(HUNG_UP)

    async def _keep_alive(self) -> None:
        loop = asyncio.get_running_loop()
        while self._over is None:
            rest = self._heard_at + PULSE - loop.time()
            if rest > 0:
                await asyncio.sleep(rest)
                continue
            try:
                async with asyncio.timeout(self._door.timeout):
                    await self._ask(Command.ENQUIRE_LINK)
            except TimeoutError:
                if self._heard_at + self._door.timeout <= loop.time():
                    self._end(SILENT)

    def _start(self, act: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(act)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _end(self, why: SessionFailure) -> None:
        """End the session: who waits for an answer hears why, and nothing is written or read any more."""
        if self._over is not None:
            return
        self._over = why
        self._bound = False
        for future in self._pending.values():
            if not future.done():
                future.set_result(why)
        # A polite close would wait for a peer that may be gone; what was written before is still sent by a transport that is closed.
        self._writer.close()
        asyncio.get_running_loop().call_later(FAREWELL, self._writer.transport.abort)
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()
        self.ended.set()


async def connect(door: SmscAccount, take: Callable[[bytes], Awaitable[int]]) -> SmppSession | SessionFailure:
    """Return a session that is bound, or why there is none, within the door's time-out."""
    link: SmppSession | None = None
    outcome: SmppSession | SessionFailure
    try:
        async with asyncio.timeout(door.timeout):
            reader, writer = await asyncio.open_connection(
                door.host, door.port, ssl=door.tls, server_hostname=door.host if door.tls else None
            )
            link = SmppSession(reader, writer, door, take)
            outcome = await link.bind() or link
    except TimeoutError:
        outcome = SILENT
    except ssl.SSLCertVerificationError:
        outcome = UNTRUSTED
    except (OSError, UnicodeError):  # refused, reset, no such host or no name of one, a handshake that failed
        outcome = HUNG_UP
    except BaseException:
        if link is not None:
            link.abort()
        raise
    if link is not None and outcome is not link:
        link.abort()
    return outcome


def _refused(status: int) -> SessionFailure:
    error = refusal(status)
    return SessionFailure(Reason(error.reason), str(error), error.permanent)
