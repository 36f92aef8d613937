"""Delivery: messages through the worker to a provider that takes each at once and keeps nothing."""

from __future__ import annotations

import asyncio
import itertools
import random
import secrets
import time
from typing import Final

from bench.ledger import chain_of, house_at, now
from bench.meter import Figure, cpu_of_tree, figure
from countersign.domain.delivery.delivery import Accepted, Message
from countersign.domain.delivery.route import unweighted
from countersign.domain.policy import InstallationPolicy
from countersign.domain.shared.application import Application, ApplicationDraft, ApplicationMode
from countersign.domain.shared.contact import Channel, Contact, ContactKind
from countersign.flows.context import CoreContext
from countersign.flows.delivery.context import DeliveryContext
from countersign.flows.maintenance.applications import add_application
from countersign.flows.verifications.begin import BeginRequest, begin_challenge
from countersign.flows.verifications.results import Done
from countersign.providers import Provider
from countersign.store.ledger.event_log import Log
from countersign.worker import Worker

RATE: Final = 200
"""Begins a second while the delay is measured."""


class Sink:
    """A provider that notes when it was handed each message; `full` is set once it has as many as `expected`."""

    def __init__(self, expected: int) -> None:
        self.taken: dict[str, float] = {}
        self.full = asyncio.Event()
        self._expected = expected

    async def send(self, message: Message) -> Accepted:
        """Take a message."""
        self.taken[message.key.partition(".")[0]] = time.perf_counter()
        if len(self.taken) == self._expected:
            self.full.set()
        return Accepted()

    async def close(self) -> None:
        """Let go of nothing."""


async def deliver(name: str, url: str, messages: int, seconds: float, server_pid: int | None) -> list[Figure]:
    """Measure how fast a pile of owed mails is worked off, and how soon a message is handed over when there is none."""
    async with house_at(url, InstallationPolicy(routes={Channel.EMAIL: unweighted("sink")})) as core:
        sink = Sink(messages)
        application = await pile_of_mail(core, messages)
        worker = Worker(post_of(core, sink), 30)
        core.database.listen(worker.wake)
        before, ours = cpu_of_tree(server_pid) if server_pid else 0.0, time.process_time()
        began = time.perf_counter()
        running = asyncio.create_task(worker.run())
        await sink.full.wait()
        took = time.perf_counter() - began
        cpu = {"Python": time.process_time() - ours}
        if server_pid:
            cpu["PostgreSQL"] = cpu_of_tree(server_pid) - before
        worked_off = figure(f"{name}, a pile of {messages:,}", 1, took, [at - began for at in sink.taken.values()], cpu)
        await asyncio.sleep(1)  # what came of the last of them is written down
        delays = await _delays(core, application, sink, seconds)
        worker.stop()
        await running
    return [worked_off, figure(f"{name}, {RATE} a second", 1, seconds, delays, {})]


def post_of(core: CoreContext, sink: Provider) -> DeliveryContext:
    """Return a post whose one provider is the sink."""
    claims, records, receipts = (Log(chain_of(core.keyring)) for _ in range(3))
    return DeliveryContext(core, {"sink": sink}, random.random, claims, records, receipts)


async def pile_of_mail(core: CoreContext, messages: int) -> Application:
    """Owe so many mails for an application that is made for it; return that."""
    application, _ = await add_application(
        core.database,
        Log(chain_of(core.keyring)),
        core.keyring,
        ApplicationDraft("bench", ApplicationMode.LIVE, "Bench", "shop.example", ()),
        now(),
        secrets.token_bytes,
    )
    await _pile_up(core, application, messages)
    return application


async def _pile_up(core: CoreContext, application: Application, messages: int) -> None:
    numbers = itertools.count()

    async def client() -> None:
        while (number := next(numbers)) < messages:
            await begin_challenge(
                core, application, BeginRequest(Contact(ContactKind.MAIL, f"ada-{number}@example.org"))
            )

    await asyncio.gather(*(client() for _ in range(128)))


async def _delays(core: CoreContext, application: Application, sink: Sink, seconds: float) -> list[float]:
    """Return the seconds from asking to hand-over, of begins at random moments."""
    asked: dict[str, float] = {}

    async def one(number: int) -> None:
        began = time.perf_counter()
        outcome = await begin_challenge(
            core, application, BeginRequest(Contact(ContactKind.MAIL, f"bob-{number}@example.org"))
        )
        if isinstance(outcome, Done):
            asked[outcome.challenge.id] = began

    async with asyncio.TaskGroup() as group:
        for number in range(int(RATE * seconds)):
            group.create_task(one(number))
            await asyncio.sleep(random.expovariate(RATE))
    await asyncio.sleep(1)
    return [sink.taken[id_] - began for id_, began in asked.items()]
