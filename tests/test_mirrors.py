"""Each module of flows has the file of tests that its name promises: `flows/sign_in/verify.py` has `tests/flows/sign_in/test_verify.py`."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLOWS = ROOT / "src" / "countersign" / "flows"
TESTS = ROOT / "tests" / "flows"


def acts(path: Path) -> bool:
    """Say whether a module has a function of its own: one that holds nothing but types has nothing to be tried."""
    tree = ast.parse(path.read_text())
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in tree.body)


def test_each_module_of_flows_has_its_tests() -> None:
    missing = [
        str(test.relative_to(ROOT))
        for module in sorted(FLOWS.glob("*/*.py"))
        if acts(module) and not (test := TESTS / module.parent.name / f"test_{module.name}").exists()
    ]
    assert missing == []
