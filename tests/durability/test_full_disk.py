"""The disk of PostgreSQL is full: who begins gets a 503, the balancer and the doctor are told, and all goes on once there is room."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.durability.installation import Installation, installed, webhook_config
from tests.durability.sender import SECRET
from tests.peers.postgres import PostgresServer

SIZE = "220m"
WITHIN = 10.0
"""Seconds in which a change must be told."""

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(120)]


@pytest.fixture
def disk() -> Iterator[Path]:
    """A disk of its own that is soon full; only root may have one."""
    place = Path("/tmp") / f"countersign-disk-{os.getpid()}"  # noqa: S108 - where nobody, who runs PostgreSQL, may go
    place.mkdir(mode=0o755)
    mount = shutil.which("mount")
    mounted = mount is not None and (
        subprocess.run(
            [mount, "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "tmpfs", place], check=False, capture_output=True
        ).returncode
        == 0
    )
    if not mounted:
        place.rmdir()
        pytest.skip("no disk can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)
        place.rmdir()


def fill(disk: Path) -> Path:
    """Write a file until nothing more goes onto the disk."""
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))
    with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(512))
    return filler


def status(installation: Installation, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", installation.port, timeout=WITHIN)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def begin(installation: Installation, number: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", installation.port, timeout=WITHIN)
    try:
        connection.request(
            "POST",
            "/v1/verifications",
            json.dumps({"to": f"u{number}@example.org"}),
            {"Authorization": f"Bearer {installation.key}", "Content-Type": "application/json"},
        )
        return connection.getresponse().status
    finally:
        connection.close()


def until(installation: Installation, path: str, wanted: int) -> float:
    """Return the seconds until a look has this answer."""
    began = time.monotonic()
    while (seen := status(installation, path)) != wanted:
        assert time.monotonic() - began < WITHIN, seen
        time.sleep(0.2)
    return time.monotonic() - began


def test_a_full_disk_is_told_to_the_balancer_and_by_the_doctor(disk: Path, tmp_path: Path) -> None:
    """O6: begins were 503, and 12 of 12 looks were 200."""
    config = webhook_config("https://127.0.0.1:9/", SECRET)
    server = PostgresServer(durable=True, place=disk, max_wal_size="64MB", min_wal_size="32MB")
    try:
        with installed(tmp_path, server.url(server.create()), config=config) as installation:
            installation.serve("--no-worker")
            assert begin(installation, 0) == 201
            assert status(installation, "/health/ready") == 200
            filler = fill(disk)
            answers = [begin(installation, number) for number in range(1, 400)]
            assert answers[-1] == 503
            told = until(installation, "/health/ready", 503)
            assert status(installation, "/health/live") == 200
            for _ in range(8):
                time.sleep(0.5)
                assert status(installation, "/health/ready") == 503, "it stays so while nobody begins anything"
            ended = installation.program.run("doctor", "--json")
            found = {one["name"]: one for one in json.loads(ended.stdout)}
            assert ended.returncode == 1
            assert found["database"]["state"] == "fine"
            assert found["database writes"]["state"] == "unsafe", found["database writes"]
            filler.unlink()
            freed = until(installation, "/health/ready", 200)
            assert begin(installation, 1_000) == 201
    finally:
        server.remove()
    print(f"\ntold after {told:.1f} s, and ready {freed:.1f} s after there was room")  # noqa: T201 - shown with -rP
