"""What commands print: fields for programs in a pipe, and column names for the person behind it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

PRINT = "from countersign.cli.output import print_table; print_table(('Name', 'Mode'), [('shop', 'live')])"


def test_a_pipe_gets_the_fields_alone(capsys: pytest.CaptureFixture[str]) -> None:
    exec(PRINT)  # noqa: S102 - the line that a process of its own runs below
    assert capsys.readouterr() == ("shop\tlive\n", "")


def test_a_person_behind_a_pipe_gets_the_names_of_the_columns() -> None:
    ours, theirs = pty.openpty()
    ended = subprocess.run(
        [sys.executable, "-c", PRINT], stdout=subprocess.PIPE, stderr=theirs, text=True, check=True, timeout=30
    )
    os.close(theirs)
    assert ended.stdout == "shop\tlive\n"
    assert os.read(ours, 100) == b"Name\tMode\r\n"
    os.close(ours)
