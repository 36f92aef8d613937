"""The doctor: finds what is unsafe, and gives each finding its remedy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest
from tests.cli.conftest import Run
from tests.config_files import SHOP
from tests.peers.program import Program, free_port

from countersign.cli.doctor.command import SIGNS
from countersign.cli.doctor.secret_checks import check_secret_files

HTTPS = "https://verify.example.org"
SECRET = "whsec_b3VyLW93bi1zZWNyZXQtb2YtdGhlLXRlc3RzLTAxMjM="
DEAD_MAIL = {
    "PROVIDERS_MAIL_KIND": "smtp",
    "PROVIDERS_MAIL_HOST": "127.0.0.1",
    "PROVIDERS_MAIL_FROM_ADDRESS": "codes@example.org",
}


def findings(run: Run, **settings: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Return the exit code and what was found, by name."""
    ended = run("doctor", "--json", **settings)
    return ended.exit_code, {finding["name"]: finding for finding in json.loads(ended.stdout)}


def test_a_developers_house_is_in_order(run: Run) -> None:
    run("apps", "list")
    code, found = findings(run)
    assert code == 0
    assert {
        found[name]["state"] for name in ("keys", "database", "fingerprint", "deliveries", "disk", "route sms")
    } == {"fine"}
    assert found["environment"]["state"] == "advice"


def test_a_worker_that_died_is_missed_before_any_message_is_late(run: Run, tmp_path: Path) -> None:
    """O6: it was found by a message that was due for a minute."""
    run("apps", "list")
    (file,) = tmp_path.rglob("countersign.db")

    def holds(until: int) -> None:
        with contextlib.closing(sqlite3.connect(file)) as database, database:
            lease = json.dumps({"holder": "one", "until": until}).encode()
            database.execute("INSERT OR REPLACE INTO facts (name, value) VALUES ('housekeeper', ?)", (lease,))

    assert "worker" not in findings(run)[1], "none has ever run"
    holds(int(time.time() * 1_000) + 40_000)
    assert findings(run)[1]["worker"]["state"] == "fine"
    holds(int(time.time() * 1_000) - 1_000)
    found = findings(run)[1]["worker"]
    assert found["state"] == "advice"
    assert "countersign work" in found["remedy"]


def test_a_house_that_was_never_opened_is_no_emergency(run: Run, tmp_path: Path) -> None:
    code, found = findings(run)
    assert code == 0
    assert found["keys"]["state"] == found["database"]["state"] == "advice"
    assert list(tmp_path.iterdir()) == []  # it changes nothing


def test_the_mode_of_the_key_file_is_the_one_that_it_has(run: Run, tmp_path: Path) -> None:
    run("apps", "list")
    (tmp_path / ".countersign" / "secret.keys").chmod(0o400)
    assert "mode 0400" in findings(run)[1]["keys"]["what"]


def test_every_finding_but_a_fine_one_has_a_remedy(run: Run) -> None:
    unsafe = {
        "ENVIRONMENT": "production",
        "PUBLIC_URL": "http://example.org",
        "TRUSTED_PROXIES": "::/0",
        "RETENTION_DAYS": "400",
    }
    code, found = findings(run, **unsafe, METRICS_PORT="9100", BIND="0.0.0.0", WORKERS="2", LOG_LEVEL="debug")
    assert code == 1
    assert all(finding["remedy"] for finding in found.values() if finding["state"] != "fine")
    unsafe_names = {name for name, finding in found.items() if finding["state"] == "unsafe"}
    assert unsafe_names == {"public_url", "trusted_proxies", "routes", "workers", "keys", "database"}
    assert {"retention_days", "metrics.port", "log.level"} <= {
        name for name, one in found.items() if one["state"] == "advice"
    }


