"""The mailbox of bounces: what lies in it is read once, and a server that is away, slow or hostile harms nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.clock import FixedClock
from tests.flows.place import SHOP, Place, place_at
from tests.providers.bounces import postfix
from tests.providers.email.imap_peer import PASSWORD, ImapPeer
from tests.providers.peers import Authority, Hidden, StartServer

from countersign.domain.delivery.delivery import DeliveryState
from countersign.domain.shared.application import ApplicationMode
from countersign.errors import SettingsError, UnavailableError
from countersign.flows.delivery.bounces import bounce_signer, collect_bounces, poll_mailbox
from countersign.providers.email.bounce_mailbox import AT_ONCE, BounceMailbox, MailboxSettings
from countersign.providers.email.dsn import MAX_BYTES
from countersign.providers.email.verp import make_return_path

LIVE = type(SHOP)("app_live", 0, "live", ApplicationMode.LIVE, "Live", "live.example", (), b"live's key")


def settings(port: int, **changes: Any) -> MailboxSettings:
    given = {"host": "127.0.0.1", "port": port, "tls": "none", "username": "bounces", "password": PASSWORD}
    return MailboxSettings(**{**given, **changes})


@pytest_asyncio.fixture
async def live(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    """A place whose live keys send by one provider."""
    async with place_at(sqlite_url, tmp_path, clock=FixedClock(), live=("first",)) as opened:
        yield opened


async def until(happened: Callable[[], bool]) -> None:
    for _ in range(500):
        if happened():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen within ten seconds")


async def bounced(place: Place) -> tuple[Any, bytes]:
    challenge = await place.begun(application=LIVE)
    await place.deliver()
    return challenge, postfix(
        make_return_path("bounces@shop.example", f"{challenge.id}.1.0", bounce_signer(place.keyring))
    )


async def test_a_bounce_that_lies_there_is_taken_once_among_other_mail(
    live: Place, start_tcp_server: StartServer
) -> None:
    """D2: and everything else is left as it was, but seen."""
    challenge, raw = await bounced(live)
    peer = ImapPeer({3: b"Subject: hello\r\n\r\nhello", 4: raw, 5: b"x" * (MAX_BYTES * 2), 6: b""})
    mailbox = BounceMailbox(settings(await start_tcp_server(peer)))
    assert await collect_bounces(live.delivery, mailbox) == 1
    assert (await live.deliveries(challenge))[0].state is DeliveryState.UNDELIVERED
    assert peer.seen == {3, 4, 5, 6}
    assert await collect_bounces(live.delivery, mailbox) == 0
    assert peer.commands.count("FETCH") == 4


async def test_two_who_read_at_once_are_one(live: Place, start_tcp_server: StartServer) -> None:
    challenge, raw = await bounced(live)
    peer = ImapPeer({4: raw})
    mailbox = BounceMailbox(settings(await start_tcp_server(peer), after="delete"))
    await asyncio.gather(*(collect_bounces(live.delivery, mailbox) for _ in range(4)))
    assert (await live.deliveries(challenge))[0].state is DeliveryState.UNDELIVERED
    assert (await live.count("suppressions"), peer.mails) == (1, {})


async def test_a_mail_that_another_reader_removed_meanwhile_is_passed_over(
    start_tcp_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D2: a server answers nothing for it (RFC 3501, 6.4.8), and what follows is read."""
    peer = ImapPeer({4: b"Subject: a\r\n\r\n", 5: b"Subject: b\r\n\r\n"})
    answer = peer._answer

    def removing(name: str, words: list[str], rest: str) -> bytes:
        said = answer(name, words, rest)
        if name == "SEARCH":
            peer.mails.pop(4)
        return said

    monkeypatch.setattr(peer, "_answer", removing)
    found = await BounceMailbox(settings(await start_tcp_server(peer))).fetch_unseen()
    assert [mail.uid for mail in found] == [b"5"]


@pytest.mark.parametrize("tls", ["tls"])
async def test_the_connection_is_secured_and_a_stranger_is_not_told_the_password(
    start_tcp_server: StartServer, authority: Authority, tls: str
) -> None:
    peer = ImapPeer({})
    port = await start_tcp_server(peer, tls=True)
    with pytest.raises(UnavailableError):
        await BounceMailbox(settings(port, tls=tls)).fetch_unseen()
    assert peer.commands == []
    assert await BounceMailbox(settings(port, tls=tls, ca_file=authority.ca_file)).fetch_unseen() == []
    plain = ImapPeer({})
    with pytest.raises(UnavailableError):
        await BounceMailbox(settings(await start_tcp_server(plain), tls="starttls")).fetch_unseen()
    assert "LOGIN" not in plain.commands


@pytest.mark.parametrize("hang_at", ["CAPABILITY", "LOGIN", "SELECT", "SEARCH", "FETCH", "LOGOUT"])
async def test_a_server_that_hangs_is_left_and_no_thread_stays(start_tcp_server: StartServer, hang_at: str) -> None:
    """D2: a mail server that is away is a line in the log."""
    peer = ImapPeer({1: b"x"}, hang_at=hang_at)
    mailbox = BounceMailbox(settings(await start_tcp_server(peer)), seconds=5.0 if hang_at == "LOGOUT" else 0.3)
    if hang_at == "LOGOUT":
        assert len(await mailbox.fetch_unseen()) == 1
    else:
        with pytest.raises(UnavailableError):
            await mailbox.fetch_unseen()
    await until(lambda: not any(thread.name == "bounces" for thread in threading.enumerate()))


