"""SMS by SMPP 3.4: sessions that are bound at the first message, kept, bound again when lost, and shared by all tasks."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from collections.abc import Callable
from typing import Final, Literal

import msgspec
import structlog

from countersign.domain.delivery.delivery import MAX_TRY, Accepted, Message, Reason
from countersign.domain.delivery.sms_segments import encode_gsm_7, encode_ucs_2, split_segments
from countersign.domain.shared.contact import Channel
from countersign.errors import DeliveryFailedError, SettingsError
from countersign.providers.http import tls
from countersign.providers.http.api_settings import RECEIPT_WITHIN
from countersign.providers.smpp.pdu import Address, ShortMessage
from countersign.providers.smpp.receiver import Hear, ReceiptReceiver
from countersign.providers.smpp.session import SILENT, SessionFailure, SmppSession, SmscAccount, connect

WAITS: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds after which a door that stayed shut is tried again, lengthened by chance so that many processes do not knock at once."""
REST: Final = 1.0
"""Seconds for which nothing is sent after the SMSC said that it was too much."""
WAIT_FOR_ROOM: Final = 0.5
"""Part of the time-out that a message waits for room in the window, so that there is time left for an answer."""

_LONGEST_NAME: Final = 11  # 3GPP TS 23.040, 9.1.2.5: an alphanumeric address
_LONGEST_SHORT_NUMBER: Final = 8
_LONGEST_NUMBER: Final = 15  # ITU-T E.164
_LONGEST_SYSTEM_ID: Final = 15  # SMPP 3.4, 4.1.5, without the NUL, as the next two
_LONGEST_PASSWORD: Final = 8
_LONGEST_SYSTEM_TYPE: Final = 12
_MOST_PARTS: Final = 255
_MAX_PORT: Final = 65_535
_JOINED: Final = 0x40  # esm_class: a header stands before the text (5.2.12)
_DEFAULT_ALPHABET: Final = 0x00  # data_coding (5.2.19)
_UCS_2: Final = 0x08

_log = structlog.get_logger("countersign.smpp")


class SmppSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account at an SMSC. `sender` is a number with its country code, a short number, or a name.

    `timeout` in seconds covers one hand-over, binding included; `connections` is how many sessions a process binds, `window` how many
    messages may be under way in each, `throughput` how many segments a second (0: as many as it takes). Raises SettingsError.
    """

    name: str
    host: str
    system_id: str
    sender: str
    password: str = ""
    system_type: str = ""
    port: int = 2775
    tls: Literal["starttls", "tls", "none"] = "tls"
    ca_file: str | None = None
    receipts: bool = True
    receipt_within: int | None = None
    receipt_ids: Literal["any", "same", "hex", "decimal"] = "any"
    connections: int = 1
    timeout: float = 10.0
    window: int = 10
    throughput: int = 0

    def __post_init__(self) -> None:
        self._check_place()
        self._check_account()
        self._check_bounds()

    def _check_place(self) -> None:
        if not self.host or not self.host.isprintable() or " " in self.host:
            raise SettingsError("smpp host is no host name; give the SMSC's, such as smsc.example.org.")
        if not 0 < self.port <= _MAX_PORT:
            raise SettingsError("smpp port must be between 1 and 65535; many take 2775, with TLS 3550.")
        if self.tls == "starttls":
            raise SettingsError("smpp tls must be tls, or none on a network of yours; SMPP has no starttls.")

    def _check_account(self) -> None:
        for what, text, longest in (
            ("system_id", self.system_id, _LONGEST_SYSTEM_ID),
            ("password", self.password, _LONGEST_PASSWORD),
            ("system_type", self.system_type, _LONGEST_SYSTEM_TYPE),
        ):
            if len(text) > longest or not (text.isascii() and text.isprintable()):
                raise SettingsError(f"smpp {what} must be at most {longest} characters of ASCII (SMPP 3.4, 4.1.5).")
        if not self.system_id:
            raise SettingsError("smpp system_id is required; the SMSC's operator gives it with the password.")
        address_of(self.sender)

    def _check_bounds(self) -> None:
        if not 0 < self.timeout < MAX_TRY / 1000:
            raise SettingsError(f"smpp timeout must be above 0 and below {MAX_TRY // 1000} seconds.")
        if self.connections < 1 or self.window < 1:
            raise SettingsError("smpp connections and window must be at least 1.")
        if self.throughput < 0:
            raise SettingsError("smpp throughput must be above 0; leave it out where the SMSC sets no limit.")
        if self.receipt_within is not None and self.receipt_within <= 0:
            raise SettingsError("smpp receipt_within must be above 0 milliseconds.")

    def door(self) -> SmscAccount:
        """Return where the SMSC is and who we are there; raises SettingsError where `ca_file` cannot be used."""
        return SmscAccount(
            self.host,
            self.port,
            self.system_id,
            self.password,
            self.system_type,
            self.timeout,
            self.window,
            tls.context(self.ca_file) if self.tls == "tls" else None,
        )

    def __repr__(self) -> str:
        """Hide the password."""
        return f"SmppSettings({self.name}, {self.host}:{self.port}, {self.tls})"


def address_of(sender: str) -> Address:
    """Return a sender with its type and plan (SMPP 3.4, 5.2.5 and 5.2.6); raises SettingsError where it can be none."""
    digits = sender.removeprefix("+")
    if re.fullmatch(r"[0-9]{1,15}", digits):
        if sender.startswith("+") or len(digits) > _LONGEST_SHORT_NUMBER:
            return Address(1, 1, digits)
        return Address(3, 0, digits)
    if not 0 < len(sender) <= _LONGEST_NAME or not (sender.isascii() and sender.isprintable()) or sender[0] == "+":
        raise SettingsError(
            f"smpp sender must be a number of at most {_LONGEST_NUMBER} digits, or a name of at most {_LONGEST_NAME} characters of ASCII."
        )
    return Address(5, 0, sender)


class SmppProvider:
    """Hands SMS to one SMSC. `clock` returns milliseconds since the epoch; `hear` takes receipts down."""

    def __init__(self, settings: SmppSettings, clock: Callable[[], int]) -> None:
        self._settings = settings
        self._clock = clock
        self._source = address_of(settings.sender)
        door = settings.door()
        self._intake = ReceiptReceiver(settings.name, settings.receipt_ids)
        self._sessions = tuple(_Session(door, self._intake, settings.name) for _ in range(settings.connections))
        self._next_at = 0.0

    @property
    def hear(self) -> Hear | None:
        """Return who takes receipts down."""
        return self._intake.hear

    @hear.setter
    def hear(self, hear: Hear | None) -> None:
        self._intake.hear = hear

    async def send(self, message: Message) -> Accepted:
        """Hand `message` over, all its parts, within the time-out; raises DeliveryFailedError.

        Nothing that was sent is sent again here, though its answer was lost: whether to do so is the domain's decision.
        """
        if message.channel is not Channel.SMS:
            raise DeliveryFailedError(
                Reason.MISCONFIGURED, "SMPP carries SMS alone; route other channels elsewhere.", permanent=True
            )
        try:
            bodies = self._bodies(message)
        except ValueError:
            bodies = []
        if not bodies:
            raise DeliveryFailedError(
                Reason.REFUSED, "The number or the text cannot be written in SMPP.", permanent=True
            )
        until = asyncio.get_running_loop().time() + self._settings.timeout
        outcomes = await self._submit(bodies, until)
        failures = [outcome for outcome in outcomes if isinstance(outcome, SessionFailure)]
        if failures:
            worst = next((failure for failure in failures if failure.permanent), failures[0])
            if any(failure.reason is Reason.THROTTLED for failure in failures):
                self._next_at = max(self._next_at, asyncio.get_running_loop().time() + REST)
            raise worst.error()
        return self._accepted([outcome for outcome in outcomes if isinstance(outcome, str)])

    async def close(self) -> None:
        """Say goodbye to the SMSC, within a second."""
        await asyncio.gather(*(session.close() for session in self._sessions))

    def _accepted(self, identifiers: list[str]) -> Accepted:
        """Return the word that is kept: a message of several parts is known by the id of its last."""
        if not self._settings.receipts or self.hear is None or not all(identifiers):
            return Accepted(identifiers[-1])
        if len(identifiers) > 1:
            self._intake.join(identifiers)
        within = self._settings.receipt_within or RECEIPT_WITHIN
        until = asyncio.get_running_loop().time() + within / 1000
        for session in self._sessions:
            session.listen_until = until
        return Accepted(identifiers[-1], within)

    def _bodies(self, message: Message) -> list[bytes]:
        """Return the body of each part; raises ValueError where one cannot be written."""
        text = split_segments(message.text)
        digits = message.to.removeprefix("+")
        if len(text.parts) > _MOST_PARTS or not re.fullmatch(r"[0-9]{1,15}", digits):
            raise ValueError
        reference = hashlib.blake2b(message.key.encode(), digest_size=1).digest()[0]
        joined = len(text.parts) > 1
        bodies = []
        for number, part in enumerate(text.parts, 1):
            octets = encode_gsm_7(part) if text.gsm_7 else encode_ucs_2(part)
            if joined:  # 3GPP TS 23.040, 9.2.3.24.1: concatenation with a reference of 8 bits
                octets = bytes((5, 0, 3, reference, len(text.parts), number)) + octets
            body = ShortMessage(
                source=self._source,
                destination=Address(1, 1, digits),
                text=octets,
                esm_class=_JOINED if joined else 0,
                registered_delivery=int(self._settings.receipts),
                data_coding=_DEFAULT_ALPHABET if text.gsm_7 else _UCS_2,
            )
            bodies.append(body.encoded())
        return bodies

    async def _submit(self, bodies: list[bytes], until: float) -> list[str | SessionFailure]:
        """Return what became of each part that was sent; where one could not even be sent, of that one last."""
        # One session for all parts: the one with the least under way; where its door is shut, one that is open.
        session = min(self._sessions, key=lambda one: (one.load, not one.bound))
        session.load += 1
        tasks: list[asyncio.Task[str | SessionFailure]] = []
        try:
            if isinstance(await session.link(until), SessionFailure) and (
                bound := [one for one in self._sessions if one.bound]
            ):
                session.load -= 1
                session = min(bound, key=lambda one: one.load)
                session.load += 1
            for body in bodies:
                link = await self._room(session, until)
                if isinstance(link, SessionFailure):
                    return [*await asyncio.gather(*tasks), link]
                tasks.append(asyncio.get_running_loop().create_task(link.submit(body, until)))
                await asyncio.sleep(0)  # the parts go out in their order
            return await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            raise
        finally:
            session.load -= 1

    async def _room(self, session: _Session, until: float) -> SmppSession | SessionFailure:
        """Return the session, bound, with room in its window, which is taken; one that is lost meanwhile is bound anew once."""
        loop = asyncio.get_running_loop()
        found: SmppSession | SessionFailure = SILENT
        for _ in range(2):
            found = await session.link(until)
            if isinstance(found, SessionFailure):
                return found
            patience = until - (until - loop.time()) * WAIT_FOR_ROOM
            if not await found.reserve(patience):
                return _FULL
            try:
                waited = await self._pace(patience)
            except BaseException:
                found.give_back()
                raise
            if waited and found.usable and loop.time() < until:
                return found
            found.give_back()
            if not waited:
                return _FULL
        return found.why_ended if isinstance(found, SmppSession) and not found.usable else SILENT

    async def _pace(self, patience: float) -> bool:
        """Wait for this segment's turn; False where it is too far away."""
        loop = asyncio.get_running_loop()
        turn = max(self._next_at, loop.time())
        if turn > patience:
            return False
        if self._settings.throughput:
            self._next_at = turn + 1 / self._settings.throughput
        await asyncio.sleep(turn - loop.time() if turn > loop.time() else 0)
        return True


