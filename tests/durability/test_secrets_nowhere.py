"""C8 shown by search: many verifications with everything on that talks, and no live code and no full contact anywhere."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from tests.durability.installation import Installation, Started, installed, webhook_config
from tests.durability.search import GREP, Search, forms_of_code, forms_of_mail, forms_of_number
from tests.durability.sender import SECRET, Sender
from tests.durability.wire import Heard, Wire
from tests.peers.postgres import PostgresServer
from tests.peers.program import free_port
from tests.providers.peers import MailPeer
from tests.rounds import rounds

from countersign.domain.verifications.code import Alphabet, CodeShape

MANY = rounds(1_000)
AT_ONCE = 16
SHAPE = CodeShape(10, Alphabet.ALPHANUMERIC)
"""24^10 codes: one that is met by chance would be a wonder, so each hit is a finding."""

pytestmark = [pytest.mark.slow, pytest.mark.peers, pytest.mark.timeout(240)]


class Secret(msgspec.Struct, frozen=True):
    """What must show nowhere: a verification's code and its contact."""

    id: str
    code: str
    to: str
    open: bool

    def needles(self) -> Iterator[tuple[str, bytes]]:
        """Return every form of both, by a name that tells which it was."""
        contact = forms_of_mail(self.to) if "@" in self.to else forms_of_number(self.to)
        for what, forms in (("code", forms_of_code(self.code)), ("contact", contact)):
            for form, needle in forms.items():
                yield f"{what} of {self.id}, {form}", needle


@pytest_asyncio.fixture
async def mail() -> AsyncIterator[MailPeer]:
    """Give a mail server that refuses one recipient, and quotes all that it was told while it does."""
    peer = MailPeer()
    listening = await asyncio.get_running_loop().create_server(lambda: peer.protocol(None), "127.0.0.1", 0)
    peer.port = listening.sockets[0].getsockname()[1]
    yield peer
    peer.hang_up()
    listening.close()


def configuration(mail: MailPeer, sender: Sender, metrics: int) -> str:
    """Return a configuration with everything on that could give something away."""
    more = f"""
[providers.mail]
kind = "smtp"
host = "127.0.0.1"
port = {mail.port}
tls = "none"
from_address = "codes@example.org"
[purposes.vault]
code_length = 10
code_alphabet = "alphanumeric"
resend_after = 1
[metrics]
port = {metrics}
[log]
level = "debug"
"""
    return webhook_config(sender.url, SECRET, more).replace('email = ["gateway"]', 'email = ["mail"]')


async def test_no_live_code_and_no_full_contact_is_anywhere(
    each_url: str, durable_server: PostgresServer, tmp_path: Path, mail: MailPeer, sender: Sender
) -> None:
    """C8: logs at debug, every file of the database and its WAL, the metrics page, every answer, error, header and URL."""
    if GREP is None:
        pytest.skip("the search needs grep, and there is none on PATH")
    began = time.monotonic()
    metrics = free_port()
    with installed(tmp_path, each_url, config=configuration(mail, sender, metrics)) as installation:
        started = await asyncio.to_thread(installation.serve)
        answers: list[bytes] = []
        given = iter(range(MANY))
        found = await asyncio.gather(*(_somebody(installation, mail, given, answers) for _ in range(AT_ONCE)))
        told = [secret for each in found for secret in each]
        assert len(told) == MANY
        assert len({secret.code for secret in told}) == MANY
        await _all_sent(installation)
        _every_code_was_really_sent(told, mail, sender)
        for wire, path in ((Wire(metrics), "/metrics"), (Wire(installation.port), "/health/ready")):
            answers.append((await wire.get(path)).raw)
            wire.close()
        heard = tmp_path / "heard"
        heard.write_bytes(b"\n".join(answers) + b"\n".join(_opened_tokens(answers)))

        search = Search(tmp_path, dict(needle for secret in told for needle in secret.needles()))
        places = [heard, *_files(installation, tmp_path), *await _dumped(installation, tmp_path)]
        if not installation.sqlite:
            places += await _data_folder(durable_server, installation)
        assert await asyncio.to_thread(search.found_in, places) == {}
        sizes = {place.name: place.stat().st_size for place in (heard, *installation.home.iterdir()) if place.is_file()}

        await _the_search_finds_what_is_there(installation, durable_server, search, told, tmp_path, started)
        assert b'"level": "debug"' in installation.logged()
        assert b'"event": "send_failed"' in installation.logged()
    print(f"\n{MANY} in {time.monotonic() - began:.0f} s: {len(answers)} answers, {len(places)} places, {sizes}")  # noqa: T201 - shown with -s or -rP


