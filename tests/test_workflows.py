"""The workflows name verbs that the Makefile has, the Pythons that the package supports, and actions of one exact version."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
EXACT_VERSION = re.compile(r"[\w-]+/[\w./-]+@v\d+\.\d+\.\d+")


def load(path: Path) -> Any:
    """Return what a file of YAML holds."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def shown(path: Path) -> str:
    """Return a path as a person would type it at the top of the checkout."""
    return str(path.relative_to(ROOT))


def steps(workflow: Any) -> Iterator[dict[str, Any]]:
    """Return each step of each job."""
    for job in workflow["jobs"].values():
        yield from job["steps"]


def project() -> dict[str, Any]:
    """Return the [project] table of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]  # type: ignore[no-any-return]


def supported() -> list[str]:
    """Return each Python that the classifiers name, the oldest first."""
    found = (re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", line) for line in project()["classifiers"])
    return [match[1] for match in found if match]


@pytest.mark.parametrize("path", WORKFLOWS, ids=shown)
def test_every_verb_that_a_workflow_uses_is_in_the_makefile(path: Path) -> None:
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = [verb for step in steps(load(path)) for verb in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))]
    assert used
    assert [verb for verb in used if verb not in verbs] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=shown)
def test_every_action_is_of_one_exact_version(path: Path) -> None:
    used = [step["uses"] for step in steps(load(path)) if "uses" in step]
    assert used
    assert [action for action in used if not EXACT_VERSION.fullmatch(action)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=shown)
def test_a_workflow_may_only_read_and_every_job_ends(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        assert 0 < job["timeout-minutes"] <= 90


def test_the_tests_run_on_every_supported_python_and_on_no_other() -> None:
    matrix = load(GITHUB / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python-version"]
    assert matrix == supported()
    assert project()["requires-python"] == f">={supported()[0]}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=shown)
def test_no_job_runs_on_a_python_that_is_not_supported(path: Path) -> None:
    named = [step["with"]["python-version"] for step in steps(load(path)) if "setup-python" in step.get("uses", "")]
    assert named
    assert [one for one in named if one not in {*supported(), "${{ matrix.python-version }}"}] == []


def test_the_tests_have_the_same_peers_there_as_in_our_own_run() -> None:
    install = re.compile(r"apt-get install .*?--no-install-recommends\s*\\?\s*([^>;&|]+)")
    ours = install.search((ROOT / ".ci" / "run").read_text())
    theirs = install.search((GITHUB / "workflows" / "ci.yml").read_text())
    assert ours
    assert theirs
    assert set(re.split(r"[\\\s]+", ours[1].strip())) == set(theirs[1].split("- run")[0].split())


@pytest.mark.parametrize("path", sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")), ids=shown)
def test_an_issue_template_asks_something_and_sends_security_elsewhere(path: Path) -> None:
    template = load(path)
    if path.name == "config.yml":
        assert template["blank_issues_enabled"] is False
        assert "security" in template["contact_links"][0]["url"]
    else:
        assert {"name", "description", "body"} <= set(template)
        assert any(field.get("validations", {}).get("required") for field in template["body"])


def test_one_address_stands_for_the_repository_everywhere() -> None:
    repository = project()["urls"]["Source"]
    places = [ROOT / "pyproject.toml", *GITHUB.rglob("*.yml"), GITHUB / "CODEOWNERS", *ROOT.glob("*.md")]
    named = {found for path in places for found in re.findall(r"https://github\.com/[\w-]+/[\w-]+", path.read_text())}
    assert named == {repository}
    assert f"@{repository.split('/')[-2]}/" in (GITHUB / "CODEOWNERS").read_text()


def test_no_document_tells_to_install_a_strangers_package() -> None:
    name = project()["name"]
    assert name != "countersign"
    plain = re.compile(
        r"\b(?:pip|pipx|uv|uvx)\b[^\n`]*\b(?:install|add|run|download|with)\b[^\n`]*\bcountersign(?!-otp)\b"
    )
    places = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *GITHUB.rglob("*.*")]
    assert [shown(path) for path in places if plain.search(path.read_text())] == []
    assert f"pip install {name}[apprise]" in (ROOT / "docs" / "providers.md").read_text()