_FULL: Final = SessionFailure(Reason.THROTTLED, "The SMSC was busy with our messages for too long.")
_STOPPING: Final = SessionFailure(Reason.UNREACHABLE, "This program is stopping.")


class _Session:
    """One session and its way back: it is bound when a message or a receipt needs it, by one task for all who wait."""

    def __init__(self, door: SmscAccount, intake: ReceiptReceiver, name: str) -> None:
        self._door = door
        self._intake = intake
        self._name = name
        self._link: SmppSession | None = None
        self._opening: asyncio.Task[SmppSession | SessionFailure] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._shut: SessionFailure | None = None
        self._knock_at = 0.0
        self._knocks = 0
        self._closed = False
        self.listen_until = 0.0  # in the loop's time: when the last receipt that is to come is overdue
        self.load = 0  # messages that are under way here, or wait to be

    @property
    def bound(self) -> bool:
        """Say whether a message may go at once."""
        return self._link is not None and self._link.usable

    @property
    def shut(self) -> bool:
        """Say whether its door was found shut and is not to be knocked at yet."""
        return not self.bound and self._shut is not None and asyncio.get_running_loop().time() < self._knock_at

    async def link(self, until: float) -> SmppSession | SessionFailure:
        """Return the session, bound anew where it was lost; while its door stays shut, say at once what was said there."""
        if self._link is not None and self._link.usable:
            return self._link
        if self._opening is None:
            if self._closed:
                return _STOPPING
            if self._shut is not None and self.shut:
                return self._shut
            self._opening = asyncio.get_running_loop().create_task(self._open())
        opening = self._opening
        await asyncio.wait((opening,), timeout=until - asyncio.get_running_loop().time())
        if not opening.done():
            return SILENT
        return _STOPPING if opening.cancelled() else opening.result()

    async def close(self) -> None:
        """Unbind, and let nothing be bound again."""
        self._closed = True
        tasks = [task for task in (self._opening, self._watching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._link is not None:
            await self._link.close()

    async def _open(self) -> SmppSession | SessionFailure:
        try:
            found = await connect(self._door, self._intake.take)
            if isinstance(found, SessionFailure):
                self._shut = found
                wait = WAITS[min(self._knocks, len(WAITS) - 1)]
                self._knocks += 1
                spread = 1 + random.random() / 4  # noqa: S311 - spreads the knocks, guards nothing
                self._knock_at = asyncio.get_running_loop().time() + wait * spread
                _log.warning("smpp_not_bound", provider=self._name, reason=found.reason, detail=found.text)
                return found
            self._link, self._shut, self._knocks = found, None, 0
            _log.info("smpp_bound", provider=self._name)
            if self._watching is None or self._watching.done():
                self._watching = asyncio.get_running_loop().create_task(self._watch(found))
            return found
        finally:
            self._opening = None

    async def _watch(self, link: SmppSession) -> None:
        """Wait for the session's end, and bind it again as long as receipts are still to come."""
        loop = asyncio.get_running_loop()
        current: SmppSession | None = link
        while True:
            if current is not None:
                await current.ended.wait()
                _log.warning("smpp_lost", provider=self._name, detail=current.why_ended.text)
            # A door that lets us in and throws us out again is not to be run at.
            await asyncio.sleep(max(WAITS[0], self._knock_at - loop.time()))
            if loop.time() >= self.listen_until and not self.bound:
                return
            found = await self.link(loop.time() + self._door.timeout)
            current = found if isinstance(found, SmppSession) else None
