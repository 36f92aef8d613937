"""A log that nobody reads, or that has no room, while the program serves."""

from __future__ import annotations

import http.client
import os
from pathlib import Path

import pytest
from tests.peers.program import PATIENCE, Program, Server

REQUESTS: int = 900
"""At debug each is a line of more than 100 bytes; a pipe holds 64 KiB."""


def ask_often(server: Server) -> None:
    """Ask for a page that logs a line, again and again on one connection, and see that each is answered."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE / 4)
    for _ in range(REQUESTS):
        connection.request("GET", "/.well-known/jwks.json")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    connection.close()


@pytest.fixture
def busy(tmp_path: Path) -> Program:
    return Program(tmp_path, ENVIRONMENT="development", LOG_LEVEL="debug", LOG_FORMAT="json")


def test_a_log_that_nobody_reads_stops_nothing(busy: Program) -> None:
    """After 64 KiB every request, and the sign of life, waited until somebody read."""
    reading, writing = os.pipe()
    with busy.serving_with_log(writing) as server:
        ask_often(server)
        assert server.ask("GET", "/health/live").status == 200
        begun = server.ask("POST", "/v1/verifications", {"to": "ada@example.org"}, server.key)
        assert begun.status == 201
        assert server.code_for("ada@example.org")
        assert server.end() == 0  # its last lines wait for a second, and no longer
    os.close(writing)
    os.close(reading)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_log_on_a_full_disk_stops_nothing(busy: Program) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with busy.serving_with_log(full) as server:
        ask_often(server)
        assert server.ask("GET", "/health/live").status == 200
    os.close(full)
