"""Verifications over the API: what each answer says, and with which status."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from tests.web.client import Client, assert_problem, shows
from tests.web.conftest import CodeOf, Opener, change, new_key, wrong

from countersign.domain.shared.application import ApplicationMode
from countersign.flows.maintenance import applications
from countersign.store.tables import challenges
from countersign.web.app import make_app
from countersign.web.http.application import WebApplication
from countersign.wiring import Runtime

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


async def test_a_begin_answers_with_what_is_pending(client: Client) -> None:
    answer = await client.post(
        "/v1/verifications",
        {
            "to": "+1 (415) 555-2671",
            "channel": "sms",
            "purpose": "step_up",
            "subject": "user-42",
            "action": {"summary": "Change e-mail to a***@example.org", "hash": "9f86"},
            "locale": "de",
            "requester": {"ip": "203.0.113.9", "user_agent": "Mozilla/5.0", "device": "dev-7"},
        },
    )
    assert answer.status == 201
    told = answer.json
    assert told["id"].startswith("ver_")
    assert answer.headers["location"] == f"/v1/verifications/{told['id']}"
    assert told["to"] == "+1415***2671"
    assert told["delivery"] == {"state": "queued", "channel": "sms", "hint": None}
    assert (told["status"], told["channel"], told["purpose"]) == ("pending", "sms", "step_up")
    assert (told["guesses_left"], told["sends_left"]) == (5, 4)
    assert TIME.fullmatch(told["expires_at"])
    left = datetime.fromisoformat(told["resend_at"]) - datetime.now(UTC)
    assert 28 < left.total_seconds() <= 31
    assert set(told) == {
        *(
            "id",
            "status",
            "to",
            "channel",
            "purpose",
            "expires_at",
            "guesses_left",
            "sends_left",
            "resend_at",
            "delivery",
        )
    }


async def test_what_counted_is_told_in_the_rate_limit_fields(client: Client) -> None:
    answer = await client.post("/v1/verifications", {"to": "ada@example.org"})
    assert answer.headers["ratelimit-policy"] == '"destination";q=10;w=600'
    assert re.fullmatch(r'"destination";r=9;t=\d+', answer.headers["ratelimit"])


async def test_a_second_begin_continues_the_first(client: Client) -> None:
    first = await client.begin(subject="u1")
    again = await client.post("/v1/verifications", {"to": "ADA@example.org", "subject": "u1"})
    assert again.status == 200
    assert again.json["id"] == first["id"]
    assert again.json["expires_at"] == first["expires_at"]
    assert again.json["delivery"]["state"] == "queued"
    other_person = await client.begin(subject="u2")
    assert other_person["id"] != first["id"]


async def test_the_right_code_is_approved_with_a_proof(client: Client, runtime: Runtime, code_of: CodeOf) -> None:
    begun = await client.begin(subject="user-42", action={"summary": "Pay", "hash": "abc"})
    code = await code_of(begun["id"])
    answer = await client.post(f"/v1/verifications/{begun['id']}/check", {"code": f" {code[:3]} {code[3:]}"})
    assert answer.status == 200
    assert answer.json["status"] == "approved"
    claims = runtime.core.keyring.verified(answer.json["proof"])
    assert claims is not None
    assert (claims["sub"], claims["jti"], claims["purpose"]) == ("user-42", begun["id"], "sign_in")
    assert claims["action"] == {"summary": "Pay", "hash": "abc"}
    again = await client.post(f"/v1/verifications/{begun['id']}/check", {"code": code})
    assert_problem(again, 409, "already-approved")
    assert again.json["refusal"] == "already_approved"


async def test_a_wrong_code_says_how_many_guesses_are_left(client: Client, code_of: CodeOf) -> None:
    begun = await client.begin()
    bad = wrong(await code_of(begun["id"]))
    for left in (4, 3, 2, 1, 0):
        answer = await client.post(f"/v1/verifications/{begun['id']}/check", {"code": bad})
        assert answer.status == 200
        assert answer.json["refusal"] == "wrong_code"
        assert answer.json["guesses_left"] == left
        assert answer.json["status"] == ("pending" if left else "exhausted")
    over = await client.post(f"/v1/verifications/{begun['id']}/check", {"code": await code_of(begun["id"])})
    assert_problem(over, 409, "exhausted")
    assert over.json["refusal"] == "exhausted"


@pytest.mark.parametrize("code", ["", "   ", "1" * 65])
async def test_an_impossible_code_costs_no_guess(client: Client, code: str) -> None:
    begun = await client.begin()
    answer = await client.post(f"/v1/verifications/{begun['id']}/check", {"code": code})
    assert_problem(answer, 400, "malformed")
    assert answer.json["field"] == "code"
    assert (await client.get(f"/v1/verifications/{begun['id']}")).json["guesses_left"] == 5


async def test_a_code_that_ran_out_is_refused_as_expired(client: Client, runtime: Runtime, code_of: CodeOf) -> None:
    """C2: through the API, and GET says it before anybody recorded it."""
    begun = await client.begin()
    await change(runtime, "UPDATE challenges SET expires_at = $1 WHERE id = $2", runtime.core.clock() - 1, begun["id"])
    assert (await client.get(f"/v1/verifications/{begun['id']}")).json["status"] == "expired"
    answer = await client.post(f"/v1/verifications/{begun['id']}/check", {"code": await code_of(begun["id"])})
    assert_problem(answer, 409, "expired")
    assert answer.json["refusal"] == "expired"


async def test_a_resend_that_comes_too_soon_says_when(client: Client) -> None:
    begun = await client.begin()
    answer = await client.post(f"/v1/verifications/{begun['id']}/resend")
    assert_problem(answer, 429, "too-soon")
    assert 28 <= int(answer.headers["retry-after"]) <= 30
    assert answer.json["limit"] == "resend"


async def test_a_resend_may_take_another_channel(client: Client, runtime: Runtime) -> None:
    begun = await client.begin("+14155552671")
    await change(runtime, "UPDATE challenges SET sent_at = sent_at - 30000")
    answer = await client.post(f"/v1/verifications/{begun['id']}/resend", {"channel": "voice"})
    assert answer.status == 200
    assert (answer.json["channel"], answer.json["sends_left"]) == ("voice", 3)
    assert answer.json["delivery"] == {"state": "queued", "channel": "voice", "hint": None}
    assert answer.json["expires_at"] == begun["expires_at"]
    assert "ratelimit" in answer.headers


async def test_when_no_messages_are_left_the_limit_is_sends(client: Client, runtime: Runtime) -> None:
    begun = await client.begin()
    await change(runtime, "UPDATE challenges SET sends = 5, sent_at = sent_at - 30000")
    answer = await client.post(f"/v1/verifications/{begun['id']}/resend")
    assert_problem(answer, 429, "no-sends-left")
    assert answer.json["limit"] == "sends"


async def test_a_channel_the_contact_does_not_have_is_refused(client: Client) -> None:
    wrong_kind = await client.post("/v1/verifications", {"to": "ada@example.org", "channel": "sms"})
    assert_problem(wrong_kind, 422, "unusable-destination")
    assert wrong_kind.json["reason"] == "wrong_channel"
    begun = await client.begin()
    assert_problem(
        await client.post(f"/v1/verifications/{begun['id']}/resend", {"channel": "sms"}), 422, "unusable-destination"
    )


async def test_a_purpose_that_is_not_the_applications_is_refused(
    app: WebApplication, runtime: Runtime, client: Client
) -> None:
    assert_problem(
        await client.post("/v1/verifications", {"to": "ada@example.org", "purpose": "wed"}), 403, "purpose-not-allowed"
    )
    narrow = Client(app, await new_key(runtime, "narrow", ApplicationMode.LIVE, ("recover",)))
    assert_problem(await narrow.post("/v1/verifications", {"to": "ada@example.org"}), 403, "purpose-not-allowed")
    assert (await narrow.begin(purpose="recover"))["purpose"] == "recover"


async def test_an_application_that_is_suspended_is_told_so(
    app: WebApplication, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D10: as soon as its key is read again. It may still check what it has sent."""
    assert applications.CACHE_SECONDS <= 1
    monkeypatch.setattr(applications, "CACHE_SECONDS", 0)
    shop = Client(app, await new_key(runtime, "shop", ApplicationMode.TEST))
    begun = await shop.begin()
    log = runtime.delivery.receipts
    await applications.suspend_application(runtime.core.database, log, "shop", runtime.core.now(), "ada")
    answer = await shop.post("/v1/verifications", {"to": "bob@example.org"})
    assert_problem(answer, 403, "application-suspended")
    again = await shop.post(f"/v1/verifications/{begun['id']}/resend", {})
    assert_problem(again, 403, "application-suspended")
    check = await shop.post(f"/v1/verifications/{begun['id']}/check", {"code": "000000"})
    assert check.status == 200