async def _somebody(
    installation: Installation, mail: MailPeer, given: Iterator[int], answers: list[bytes]
) -> list[Secret]:
    """Do all that people and careless programs do, one verification after the other; keep every answer."""
    wire = Wire(installation.port, installation.key)

    async def keep(asked: object) -> Heard:
        heard: Heard = await asked  # type: ignore[misc]
        answers.append(heard.raw)
        return heard

    told: list[Secret] = []
    for number in given:
        to = (
            f"{secrets.token_hex(7)}@example.org"
            if number % 2
            else f"+4915{random.randrange(112_000_000, 779_999_999)}"
        )
        if number % 50 == 1:
            mail.rcpt_replies[to] = f"550 5.7.1 {to} is not wanted here, <{to}>"
        body = {
            "to": to,
            "purpose": "vault",
            "subject": f"user-{number}",
            "action": {"summary": "Open the vault"},
            "requester": {
                "ip": "203.0.113.9",
                "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            },
        }
        malformed = (
            {**body, "to": [to]},
            {**body, "purpose": to},
            {**body, "channel": to},
            {**body, "locale": to},
            {**body, to: 1},
        )
        for wrong in random.sample((*malformed, {**body, "to": f"{to} {to}"}), 2):
            await keep(wire.post("/v1/verifications", wrong))
        begun = await keep(wire.post("/v1/verifications", body, headers={"Idempotency-Key": to}))
        assert begun.status == 201, begun.body
        id_ = begun.json["id"]
        path = f"/v1/verifications/{id_}"
        code = installation.code_of(id_, SHAPE)
        open_ = number % 3 != 0
        told.append(Secret(id_, code, to, open_))
        wrong_code = code[::-1] if code != code[::-1] else "2" * 10
        await keep(wire.post(f"{path}/check", {"code": wrong_code[:9] + ("2" if wrong_code[9] != "2" else "3")}))
        careless = (
            wire.post(f"{path}/check", {"code": [code]}),
            wire.post(f"{path}/check", {"code": code * 7}),
            wire.post(f"{path}/check", {"code": code, code: 1}),
            wire.post(f"{path}/check", {"cod": code}),
            wire.post(f"{path}/check", [code, to]),
            wire.ask("POST", f"{path}/check", raw=f'{{"code": "{code}'.encode()),
            wire.ask("POST", f"{path}/check", raw=f'{{"code": "{code}\xff"}}'.encode("latin-1")),
            wire.get(f"{path}?code={code}&to={to.replace('+', '%2B')}"),
            wire.post(f"/v1/verifications/{code}/check", {"code": code}),
            wire.get(f"/{to}/{code}"),
            wire.get(f"/{code}"),
            wire.ask("DELETE", f"{path}/check/{code}"),
            wire.get(f"/v1/receipts/{code}"),
            wire.post(f"{path}/resend", {"channel": to}),
            wire.post(f"{path}/resend", {}, headers={"Idempotency-Key": code}),
            wire.get("/v1/verifications", headers={"X-Api-Key": code, "Cookie": f"to={to}"}),
        )
        chosen = set(random.sample(range(len(careless)), 5))
        for n, request in enumerate(careless):
            if n in chosen:
                await keep(request)
            else:
                request.close()
        if not open_:
            right = await keep(wire.post(f"{path}/check", {"code": code.lower()}))
            assert right.json["status"] == "approved", right.body
            await keep(wire.post(f"{path}/check", {"code": code}))
        await keep(wire.get(path))
        if number % 20 == 0:
            answers.append(await _streamed(installation, path))
    wire.close()
    return told


async def _streamed(installation: Installation, path: str) -> bytes:
    """Return what a stream of events says in its first moment."""
    reader, writer = await asyncio.open_connection("127.0.0.1", installation.port)
    head = f"GET {path}/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {installation.key}\r\n\r\n"
    writer.write(head.encode())
    said = await reader.readuntil(b"\r\n\r\n") + await reader.readuntil(b"\n\n")
    writer.transport.abort()
    return said


async def _all_sent(installation: Installation) -> None:
    async with asyncio.timeout(60):
        while await installation.rows("SELECT owner FROM deliveries WHERE due_at IS NOT NULL LIMIT 1"):  # noqa: ASYNC110 - another process moves it
            await asyncio.sleep(0.2)


def _every_code_was_really_sent(told: list[Secret], mail: MailPeer, sender: Sender) -> None:
    """See that what is searched for are the codes that people got: else a clean search would mean nothing."""
    sent = {message.owner: message.text for message in sender.posted}
    for letter in mail.letters:
        content = (letter.original_content or b"").decode()
        sent[re.findall(r"(?mi)^message-id: <(ver_\w+)\.", content)[0]] = content
    for secret in told:
        if secret.id in sent:
            assert secret.code in re.sub(r"[ -]", "", sent[secret.id])
    assert sum(secret.open for secret in told if secret.id in sent) > MANY / 2


def _opened_tokens(answers: list[bytes]) -> Iterator[bytes]:
    """Return what the proofs among the answers say inside."""
    for token in re.findall(rb"eyJ[\w-]+\.([\w-]+)\.", b"\n".join(answers)):
        yield base64.urlsafe_b64decode(token + b"=" * (-len(token) % 4))


def _files(installation: Installation, tmp_path: Path) -> list[Path]:
    """Return the logs and every file in the home: the database, its WAL and index, keys, whatever else there is."""
    return [*tmp_path.glob("*.log"), *(path for path in installation.home.rglob("*") if path.is_file())]


async def _dumped(installation: Installation, tmp_path: Path) -> list[Path]:
    """Return every row of every table as text, bytes in hexadecimal and as they are."""
    if installation.sqlite:
        names = [name for (name,) in await installation.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    else:
        names = [
            name for (name,) in await installation.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ]
    assert {"challenges", "deliveries", "events", "attempts", "answers"} <= set(names)
    dump = tmp_path / "dump"
    with dump.open("wb") as file:
        for name in names:
            for row in await installation.rows(f"SELECT * FROM {name}"):  # noqa: S608 - a name of ours
                for value in row:
                    if isinstance(value, bytes):
                        file.write(value + b"\n" + value.hex().encode() + b"\n")
                    else:
                        file.write(json.dumps(value, ensure_ascii=False, default=str).encode() + b"\n")
    return [dump]


async def _data_folder(server: PostgresServer, installation: Installation) -> list[Path]:
    """Return PostgreSQL's own files: tables, indexes, the log of transactions (WAL), and its log."""
    ((number,),) = await installation.rows("SELECT oid FROM pg_database WHERE datname = current_database()")
    oid = str(number)
    found = [
        path for path in server._data.rglob("*") if path.is_file() and ("base" not in path.parts or oid in path.parts)
    ]
    assert any("pg_wal" in path.parts for path in found)
    return found


async def _the_search_finds_what_is_there(
    installation: Installation,
    server: PostgresServer,
    search: Search,
    told: list[Secret],
    tmp_path: Path,
    started: Started,
) -> None:
    """Plant a code and contacts, in every form, in the log, the database and its WAL: each must be found."""
    planted: list[Path] = []
    for secret in (told[0], told[1]):
        for _, needle in secret.needles():
            planted.append(tmp_path / f"planted-{len(planted)}")
            planted[-1].write_bytes(b"\xff\x00 before" + needle + b"after \x00" + b"x" * 9_000)
    found = await asyncio.to_thread(search.found_in, planted)
    assert set.union(*found.values()) == set(map(str, planted))
    code, to = told[0].code, told[1].to
    connection_sql = f"UPDATE applications SET site = '{code}', host = '{to}'"  # noqa: S608 - what is planted
    await installation.change(connection_sql)
    hits = await asyncio.to_thread(search.found_in, await _dumped(installation, tmp_path))
    assert any("code" in name for name in hits)
    assert any("contact" in name for name in hits)
    if not installation.sqlite:
        await installation.change("CHECKPOINT")  # what is in the server's memory comes to the disk
    raw = (
        [installation.home / "countersign.db-wal"] if installation.sqlite else await _data_folder(server, installation)
    )
    assert {"plain"} <= {name.rpartition(", ")[2] for name in await asyncio.to_thread(search.found_in, raw)}
    assert await asyncio.to_thread(started.stop) == 0
    if installation.sqlite:
        assert await asyncio.to_thread(search.found_in, [installation.home / "countersign.db"])
