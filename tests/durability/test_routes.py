"""Mail servers that fail in every way they know, through the real program with a route of two: the rule is followed."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.durability.installation import Installation, installed
from tests.durability.wire import Wire
from tests.providers.peers import MailPeer

pytestmark = [pytest.mark.slow, pytest.mark.peers, pytest.mark.timeout(90)]

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def hangs(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Take the connection and say nothing."""
    await reader.read()


async def resets(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reset every connection."""
    writer.transport.abort()


async def dies_before_its_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take a whole letter, and end the connection before saying so."""
    writer.write(b"220 peer.example\r\n")
    while line := await reader.readline():
        if line.upper().startswith(b"DATA"):
            writer.write(b"354 go on\r\n")
            await reader.readuntil(b"\r\n.\r\n")
            break
        writer.write(b"250 OK\r\n")
    writer.transport.abort()


@contextlib.asynccontextmanager
async def listening(make: Any) -> AsyncIterator[int]:
    """Listen with a protocol of a mail server, or with a conversation; give the port."""
    if isinstance(make, MailPeer):
        server = await asyncio.get_running_loop().create_server(lambda: make.protocol(None), "127.0.0.1", 0)
    else:

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
                await make(reader, writer)
            writer.transport.abort()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    if isinstance(make, MailPeer):
        make.hang_up()
    server.close()


def configuration(*ports: int) -> str:
    """Return a configuration that hands mail to one server after the other."""
    providers = "".join(
        f'[providers.mail{n}]\nkind = "smtp"\nhost = "127.0.0.1"\nport = {port}\ntls = "none"\nfrom_address = "codes@example.org"\n'
        "timeout = 1\n"
        for n, port in enumerate(ports)
    )
    names = ", ".join(f'"mail{n}"' for n in range(len(ports)))
    return f"[limits]\ndestination = []\nrequester = []\n[routes]\nemail = [{names}]\n{providers}"


async def ended(wire: Wire, id_: str, within: float) -> Any:
    """Return the verification in full once its message has come to rest."""
    async with asyncio.timeout(within):
        while True:
            told = (await wire.get(f"/v1/verifications/{id_}")).json
            if told["delivery"]["state"] not in {"queued", "sending"}:
                return told
            await asyncio.sleep(0.05)


async def tries(installation: Installation) -> list[Any]:
    """Return every try that was made: its provider, what came of it and why, and when it began."""
    return await installation.rows("SELECT provider, outcome, reason, started_at FROM attempts ORDER BY attempt")


GREYLISTED = "450 4.2.0 Greylisted, come back"


async def test_a_server_that_fails_for_now_is_left_by_the_rule_and_the_next_has_the_same_code(
    tmp_path: Path,
) -> None:
    """D2: one hangs, one resets, one dies before its answer: the next at once; one greylists: four times, with growing waits."""
    greylisting = MailPeer(rcpt_replies={"ada@example.org": GREYLISTED})
    cases: dict[str, Talk | MailPeer] = {
        "hangs": hangs,
        "resets": resets,
        "dies": dies_before_its_answer,
        "greylists": greylisting,
    }
    reasons = {"hangs": "timed_out", "resets": "unreachable", "dies": "unreachable", "greylists": "greylisted"}
    for name in cases:
        (tmp_path / name).mkdir()
    took = await asyncio.gather(*(_fails_over(tmp_path / name, bad, reasons[name]) for name, bad in cases.items()))
    print(f"\n{dict(zip(cases, took, strict=True))}")  # noqa: T201 - shown with -s or -rP


async def _fails_over(place: Path, bad: Talk | MailPeer, reason: str) -> float:
    """See one code through both servers of a route; return the seconds it took."""
    good = MailPeer()
    async with listening(bad) as bad_port, listening(good) as good_port:
        installation = await asyncio.to_thread(Installation, place, config=configuration(bad_port, good_port))
        try:
            started = await asyncio.to_thread(installation.serve)
            wire = Wire(installation.port, installation.key)
            began = time.monotonic()
            id_ = (await wire.post("/v1/verifications", {"to": "ada@example.org"})).json["id"]
            told = await ended(wire, id_, 45)
            took = time.monotonic() - began
            assert told["deliveries"][0]["provider"] == "mail1"
            assert told["delivery"]["state"] == "accepted"
            made = await tries(installation)
            waited = (1, 4, 12, 0) if reason == "greylisted" else (0,)
            assert [one[:3] for one in made] == [("mail0", "failed", reason)] * len(waited) + [
                ("mail1", "accepted", "")
            ]
            waits = [(later[3] - earlier[3]) / 1_000 for earlier, later in itertools.pairwise(made)]
            for wait, least in zip(waits, waited, strict=True):
                assert least <= wait < least * 1.25 + 3
            content = (good.letters[0].original_content or b"").decode()
            assert len(good.letters) == 1
            assert installation.code_of(id_) in content.replace(" ", "")
            assert f"<{id_}.1.1@" in content
            wire.close()
            assert await asyncio.to_thread(started.stop) == 0
        finally:
            installation.end()
    return round(took, 1)


async def test_refusals_end_or_move_on_at_once_and_touch_nobody_else(tmp_path: Path) -> None:
    """D2: an unknown recipient is tried nowhere else, a blocked letter by the next at once, and the others' go out."""
    first, second = MailPeer(), MailPeer()
    first.rcpt_replies["nobody@example.org"] = "550 5.1.1 No such user"
    first.rcpt_replies["blocked@example.org"] = "550 5.7.1 Blocked"
    async with listening(first) as first_port, listening(second) as second_port:
        with installed(tmp_path, config=configuration(first_port, second_port)) as installation:
            started = await asyncio.to_thread(installation.serve)
            wire = Wire(installation.port, installation.key)
            people = ["nobody", "blocked", *(f"ada{n}" for n in range(8))]
            begun = [(await wire.post("/v1/verifications", {"to": f"{who}@example.org"})).json["id"] for who in people]
            nobody, blocked, *others = [await ended(wire, id_, 10) for id_ in begun]
            assert (nobody["delivery"]["state"], nobody["deliveries"][0]["reason"]) == ("failed", "unknown_recipient")
            assert (blocked["delivery"]["state"], blocked["deliveries"][0]["provider"]) == ("accepted", "mail1")
            assert {(each["delivery"]["state"], each["deliveries"][0]["provider"]) for each in others} == {
                ("accepted", "mail0")
            }
            assert len(first.letters) == 8
            assert [letter.rcpt_tos for letter in second.letters] == [["blocked@example.org"]]
            assert len(await tries(installation)) == len(people) + 1
            wire.close()
            assert await asyncio.to_thread(started.stop) == 0


async def test_a_letter_whose_answer_was_lost_bears_the_same_message_id_each_time(tmp_path: Path) -> None:
    """D2: accepted, and dead before its answer: what comes twice is the same letter to whoever compares."""
    letters: list[bytes] = []

    async def loses_the_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 peer.example\r\n")
        while line := await reader.readline():
            writer.write(b"354 go on\r\n" if line.upper().startswith(b"DATA") else b"250 OK\r\n")
            if line.upper().startswith(b"DATA"):
                letters.append(await reader.readuntil(b"\r\n.\r\n"))
                if len(letters) == 1:
                    return
                writer.write(b"250 OK\r\n")

    async with listening(loses_the_first) as port:
        with installed(tmp_path, config=configuration(port)) as installation:
            started = await asyncio.to_thread(installation.serve)
            wire = Wire(installation.port, installation.key)
            id_ = (await wire.post("/v1/verifications", {"to": "ada@example.org"})).json["id"]
            told = await ended(wire, id_, 15)
            assert told["delivery"]["state"] == "accepted"
            wire.close()
            assert await asyncio.to_thread(started.stop) == 0
    names = [re.findall(rb"(?mi)^message-id: (\S+)", letter) for letter in letters]
    assert len(letters) == 2
    assert names[0] == names[1]