async def test_a_call_that_needs_no_body_may_name_any_type_for_none(client: Client) -> None:
    begun = await client.begin()
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = await client.ask("POST", f"/v1/verifications/{begun['id']}/cancel", headers=form)
    assert (answer.status, answer.json["status"]) == (200, "canceled")


async def test_what_was_canceled_stays_so(client: Client, code_of: CodeOf) -> None:
    begun = await client.begin()
    for _ in range(2):
        answer = await client.post(f"/v1/verifications/{begun['id']}/cancel")
        assert answer.status == 200
        assert answer.json["status"] == "canceled"
    after = await client.post(f"/v1/verifications/{begun['id']}/check", {"code": await code_of(begun["id"])})
    assert_problem(after, 409, "canceled")
    assert after.json["refusal"] == "canceled"
    assert_problem(await client.post(f"/v1/verifications/{begun['id']}/resend"), 409, "canceled")


async def test_a_look_shows_every_message(client: Client, runtime: Runtime) -> None:
    begun = await client.begin(locale="de")
    await change(runtime, "UPDATE deliveries SET state = 'failed', reason = 'unknown_recipient', due_at = NULL")
    await change(runtime, "UPDATE challenges SET sent_at = sent_at - 30000")
    await client.post(f"/v1/verifications/{begun['id']}/resend")
    told = (await client.get(f"/v1/verifications/{begun['id']}")).json
    first, second = told["deliveries"]
    assert set(first) == {"channel", "provider", "state", "reason", "hint", "at"}
    assert (first["state"], first["reason"], first["provider"]) == ("failed", "unknown_recipient", "inbox")
    assert "Postfach" in first["hint"]
    assert TIME.fullmatch(first["at"])
    assert second["state"] == "queued"
    assert told["delivery"] == {"state": "queued", "channel": "email", "hint": None}


