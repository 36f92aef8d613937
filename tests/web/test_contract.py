"""The contract, openapi.yaml, is held against the program by schemathesis, and against its own tables."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, settings
from tests.web.served import Served, served

from countersign.domain.accounts.authenticator import STRONG_KINDS
from countersign.domain.accounts.change import ChangeState
from countersign.domain.delivery.delivery import DeliveryState
from countersign.domain.shared.contact import Channel, ContactKind
from countersign.domain.verifications.challenge import Refusal
from countersign.web.api import routes
from countersign.web.http.context import WebContext
from countersign.web.http.problems import PROBLEMS

CONTRACT = Path(__file__).parents[2] / "src" / "countersign" / "web" / "openapi.yaml"
DOCUMENT: dict[str, Any] = yaml.safe_load(CONTRACT.read_text())
# What no schema can say: that a text is printable (400), that somebody can be reached at an address, that a key is a fresh one (422).
JUDGED = {
    "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "401", "403", "404", "409", "422", "429", "503"]}
}
api = schemathesis.openapi.from_path(str(CONTRACT), config=schemathesis.Config.from_dict({"checks": JUDGED}))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The program on a real server."""
    with served(tmp_path_factory.mktemp("served")) as place:
        yield place


@api.parametrize()
@settings(
    max_examples=40,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_program_keeps_its_contract(case: schemathesis.Case[Any], server: Served) -> None:
    """H1, H3: every answer has a status, a type and a shape that the contract names, whatever is asked."""
    case.call_and_validate(base_url=server.url, headers={"Authorization": f"Bearer {server.key}"}, timeout=10)


def test_every_route_is_in_the_contract_and_the_other_way_round() -> None:
    written = {
        (method.upper(), path.replace("{id}", "{}").replace("{provider}", "{}"))
        for path, methods in DOCUMENT["paths"].items()
        for method in methods
        if method in {"get", "post", "delete", "put", "patch"}
    }
    web = cast("WebContext", None)  # which no handler asks before it is asked itself
    tables = (routes.routes(web), routes.browser_routes(web))
    served = {(method, path.replace("{path_id}", "{}")) for table in tables for path in table for method in table[path]}
    assert written == served


def test_every_enumeration_of_the_contract_is_the_programs() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["Channel"]["enum"] == [channel.value for channel in Channel]
    assert schemas["DeliveryState"]["enum"] == [state.value for state in DeliveryState]
    assert schemas["MyContact"]["properties"]["kind"]["enum"] == [kind.value for kind in ContactKind]
    assert set(schemas["MyMethod"]["properties"]["kind"]["enum"]) == {kind.value for kind in STRONG_KINDS}
    assert schemas["MyChange"]["properties"]["state"]["enum"] == [state.value for state in ChangeState]


def test_every_refusal_has_its_sentences() -> None:
    assert {refusal.value for refusal in Refusal} - {Refusal.WRONG_CODE} <= set(
        PROBLEMS
    )  # a wrong code is an answer, no problem
    for name, row in PROBLEMS.items():
        assert 400 <= row.status < 600, name
        assert not row.title.endswith("."), name
        assert row.detail.endswith("."), name
        assert row.remedy.endswith("."), name
        assert not {"token", "handler", "null"} & set(" ".join(row.sentences).lower().split()), name


def test_the_real_server_refuses_a_long_body_at_once(server: Served) -> None:
    """H3: 10 MB with a length are refused unread, and without one are left at the bound."""
    head = f"POST /v1/verifications HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {server.key}\r\ncontent-type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        began = time.monotonic()
        connection.sendall(f"{head}content-length: 10000000\r\n\r\n".encode())
        assert b" 413 " in connection.recv(4_096)
        assert time.monotonic() - began < 2
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        connection.sendall(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
        try:
            for _ in range(160):
                connection.sendall(chunk)
            connection.sendall(b"0\r\n\r\n")
        except OSError:
            pass  # it hung up on us, which is as good
        assert b" 413 " in connection.recv(4_096)


def test_the_real_server_streams_events_and_lets_go(server: Served) -> None:
    headers = {
        "authorization": f"Bearer {server.key}",
        "content-type": "application/json",
        "host": "x",
        "connection": "close",
    }
    begun = _ask(server, "POST", "/v1/verifications", {**headers}, b'{"to": "stream@example.org"}')
    written = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        connection.sendall(f"GET /v1/verifications/{begun['id']}/events HTTP/1.1\r\n{written}\r\n".encode())
        told = b""
        while b"data: " not in told:
            told += connection.recv(4_096)
        assert b"text/event-stream" in told
        _ask(server, "POST", f"/v1/verifications/{begun['id']}/cancel", headers, b"{}")
        while b'"status":"canceled"' not in told:
            told += connection.recv(4_096)


def _ask(server: Served, method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
    written = "".join(f"{name}: {value}\r\n" for name, value in {**headers, "content-length": str(len(body))}.items())
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\n{written}\r\n".encode() + body)
        told = b""
        while part := connection.recv(65_536):
            told += part
    return json.loads(told.partition(b"\r\n\r\n")[2])
