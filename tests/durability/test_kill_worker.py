"""kill -9 of `countersign work`, again and again at random moments: the outbox loses nothing, and what goes out twice bears one name."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.durability.crowd import Crowd, hold_to_account, sent_by, settle
from tests.durability.installation import installed, webhook_config
from tests.durability.sender import SECRET, Sender
from tests.providers.peers import MailPeer
from tests.rounds import rounds

ROUNDS = rounds(50, 10)

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.peers, pytest.mark.timeout(300)]


async def test_killing_workers_loses_no_message_and_repeats_one_only_under_its_own_name(
    tmp_path: Path, sender: Sender, durable_url: str
) -> None:
    """D1, C3, C5: two workers beside two processes that serve; mail by SMTP, SMS by webhook; one worker dies each round."""
    mail = MailPeer()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: mail.protocol(None), "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    config = webhook_config(sender.url, SECRET).replace('email = ["gateway"]', 'email = ["mail"]') + (
        f'[providers.mail]\nkind = "smtp"\nhost = "127.0.0.1"\nport = {port}\ntls = "none"\nfrom_address = "codes@example.org"\n'
    )
    with installed(tmp_path, durable_url, config=config) as installation:
        crowd = Crowd(installation)
        began = time.monotonic()
        serving = await asyncio.to_thread(installation.serve, "--workers", "2", "--no-worker")
        workers = [installation.work(), installation.work()]
        async with crowd.busy():
            for _ in range(ROUNDS):
                await asyncio.sleep(random.uniform(0.2, 0.8))
                dying = random.randrange(2)
                await asyncio.to_thread(workers[dying].kill)
                workers[dying] = installation.work()
        await settle(installation)
        sent = sent_by(sender, installation) + _mailed(mail)
        figures = await hold_to_account(crowd, installation, sent)
        assert [await asyncio.to_thread(worker.stop) for worker in workers] == [0, 0]
        assert await asyncio.to_thread(serving.stop) == 0
        # What each message's people would see, were it to come twice: the same Message-ID, the same code.
        for letter in mail.letters:
            owner = _key(letter.original_content or b"").split(".")[0]
            code = installation.code_of(owner)
            text = (letter.original_content or b"").replace(b" ", b"").decode()
            assert code in text
    mail.hang_up()
    listening.close()
    print(f"\n{ROUNDS} rounds in {time.monotonic() - began:.0f} s: {figures}")  # noqa: T201 - shown with -s or -rP
    assert crowd.broken == 0
    assert crowd.statuses[503] == 0
    assert len(mail.letters) > ROUNDS
    assert len(sender.posted) > ROUNDS


def _mailed(mail: MailPeer) -> Counter[str]:
    return Counter(_key(letter.original_content or b"") for letter in mail.letters)


def _key(content: bytes) -> str:
    """Return the left part of the Message-ID, which is the message's key."""
    line = next(line for line in content.splitlines() if line.lower().startswith(b"message-id:"))
    return line.partition(b"<")[2].partition(b"@")[0].decode()
