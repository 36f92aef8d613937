"""SMPP 3.4: SMS over sessions with one SMSC that are bound at the first message, kept, and shared by all tasks."""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import Annotated, Final, Literal

import msgspec

from countersign.domain.delivery.delivery import MAX_TRY, Accepted, Message, Reason
from countersign.domain.delivery.sms_segments import encode_gsm_7, encode_ucs_2, split_segments
from countersign.domain.shared.contact import Channel
from countersign.errors import DeliveryFailedError, SettingsError
from countersign.providers import Connectivity, ProviderContext, ProviderKind, ReceiptHandler, TlsPeer
from countersign.providers.fields import RECEIPT_WITHIN, CaFile, ReceiptWithin, Timeout, check_receipt_within
from countersign.providers.http import tls
from countersign.providers.smpp.kept_session import KeptSession
from countersign.providers.smpp.pdu import Address, ShortMessage
from countersign.providers.smpp.receiver import ReceiptReceiver
from countersign.providers.smpp.session import SILENT, SessionFailure, SmppSession, SmscAccount, connect
from countersign.providers.smpp.status import TRY_LATER
from countersign.setting import Described

PAUSE: Final = 1.0
"""Seconds for which nothing is sent after the SMSC said that it was too much."""
WINDOW_WAIT: Final = 0.5
"""The part of the time-out that a message waits for room in the window, which leaves time for a response."""

_LONGEST_NAME: Final = 11  # 3GPP TS 23.040, 9.1.2.5: an alphanumeric address
_LONGEST_SHORT_NUMBER: Final = 8
_LONGEST_NUMBER: Final = 15  # ITU-T E.164
_LONGEST_SYSTEM_ID: Final = 15  # SMPP 3.4, 4.1.5, without the NUL, as the next two
_LONGEST_PASSWORD: Final = 8
_LONGEST_SYSTEM_TYPE: Final = 12
_MAX_PARTS: Final = 255
_MAX_PORT: Final = 65_535
_CONCATENATED: Final = 0x40  # esm_class: a header before the text (5.2.12)
_DEFAULT_ALPHABET: Final = 0x00  # data_coding (5.2.19)
_UCS_2: Final = 0x08


class SmppSettings(msgspec.Struct, frozen=True, kw_only=True):
    """An account at an SMSC. Raises SettingsError."""

    host: Annotated[str, Described("The SMSC.", expects="a host name")]
    port: Annotated[int, Described("The port of the SMSC; many take 3550 for TLS.", expects="1 to 65535")] = 2775
    tls: Annotated[
        Literal["tls", "none"],
        Described("How the connection is protected; none is for a network of your own.", expects="tls or none"),
    ] = "tls"
    system_id: Annotated[str, Described("The account.", expects="at most 15 characters")]
    password: Annotated[str, Described("The password of the account.", expects="at most 8 characters", secret=True)] = (
        ""
    )
    system_type: Annotated[
        str, Described("The type of system to bind as, if the SMSC asks for it.", expects="at most 12 characters")
    ] = ""
    sender: Annotated[
        str,
        Described(
            "The sender of messages: a number with its country code, a short number, or a name.",
            expects="at most 15 digits, or a name of at most 11 characters",
        ),
    ]
    receipts: Annotated[bool, Described("Whether receipts are requested.")] = True
    receipt_within: ReceiptWithin = None
    receipt_ids: Annotated[
        Literal["any", "same", "hex", "decimal"],
        Described(
            "How receipts write the ids of messages: as the responses do (same), or in hex or decimal where those have the other;"
            " any finds out."
        ),
    ] = "any"
    connections: Annotated[int, Described("Sessions that each process binds.", expects="at least 1")] = 1
    window: Annotated[int, Described("The most segments under way at once in one session.", expects="at least 1")] = 10
    throughput: Annotated[
        int,
        Described(
            "The most segments that each process sends in a second.", expects="segments a second", default="no limit"
        ),
    ] = 0
    timeout: Timeout = 10.0
    ca_file: CaFile = None

    def __post_init__(self) -> None:
        self._check_peer()
        self._check_account()
        self._check_bounds()

    def _check_peer(self) -> None:
        if not self.host or not self.host.isprintable() or " " in self.host:
            raise SettingsError("host is no host name; give the SMSC's, such as smsc.example.org.")
        if not 0 < self.port <= _MAX_PORT:
            raise SettingsError("port must be between 1 and 65535; many take 2775, with TLS 3550.")
        if self.tls not in {"tls", "none"}:
            raise SettingsError("tls must be tls, or none on a network of yours; SMPP has no starttls.")

    def _check_account(self) -> None:
        for what, text, longest in (
            ("system_id", self.system_id, _LONGEST_SYSTEM_ID),
            ("password", self.password, _LONGEST_PASSWORD),
            ("system_type", self.system_type, _LONGEST_SYSTEM_TYPE),
        ):
            if len(text) > longest or not (text.isascii() and text.isprintable()):
                raise SettingsError(f"{what} must be at most {longest} characters of ASCII (SMPP 3.4, 4.1.5).")
        if not self.system_id:
            raise SettingsError("system_id is required; the SMSC's operator gives it with the password.")
        address_of(self.sender)

    def _check_bounds(self) -> None:
        if not 0 < self.timeout < MAX_TRY / 1000:
            raise SettingsError(f"timeout must be above 0 and below {MAX_TRY // 1000} seconds.")
        if self.connections < 1 or self.window < 1:
            raise SettingsError("connections and window must be at least 1.")
        if self.throughput < 0:
            raise SettingsError("throughput must be above 0; leave it out where the SMSC sets no limit.")
        check_receipt_within(self.receipt_within)

    def account(self) -> SmscAccount:
        """Return the SMSC and the account there; raises SettingsError if `ca_file` cannot be used."""
        return SmscAccount(
            self.host,
            self.port,
            self.system_id,
            self.password,
            self.system_type,
            self.timeout,
            self.window,
            tls.client_context(self.ca_file) if self.tls == "tls" else None,
        )

    def __repr__(self) -> str:
        """Hide the password."""
        return f"SmppSettings({self.host}:{self.port}, {self.tls})"


