"""SIGHUP: settings are looked at first, and a bad file changes nothing, whoever dies in the meantime."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.durability.crowd import Crowd
from tests.durability.installation import Installation, Started, installed, webhook_config
from tests.durability.sender import SECRET, Sender
from tests.durability.wire import Wire

OTHER_SECRET = "whsec_" + "b3RoZXIgc2VjcmV0IG9mIHRoaXJ0eS10d28gYnl0ZXM="

PATIENCE = 40.0
"""Seconds: longer than a provider that failed is left out."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


async def until(look: Callable[[], bool], started: Started | None = None) -> None:
    """Wait until something is so; else show the log of what should have done it."""
    end = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < end, started.log if started else ""
        await asyncio.sleep(0.02)


def hang_up(started: Started) -> None:
    """SIGHUP to the process that was started."""
    started.popen.send_signal(signal.SIGHUP)


async def begin(installation: Installation) -> str:
    """Begin a verification of somebody new, and return its id."""
    to = f"{secrets.token_hex(5)}@example.org"
    wire = Wire(installation.port, installation.key)
    try:
        heard = await wire.post("/v1/verifications", {"to": to, "subject": to})
    finally:
        wire.close()
    assert heard.status == 201, heard.body
    id_: str = heard.json["id"]
    return id_


async def test_a_bad_file_ends_nothing_that_serves(tmp_path: Path, sender: Sender, each_url: str) -> None:
    """O5: three bad files, each with SIGHUP and a killed process; then a good one counts, and not before the signal."""
    good = webhook_config(sender.url, SECRET)
    with installed(tmp_path, each_url, config=good) as installation:
        settings = tmp_path / "countersign.toml"
        words = () if installation.sqlite else ("--workers", "2")
        serving = await asyncio.to_thread(installation.serve, *words)
        crowd = Crowd(installation, people=3)
        faults = (
            ('grace = "soon"\n' + good, "grace in countersign.toml, line 1"),
            (good + "\nport = = 1\n", "line "),
            (good.replace('kind = "webhook"', 'kind = "webhook"\nca_file = "none"'), "ca_file"),
            ('[messages]\nfolder = "none"\n' + good, "none"),
        )
        async with crowd.busy():
            for text, said in faults:
                settings.write_text(text)
                before, lines = serving.children(), serving.log.count("cannot_reload")
                hang_up(serving)
                await until(lambda lines=lines: serving.log.count("cannot_reload") > lines)  # type: ignore[misc]
                assert said in [line for line in serving.log.splitlines() if "cannot_reload" in line][-1]
                assert serving.children() == before, "a process was replaced"
            assert crowd.broken == 0
            os.kill(serving.children()[0], signal.SIGKILL)  # as a machine does that runs out of memory
            await until(lambda: "process_died" in serving.log)
            await until(lambda: len(serving.children()) == max(1, len(words)))
            await asyncio.to_thread(serving.wait_for, installation.port)
        await begin(installation)
        settings.write_text('[log]\nlevel = "debug"\n' + good)
        killed = serving.children()[0]
        os.kill(killed, signal.SIGKILL)
        await until(lambda: serving.log.count("process_died") == 2 and killed not in serving.children())
        await asyncio.to_thread(serving.wait_for, installation.port)
        await begin(installation)
        assert '"debug"' not in serving.log, "a replaced process has other settings than its parent"
        hang_up(serving)
        await until(lambda: '"reloaded"' in serving.log)
        await begin(installation)
        await until(lambda: '"debug"' in serving.log)
        with socket.create_server(("127.0.0.1", 0)) as taken:  # nothing that is looked at first tells this
            settings.write_text(f"[metrics]\nport = {taken.getsockname()[1]}\n" + good)
            hang_up(serving)
            await until(lambda: "did not start" in serving.log)
            await asyncio.to_thread(serving.wait_for, installation.port)
            await begin(installation)
        assert "gave_up" not in serving.log
        assert await asyncio.to_thread(serving.stop) == 0


async def test_a_key_file_that_is_damaged_is_waited_for(tmp_path: Path, sender: Sender) -> None:
    """O5: a process that dies then cannot be replaced, and is as soon as the file is whole again."""
    with installed(tmp_path, config=webhook_config(sender.url, SECRET)) as installation:
        serving = await asyncio.to_thread(installation.serve)
        keys = installation.home / "secret.keys"
        whole = keys.read_text()
        keys.write_text("{")
        os.kill(serving.children()[0], signal.SIGKILL)
        await until(lambda: serving.log.count("process_died") > 5)
        assert serving.popen.poll() is None
        keys.write_text(whole)
        await asyncio.to_thread(serving.wait_for, installation.port)
        await begin(installation)
        assert await asyncio.to_thread(serving.stop) == 0


async def test_a_worker_takes_new_settings_and_no_wrong_ones(tmp_path: Path, sender: Sender, each_url: str) -> None:
    """O5: SIGHUP to `work`; messages then go where the new settings say."""
    other = Sender()
    await other.open()
    good = webhook_config(sender.url, SECRET)
    with installed(tmp_path, each_url, config=good) as installation:
        settings = tmp_path / "countersign.toml"
        serving = await asyncio.to_thread(installation.serve, "--no-worker")
        working = installation.work()
        first = await begin(installation)
        await until(lambda: any(key.startswith(first) for key in sender.keys))
        settings.write_text("retention_days = 0\n" + good)
        hang_up(working)
        await until(lambda: "cannot_reload" in working.log)
        assert "retention_days in countersign.toml, line 1" in working.log
        second = await begin(installation)
        await until(lambda: any(key.startswith(second) for key in sender.keys))
        settings.write_text(webhook_config(other.url, SECRET))
        hang_up(working)
        await until(lambda: '"reloaded"' in working.log)
        third = await begin(installation)
        await until(lambda: any(key.startswith(third) for key in other.keys))
        assert not any(key.startswith(third) for key in sender.keys)
        for started in (working, serving):
            assert await asyncio.to_thread(started.stop) == 0
    await other.close()


async def test_the_secret_of_a_provider_is_read_again_when_its_file_changes(tmp_path: Path, sender: Sender) -> None:
    """K4: in `serve` and in `work`, while the settings file is half edited."""
    secret = tmp_path / "gateway.secret"
    secret.write_text(SECRET)
    config = webhook_config(sender.url, SECRET).replace(f'secret = "{SECRET}"', f'secret_file = "{secret}"')
    with installed(tmp_path, config=config) as installation:
        serving = await asyncio.to_thread(installation.serve, "--no-worker")
        working = installation.work()
        first = await begin(installation)
        await until(lambda: any(key.startswith(first) for key in sender.keys))
        (tmp_path / "countersign.toml").write_text('grace = "half edi')
        secret.write_text("no secret at all")
        await until(lambda: "cannot_reload" in working.log and "cannot_reload" in serving.log)
        secret.write_text(OTHER_SECRET)
        await until(lambda: '"reloaded"' in working.log and '"reloaded"' in serving.log)
        sender.secret = OTHER_SECRET
        second = await begin(installation)
        await until(lambda: any(key.startswith(second) for key in sender.keys), working)
        assert SECRET not in working.log + serving.log
        for started in (working, serving):
            assert await asyncio.to_thread(started.stop) == 0
