"""A process that has imported the program, and forks one for each command it is asked for. Started by tests.peers.warm_start.

What it gets is one datagram: the words, the environment and the folder of a command, with its three standard streams. What it answers
is the pid. Asked for a pid, it answers how that process ended, or null while it runs. It ends when its socket is closed.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import socket
import sys
import tempfile
from importlib import import_module
from typing import Any, Final

LOADED: Final = (
    "countersign.cli.main",
    "countersign.cli.serve",
    "countersign.serving.server",
    "countersign.serving.worker_process",
)
LOADED_TO_SERVE: Final = ("countersign.web.app", "countersign.store.engine.migrate")
LARGEST: Final = 200_000
"""Octets of a datagram."""


def asked(control: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Fork for each command. Returns in each forked process, with what it is to do; in the first one it returns None, at the end."""
    while True:
        raw, streams, _, _ = socket.recv_fds(control, LARGEST, 3)
        if not raw:
            return None
        order = json.loads(raw)
        if "ended" in order:
            pid, status = os.waitpid(order["ended"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if not answer:
                control.close()
                return order, streams
            for stream in streams:
                os.close(stream)
        control.send(json.dumps(answer).encode())


def become(order: dict[str, Any], streams: list[int]) -> None:
    """Make this process what `python -m countersign WORDS` would be."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for stream in streams:
        os.close(stream)
    os.environ.clear()
    os.environ.update(order["environ"])
    os.chdir(order["place"])
    tempfile.tempdir = None
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115 - descriptors
    sys.argv = ["countersign", *order["words"]]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.unfreeze()


def main() -> None:
    """Import, then wait for orders."""
    control = socket.socket(fileno=int(sys.argv[1]))
    for name in (*LOADED, *LOADED_TO_SERVE):
        import_module(name)
    # Its counts are shared between processes or not by what the environment says when it is imported.
    assert "prometheus_client" not in sys.modules
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    job = asked(control)
    if job is not None:
        become(*job)
        runpy.run_module("countersign", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
