"""Mail over SMTP: what a worker makes of a pile, beside the SMTP library alone against the same sink."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from aiosmtplib import SMTP

from bench.delivery import pile_of_mail, post_of
from bench.ledger import house_at, now
from bench.meter import Figure, figure
from countersign.domain.delivery.delivery import Accepted, Message
from countersign.domain.delivery.route import unweighted
from countersign.domain.policy import InstallationPolicy
from countersign.domain.shared.contact import Channel
from countersign.flows.delivery.claim import claim_due
from countersign.flows.delivery.send import send
from countersign.providers import ProviderContext
from countersign.providers.email.message import write_message
from countersign.providers.email.smtp import SmtpProvider, SmtpSettings
from countersign.worker import Worker

CONNECTIONS: Final = 4
"""Connections to the sink, ours and the library's: the default of an smtp provider."""


@contextlib.asynccontextmanager
async def a_sink() -> AsyncIterator[int]:
    """Give the port of a mail server in a process of its own."""
    process = subprocess.Popen(  # noqa: ASYNC220 - before anything is measured
        [sys.executable, "-m", "bench.mail_sink"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
    )
    assert process.stdin is not None  # noqa: S101 - we asked for a pipe
    assert process.stdout is not None  # noqa: S101
    try:
        yield int(await asyncio.to_thread(process.stdout.readline))
    finally:
        process.stdin.close()
        await asyncio.to_thread(process.wait)
        process.stdout.close()


class Taken:
    """An SMTP provider that is watched: `full` is set once it has handed over as many as `expected`."""

    def __init__(self, port: int, expected: int) -> None:
        settings = SmtpSettings(
            host="127.0.0.1", port=port, tls="none", from_address="codes@shop.example", connections=CONNECTIONS
        )
        self._provider = SmtpProvider(settings, ProviderContext("mail", now))
        self._expected = expected
        self.at: list[float] = []
        self.sample: Message | None = None
        self.full = asyncio.Event()

    async def send(self, message: Message) -> Accepted:
        """Hand a message to the sink."""
        self.sample = message
        word = await self._provider.send(message)
        self.at.append(time.perf_counter())
        if len(self.at) == self._expected:
            self.full.set()
        return word

    async def close(self) -> None:
        """Say goodbye."""
        await self._provider.close()


async def mail_out(url: str, messages: int) -> list[Figure]:
    """Return how fast a worker mails a pile, and how fast the library alone sends as many of the same letter."""
    async with a_sink() as port, house_at(url, InstallationPolicy(routes={Channel.EMAIL: unweighted("sink")})) as core:
        provider = Taken(port, messages + 1)
        post = post_of(core, provider)
        await pile_of_mail(core, messages + 1)
        (first,) = await claim_due(post, 1)  # its letter is what the library sends afterwards
        await send(post, first)
        worker = Worker(post, 30)
        core.database.listen(worker.wake)
        began, cpu = time.perf_counter(), time.process_time()
        running = asyncio.create_task(worker.run())
        await provider.full.wait()
        took, spent = time.perf_counter() - began, time.process_time() - cpu
        worker.stop()
        await running
        ours = figure(
            f"a worker, {CONNECTIONS} connections",
            CONNECTIONS,
            took,
            [at - began for at in provider.at[1:]],
            {"Python": spent},
        )
        await provider.close()
        assert provider.sample is not None  # noqa: S101 - one was handed over
        written = write_message(provider.sample, "codes@shop.example", now())
        floor = await _by_the_library_alone(port, written.sender, written.recipient, written.content, messages)
    return [ours, floor]


async def _by_the_library_alone(port: int, sender: str, recipient: str, content: bytes, messages: int) -> Figure:
    numbers = itertools.count()
    times: list[float] = []

    async def client() -> None:
        smtp = SMTP(hostname="127.0.0.1", port=port, use_tls=False, start_tls=False, timeout=None)
        await smtp.connect()
        while next(numbers) < messages:
            began = time.perf_counter()
            await smtp.sendmail(sender, [recipient], content)
            times.append(time.perf_counter() - began)
        await smtp.quit()

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    took, spent = time.perf_counter() - began, time.process_time() - cpu
    return figure(f"aiosmtplib alone, {CONNECTIONS} connections", CONNECTIONS, took, times, {"Python": spent})
