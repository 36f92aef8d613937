"""Health, figures, keys and faults: what whoever keeps it running can see."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
import structlog
from joserfc import jwk, jws
from tests.web.client import Client, assert_problem, shows
from tests.web.conftest import CodeOf, Opener, change

from countersign import __version__
from countersign.config.agreement import agreement_of
from countersign.errors import OverloadedError, UnavailableError
from countersign.web.api import health
from countersign.web.app import make_app
from countersign.web.http.application import WebApplication
from countersign.web.http.request import Request
from countersign.web.http.response import Response
from countersign.wiring import Runtime

TOKEN = "a-token-of-twenty-letters"


async def test_a_program_that_answers_is_alive(app: WebApplication) -> None:
    answer = await Client(app).get("/health/live")
    assert (answer.status, answer.json) == (200, {"alive": True})
    assert (await Client(app).ask("HEAD", "/health/live")).body == b""


async def test_a_program_that_can_serve_names_each_thing_it_needs(app: WebApplication) -> None:
    answer = await Client(app).get("/health/ready")
    assert answer.json == {
        "ready": True,
        "checks": {"database": "ok", "migrations": "ok", "worker": "ok", "keys": "ok"},
    }


@pytest.mark.parametrize(
    ("missing", "sql"),
    [
        ("migrations", "UPDATE alembic_version SET version_num = '0000'"),
        ("database", "DROP TABLE alembic_version"),
        ("keys", "UPDATE facts SET value = x'00'"),
    ],
)
async def test_what_is_missing_is_named(app: WebApplication, runtime: Runtime, missing: str, sql: str) -> None:
    await change(runtime, sql)
    answer = await Client(app).get("/health/ready")
    assert_problem(answer, 503, "not-ready")
    assert answer.json["checks"][missing] != "ok"


async def test_a_newer_schema_that_may_be_used_is_served(app: WebApplication, runtime: Runtime) -> None:
    """O7: while a release is rolled out, programs of the one before stay ready; on a schema that does not allow it they are not."""
    await change(runtime, "UPDATE alembic_version SET version_num = '9999'")
    assert_problem(await Client(app).get("/health/ready"), 503, "not-ready")
    await change(runtime, "UPDATE facts SET value = $1 WHERE name = 'compatible_since'", b"9999 0007")
    assert (await Client(make_app(runtime, worker_alive=lambda: True)).get("/health/ready")).json["checks"][
        "migrations"
    ] == "ok"


async def test_settings_that_differ_between_programs_are_named(runtime: Runtime) -> None:
    """O7: ready all the same, for while settings are rolled out they differ."""
    own = agreement_of(runtime.settings)
    other = msgspec.structs.replace(own, sections=own.sections | {"limits": "others", "routes": "others"})
    client = Client(make_app(runtime, worker_alive=lambda: True))
    await change(runtime, "INSERT INTO facts (name, value) VALUES ('settings', $1)", msgspec.json.encode(other))
    answer = await client.get("/health/ready")
    assert answer.status == 200
    assert answer.json["checks"]["settings"] == "A program that started later has others: limits, routes."


async def test_a_key_file_that_is_gone_is_named(app: WebApplication, runtime: Runtime) -> None:
    runtime.settings.secret_file.rename(runtime.settings.secret_file.with_suffix(".away"))
    answer = await Client(app).get("/health/ready")
    assert_problem(answer, 503, "not-ready")
    assert str(runtime.settings.home) not in answer.body.decode()
    assert [name for name, finding in answer.json["checks"].items() if finding != "ok"] == ["keys"]


async def test_a_worker_that_stopped_is_named_as_soon_as_the_finding_is_old(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive = True
    client = Client(make_app(runtime, worker_alive=lambda: alive))
    assert (await client.get("/health/ready")).status == 200
    alive = False
    assert (await client.get("/health/ready")).status == 200
    monkeypatch.setattr(health, "KEPT_FOR", 0.0)
    answer = await client.get("/health/ready")
    assert_problem(answer, 503, "not-ready")
    assert answer.json["checks"]["worker"] != "ok"


async def test_figures_are_for_this_machine_where_no_token_is_set(app: WebApplication, client: Client) -> None:
    await client.begin()
    answer = await Client(app).get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'route="/v1/verifications",status="201"' in answer.body.decode()
    assert 'countersign_outcomes_total{act="begin",outcome="done"} 1.0' in answer.body.decode()
    assert_problem(await Client(app, peer="203.0.113.9").get("/metrics"), 403, "forbidden")
    assert_problem(await Client(app).get("/metrics", headers={"x-forwarded-for": "127.0.0.1"}), 403, "forbidden")


async def test_in_production_figures_are_not_open_to_this_machine(
    app: WebApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L1: a proxy beside us that adds no header would open them to the world."""
    monkeypatch.setattr(app.web, "settings", msgspec.structs.replace(app.web.settings, environment="production"))
    assert_problem(await Client(app).get("/metrics"), 403, "forbidden")


async def test_with_a_token_figures_are_for_who_has_it(open_house: Opener) -> None:
    runtime = await open_house(metrics_token=TOKEN)
    app = make_app(runtime, worker_alive=lambda: True)
    assert (await Client(app, TOKEN, peer="203.0.113.9").get("/metrics")).status == 200
    for key in ("", "another-token-of-letters", TOKEN + "x", runtime.demo_key or ""):
        assert_problem(await Client(app, key).get("/metrics"), 401, "unauthorized")


async def test_no_label_comes_from_a_caller(app: WebApplication) -> None:
    stranger = Client(app)
    await stranger.get("/v1/verifications/ver_secretsecretsecretsecretsecret")
    await stranger.get("/v1/whatever-someone-types")
    await stranger.get("/whatever-someone-types")
    page = (await stranger.get("/metrics")).body.decode()
    assert "secret" not in page
    assert "someone" not in page