@pytest.mark.parametrize("refuse", ["LOGIN", "SELECT", "SEARCH", "FETCH"])
async def test_a_refusal_tells_neither_password_nor_account(
    start_tcp_server: StartServer, refuse: str, hidden: Hidden
) -> None:
    """C8: the server may repeat what it was sent."""
    given = settings(await start_tcp_server(ImapPeer({1: b"x"}, refuse=refuse)))
    with pytest.raises(UnavailableError) as caught:
        await BounceMailbox(given).fetch_unseen()
    hidden.check(given, secrets=(PASSWORD,))
    assert PASSWORD not in str(caught.value)


async def test_what_could_not_be_taken_is_left_for_the_next_time(
    live: Place, start_tcp_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D2: with the database away no bounce is lost."""
    _, raw = await bounced(live)
    peer = ImapPeer({1: b"Subject: hello\r\n\r\n", 2: raw, 3: raw})
    mailbox = BounceMailbox(settings(await start_tcp_server(peer)))

    async def away(*_: object) -> None:
        raise UnavailableError("away")

    with monkeypatch.context() as patched:
        patched.setattr(live.database, "read", away)
        with pytest.raises(UnavailableError):
            await collect_bounces(live.delivery, mailbox)
    assert peer.seen == {1}
    assert await collect_bounces(live.delivery, mailbox) == 2


async def test_looking_goes_on_after_an_outage(live: Place, start_tcp_server: StartServer) -> None:
    """D2: a mail server that is away ends nothing."""
    challenge, raw = await bounced(live)
    peer = ImapPeer({1: raw}, refuse="SELECT")
    mailbox = BounceMailbox(settings(await start_tcp_server(peer)))
    looking = asyncio.create_task(poll_mailbox(live.delivery, mailbox, every=0.01))
    await until(lambda: peer.commands.count("SELECT") >= 3)
    peer.refuse = ""
    await until(lambda: bool(peer.seen))
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    assert (await live.deliveries(challenge))[0].state is DeliveryState.UNDELIVERED


async def test_a_folder_that_was_made_anew_keeps_its_mails(start_tcp_server: StartServer) -> None:
    peer = ImapPeer({1: b"x"})
    mailbox = BounceMailbox(settings(await start_tcp_server(peer), after="delete"))
    mails = await mailbox.fetch_unseen()
    peer.validity += 1
    await mailbox.mark_read(mails)
    assert (peer.seen, peer.mails) == (set(), {1: b"x"})


async def test_a_full_mailbox_is_read_in_parts(start_tcp_server: StartServer) -> None:
    peer = ImapPeer(dict.fromkeys(range(1, 3 * AT_ONCE), b"x"))
    assert len(await BounceMailbox(settings(await start_tcp_server(peer))).fetch_unseen()) == AT_ONCE


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"host": ""}, "imap_host"),
        ({"port": 0}, "imap_port"),
        ({"password": ""}, "imap_password"),
        ({"folder": 'a" b'}, "imap_folder"),
        ({"folder": "a\r\nLOGOUT"}, "imap_folder"),
        ({"ca_file": "no such file"}, "ca_file"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        settings(**{"port": 993, **changes})


@pytest.mark.parametrize(
    ("changes", "refuse", "said"),
    [
        ({}, "", "lets us in, and has the folder INBOX"),
        ({"password": "another word"}, "", "refuses our credentials"),
        ({"folder": "Gone"}, "SELECT", "no folder Gone"),
    ],
)
async def test_a_look_signs_in_and_opens_the_folder(
    start_tcp_server: StartServer, changes: dict[str, Any], refuse: str, said: str
) -> None:
    """A wrong password was seen by nobody until bounces were missed."""
    peer = ImapPeer({1: b"x"}, refuse=refuse)
    found = await BounceMailbox(settings(await start_tcp_server(peer), **changes)).check()
    assert said in found.seen
    assert bool(found.remedy) == bool(changes)
    assert peer.seen == set()
    assert PASSWORD not in found.seen + found.remedy
    assert "FETCH" not in peer.commands


async def test_a_look_tells_a_bad_certificate_and_a_server_that_is_away_apart(
    start_tcp_server: StartServer, authority: Authority
) -> None:
    port = await start_tcp_server(ImapPeer({}), tls=True)
    unknown = await BounceMailbox(settings(port, tls="tls")).check()
    assert "authority that is not trusted" in unknown.seen
    assert "ca_file" in unknown.remedy
    known = await BounceMailbox(settings(port, tls="tls", ca_file=authority.ca_file)).check()
    assert (known.remedy, known.peer is not None) == ("", True)
    away = await BounceMailbox(settings(9)).check()
    assert "cannot be read (ConnectionRefusedError)" in away.seen
    hangs = await BounceMailbox(settings(await start_tcp_server(ImapPeer({}, hang_at="LOGIN"))), seconds=0.3).check()
    assert "did not answer in time" in hangs.seen
    assert away.remedy
    assert hangs.remedy