def test_https_without_a_trusted_proxy_is_unsafe(run: Run) -> None:
    """L1: everybody would have the proxy's address, and one stranger would shut out all."""
    code, found = findings(run, PUBLIC_URL=HTTPS)
    assert code == 1
    assert found["trusted_proxies"]["state"] == "unsafe"
    assert "COUNTERSIGN_TRUSTED_PROXIES" in found["trusted_proxies"]["remedy"]
    assert findings(run, PUBLIC_URL=HTTPS, TRUSTED_PROXIES="127.0.0.1")[1]["trusted_proxies"]["state"] == "fine"
    assert findings(run)[1]["trusted_proxies"]["state"] == "fine"


def test_bad_settings_are_findings_too(run: Run) -> None:
    ended = run("doctor", "--json", PORT="x", GRACE="x")
    assert ended.exit_code == 1
    assert [finding["name"] for finding in json.loads(ended.stdout)] == ["settings", "settings"]


@pytest.mark.parametrize(
    ("settings", "name", "said"),
    [
        ({**DEAD_MAIL, "PROVIDERS_MAIL_PORT": str(free_port())}, "provider mail", "cannot be used"),
        (
            {
                "PROVIDERS_HOOK_KIND": "webhook",
                "PROVIDERS_HOOK_URL": "https://127.0.0.1/x",
                "PROVIDERS_HOOK_SECRET": SECRET,
            },
            "provider hook",
            "private or reserved network",
        ),
        ({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, "database", "cannot be reached"),
    ],
)
def test_a_peer_that_cannot_be_used_is_unsafe(run: Run, settings: dict[str, str], name: str, said: str) -> None:
    code, found = findings(run, **settings)
    assert code == 1
    assert found[name]["state"] == "unsafe"
    assert said in found[name]["what"]


def test_one_that_tells_nothing_is_advised_to_the_end_of_its_route(run: Run) -> None:
    """D2: what its gateway loses nobody would send again."""
    webhook = {"KIND": "webhook", "URL": "https://sender.example.org/", "SECRET": SECRET}
    settings = {f"PROVIDERS_GATEWAY_{name}": value for name, value in webhook.items()}
    settings |= {"PROVIDERS_TAIL_KIND": "apprise", "PROVIDERS_TAIL_URL": "seven://abcdefghij1234567890/{to}"}
    for route, state in (("tail, gateway", "advice"), ("tail=1, gateway=1", "advice"), ("gateway, tail", None)):
        ended = run("doctor", "--json", **settings, ROUTES_SMS=route)
        found = {finding["name"]: finding for finding in json.loads(ended.stdout)}
        assert found.get("route sms: tail", {}).get("state") == state
        assert "seven through Apprise" in found["provider tail"]["what"]
        assert "abcdefghij" not in ended.stdout


def test_the_keys_of_another_house_are_unsafe(run: Run, tmp_path: Path) -> None:
    """O2."""
    run("apps", "list")
    run("keys", "new", "other.keys")
    code, found = findings(run, SECRET_FILE=str(tmp_path / "other.keys"))
    assert code == 1
    assert found["fingerprint"]["state"] == "unsafe"


def test_keys_that_others_can_read_are_unsafe(run: Run, tmp_path: Path) -> None:
    """O2."""
    run("apps", "list")
    (tmp_path / ".countersign" / "secret.keys").chmod(0o644)
    code, found = findings(run)
    assert code == 1
    assert "chmod 600" in found["keys"]["what"]


def test_a_sound_production_is_told_so_in_a_pipe(production: Program) -> None:
    settings = {"TRUSTED_PROXIES": "10.0.0.0/8"}
    ended = production.run("doctor", **settings)
    assert ended.returncode == 1  # nothing can be sent yet
    lines = [line.split("\t") for line in ended.stdout.splitlines()]
    assert {line[0] for line in lines} <= SIGNS.keys()
    assert [line[1] for line in lines if line[0] == "unsafe"] == ["routes"]


def test_a_theme_of_an_application_that_does_not_exist_is_named(run: Run, tmp_path: Path) -> None:
    """H7: a slip in an id would leave people with another look, without a word."""
    made = json.loads(run("apps", "add", "shop", "--json").stdout)
    file = tmp_path / "countersign.toml"
    theme = 'environment = "development"\n[themes.shop]\naccent = "#8c1d40"\napplications = '
    file.write_text(theme + json.dumps([made["id"]]))
    assert findings(run, CONFIG=str(file))[1]["themes.shop"]["state"] == "fine"
    file.write_text(theme + json.dumps([made["id"], SHOP]))
    code, found = findings(run, CONFIG=str(file))
    assert (code, found["themes.shop"]["state"]) == (0, "advice")
    assert SHOP in found["themes.shop"]["what"]
    assert made["id"] not in found["themes.shop"]["what"]


@pytest.mark.postgres
def test_the_clocks_of_two_machines_are_compared(run: Run, postgres_url: str) -> None:
    code, found = findings(run, DATABASE_URL=postgres_url)
    assert code == 0
    assert "ms of the database's" in found["clock"]["what"]


@pytest.mark.parametrize(("mode", "unsafe"), [(0o644, True), (0o640, True), (0o604, True), (0o600, False)])
def test_a_settings_file_with_secrets_is_its_users_alone(run: Run, tmp_path: Path, mode: int, *, unsafe: bool) -> None:
    """Every program of the machine would know them."""
    file = tmp_path / "countersign.toml"
    file.write_text(f'[providers.hook]\nkind = "webhook"\nurl = "https://sender.example.org/x"\nsecret = "{SECRET}"\n')
    file.chmod(mode)
    found = check_secret_files({})
    assert [one.name for one in found] == (["settings file"] if unsafe else [])
    assert all(one.state.value == "unsafe" and "chmod 600" in one.remedy for one in found)
    assert all(SECRET not in one.what + one.remedy for one in found)
    if mode == 0o644:
        code, told = findings(run)
        assert code == 1
        assert "providers.hook.secret" in told["settings file"]["what"]


def test_a_settings_file_without_secrets_may_be_read(run: Run, tmp_path: Path) -> None:
    del run
    kept, file = tmp_path / "hook.secret", tmp_path / "countersign.toml"
    kept.write_text(SECRET)
    kept.chmod(0o644)
    file.write_text(f'[providers.hook]\nkind = "webhook"\nurl_file = "{kept}"\nsecret_file = "{kept}"\n')
    file.chmod(0o644)
    tmp_path.chmod(0o755)
    found = check_secret_files({})
    assert {(one.name, one.state.value) for one in found} == {("secret file", "advice")}
    kept.chmod(0o640)
    assert check_secret_files({}) == []


def test_a_wrong_key_of_a_gateway_is_unsafe(run: Run) -> None:
    """It was "fine, can be reached"."""

    def refuse(connection: socket.socket) -> None:
        with connection:
            connection.recv(65_536)
            connection.sendall(b'HTTP/1.1 401 Unauthorized\r\ncontent-length: 15\r\n\r\n{"code": 20003}')

    with listening(refuse) as port:
        twilio = {
            "KIND": "twilio",
            "ACCOUNT_SID": "AC00000000000000000000000000000000",
            "AUTH_TOKEN": "a-wrong-token",
            "SENDER": "+4915112345678",
            "URL": f"http://127.0.0.1:{port}",
            "ALLOW_HTTP": "yes",
            "ALLOW_PRIVATE": "yes",
        }
        code, found = findings(run, **{f"PROVIDERS_T_{name}": value for name, value in twilio.items()})
    assert code == 1
    assert found["provider t"]["state"] == "unsafe"
    assert "refuses our key" in found["provider t"]["what"]
    assert "a-wrong-token" not in str(found)


def test_a_mailbox_of_bounces_that_refuses_us_is_unsafe(run: Run) -> None:
    """It was not looked at."""

    def refuse(connection: socket.socket) -> None:
        with connection, connection.makefile("rwb", 0) as lines:
            lines.write(b"* OK ready\r\n")
            for line in lines:
                tag, _, rest = line.partition(b" ")
                said = b"* CAPABILITY IMAP4rev1\r\n" if rest.startswith(b"CAPABILITY") else b""
                word = b"NO" if rest.startswith(b"LOGIN") else b"OK"
                lines.write(said + tag + b" " + word + b" done\r\n")
                if rest.startswith(b"LOGOUT"):
                    return

    with listening(refuse) as port:
        imap = {"HOST": "127.0.0.1", "PORT": str(port), "TLS": "none", "USERNAME": "bounces", "PASSWORD": "wrong-word"}
        code, found = findings(run, **{f"BOUNCES_IMAP_{name}": value for name, value in imap.items()})
    assert code == 1
    assert "refuses our credentials" in found["bounces"]["what"]
    assert "wrong-word" not in str(found)


@contextlib.contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve each connection in a thread, and give the port."""
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(4) as threads:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threads.submit(_served, serve, connection)

        accepting = threads.submit(accept)
        try:
            yield server.getsockname()[1]
        finally:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            accepting.result()


def _served(serve: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        serve(connection)


def test_a_database_without_room_is_unsafe(run: Run, tmp_path: Path) -> None:
    """It answered every read, and was fine."""
    run("apps", "list")
    code, found = findings(run)
    assert (code, found["database writes"]["state"]) == (0, "fine")
    with contextlib.closing(
        sqlite3.connect(tmp_path / ".countersign" / "countersign.db", isolation_level=None)
    ) as other:
        other.execute("BEGIN IMMEDIATE")  # as a backup that does not end: nobody else can write
        code, found = findings(run)
        other.execute("ROLLBACK")
    assert code == 1
    assert found["database"]["state"] == "fine"
    assert found["database writes"]["state"] == "unsafe"
    assert found["database writes"]["remedy"]


@pytest.mark.postgres
def test_a_database_that_only_reads_is_unsafe(run: Run, postgres_url: str) -> None:
    run("apps", "list", DATABASE_URL=postgres_url)
    name = postgres_url.rpartition("/")[2]
    _execute(postgres_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    code, found = findings(run, DATABASE_URL=postgres_url)
    assert code == 1
    assert found["database writes"]["state"] == "unsafe"


@pytest.mark.postgres
def test_connections_are_compared_with_what_postgresql_takes(run: Run, postgres_url: str) -> None:
    """Nobody looked at max_connections."""
    run("apps", "list", DATABASE_URL=postgres_url)
    code, found = findings(run, DATABASE_URL=postgres_url)
    assert (code, found["connections"]["state"]) == (0, "fine")
    assert "10 each" in found["connections"]["what"]
    code, found = findings(run, DATABASE_URL=postgres_url, WORKERS="10")
    assert (code, found["connections"]["state"]) == (1, "unsafe")
    assert "may open 100 connections" in found["connections"]["what"]
    name = postgres_url.rpartition("/")[2]
    _execute(postgres_url, f"ALTER DATABASE {name} CONNECTION LIMIT 5")
    code, found = findings(run, DATABASE_URL=postgres_url, WORKERS="1")
    assert (code, found["connections"]["state"]) == (1, "unsafe")


def _execute(url: str, statement: str) -> None:
    async def carry_out() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(carry_out())


def test_a_new_installation_is_advised_to_watch_before_it_holds_back(production: Program) -> None:
    """A launch was taken for pumping, and the doctor said nothing."""
    webhook = {"KIND": "webhook", "URL": "https://127.0.0.1:9/", "SECRET": SECRET}
    settings = {f"PROVIDERS_HOOK_{name}": value for name, value in webhook.items()} | {"TRUSTED_PROXIES": "10.0.0.0/8"}
    for route, mode, state in (
        ("sms", "on", "advice"),
        ("sms", "shadow", "fine"),
        ("sms", "off", "advice"),
        ("email", "on", None),
    ):
        ended = production.run(
            "doctor", "--json", **settings, **{f"ROUTES_{route.upper()}": "hook", "FRAUD_MODE": mode}
        )
        found = {one["name"]: one for one in json.loads(ended.stdout)}
        assert found.get("fraud.mode", {}).get("state") == state
        if mode == "on" and state:
            assert "shadow" in found["fraud.mode"]["remedy"]
