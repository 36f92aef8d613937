"""Receipts of a webhook's sender: signed, or not listened to."""

from __future__ import annotations

import base64
import json

import pytest
import pytest_asyncio
from tests.web.client import Answer, Client, assert_problem
from tests.web.conftest import Opener, change, new_key

from countersign.domain.shared.application import ApplicationMode
from countersign.providers.http.webhook_signature import parse_secret, sign
from countersign.web.app import make_app
from countersign.wiring import Runtime

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
TOML = f"""
[providers.hook]
kind = "webhook"
url = "https://sender.example.org/messages"
secret = "{SECRET}"
receipt_within = 60000
[providers.post]
kind = "smtp"
host = "mail.example.org"
from_address = "codes@example.org"
[routes]
sms = ["hook"]
"""


@pytest_asyncio.fixture
async def hooked(open_house: Opener) -> Runtime:
    """A Runtime whose SMS go out through a webhook."""
    return await open_house(toml=TOML)


@pytest_asyncio.fixture
async def sender(hooked: Runtime) -> Client:
    """The sender, who has no key of ours, only the secret."""
    return Client(make_app(hooked, worker_alive=lambda: True))


async def sent(sender: Client, runtime: Runtime, told: object, *, secret: str = SECRET, at: int = 0) -> Answer:
    """Post a receipt, signed."""
    body = json.dumps(told).encode()
    signed = sign(parse_secret(secret), "msg_1", (at or runtime.core.clock()) // 1000, body)
    return await sender.post("/v1/receipts/hook", raw=body, headers=signed)


async def accepted_by_hook(sender: Client, runtime: Runtime) -> tuple[Client, str]:
    """Begin a verification whose message the webhook has taken as m-1; return its client and path."""
    client = Client(sender.app, await new_key(runtime, "live", ApplicationMode.LIVE))
    begun = await client.begin("+14155552671")
    await change(runtime, "UPDATE deliveries SET state = 'accepted', attempts = 1, tries = 1")
    await change(
        runtime,
        "INSERT INTO attempts (owner, number, attempt, provider, started_at, ended_at, outcome, reason, provider_message_id)"
        " SELECT owner, number, 1, 'hook', 1, 2, 'accepted', '', 'm-1' FROM deliveries",
    )
    return client, f"/v1/verifications/{begun['id']}"


async def test_a_receipt_moves_its_message_on(sender: Client, hooked: Runtime) -> None:
    client, path = await accepted_by_hook(sender, hooked)
    answer = await sent(sender, hooked, {"id": "m-1", "state": "delivered"})
    assert (answer.status, answer.body) == (204, b"")
    told = (await client.get(path)).json["delivery"]
    assert told["state"] == "delivered"
    assert told["hint"]


async def test_a_receipt_says_why_a_message_did_not_arrive(sender: Client, hooked: Runtime) -> None:
    client, path = await accepted_by_hook(sender, hooked)
    await sent(sender, hooked, {"id": "m-1", "state": "undelivered", "reason": "unknown_recipient"})
    (told,) = (await client.get(path)).json["deliveries"]
    assert (told["state"], told["reason"]) == ("undelivered", "unknown_recipient")


async def test_a_receipt_that_is_not_the_senders_changes_nothing(sender: Client, hooked: Runtime) -> None:
    client, path = await accepted_by_hook(sender, hooked)
    told = {"id": "m-1", "state": "delivered"}
    other = "whsec_" + base64.b64encode(b"x" * 32).decode()
    assert_problem(await sent(sender, hooked, told, secret=other), 400, "malformed")
    assert_problem(await sent(sender, hooked, told, at=hooked.core.clock() - 600_000), 400, "malformed")
    assert_problem(await sender.post("/v1/receipts/hook", told), 400, "malformed")
    assert (await client.get(path)).json["delivery"]["state"] == "accepted"


@pytest.mark.parametrize("name", ["nobody", "post", "inbox", "..", "hook%00"])
async def test_who_is_no_webhook_sends_no_receipts(sender: Client, name: str) -> None:
    assert_problem(await sender.post(f"/v1/receipts/{name}", {"id": "m", "state": "delivered"}), 404, "receipt-unknown")


async def test_a_receipt_for_a_message_not_known_yet_may_come_again(sender: Client, hooked: Runtime) -> None:
    assert_problem(await sent(sender, hooked, {"id": "m-2", "state": "delivered"}), 404, "receipt-unknown")


@pytest.mark.parametrize(
    "told", [{}, [], {"id": "", "state": "delivered"}, {"id": "m-1", "state": "lost"}, {"id": 1, "state": "delivered"}]
)
async def test_a_signed_body_that_is_no_receipt_is_refused(sender: Client, hooked: Runtime, told: object) -> None:
    assert_problem(await sent(sender, hooked, told), 400, "malformed")


async def test_what_is_not_from_our_topic_of_sns_is_refused(open_house: Opener) -> None:
    """D2: SNS posts JSON as text/plain, and anybody can."""
    runtime = await open_house(
        toml="""
[providers.letters]
kind = "ses"
region = "eu-central-1"
access_key_id = "AKIDEXAMPLE"
secret_access_key = "secret-of-tests"
from_address = "codes@example.org"
topic_arn = "arn:aws:sns:eu-central-1:123456789012:mail"
sns_url = "https://127.0.0.1:9"
"""
    )
    sns = Client(make_app(runtime, worker_alive=lambda: True))
    told = {"Type": "Notification", "TopicArn": "arn:aws:sns:eu-central-1:999999999999:mail", "Message": "{}"}
    posted = await sns.post(
        "/v1/receipts/letters", raw=json.dumps(told).encode(), headers={"content-type": "text/plain; charset=UTF-8"}
    )
    assert posted.json["reason"] == "signature_wrong"