async def test_a_budget_that_is_spent_is_named(open_house: Opener) -> None:
    runtime = await open_house(limits_destination="2/10m")
    assert runtime.demo_key
    client = Client(make_app(runtime, worker_alive=lambda: True), runtime.demo_key)
    for subject in ("a", "b"):
        await client.begin(subject=subject)
    answer = await client.post("/v1/verifications", {"to": "ada@example.org", "subject": "c"})
    assert_problem(answer, 429, "limited")
    assert answer.json["limit"] == "destination"
    assert answer.headers["ratelimit"] == f'"destination";r=0;t={answer.headers["retry-after"]}'
    assert answer.headers["ratelimit-policy"] == '"destination";q=2;w=600'


async def test_a_contact_with_too_many_failures_rests_then_is_locked(
    client: Client, runtime: Runtime, code_of: CodeOf
) -> None:
    """C6: as the API tells it."""
    begun = await client.begin()
    code = await code_of(begun["id"])
    await client.post(f"/v1/verifications/{begun['id']}/check", {"code": wrong(code)})
    await change(runtime, "UPDATE standings SET in_day = 20, in_a_row = 20")
    resting = await client.post("/v1/verifications", {"to": "ada@example.org", "action": {"hash": "other"}})
    assert_problem(resting, 429, "contact-paused")
    assert resting.json["limit"] == "contact_failures"
    await change(runtime, "UPDATE standings SET in_a_row = 100")
    locked = await client.post("/v1/verifications", {"to": "ada@example.org", "action": {"hash": "other"}})
    assert_problem(locked, 422, "contact-locked")
    assert locked.json["reason"] == "contact_locked"
    checked = await client.post(f"/v1/verifications/{begun['id']}/check", {"code": code})
    assert_problem(checked, 409, "contact-locked")
    assert checked.json["refusal"] == "contact_locked"


async def test_another_applications_verification_does_not_exist(client: Client, other: Client, code_of: CodeOf) -> None:
    """C4: bound to the application that asked, on every endpoint, and its guesses stay whole."""
    begun = await client.begin()
    path = f"/v1/verifications/{begun['id']}"
    code = await code_of(begun["id"])
    theirs = [
        await other.get(path),
        await other.post(f"{path}/check", {"code": code}),
        await other.post(f"{path}/resend"),
        await other.post(f"{path}/cancel"),
        await other.get(f"{path}/events"),
    ]
    unknown = await other.get("/v1/verifications/ver_00000000000000000000000000")
    for answer in theirs:
        assert_problem(answer, 404, "missing")
        assert answer.body == unknown.body
        assert answer.headers == unknown.headers
    assert (await client.get(path)).json["guesses_left"] == 5
    approved = await client.post(f"{path}/check", {"code": code})
    assert approved.json["status"] == "approved"


