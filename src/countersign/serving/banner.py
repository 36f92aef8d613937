"""The banner on a terminal when serving has begun, and the log line in its place."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

import structlog

from countersign import __version__

if TYPE_CHECKING:
    from countersign.config import Settings

_log = structlog.get_logger("countersign.serving")


def show_banner(settings: Settings, demo_key: str | None, took: float) -> None:
    """Announce that serving has begun: addresses and a first request for a developer, one log line for an operator."""
    if demo_key is None:
        _log.info(
            "serving",
            version=__version__,
            bind=settings.bind,
            port=settings.port,
            processes=settings.workers,
            delivering=not settings.no_worker,
            pid=os.getpid(),
            took=round(took, 2),
        )
        return
    pretty = sys.stdout.isatty()
    rows = (("Start page", f"{settings.public_url}/"), ("Inbox", f"{settings.public_url}/inbox"))
    if pretty:
        from rich.console import Console

        console = Console(highlight=False)
        console.print(f"\n[bold]Countersign {__version__}[/bold] serves, ready in {took:.1f} s. Ctrl-C stops it.\n")
        for name, address in rows:
            console.print(f"  {name:<12}[link={address}][cyan]{address}[/cyan][/link]")
        console.print("\n  Send a first code (to the inbox; nothing leaves this machine):\n")
    else:
        print(f"Countersign {__version__} serves, ready in {took:.1f} s.")  # noqa: T201 - the answer of a command
        for name, address in rows:
            print(f"{name}: {address}")  # noqa: T201
        print("Send a first code:")  # noqa: T201
    # Neither wrapped nor styled, so that it works when pasted.
    print(first_request(settings.public_url, demo_key), end="\n\n" if pretty else "\n", flush=True)  # noqa: T201


def first_request(public_url: str, demo_key: str) -> str:
    """Return a curl line that begins a verification with the demonstration key."""
    parts = (
        "curl",
        "-sS",
        f"{public_url}/v1/verifications",
        "-H",
        f"Authorization: Bearer {demo_key}",
        "-H",
        "Content-Type: application/json",
        "-d",
        '{"to": "ada@example.org"}',
    )
    return shlex.join(parts)
