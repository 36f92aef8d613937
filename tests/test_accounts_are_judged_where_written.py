"""Check, await, act: a transaction of the flows that writes an account locks it first, and compares its epoch (semantics A8).

The source is read: from every function that a flow hands to `database.run` or `log.run`, through all that it calls in the flows.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

FLOWS: Final = Path(__file__).resolve().parent.parent / "src" / "countersign" / "flows"

WRITES: Final = frozenset(
    {
        "accounts.update",
        "accounts.insert_contact",
        "accounts.update_contact",
        "accounts.insert_identifier",
        "accounts.delete_identifier",
        "accounts.clear_recovered_by",
        "accounts.replace_password",
        "authenticators.insert",
        "authenticators.update",
        "authenticators.use",
        "authenticators.record_use",
        "authenticators.use_recovery_code",
        "changes.insert",
        "changes.update",
        "devices.upsert",
        "devices.update",
        "integration_codes.insert",
        "integration_codes.update",
        "sessions.insert",
        "sessions.update",
        "sessions.replace_proofs",
    }
)
"""What gives or changes something of an account. Ending a session or a login flow is not among them: it gives nobody anything."""
LOCKS: Final = frozenset({"accounts.lock", "lock_snapshot"})

GUARDED_BY_ITSELF: Final = {
    "accounts.replace_password": "takes the row, and compares the password that it replaces",
    "authenticators.use": "one UPDATE, which no second caller and no ended authenticator passes",
    "authenticators.record_use": "one UPDATE, which no ended authenticator passes",
    "_use_recovery_code": "one UPDATE uses the code up; what it proves is judged where the flow is completed",
    "_remind": "reminds of a change as it is read in the same transaction, and gives nobody anything",
}
"""Transactions that need no lock of the account, and why."""
WITHOUT_EPOCH: Final = {
    "_cancel": "ends a pending change, whatever happened since",
    "_withdraw": "ends a recovery that waits, as it is read in the same transaction, and gives nobody anything",
    "_checked": "notes when the user looked at the contacts",
}
"""Transactions that lock the account and compare no epoch, and why."""


class Function:
    """A function of the flows: the names that it uses, as `name` or `module.name`, and whether it looks at an epoch."""

    def __init__(self, node: ast.AsyncFunctionDef | ast.FunctionDef) -> None:
        self.name = node.name
        self.names: set[str] = set()
        self.compares = False
        self.roots: set[str] = set()
        for part in ast.walk(node):
            if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
                self.names.add(f"{part.value.id}.{part.attr}")
            if isinstance(part, ast.Attribute) and part.attr == "epoch":
                self.compares = True
            if isinstance(part, ast.Name):
                self.names.add(part.id)
            if isinstance(part, ast.Call):
                self.roots |= set(_handed_over(part))


def _handed_over(call: ast.Call) -> Iterator[str]:
    """Yield the transaction that a call runs: the first argument of `database.run`, the second of `log.run`."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "run" or not call.args:
        return
    target = ast.unparse(call.func.value)
    number = 1 if target.endswith("log") else 0 if target.endswith("database") else None
    if number is not None and len(call.args) > number:
        yield ast.unparse(call.args[number])


def functions_of(source: str) -> list[Function]:
    return [
        Function(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)
    ]


def faults(sources: list[str]) -> list[str]:
    """Return what is wrong with the transactions of these modules, in sentences."""
    found: list[str] = []
    by_name: dict[str, list[Function]] = {}
    per_module = [functions_of(source) for source in sources]
    for functions in per_module:
        for one in functions:
            by_name.setdefault(one.name, []).append(one)
    for functions in per_module:
        own = {one.name: one for one in functions}
        for root in sorted(set().union(*(one.roots for one in functions))):
            reached = _reached(root, own, by_name)
            names = set().union({root}, *(one.names for one in reached))
            if not names & WRITES or root in GUARDED_BY_ITSELF:
                continue
            if not names & LOCKS:
                found.append(f"{root} writes {sorted(names & WRITES)} of an account that it has not locked.")
            elif not any(one.compares for one in reached) and root not in WITHOUT_EPOCH:
                found.append(f"{root} writes {sorted(names & WRITES)} of an account whose epoch it does not compare.")
    return found


def _reached(root: str, own: dict[str, Function], by_name: dict[str, list[Function]]) -> list[Function]:
    """Return all functions of the flows that a transaction runs; a private name is of its own module."""
    waiting, reached = [own[root]] if root in own else list(by_name.get(root, [])), []
    while waiting:
        one = waiting.pop()
        if one in reached:
            continue
        reached.append(one)
        for name in one.names:
            waiting += [own[name]] if name in own else [] if name.startswith("_") else by_name.get(name, [])
    return reached


def test_a_transaction_that_writes_an_account_locks_it_and_compares_its_epoch() -> None:
    """A8: nothing is checked in one transaction and acted upon in another."""
    assert faults([path.read_text(encoding="utf-8") for path in sorted(FLOWS.rglob("*.py"))]) == []


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("await Write((sessions.insert(1),))", "has not locked"),
        ("await accounts.lock(a)\n    await Write((sessions.insert(1),))", "does not compare"),
        ("account = await accounts.lock(a)\n    account.epoch\n    await Write((sessions.insert(1),))", ""),
        ("await _later()", "has not locked"),
    ],
)
def test_a_transaction_that_does_not_is_found(body: str, fault: str) -> None:
    source = f"""
async def act(context):
    await context.database.run(_write, 1)


async def _write(a):
    {body}


async def _later():
    await Write((accounts.update(1),))
"""
    found = faults([source])
    assert [fault in one for one in found] == ([True] if fault else [])
