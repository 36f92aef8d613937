"""Peers for the tests of providers, each on a port of its own and gone when its test ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from typing import cast

import pytest
from tests.providers.peers import (
    Authority,
    Conversation,
    Hidden,
    MailPeer,
    StartMailServer,
    StartServer,
    make_authority,
)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return an authority that nothing but our settings knows."""
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def start_mail_server(authority: Authority) -> AsyncIterator[StartMailServer]:
    """Return a function that starts a mail server: tls "none", "starttls" or "tls"; credentials (name, password)."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(
            tls: str = "none",
            credentials: tuple[str, str] | None = None,
            *,
            smtputf8: bool = True,
            dsn: bool = False,
            address: str = "127.0.0.1",
        ) -> MailPeer:
            peer = MailPeer(credentials=credentials, smtputf8=smtputf8, dsn=dsn)
            loop = asyncio.get_running_loop()
            server = await loop.create_server(
                lambda: peer.protocol(authority.server if tls == "starttls" else None),
                address,
                0,
                ssl=authority.server if tls == "tls" else None,
            )
            stack.push_async_callback(_stop, server, peer)
            peer.port = server.sockets[0].getsockname()[1]
            return peer

        yield start


async def _stop(server: asyncio.Server, peer: MailPeer) -> None:
    server.close()
    for transport in peer.transports:
        cast("asyncio.WriteTransport", transport).abort()
    await asyncio.sleep(0.01)  # aiosmtpd ends its tasks when it hears of the loss


@pytest.fixture
async def start_tcp_server(authority: Authority) -> AsyncIterator[StartServer]:
    """Return a function that serves a conversation on a port of 127.0.0.1, and cuts all of them off in the end."""
    tasks: set[asyncio.Task[None]] = set()
    servers: list[asyncio.Server] = []

    async def start(conversation: Conversation, *, tls: bool = False, address: str = "127.0.0.1", port: int = 0) -> int:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    await conversation(reader, writer)
            finally:
                writer.transport.abort()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(serve(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accept, address, port, ssl=authority.server if tls else None, limit=2**20)
        servers.append(server)
        taken: int = server.sockets[0].getsockname()[1]
        return taken

    yield start
    for server in servers:
        server.close()
    for task in list(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0.01)


@pytest.fixture
def hidden(caplog: pytest.LogCaptureFixture) -> Iterator[Hidden]:
    """Return a watch over all that is logged, at every level."""
    with caplog.at_level(logging.DEBUG):
        yield Hidden(caplog)
