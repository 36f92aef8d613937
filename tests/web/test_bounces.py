"""A bounce from end to end: the letter over SMTP, its bounce at the envelope's own sender, and what the API says then."""

from __future__ import annotations

from tests.providers.bounces import postfix
from tests.providers.conftest import authority, start_mail_server
from tests.providers.peers import StartMailServer
from tests.web.client import Client
from tests.web.conftest import Opener, new_key

from countersign.domain.shared.application import ApplicationMode
from countersign.flows.delivery.bounces import BounceVerdict, record_bounce
from countersign.flows.delivery.claim import claim_due
from countersign.flows.delivery.send import record_results, send
from countersign.web.app import make_app
from countersign.wiring import Runtime

__all__ = ["authority", "start_mail_server"]


async def deliver(runtime: Runtime) -> int:
    """Do one round of a worker's work."""
    parcels = await claim_due(runtime.delivery, 10)
    await record_results(runtime.delivery, [await send(runtime.delivery, parcel) for parcel in parcels])
    return len(parcels)


async def test_a_letter_that_comes_back_shows_in_the_api_and_the_next_one_is_not_sent(
    open_house: Opener, start_mail_server: StartMailServer
) -> None:
    """D2: through the settings, a real SMTP server, the mark of our keys, and the answers of the API."""
    peer = await start_mail_server()
    runtime = await open_house(
        toml=f"""
[providers.post]
kind = "smtp"
host = "127.0.0.1"
port = {peer.port}
tls = "none"
from_address = "codes@shop.example"
bounce_address = "bounces@shop.example"
[routes]
email = ["post"]
"""
    )
    client = Client(make_app(runtime, worker_alive=lambda: True), await new_key(runtime, "live", ApplicationMode.LIVE))
    first = await client.begin()
    assert await deliver(runtime) == 1
    (letter,) = peer.letters
    assert str(letter.mail_from).startswith(f"bounces+{first['id']}.")
    assert ".1.0." not in str(letter.mail_from), "all letters of a verification have one sender (semantics D9)"
    assert await record_bounce(runtime.delivery, postfix(str(letter.mail_from))) is BounceVerdict.TAKEN
    told = (await client.get(f"/v1/verifications/{first['id']}")).json["delivery"]
    assert told["state"] == "undelivered"
    second = await client.begin(purpose="step_up")
    assert {**second, "id": "", "purpose": ""}.keys() == {**first, "id": "", "purpose": ""}.keys()
    assert await deliver(runtime) == 0
    told = (await client.get(f"/v1/verifications/{second['id']}")).json["delivery"]
    assert told["state"] == "failed"
    assert "mailbox does not exist" in told["hint"]
    assert len(peer.letters) == 1
