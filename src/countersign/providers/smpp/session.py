"""One session with an SMSC: a window of requests under way, keep-alive both ways, and an end that all waiting tasks learn of."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final

import msgspec

from countersign.domain.delivery.delivery import Reason
from countersign.errors import DeliveryFailedError
from countersign.providers.http import tls
from countersign.providers.smpp.pdu import (
    HEADER,
    MAX_SEQUENCE,
    CommandId,
    MalformedError,
    Pdu,
    body_length,
    decode,
    decode_message_id,
    encode_bind,
    encode_c_octets,
)
from countersign.providers.smpp.status import OK, TRY_LATER, UNKNOWN_COMMAND, failure_of_status

KEEP_ALIVE: Final = 10.0
"""Seconds of silence after which an enquire_link is sent; the response may take as long as one hand-over."""
MAX_INCOMING: Final = 256
"""Messages from the SMSC that are handled at once; further ones are answered with "later"."""
FAREWELL: Final = 1.0
"""Seconds that the SMSC has to answer an unbind."""

_LONG: Final = 1 / 3  # the part of the time-out after which silence means that nobody is there
_WRONG_STATE: Final = 0x04  # ESME_RINVBNDSTS: the SMSC does not know us as bound


class SmscAccount(msgspec.Struct, frozen=True):
    """An SMSC and the account there. `timeout` is in seconds; `window` is how many requests may be under way."""

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
        return f"SmscAccount({self.host}:{self.port})"


class SessionFailure(msgspec.Struct, frozen=True):
    """Why something failed; a value, so that it can be raised where no error of a library becomes its context."""

    reason: Reason
    text: str
    permanent: bool = False

    def error(self) -> DeliveryFailedError:
        """Return the error to raise."""
        return DeliveryFailedError(self.reason, self.text, permanent=self.permanent)


DISCONNECTED: Final = SessionFailure(Reason.UNREACHABLE, "The SMSC could not be reached, or closed the connection.")
SILENT: Final = SessionFailure(Reason.TIMED_OUT, "The SMSC did not answer in time.")
NOT_SMPP: Final = SessionFailure(Reason.PROVIDER_ERROR, "The SMSC sent something that is not SMPP.")
CLOSED: Final = SessionFailure(Reason.UNREACHABLE, "The session was ended before the SMSC answered.")


class SmppSession:
    """A session, to be bound before it is used; `connect` returns one that is.

    Arguments:
        reader, writer: the connection.
        account: the SMSC and the account there.
        receive: gets the body of each deliver_sm and returns the status to answer with.

    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        account: SmscAccount,
        receive: Callable[[bytes], Awaitable[int]],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._account = account
        self._receive = receive
        self._sequence = 0
        self._pending: dict[int, asyncio.Future[Pdu | SessionFailure]] = {}
        self._window = asyncio.Semaphore(account.window)
        self._last_heard = asyncio.get_running_loop().time()
        self._tasks: set[asyncio.Task[None]] = set()
        self._incoming = 0
        self._bound = False
        self._end_reason: SessionFailure | None = None
        self.ended = asyncio.Event()

    @property
    def usable(self) -> bool:
        """Return True if a request may be sent: the session is bound, and neither side has ended it."""
        return self._bound and self._end_reason is None

    @property
    def why_ended(self) -> SessionFailure:
        """Return why the session ended."""
        return self._end_reason or CLOSED

    async def bind(self) -> SessionFailure | None:
        """Bind as a transceiver; return why the SMSC refused, None if it did not. The caller bounds the time."""
        account = self._account
        self._start(self._read())
        answer = await self._request(
            CommandId.BIND_TRANSCEIVER, encode_bind(account.system_id, account.password, account.system_type)
        )
        if isinstance(answer, SessionFailure):
            return answer
        if answer.status != OK:
            return _failure(answer.status)
        if answer.command != CommandId.BIND_TRANSCEIVER_RESP:
            return NOT_SMPP
        self._bound = True
        self._start(self._keep_alive())
        return None

    async def reserve(self, until: float) -> bool:
        """Reserve a place in the window; return False if there is none until `until`, in the loop's time.

        The next `submit` uses the place; without a submit it must be given back by `release`.
        """
        try:
            async with asyncio.timeout_at(until):
                return await self._window.acquire()
        except TimeoutError:
            return False

    def release(self) -> None:
        """Free the place of a request that was not made, or that ended."""
        self._window.release()

    async def submit(self, body: bytes, until: float) -> str | SessionFailure:
        """Send a submit_sm in the place that was reserved.

        Return the id that the SMSC gives it, or why there is none until `until`, in the loop's time.
        """
        asked_at = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(until):
                answer = await self._request(CommandId.SUBMIT_SM, body)
        except TimeoutError:
            if self._last_heard <= asked_at and until - asked_at > self._account.timeout * _LONG:
                self._end(SILENT)  # total silence: the next message must not wait for it too
            return SILENT
        finally:
            self.release()
        if isinstance(answer, SessionFailure):
            return answer
        if answer.status != OK:
            if answer.status == _WRONG_STATE:
                self._end(_failure(answer.status))
            return _failure(answer.status)
        try:
            if answer.command != CommandId.SUBMIT_SM_RESP:
                raise MalformedError
            return decode_message_id(answer.body)
        except MalformedError:
            return NOT_SMPP

    async def close(self) -> None:
        """Unbind within a second, and close the connection."""
        if self.usable:
            self._bound = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await self._request(CommandId.UNBIND)
        self._end(CLOSED)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._writer.transport.abort()

    def abort(self) -> None:
        """Close the connection at once."""
        self._end(CLOSED)

    async def _request(self, command: CommandId, body: bytes = b"") -> Pdu | SessionFailure:
        """Send a request and return its response, or why the session ended before."""
        if self._end_reason is not None:
            return self._end_reason
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
        """Write a PDU; a failure ends the session, and with it all waiting requests."""
        self._writer.write(pdu.encode())
        try:
            await self._writer.drain()
        except OSError:
            self._end(DISCONNECTED)

    async def _read(self) -> None:
        """Read PDUs until the session ends; whatever they hold, nothing but this session can end."""
        failed = DISCONNECTED
        try:
            while self._end_reason is None:
                header = await self._reader.readexactly(HEADER)
                pdu = decode(header, await self._reader.readexactly(body_length(header)))
                self._last_heard = asyncio.get_running_loop().time()
                await self._handle(pdu)
                await asyncio.sleep(
                    0
                )  # data that has already arrived is read without a pause, which would keep other tasks waiting
        except MalformedError:
            failed = NOT_SMPP
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._end(failed)

    async def _handle(self, pdu: Pdu) -> None:
        if pdu.is_response:
            self._handle_response(pdu)
            return
        match pdu.command:
            case CommandId.ENQUIRE_LINK:
                await self._write(Pdu(CommandId.ENQUIRE_LINK_RESP, pdu.sequence))
            case CommandId.DELIVER_SM if self._incoming < MAX_INCOMING:
                self._incoming += 1
                self._start(self._deliver(pdu))
            case CommandId.DELIVER_SM:
                await self._write(Pdu(CommandId.DELIVER_SM_RESP, pdu.sequence, TRY_LATER, encode_c_octets("")))
            case CommandId.UNBIND:
                self._bound = False
                self._start(self._leave(pdu.sequence))
            case CommandId.ALERT_NOTIFICATION:
                pass  # it has no response (4.12.1)
            case _:
                await self._write(Pdu(CommandId.GENERIC_NACK, pdu.sequence, UNKNOWN_COMMAND))

    def _handle_response(self, pdu: Pdu) -> None:
        future = self._pending.get(pdu.sequence)
        if future is not None and not future.done():
            future.set_result(pdu)
        elif pdu.command == CommandId.GENERIC_NACK and pdu.sequence == 0:
            self._end(NOT_SMPP)  # the SMSC could not read one of our headers (4.3.1): the two sides are out of step

    async def _deliver(self, pdu: Pdu) -> None:
        try:
            status = await self._receive(pdu.body)
            if self._end_reason is None:
                await self._write(Pdu(CommandId.DELIVER_SM_RESP, pdu.sequence, status, encode_c_octets("")))
        finally:
            self._incoming -= 1

    async def _leave(self, sequence: int) -> None:
        """Answer an unbind after the requests under way were answered, or timed out."""
        if self._pending:
            await asyncio.wait(list(self._pending.values()), timeout=self._account.timeout)
        await self._write(Pdu(CommandId.UNBIND_RESP, sequence))
        self._end(DISCONNECTED)

    async def _keep_alive(self) -> None:
        loop = asyncio.get_running_loop()
        while self._end_reason is None:
            rest = self._last_heard + KEEP_ALIVE - loop.time()
            if rest > 0:
                await asyncio.sleep(rest)
                continue
            try:
                async with asyncio.timeout(self._account.timeout):
                    await self._request(CommandId.ENQUIRE_LINK)
            except TimeoutError:
                if self._last_heard + self._account.timeout <= loop.time():
                    self._end(SILENT)

    def _start(self, act: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(act)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _end(self, why: SessionFailure) -> None:
        """End the session: waiting requests get the reason, and nothing is written or read any more."""
        if self._end_reason is not None:
            return
        self._end_reason = why
        self._bound = False
        for future in self._pending.values():
            if not future.done():
                future.set_result(why)
        # `close` still sends what was written; `abort` follows, since the peer may be gone.
        self._writer.close()
        asyncio.get_running_loop().call_later(FAREWELL, self._writer.transport.abort)
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()
        self.ended.set()


async def connect(account: SmscAccount, receive: Callable[[bytes], Awaitable[int]]) -> SmppSession | SessionFailure:
    """Return a bound session, or why there is none, within the time-out of the account.

    `receive` gets the body of each deliver_sm and returns the status to answer with.
    """
    session: SmppSession | None = None
    outcome: SmppSession | SessionFailure
    try:
        async with asyncio.timeout(account.timeout):
            reader, writer = await asyncio.open_connection(
                account.host, account.port, ssl=account.tls, server_hostname=account.host if account.tls else None
            )
            session = SmppSession(reader, writer, account, receive)
            outcome = await session.bind() or session
    except TimeoutError:
        outcome = SILENT
    except ssl.SSLCertVerificationError as error:
        outcome = _untrusted(error)
    except (OSError, UnicodeError):  # refused, reset, an unknown or malformed host, a failed handshake
        outcome = DISCONNECTED
    except BaseException:
        if session is not None:
            session.abort()
        raise
    if session is not None and outcome is not session:
        session.abort()
    return outcome


def _untrusted(error: ssl.SSLCertVerificationError) -> SessionFailure:
    fault = tls.certificate_fault(error)
    said = f"{fault.what}. {fault.remedy}" if fault is not None else "is not valid."
    return SessionFailure(Reason.MISCONFIGURED, f"The SMSC's certificate {said}", permanent=True)


def _failure(status: int) -> SessionFailure:
    error = failure_of_status(status)
    return SessionFailure(Reason(error.reason), str(error), error.permanent)
