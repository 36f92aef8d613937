"""The bare echo: the least an ASGI application can do with a JSON body, under the same server with the same options."""

from __future__ import annotations

import multiprocessing
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import uvicorn

from countersign.serving.web_process import BACKLOG

_fork = multiprocessing.get_context("fork")


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Read a JSON body, and answer with what it says."""
    if scope["type"] != "http":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    event = await receive()
    body = event["body"]
    while event.get("more_body"):
        event = await receive()
        body += event["body"]
    answer = msgspec.json.encode(msgspec.json.decode(body))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def main(port: int, workers: int) -> None:
    """Serve until told to stop: uvicorn as it comes, in as many processes as the program has."""
    with socket.create_server(("127.0.0.1", port), backlog=BACKLOG) as listener:
        processes = [_fork.Process(target=_serve, args=(listener,)) for _ in range(workers)]
        for process in processes:
            process.start()

        def stop(_: int, __: object) -> None:
            for process in processes:
                process.terminate()

        signal.signal(signal.SIGTERM, stop)
        for process in processes:
            process.join()


def _serve(listener: socket.socket) -> None:
    config = uvicorn.Config(
        app, http="httptools", loop="uvloop", ws="none", interface="asgi3", access_log=False, log_level="warning"
    )
    uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