async def test_figures_tell_the_release_the_key_and_who_is_left_out(open_house: Opener) -> None:
    """D12: nothing but a command told that a provider was left out."""
    webhook = '[providers.hook]\nkind = "webhook"\nurl = "https://127.0.0.1:9/"\nsecret = "whsec_b3VyLW93bi1zZWNyZXQtb2YtdGhlLXRlc3RzLTAxMjM="\n'
    runtime = await open_house(webhook)
    app = make_app(runtime, worker_alive=lambda: True)
    page = (await Client(app).get("/metrics")).body.decode()
    assert f'countersign_build_info{{version="{__version__}"}} 1.0' in page
    (age,) = [line.split()[1] for line in page.splitlines() if line.startswith("countersign_key_age_seconds ")]
    assert 0 <= float(age) < 3_600
    assert 'countersign_provider_left_out{provider="hook"} 0.0' in page
    await change(
        runtime,
        "INSERT INTO breakers (provider, failures, trips, until, probing, reason, changed_at)"
        " VALUES ('hook', 3, 1, 99999999999999, 0, 'timed_out', 1)",
    )
    page = (await Client(app).get("/metrics")).body.decode()
    assert 'countersign_provider_left_out{provider="hook"} 1.0' in page


async def test_what_was_limited_is_counted_by_its_limit(open_house: Opener) -> None:
    runtime = await open_house(limits_destination="1/1h")
    app = make_app(runtime, worker_alive=lambda: True)
    client = Client(app, runtime.demo_key or "")
    for subject in ("a", "b", "c"):
        await client.post("/v1/verifications", {"to": "ada@example.org", "subject": subject})
    page = (await Client(app).get("/metrics")).body.decode()
    assert 'countersign_limited_total{limit="destination"} 2.0' in page


async def test_a_proof_can_be_checked_with_the_published_keys(
    app: WebApplication, client: Client, code_of: CodeOf
) -> None:
    begun = await client.begin()
    checked = await client.post(f"/v1/verifications/{begun['id']}/check", {"code": await code_of(begun["id"])})
    published = await Client(app).get("/.well-known/jwks.json")
    assert published.headers["cache-control"] == "public, max-age=30"
    assert all("d" not in key for key in published.json["keys"])
    proof = jws.deserialize_compact(
        checked.json["proof"], jwk.KeySet.import_key_set(published.json), algorithms=["ES256"]
    )
    assert begun["id"].encode() in proof.payload


@pytest.mark.parametrize(
    ("error", "status", "slug", "wait"),
    [
        (UnavailableError("the database at postgresql://user:hunter2@host", retry_after=7), 503, "unavailable", "7"),
        (OverloadedError("full"), 503, "unavailable", "1"),
        (ValueError("code 123456 for ada@example.org"), 500, "internal", None),
        (RuntimeError("x"), 500, "internal", None),
    ],
)
async def test_an_outage_or_a_fault_says_nothing_of_itself(
    runtime: Runtime, error: Exception, status: int, slug: str, wait: str | None
) -> None:
    """H1, C8: no stack, no words of ours, a reference that the log knows; 503 says when to come back."""

    async def fail(_: Request, __: Response) -> None:
        raise error

    app = make_app(runtime, worker_alive=lambda: True)
    app.mount({"/v1/fail": {"GET": fail}})
    with structlog.testing.capture_logs() as logs:
        answer = await Client(app).get("/v1/fail")
    assert_problem(answer, status, slug)
    assert answer.headers.get("retry-after") == wait
    everything = answer.body.decode() + repr(logs)
    for secret in ("hunter2", "123456", "ada@"):
        assert secret not in everything
    if status == 500:
        (noted,) = [entry for entry in logs if entry["event"] == "broken"]
        assert noted["reference"] == answer.json["reference"]
        assert noted["kind"] == type(error).__name__
        assert any("test_operation.py" in place for place in noted["place"])


async def test_a_full_ledger_is_told_as_503(open_house: Opener) -> None:
    runtime = await open_house(queue_bound="1")
    assert runtime.demo_key
    client = Client(make_app(runtime, worker_alive=lambda: True), runtime.demo_key)
    await client.begin()
    answers = await asyncio.gather(*(client.post("/v1/verifications", {"to": f"u{n}@example.org"}) for n in range(50)))
    turned_away = [answer for answer in answers if answer.status != 201]
    assert turned_away
    for answer in turned_away:
        assert_problem(answer, 503, "unavailable")


async def test_requests_are_noted_at_debug_without_what_they_bring(client: Client, code_of: CodeOf) -> None:
    """C8: neither query nor body, neither code nor contact."""
    with structlog.testing.capture_logs() as logs:
        begun = await client.begin("ada.lovelace@example.org")
        code = await code_of(begun["id"])
        await client.post(f"/v1/verifications/{begun['id']}/check?code={code}", {"code": code})
        await client.get(f"/not-me/{begun['id']}.secretmark?x=1")
    noted: list[Any] = [entry for entry in logs if entry["event"] == "request"]
    assert len(noted) == 3
    assert {entry["log_level"] for entry in noted} == {"debug"}
    assert not shows(repr(logs), code)
    for secret in ("lovelace", "secretmark", client.key):
        assert secret not in repr(logs)


async def test_the_contract_is_served(app: WebApplication) -> None:
    answer = await Client(app).get("/openapi.yaml")
    assert answer.headers["content-type"] == "application/yaml"
    assert answer.body.startswith(b"openapi: 3.1.0")
