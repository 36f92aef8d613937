"""Makes histories: clients who ask two nodes at once, faults that strike in between, and the record of every word that was said."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import signal
import sqlite3
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import msgspec
from tests.durability.history_rules import History, Kind, Stored, Told
from tests.durability.wire import BrokenError, Heard, Wire
from tests.peers.program import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from tests.durability.installation import Installation, Started
    from tests.durability.sender import Sender
    from tests.peers.postgres import PostgresServer

HOT: Final = "hot@example.org"
"""A contact whose codes many guess at."""

LOCKED_FOR: Final = 0.6
"""For how many seconds a stranger keeps rows locked."""


class Node:
    """One `serve` on a port of its own, which is started again after it was killed."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self.port = free_port()
        self.started: Started | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        self.started = self._installation._start("serve", "--port", str(self.port))
        self.started.wait_for(self.port)

    def kill_child(self) -> None:
        """Kill -9 of one process that serves; its parent replaces it."""
        assert self.started is not None
        for pid in self.started.children()[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill(self) -> None:
        """Kill -9 of all its processes, and start them again."""
        assert self.started is not None
        self.started.kill()
        self.start()


class Clients:
    """So many clients at once, each with two connections to every node, who tell a history what they heard.

    With `only_guesses` they do nothing but guess wrong, on all connections at once.
    """

    def __init__(
        self,
        installation: Installation,
        nodes: list[Node],
        history: History,
        people: int = 12,
        *,
        only_guesses: bool = False,
    ) -> None:
        self._only_guesses = only_guesses
        self._installation = installation
        self._nodes = nodes
        self._history = history
        self._people = people
        self._to: dict[str, str] = {}
        self._keys: dict[str, tuple[str, dict[str, str]]] = {}
        self.over = asyncio.Event()

    @contextlib.asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """Have them ask until the block ends."""
        people = [asyncio.create_task(self._live()) for _ in range(self._people)]
        try:
            yield
            self.over.set()
            await asyncio.gather(*people)
        finally:
            for person in people:
                person.cancel()
            await asyncio.gather(*people, return_exceptions=True)

    async def _live(self) -> None:
        wires = [Wire(node.port, self._installation.key) for node in self._nodes for _ in range(2)]
        try:
            while not self.over.is_set():
                await self._one_story(wires)
                await asyncio.sleep(random.uniform(0, 0.03))
        finally:
            for wire in wires:
                wire.close()
            await asyncio.sleep(0)

    async def _one_story(self, wires: list[Wire]) -> None:
        """Begin one verification, and do several things with it at once."""
        hot = random.random() < 0.1
        to = HOT if hot else f"{secrets.token_hex(5)}@example.org"
        body = {"to": to, "subject": "hot" if hot else secrets.token_hex(4)}
        key = secrets.token_hex(6) if random.random() < 0.6 else ""
        ids = set()
        twice = random.random() < 0.3
        for told in await asyncio.gather(*(self._begin(wire, body, key) for wire in wires[: 1 + twice])):
            if told.challenge:
                ids.add(told.challenge)
        if not ids and key:  # a careful client sends the same again
            ids |= {told.challenge for told in [await self._begin(random.choice(wires), body, key)] if told.challenge}
        if self._only_guesses:
            await asyncio.gather(*(self._act(wire, "wrong", id_) for id_ in ids for wire in wires))
            return
        for id_ in ids:
            acts: list[Kind] = random.choices(
                ["wrong", "right", "cancel", "resend", "read"],
                [8 if hot else 4, 0 if hot else 2, 1, 1, 3],
                k=random.randrange(7),
            )
            for start in range(0, len(acts), 3):
                await asyncio.gather(
                    *(self._act(wire, kind, id_) for wire, kind in zip(wires, acts[start : start + 3], strict=False))
                )

    async def _begin(self, wire: Wire, body: dict[str, str], key: str) -> Told:
        return await self._ask(wire, "begin", "POST", "/v1/verifications", body, key, to=body["to"])

    async def _act(self, wire: Wire, kind: Kind, id_: str) -> None:
        path = f"/v1/verifications/{id_}"
        if kind == "read":
            await self._ask(wire, kind, "GET", path, None, "", challenge=id_)
        elif kind in {"cancel", "resend"}:
            await self._ask(wire, kind, "POST", f"{path}/{kind}", {}, "", challenge=id_)
        else:
            code = self._installation.code_of(id_) if kind == "right" else self._installation.wrong_for(id_)
            key = secrets.token_hex(6) if random.random() < 0.3 else ""
            told = await self._ask(wire, kind, "POST", f"{path}/check", {"code": code}, key, challenge=id_)
            if key and told.status in {0, 503}:
                await self._ask(wire, kind, "POST", f"{path}/check", {"code": code}, key, challenge=id_)

    async def _ask(
        self,
        wire: Wire,
        kind: Kind,
        method: str,
        path: str,
        body: object,
        key: str,
        *,
        challenge: str = "",
        to: str = "",
    ) -> Told:
        began = time.monotonic()
        try:
            heard = await wire.ask(method, path, body, headers={"Idempotency-Key": key} if key else None)
        except BrokenError:
            told = Told(kind=kind, began=began, ended=time.monotonic(), status=0, challenge=challenge, key=key, to=to)
            self._history.told.append(told)
            await asyncio.sleep(0.05)
            return told
        told = _read(heard, kind, began, challenge, key, to)
        self._history.told.append(told)
        if heard.status == 503:
            await asyncio.sleep(0.05)
        return told


def _read(heard: Heard, kind: Kind, began: float, challenge: str, key: str, to: str) -> Told:
    assert heard.status < 500 or heard.status == 503, heard.body
    answer = heard.json
    shown = "id" in answer and heard.status in {200, 201, 409}
    compared = heard.status == 200 and (
        answer.get("refusal") == "wrong_code" or (kind == "right" and "proof" in answer)
    )
    return Told(
        kind=kind,
        began=began,
        ended=time.monotonic(),
        status=heard.status,
        challenge=answer.get("id", challenge) if heard.status in {200, 201} else challenge,
        key=key,
        to=to,
        unknown=heard.status == 503 and not told_known(answer),
        compared=compared,
        state=answer.get("status", "") if shown and isinstance(answer.get("status"), str) else "",
        guesses_left=answer.get("guesses_left") if shown else None,
        sends_left=answer.get("sends_left") if shown else None,
    )


def told_known(problem: dict[str, Any]) -> bool:
    """Say whether a problem lets its reader believe that nothing was done."""
    return problem.get("outcome") != "unknown" and "unknown" not in str(problem.get("detail", ""))


class Faults:
    """What strikes while clients ask: processes die, the database crashes, hangs, loses sessions, or has rows locked by a stranger."""

    def __init__(self, installation: Installation, nodes: list[Node], server: PostgresServer | None) -> None:
        self._installation = installation
        self._nodes = nodes
        self._server = server
        self.struck: Counter[str] = Counter()

    async def strike(self) -> None:
        """Let one of them happen, and end."""
        faults: list[Callable[[], Awaitable[None]]] = [
            self._kill_child,
            self._kill_child,
            self._kill_node,
            self._lock,
        ]
        if self._server is not None:
            faults += [self._crash, self._hang, self._end_sessions, self._kill_session]
        fault = random.choice(faults)
        self.struck[fault.__name__.strip("_")] += 1
        await fault()

    async def _kill_child(self) -> None:
        random.choice(self._nodes).kill_child()

    async def _kill_node(self) -> None:
        await asyncio.to_thread(random.choice(self._nodes).kill)

    async def _lock(self) -> None:
        if self._server is None:
            await asyncio.to_thread(self._lock_file)
            return
        connection = await asyncpg.connect(self._installation.database_url)
        try:
            async with connection.transaction():
                await connection.execute("SELECT 1 FROM challenges ORDER BY id DESC LIMIT 20 FOR UPDATE")
                await asyncio.sleep(LOCKED_FOR)
        finally:
            await connection.close()

    def _lock_file(self) -> None:
        path = self._installation.database_url.removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(LOCKED_FOR)
            connection.execute("ROLLBACK")

    async def _crash(self) -> None:
        assert self._server is not None
        await asyncio.to_thread(self._server.stop, "immediate")
        await asyncio.to_thread(self._server.start)

    async def _hang(self) -> None:
        assert self._server is not None
        self._server.pause()
        try:
            await asyncio.sleep(random.uniform(0.3, 1.5))
        finally:
            self._server.resume()

    async def _end_sessions(self) -> None:
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            await self._installation.rows(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'countersign%'"
                " AND random() < 0.5"
            )

    async def _kill_session(self) -> None:
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            rows = await self._installation.rows(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'countersign' ORDER BY random() LIMIT 1"
            )
            for (pid,) in rows:
                os.kill(pid, signal.SIGKILL)


async def finish(history: History, installation: Installation, sender: Sender) -> None:
    """Write down what is stored at the end, and what was sent."""
    sent = {message.key.split(".")[0] for message in sender.posted}
    compared: Counter[str] = Counter()
    approved: Counter[str] = Counter()
    for event in await installation.events():
        if event.kind.value in {"challenge.approved", "challenge.refused", "challenge.exhausted"}:
            compared[event.owner] += 1
        approved[event.owner] += event.kind.value == "challenge.approved"
    contacts = {told.challenge: told.to for told in history.told if told.to and told.challenge}
    rows = await installation.rows("SELECT id, state, guesses, sends FROM challenges")
    history.stored = {
        id_: Stored(
            state=state,
            guesses=guesses,
            sends=sends,
            compared_events=compared[id_],
            approved_events=approved[id_],
            sent=id_ in sent,
            to=HOT if contacts.get(id_) == HOT else "",
        )
        for id_, state, guesses, sends in rows
    }
    verified = installation.program.run("events", "verify")
    if verified.returncode:
        history.log_findings.append(verified.stdout + verified.stderr)


def figures(history: History, faults: Faults) -> dict[str, Any]:
    """Return what a history was made of."""
    ends = Counter(stored.state for stored in history.stored.values())
    return {
        "operations": len(history.told),
        "challenges": len(history.stored),
        **dict(ends),
        "lost answers": sum(told.status == 0 for told in history.told),
        "503": sum(told.status == 503 for told in history.told),
        "unknown": sum(told.unknown for told in history.told),
        "faults": dict(faults.struck),
    }


def shown(violations: Iterator[msgspec.Struct] | list[Any]) -> str:
    """Return violations as text, one a line, not too many."""
    return "\n".join(map(str, list(violations)[:20]))
