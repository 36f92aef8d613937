"""The workflows name verbs that the Makefile has, the Pythons that the package supports, and actions of one exact version."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tools import sbom

ROOT = Path(__file__).resolve().parent.parent
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
SIGNS = {"contents": "read", "id-token": "write", "attestations": "write"}
"""What a job may do that signs what it built: it writes a statement, and nothing of the repository."""
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
        assert job.get("permissions") == (SIGNS if path.name == "release.yml" else None)
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


# ---------------------------------------------------------------------------------------- what is installed and what leaves


def lines_of(name: str) -> str:
    """Return all commands of a workflow."""
    return "\n".join(step.get("run", "") for step in steps(load(GITHUB / "workflows" / name)))


def test_every_lock_is_looked_up_each_night() -> None:
    """Known vulnerabilities of what is installed, by the locks, so that nothing is resolved anew."""
    commands = lines_of("nightly.yml")
    named = re.search(r"for lock in ([a-z ]+);", commands)
    assert named
    assert set(named[1].split()) == {path.stem for path in (ROOT / "requirements").glob("*.txt")}
    assert re.search(r"pipx run pip-audit==\d+\.\d+\.\d+ --require-hashes --disable-pip", commands)
    assert "npm audit --audit-level=" in commands


def test_a_release_says_what_it_is_made_of_and_who_built_it() -> None:
    """The list is made before it is signed, and both leave together."""
    done = list(steps(load(GITHUB / "workflows" / "release.yml")))
    kinds = [step.get("uses", step.get("run", "")).partition("@")[0] for step in done]
    assert kinds.index("make sbom") < kinds.index("actions/attest-build-provenance")
    signing = done[kinds.index("actions/attest-build-provenance")]
    assert signing["with"]["subject-path"] == "build/release/*"
    assert "build/sbom.cdx.json build/release/" in lines_of("release.yml")
    assert done[-1]["with"]["path"] == "build/release"


def test_the_list_names_every_package_of_the_lock_with_its_hashes() -> None:
    lock = sbom.LOCK.read_text(encoding="utf-8")
    found = sbom.document(lock, project())
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    assert found == sbom.document(lock, project())
    assert len(found["components"]) == len([line for line in lock.splitlines() if re.match("[A-Za-z0-9]", line)])
    for component in found["components"]:
        assert component["purl"] == f"pkg:pypi/{component['name']}@{component['version']}"
        assert component["hashes"]
        assert all(re.fullmatch("[0-9a-f]{64}", one["content"]) for one in component["hashes"])
    assert sum(len(one["hashes"]) for one in found["components"]) == lock.count("--hash=sha256:")
    assert {one["name"] for one in found["components"]} >= {"cryptography", "falcon", "uvicorn"}
    assert found["dependencies"][0]["dependsOn"] == [one["bom-ref"] for one in found["components"]]
