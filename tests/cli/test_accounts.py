"""Accounts at the command line: an operator erases a person."""

from __future__ import annotations

from tests.cli.conftest import Run


def test_who_is_not_there_is_not_erased(run: Run) -> None:
    """O3: neither by an id nor by a contact, and what is neither is said."""
    for account in ("acc_0", "ada@example.org"):
        ended = run("accounts", "erase", account, "--yes")
        assert ended.exit_code == 2, account
        assert "nothing was erased" in ended.stderr, account
    ended = run("accounts", "erase", "nobody", "--yes")
    assert ended.exit_code == 2
    assert "Expected the id of an account" in ended.stderr


def test_a_person_is_erased_by_a_contact(run: Run) -> None:
    """O3: once, after a question."""
    assert run("demo").exit_code == 0
    ended = run("accounts", "erase", "ada@example.org", raw=b"n\n")
    assert ended.exit_code != 0
    ended = run("accounts", "erase", "ada@example.org", "--yes")
    assert ended.exit_code == 0, ended.stderr
    assert "is erased" in ended.stdout
    assert run("accounts", "erase", "ada@example.org", "--yes").exit_code == 2
