"""The documents are held against the program: whatever it has stands in them, whatever they claim is there, and their code runs."""

import ast
import inspect
import os
import re
import runpy
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

import click
import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase
from tests.peers.program import PATIENCE, Program, Server, free_port

from countersign.cli import main
from countersign.cli.main import COMMANDS, CommandGroup
from countersign.config import load
from countersign.config.reference import write_reference
from countersign.domain.delivery.delivery import DeliveryState, Reason
from countersign.domain.delivery.route import unweighted
from countersign.domain.shared.contact import Channel
from countersign.domain.shared.event import EventKind
from countersign.domain.verifications.challenge import ChallengeState, Refusal
from countersign.domain.verifications.purpose import DEFAULT_POLICIES
from countersign.metrics import Metrics
from countersign.store.tables.schema import ALL_TABLES
from countersign.web.api import routes as api
from countersign.web.http.context import WebContext
from countersign.web.http.problems import PROBLEMS, slug
from countersign.web.pages import routes as pages

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "countersign"
OPERATIONS, API, EVENTS, SEMANTICS, THREATS, REFERENCE = (
    ROOT / "docs" / f"{name}.md" for name in ("operations", "api", "events", "semantics", "threat-model", "settings")
)
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
RUN = re.compile(r"<!-- run: (?P<name>[a-z-]+) -->\n```(?P<kind>\w+)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)|(?:src|href)=\"(?!https?:)([^\"]+)\"")
STATEMENT = re.compile(r"[A-Z]\d{1,2}")
STATEMENTS = re.compile(rf"{STATEMENT.pattern}(, {STATEMENT.pattern})*[:.]")
NO_CONTEXT = cast("WebContext", None)  # no handler asks its context before it is asked itself


def shown(path: Path) -> str:
    """Return a path as a person would type it at the top of the checkout."""
    return str(path.relative_to(ROOT))


@cache
def read(path: Path) -> str:
    """Return a document."""
    return path.read_text(encoding="utf-8")


def missing(words: list[str], document: Path) -> list[str]:
    """Return those words that do not stand in a document as code."""
    return [word for word in words if f"`{word}`" not in read(document)]


@cache
def example(name: str) -> str:
    """Return the code of the one example that is marked to be run under this name."""
    found = [match["code"] for path in DOCUMENTS for match in RUN.finditer(read(path)) if match["name"] == name]
    assert len(found) == 1, f"{len(found)} examples are named {name}"
    return found[0]


# ------------------------------------------------------------------------------ what the program has stands in the documents


def test_the_reference_of_settings_is_what_the_program_declares() -> None:
    assert read(REFERENCE) == write_reference(), "run: python tools/settings_reference.py"


def test_every_purpose_of_ours_is_named() -> None:
    assert missing(list(DEFAULT_POLICIES), REFERENCE) == []
    assert missing(list(DEFAULT_POLICIES), API) == []


def test_every_route_of_the_program_and_of_its_contract_has_its_row() -> None:
    contract = yaml.safe_load((SOURCE / "web" / "openapi.yaml").read_text())["paths"]
    told = {
        f"{method.upper()} {path}"
        for path, operations in contract.items()
        for method in operations
        if method != "parameters"
    }
    assert missing(sorted(told), API) == []
    tables = (api.routes(NO_CONTEXT), api.browser_routes(NO_CONTEXT))
    served = {f"{method} {path}" for table in tables for path, row in table.items() for method in row}
    assert {re.sub(r"\{\w+\}", "{path_id}", route) for route in told} == served


def test_every_page_has_its_row() -> None:
    found = [*pages.routes(NO_CONTEXT), *pages.routes_for_other_sites(NO_CONTEXT)]
    assert len(found) > 3
    assert missing(found, API) == []


def test_every_field_of_the_contract_is_explained() -> None:
    schemas = yaml.safe_load((SOURCE / "web" / "openapi.yaml").read_text())["components"]["schemas"]
    assert missing(sorted(set(_fields(schemas))), API) == []


