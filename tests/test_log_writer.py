"""The log is written beside the work: a reader that stands still, or a full disk, costs lines and nothing else."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
import structlog

from countersign import logs
from countersign.log_writer import LogWriter

LONG = 10.0
"""Seconds that a thread has for what takes no time."""


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    """A pipe that nobody reads: the descriptor to read from, and the stream to write to."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        yield reading, stream
    os.close(reading)


def everything(reading: int, until: bytes) -> bytes:
    """Read a pipe until something has been read."""
    found = bytearray()
    while until not in found:
        found += os.read(reading, 65_536)
    return bytes(found)


def test_nobody_waits_for_a_reader_and_lost_lines_are_counted(pipe: tuple[int, TextIO]) -> None:
    reading, stream = pipe
    told: list[int] = []
    heard = threading.Event()

    def on_lost(count: int) -> None:
        told.append(count)
        heard.set()

    writer = LogWriter(stream, on_lost, max_lines=100)
    line = "x" * 999
    for _ in range(300):  # 64 of them fill the pipe, and 100 wait
        writer.write(line)
    found = everything(reading, until=line.encode())
    while not heard.wait(0.01):
        found += os.read(reading, 65_536)
    written = 300 - sum(told)
    assert 100 <= written <= 165
    os.set_blocking(reading, False)
    while len(found) < written * 1_000:
        found += os.read(reading, 65_536)
    assert found == (line + "\n").encode() * written
    writer.close()


def test_long_lines_are_bounded_by_their_length(pipe: tuple[int, TextIO]) -> None:
    _, stream = pipe
    writer = LogWriter(stream, lambda _: None, max_characters=1_000_000)
    for _ in range(50):
        writer.write("x" * 100_000)
    assert writer.waiting <= 1_000_000
    writer.close(within=0.0)


def test_a_reader_that_comes_back_is_told_what_is_missing(pipe: tuple[int, TextIO]) -> None:
    reading, stream = pipe
    counted: list[int] = []
    logs.on_lines_lost(counted.append)
    logs.configure("info", "json", stream, queued=True)
    try:
        for n in range(4_000):
            structlog.get_logger("test").info("an_event", number=n)
        lines = everything(reading, until=b"log_lines_lost").splitlines()
        told = json.loads(next(line for line in lines if b"log_lines_lost" in line))
        numbers = [json.loads(line)["number"] for line in lines if b"an_event" in line]
        assert told["level"] == "warning"
        assert told["lines"] == counted[0] == 4_000 - len(numbers)
        assert numbers == sorted(numbers)
    finally:
        logs.on_lines_lost(None)
        logs.close()


def test_the_last_lines_are_written_before_the_end() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream, queued=True)
    for n in range(500):
        structlog.get_logger("test").info("an_event", number=n)
    logs.close()
    assert [json.loads(line)["number"] for line in stream.getvalue().splitlines()] == list(range(500))


def test_an_end_does_not_wait_for_a_reader(pipe: tuple[int, TextIO]) -> None:
    _, stream = pipe
    writer = LogWriter(stream, lambda _: None)
    for _ in range(200):
        writer.write("x" * 999)
    ended = threading.Thread(target=writer.close, args=(0.01,))
    ended.start()
    ended.join(LONG)
    assert not ended.is_alive()


def test_a_full_disk_costs_lines_which_are_counted(tmp_path: Path) -> None:
    """They were lost without a word."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    told: list[int] = []
    with full.open("w") as stream:
        writer = LogWriter(stream, told.append)
        for _ in range(3):
            writer.write("lost")
        writer.close()
    kept = tmp_path / "log"
    with kept.open("w") as stream:
        again = LogWriter(stream, told.append)
        again.lost(3)
        again.write("kept")
        again.close()
    assert told == [3]
    assert kept.read_text() == "kept\n"


def test_a_pipe_that_lets_nobody_wait_loses_nothing(pipe: tuple[int, TextIO]) -> None:
    """Another program with the same pipe may have made it so."""
    reading, stream = pipe
    os.set_blocking(stream.fileno(), False)
    writer = LogWriter(stream, lambda _: None)
    for _ in range(150):
        writer.write("x" * 999)
    found = bytearray()
    while len(found) < 150 * 1_000:
        found += os.read(reading, 65_536)
    assert bytes(found) == (b"x" * 999 + b"\n") * 150
    writer.close()