def address_of(sender: str) -> Address:
    """Return a sender with its type and plan (SMPP 3.4, 5.2.5 and 5.2.6).

    A number with a plus or of more than 8 digits is international, a shorter one a short number, all else a name.
    Raises SettingsError if it is none of them.
    """
    digits = sender.removeprefix("+")
    if re.fullmatch(r"[0-9]{1,15}", digits):
        if sender.startswith("+") or len(digits) > _LONGEST_SHORT_NUMBER:
            return Address(1, 1, digits)
        return Address(3, 0, digits)
    if not 0 < len(sender) <= _LONGEST_NAME or not (sender.isascii() and sender.isprintable()) or sender[0] == "+":
        raise SettingsError(
            f"sender must be a number of at most {_LONGEST_NUMBER} digits, or a name of at most {_LONGEST_NAME} characters of ASCII."
        )
    return Address(5, 0, sender)


class SmppProvider:
    """Hands SMS to one SMSC."""

    def __init__(self, settings: SmppSettings, context: ProviderContext) -> None:
        self._settings = settings
        self._source = address_of(settings.sender)
        account = settings.account()
        self._receiver = ReceiptReceiver(context.name, settings.receipt_ids)
        self._sessions = tuple(KeptSession(account, self._receiver, context.name) for _ in range(settings.connections))
        self._next_at = 0.0

    @property
    def on_receipt(self) -> ReceiptHandler | None:
        """Return what is called with each receipt."""
        return self._receiver.on_receipt

    @on_receipt.setter
    def on_receipt(self, handler: ReceiptHandler | None) -> None:
        self._receiver.on_receipt = handler

    async def send(self, message: Message) -> Accepted:
        """Hand over all parts of `message` within the time-out; raises DeliveryFailedError.

        A part whose response is lost is not sent again here: whether to do so is the domain's decision.
        """
        if message.channel is not Channel.SMS:
            raise DeliveryFailedError(
                Reason.MISCONFIGURED, "SMPP carries SMS only; route other channels elsewhere.", permanent=True
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
                self._next_at = max(self._next_at, asyncio.get_running_loop().time() + PAUSE)
            raise worst.error()
        return self._accepted([outcome for outcome in outcomes if isinstance(outcome, str)])

    async def check(self) -> Connectivity:
        """Return whether the SMSC accepts our credentials, by binding a session and ending it."""

        async def put_off(_: bytes) -> int:
            return TRY_LATER  # receipts are for a process that can record them

        settings = self._settings
        where = f"{settings.host} port {settings.port}"
        peer = TlsPeer(settings.host, settings.port, settings.ca_file) if settings.tls == "tls" else None
        found = await connect(settings.account(), put_off)
        if isinstance(found, SessionFailure):
            return Connectivity(
                f"{where}: {found.text}",
                "Check host, port, tls, system_id, password and how many sessions are allowed.",
                peer,
            )
        await found.close()
        return Connectivity(
            f"{where} accepts us {'over TLS' if settings.tls == 'tls' else 'without TLS'}, bound", peer=peer
        )

    async def close(self) -> None:
        """End the sessions, within a second."""
        await asyncio.gather(*(session.close() for session in self._sessions))

    def _accepted(self, identifiers: list[str]) -> Accepted:
        """Return what is recorded: a message of several parts is known by the id of its last part."""
        if not self._settings.receipts or self.on_receipt is None or not all(identifiers):
            return Accepted(identifiers[-1])
        if len(identifiers) > 1:
            self._receiver.join(identifiers)
        within = self._settings.receipt_within or RECEIPT_WITHIN
        until = asyncio.get_running_loop().time() + within / 1000
        for session in self._sessions:
            session.listen_until = until
        return Accepted(identifiers[-1], within)

    def _bodies(self, message: Message) -> list[bytes]:
        """Return the body of each part; raises ValueError if one cannot be written."""
        text = split_segments(message.text)
        digits = message.to.removeprefix("+")
        if len(text.parts) > _MAX_PARTS or not re.fullmatch(r"[0-9]{1,15}", digits):
            raise ValueError
        reference = hashlib.blake2b(message.key.encode(), digest_size=1).digest()[0]
        concatenated = len(text.parts) > 1
        bodies = []
        for number, part in enumerate(text.parts, 1):
            octets = encode_gsm_7(part) if text.gsm_7 else encode_ucs_2(part)
            if concatenated:  # 3GPP TS 23.040, 9.2.3.24.1: concatenation with a reference of 8 bits
                octets = bytes((5, 0, 3, reference, len(text.parts), number)) + octets
            body = ShortMessage(
                source=self._source,
                destination=Address(1, 1, digits),
                text=octets,
                esm_class=_CONCATENATED if concatenated else 0,
                registered_delivery=int(self._settings.receipts),
                data_coding=_DEFAULT_ALPHABET if text.gsm_7 else _UCS_2,
            )
            bodies.append(body.encode())
        return bodies

    async def _submit(self, bodies: list[bytes], until: float) -> list[str | SessionFailure]:
        """Return the id or the failure of each part that was sent, and the failure of one that could not be sent as the last."""
        # One session for all parts: the least busy one, or a bound one if that cannot be bound now.
        session = min(self._sessions, key=lambda one: (one.load, not one.bound))
        session.load += 1
        tasks: list[asyncio.Task[str | SessionFailure]] = []
        try:
            if isinstance(await session.get(until), SessionFailure) and (
                bound := [one for one in self._sessions if one.bound]
            ):
                session.load -= 1
                session = min(bound, key=lambda one: one.load)
                session.load += 1
            for body in bodies:
                bound_session = await self._reserve(session, until)
                if isinstance(bound_session, SessionFailure):
                    return [*await asyncio.gather(*tasks), bound_session]
                tasks.append(asyncio.get_running_loop().create_task(bound_session.submit(body, until)))
                await asyncio.sleep(0)  # the parts go out in their order
            return await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            raise
        finally:
            session.load -= 1

    async def _reserve(self, session: KeptSession, until: float) -> SmppSession | SessionFailure:
        """Return the bound session with a place in its window reserved; a session lost meanwhile is bound again once."""
        loop = asyncio.get_running_loop()
        found: SmppSession | SessionFailure = SILENT
        for _ in range(2):
            found = await session.get(until)
            if isinstance(found, SessionFailure):
                return found
            patience = until - (until - loop.time()) * WINDOW_WAIT
            if not await found.reserve(patience):
                return _FULL
            try:
                waited = await self._pace(patience)
            except BaseException:
                found.release()
                raise
            if waited and found.usable and loop.time() < until:
                return found
            found.release()
            if not waited:
                return _FULL
        return found.why_ended if isinstance(found, SmppSession) and not found.usable else SILENT

    async def _pace(self, patience: float) -> bool:
        """Wait until this segment may be sent; return False if that is later than `patience`, in the loop's time."""
        loop = asyncio.get_running_loop()
        turn = max(self._next_at, loop.time())
        if turn > patience:
            return False
        if self._settings.throughput:
            self._next_at = turn + 1 / self._settings.throughput
        await asyncio.sleep(turn - loop.time() if turn > loop.time() else 0)
        return True


_FULL: Final = SessionFailure(Reason.THROTTLED, "The SMSC was busy with our messages for too long.")

KIND: Final = ProviderKind(
    summary="an SMSC, or a gateway that speaks SMPP",
    channels=(Channel.SMS,),
    settings=SmppSettings,
    provider=SmppProvider,
)