def _fields(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for name, inner in schema.items():
            if name == "properties":
                yield from inner
            yield from _fields(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _fields(inner)


def test_every_word_of_the_api_is_explained() -> None:
    words = [word.value for kind in (Refusal, ChallengeState, Channel, DeliveryState, Reason) for word in kind]
    assert missing(words, API) == []


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_problem_has_its_row(name: str) -> None:
    problem = PROBLEMS[name]
    row = f"| `{slug(name)}` | {problem.status} | {problem.title}. {problem.detail} | {problem.remedy} |"
    assert row in read(API), f"docs/api.md lacks this row:\n{row}"


def test_every_kind_of_event_has_its_row_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z_]+\.[a-z]+)` \|", read(EVENTS), re.MULTILINE)
    assert sorted(rows) == sorted(kind.value for kind in EventKind)


def test_every_figure_has_its_row_and_no_other() -> None:
    figures = [value for value in vars(Metrics()).values() if isinstance(value, MetricWrapperBase)]
    ours = {metric.name + ("_total" if metric.type == "counter" else "") for one in figures for metric in one.collect()}
    assert len(ours) > 5
    assert ours == set(re.findall(r"^\| `(countersign_\w+)` \|", read(OPERATIONS), re.MULTILINE))


def test_every_figure_by_application_has_its_row() -> None:
    metrics = Metrics()
    metrics.queues({"shop": (3, 1_000)})
    names = set(re.findall(r"^(countersign_application\w+)\{", metrics.page().decode(), re.MULTILINE))
    assert names == set(re.findall(r"^\| `(countersign_\w+)\{application\}` \|", read(OPERATIONS), re.MULTILINE))


def test_every_line_of_the_log_is_explained() -> None:
    told = {
        name
        for path in SOURCE.rglob("*.py")
        for name in re.findall(r"_log\.(?:debug|info|warning|error)\(\s*\"(\w+)\"", path.read_text())
    }
    assert len(told) > 10
    assert missing(sorted(told), OPERATIONS) == []


def test_every_command_and_each_of_its_options_has_its_row() -> None:
    assert isinstance(main, CommandGroup)
    for words, command in _commands(main, ()):
        row = re.search(rf"^\| `countersign {' '.join(words)}\b.*$", read(OPERATIONS), re.MULTILINE)
        assert row, f"docs/operations.md has no row for countersign {' '.join(words)}"
        options = {option for one in command.params for option in one.opts if option.startswith("--")}
        for option in options - {"--config", "--json"}:
            assert f"`{option}" in row[0], f"{option} of countersign {' '.join(words)} is not in its row"


def _commands(group: click.Group, before: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, (*before, name))
        else:
            yield (*before, name), command


def test_every_command_has_a_place_in_the_readers_first_list() -> None:
    assert missing(list(COMMANDS), ROOT / "CHANGELOG.md") == []


def test_every_habit_of_the_makefile_has_its_row() -> None:
    verbs = re.findall(r"^([a-z-]+):.*## ", read(ROOT / "Makefile"), re.MULTILINE)
    assert len(verbs) > 5
    assert missing([f"make {verb}" for verb in verbs if verb != "help"], ROOT / "CONTRIBUTING.md") == []


def test_every_table_of_the_database_has_its_row() -> None:
    assert missing([table.name for table in ALL_TABLES], ROOT / "docs" / "architecture.md") == []


# ----------------------------------------------------------------------------------------- what the documents claim is there


def test_a_statement_that_is_claimed_is_held_where_the_document_says() -> None:
    rows = re.findall(r"^\| ([A-Z]\d{1,2})(?: \*\*D\*\*)? \| .* \| (`tests/.*`) \|$", read(SEMANTICS), re.MULTILINE)
    assert len(rows) > 20
    claims = [(id_, path) for id_, cell in rows for path in re.findall(r"`(tests/[\w/]+\.py)`", cell)]
    held = statements_held()
    assert [claim for claim in claims if claim not in held] == []