async def test_a_code_of_one_verification_is_worth_nothing_for_another(client: Client, code_of: CodeOf) -> None:
    """C4: bound to its challenge, purpose, subject and action."""
    first = await client.begin(subject="u", purpose="sign_in")
    code = await code_of(first["id"])
    for more in ({"subject": "v"}, {"subject": "u", "purpose": "step_up"}, {"subject": "u", "action": {"hash": "x"}}):
        second = await client.begin(**more)
        assert second["id"] != first["id"]
        if await code_of(second["id"]) != code:
            checked = await client.post(f"/v1/verifications/{second['id']}/check", {"code": code})
            assert checked.json["refusal"] == "wrong_code"


async def test_no_answer_shows_a_code_or_a_whole_contact(client: Client, code_of: CodeOf) -> None:
    """C8: neither in bodies nor in headers, right or wrong, for as long as the code lives."""
    begun = await client.begin("ada.lovelace@example.org", subject="user-42", locale="de")
    code = await code_of(begun["id"])
    path = f"/v1/verifications/{begun['id']}"
    answers = [
        await client.post("/v1/verifications", {"to": "ada.lovelace@example.org", "subject": "user-42"}),
        await client.get(path),
        await client.post(f"{path}/check", {"code": wrong(code)}),
        await client.post(f"{path}/check", {"code": [code]}),
        await client.post(f"{path}/check", {code: code}),
        await client.post(f"{path}/check", {"code": code, "to": "ada.lovelace@example.org"}),
        await client.post(f"{path}/resend", {"channel": code}),
        await client.get("/metrics"),
    ]
    for answer in answers:
        everything = answer.body.decode() + repr(answer.headers)
        assert not shows(everything, code)
        assert "lovelace" not in everything


@pytest.mark.parametrize("typed", ["12345", "1234567", "abcdef", "\u200b", "123456 654321", "code"])
async def test_what_cannot_be_the_code_costs_no_guess(client: Client, code_of: CodeOf, typed: str) -> None:
    """J3: it has a refusal of its own, and the verification stays as it is; one that has ended says so first."""
    begun = await client.begin("ada@example.org")
    path = f"/v1/verifications/{begun['id']}/check"
    for _ in range(8):
        answer = await client.post(path, {"code": typed})
        assert_problem(answer, 400, "malformed")
        assert (answer.json["field"], answer.json["detail"]) == ("code", "The code has 6 digits; nothing was compared.")
    assert (await client.get(f"/v1/verifications/{begun['id']}")).json["guesses_left"] == 5
    assert (await client.post(path, {"code": await code_of(begun["id"])})).json["status"] == "approved"
    assert_problem(await client.post(path, {"code": typed}), 409, "already-approved")


@pytest.mark.parametrize("locale", ["iw", "iw-IL", "he_IL"])
async def test_a_language_is_understood_in_its_former_spelling(client: Client, runtime: Runtime, locale: str) -> None:
    """J3: `iw` is Hebrew, and an underscore is a dash."""
    begun = await client.begin("ada@example.org", locale=locale)
    stored = await runtime.core.database.read(challenges.find, begun["id"])
    assert stored is not None
    assert stored.terms.locale in {"he", "he-IL"}


@pytest.mark.parametrize(
    ("to", "masked"),
    [
        ("\u202a+49 151 23456789\u202c", "+4915***6789"),
        ("+52 1 55 1234 5678", "+5255***5678"),
        ("\u200bada@example.org\ufeff", "a***@example.org"),
    ],
)
async def test_a_destination_is_read_with_its_marks_and_its_renumbering(client: Client, to: str, masked: str) -> None:
    """J3: marks that came along, and numbers by an older plan; nothing else than E.164 otherwise."""
    assert (await client.begin(to))["to"] == masked


async def test_a_landline_gets_no_sms(client: Client) -> None:
    """J3, D7: the reason says so."""
    answer = await client.post("/v1/verifications", {"to": "+498912345678", "channel": "sms"})
    assert_problem(answer, 422, "unusable-destination")
    assert (answer.json["field"], answer.json["reason"]) == ("to", "landline")