@cache
def statements_held() -> set[tuple[str, str]]:
    """Return each statement with each file in which the docstring of a test begins with it."""
    held: set[tuple[str, str]] = set()
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                opening = STATEMENTS.match(ast.get_docstring(node) or "")
                held.update((id_, shown(path)) for id_ in STATEMENT.findall(opening[0] if opening else ""))
    return held


def test_every_test_that_the_threat_model_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", read(THREATS)))
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert len(named) > 30
    assert named - there == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=shown)
def test_every_file_that_a_document_names_is_there(path: Path) -> None:
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|md|mjml|html|yaml|toml))`", read(path))
    assert [name for name in named if not any((base / name).exists() for base in (ROOT, SOURCE))] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=shown)
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in ("".join(found) for found in LINK.findall(read(path))):
        where, _, anchor = link.partition("#")
        target = (path.parent / where).resolve() if where else path
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", read(target), re.MULTILINE)
            assert anchor in {_anchor(heading) for heading in headings}, f"{link} leads to no heading"


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached, ahead = set[Path](), [ROOT / "README.md"]
    while ahead:
        path = ahead.pop()
        reached.add(path)
        links = ("".join(found).partition("#")[0] for found in LINK.findall(read(path)))
        targets = {(path.parent / link).resolve() for link in links if link.endswith(".md")}
        ahead += sorted(targets - reached)
    assert [shown(path) for path in DOCUMENTS if path not in reached] == []


# ------------------------------------------------------------------------------------------------ the code in them is run


def test_the_settings_of_the_readme_are_accepted(tmp_path: Path) -> None:
    text = example("production-settings")
    secrets = {
        "/run/secrets/database_url": "postgresql://countersign@db.example.org/countersign",
        "/run/secrets/mail_password": "as good as any",
        "/run/secrets/gateway": "whsec_b3VyLW93bi1zZWNyZXQtb2YtdGhlLXRlc3RzLTAxMjM=",
    }
    for path, secret in secrets.items():
        kept = tmp_path / Path(path).name
        kept.write_text(f"{secret}\n")
        assert path in text
        text = text.replace(path, str(kept))
    (tmp_path / "countersign.toml").write_text(text)
    settings = load({}, tmp_path / "countersign.toml")
    assert not settings.development
    assert settings.routes == {Channel.EMAIL: unweighted("mail"), Channel.SMS: unweighted("gateway")}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which a reader of the documents has cloned the project."""
    return tmp_path_factory.mktemp("docs")


@pytest.fixture(scope="module")
def receiver(place: Path) -> Iterator[tuple[Path, int, str]]:
    """The receiver of docs/webhook.md: what it has printed, its port and its secret."""
    port, secret, said = free_port(), "whsec_b3VyLW93bi1zZWNyZXQtb2YtdGhlLXRlc3RzLTAxMjM=", place / "gateway"
    program = place / "receiver.py"
    program.write_text(example("receiver"))
    environ = {**os.environ, "SENDER_SECRET": secret, "SENDER_PORT": str(port)}
    with said.open("wb") as out, (place / "gateway.log").open("wb") as log:
        running = subprocess.Popen([sys.executable, str(program)], env=environ, stdout=out, stderr=log)
    yield said, port, secret
    running.terminate()
    running.wait(PATIENCE)


@pytest.fixture(scope="module")
def server(place: Path, receiver: tuple[Path, int, str]) -> Iterator[Server]:
    """The program after `make run`, with the receiver as its sender of SMS."""
    _, port, secret = receiver
    gateway = {
        "KIND": "webhook",
        "URL": f"http://127.0.0.1:{port}/messages",
        "SECRET": secret,
        "ALLOW_HTTP": "yes",
        "ALLOW_PRIVATE": "yes",
        "RECEIPT_WITHIN": "60000",
    }
    settings = {f"PROVIDERS_GATEWAY_{name}": value for name, value in gateway.items()}
    with Program(place, ENVIRONMENT="development", ROUTES_SMS="gateway", **settings).serving() as running:
        assert running.key
        yield running


@pytest.fixture(scope="module")
def first_code(place: Path, server: Server) -> str:
    """What the lines of the README print."""
    if not (shutil.which("curl") and shutil.which("bash")):
        pytest.skip("the README's lines need bash and curl")
    lines = example("first-code").replace("http://localhost:8000", f"http://127.0.0.1:{server.port}")
    ended = subprocess.run(
        ["bash", "-eu"], input=lines, cwd=place, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_lines_of_the_readme_end_in_a_proof(first_code: str) -> None:
    assert '"status":"approved"' in first_code
    assert '"proof":"eyJ' in first_code


def test_the_proof_can_be_checked_as_the_document_shows(place: Path, server: Server, first_code: str) -> None:
    issuer = f"http://localhost:{server.port}"
    approved = _functions(place, "verify-proof", lambda code: code.replace("https://verify.example.org", issuer))[
        "approved"
    ]
    proof = re.findall(r'"proof":"([^"]+)"', first_code)[0]
    jwks = server.ask("GET", "/.well-known/jwks.json").json
    application = re.findall(r"app_\w+", Program(place, ENVIRONMENT="development").run("apps", "list").stdout)[0]
    right = {"application": application, "subject": "user-42", "purpose": "sign_in"}
    claims = approved(proof, jwks, **right)
    assert claims["acr"] == "urn:countersign:acr:mail-code"
    document = read(API)
    assert [claim for claim in claims if f"`{claim}`" not in document] == []
    from joserfc.errors import JoseError

    for name in right:
        with pytest.raises(JoseError):
            approved(proof, jwks, **{**right, name: "another"})
    with pytest.raises(JoseError):
        approved(proof[:-8] + "AAAAAAAA", jwks, **right)


def test_the_receiver_and_the_receipt_of_the_document_carry_a_message_to_its_end(
    place: Path, server: Server, receiver: tuple[Path, int, str]
) -> None:
    said, _, secret = receiver
    key = Program(place, ENVIRONMENT="development").run("apps", "add", "shop").stdout.strip()
    begun = server.ask("POST", "/v1/verifications", {"to": "+14155550123"}, key).json
    _until(lambda: begun["id"] if "+14155550123" in said.read_text() else "", begun["id"])
    path = f"/v1/verifications/{begun['id']}"
    _until(lambda: server.ask("GET", path, key=key).json["delivery"]["state"], "accepted")
    post_receipt = _functions(place, "receipt", lambda code: code)["post_receipt"]
    address = f"http://127.0.0.1:{server.port}/v1/receipts/gateway"
    assert post_receipt(address, secret, f"{begun['id']}.1.0", "delivered") == 204
    _until(lambda: server.ask("GET", path, key=key).json["delivery"]["state"], "delivered")
    assert said.read_text().splitlines() == ["to the gateway: sms +14155550123"]


def test_the_receiver_of_the_document_takes_nothing_from_strangers(
    receiver: tuple[Path, int, str], place: Path
) -> None:
    said, port, _ = receiver
    post = _functions(place, "receipt", lambda code: code)["post_receipt"]
    before = said.read_text()
    other = "whsec_b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVyb3Q="
    import urllib.error

    with pytest.raises(urllib.error.HTTPError) as refused:
        post(f"http://127.0.0.1:{port}/messages", other, "msg-1", "delivered")
    assert refused.value.code == 401
    refused.value.close()
    assert said.read_text() == before


def _functions(place: Path, name: str, changed: Callable[[str], str]) -> dict[str, Callable[..., Any]]:
    """Return the functions of an example, as a reader who pasted it into a file would have them."""
    pasted = place / f"{name.replace('-', '_')}.py"
    pasted.write_text(changed(example(name)))
    return {key: value for key, value in runpy.run_path(str(pasted)).items() if inspect.isfunction(value)}


def _until(look: Callable[[], str], wanted: str) -> None:
    until = time.monotonic() + PATIENCE
    while (found := look()) != wanted:
        assert time.monotonic() < until, f"{found!r} instead of {wanted!r}"
        time.sleep(0.05)
