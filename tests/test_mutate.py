"""The faults of `tests/faults` still fit the program, and the script that puts them in tells what is caught from what is not."""

from __future__ import annotations

import ast
import textwrap
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from tools import mutate
from tools.faults import FAULTS, ROOT, DriftError, Fault, left_out, load, shard, span_of, stages_of
from tools.mutate import Book, Copy, Found, Result, Run, copy_tree, digest_of, table

ALL = load()
LEAST = 300
MOST_LINES = 400
MARKERS = frozenset({"postgres", "browser", "slow", "peers"})


@cache
def module_of(path: str) -> tuple[str, ast.Module]:
    """Return the text of a module, and what it is parsed into; nothing if there is no such module."""
    module = ROOT / path
    text = module.read_text(encoding="utf-8") if module.is_file() else ""
    return text, ast.parse(text)


def is_same(one: object, other: object) -> bool:
    """Compare two parsed modules, but for where each part stands; the first difference is enough."""
    if isinstance(one, ast.AST) and type(one) is type(other):
        return all(is_same(getattr(one, name, None), getattr(other, name, None)) for name in one._fields)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return type(one) is type(other) and one == other


def test_a_fault_that_changes_only_the_layout_is_none() -> None:
    module = ast.parse("a = [1, 2]  # two")
    assert is_same(module, ast.parse("a = [\n    1,\n    2,\n]"))
    assert [is_same(module, ast.parse(text)) for text in ("a = [1]", "a = [1, 3]", "b = [1, 2]", "a = [1, True]")] == [
        False
    ] * 4


def test_every_fault_fits_the_program_and_changes_it() -> None:
    """A fault that no longer fits says so at once: whoever changed the place decides what it is now."""
    drifted = []
    for fault in ALL:
        before, parsed = module_of(fault.path)
        try:
            after = fault.put_into(before)
        except DriftError as error:
            drifted.append(str(error))
            continue
        if is_same(ast.parse(after), parsed):
            drifted.append(f"{fault.id} changes nothing")
    assert drifted == []


def test_there_are_many_faults_each_with_a_name_of_its_own() -> None:
    assert len(ALL) >= LEAST
    assert [id_ for id_, count in Counter(fault.id for fault in ALL).items() if count > 1] == []
    assert {
        room for room in ("flows", "domain", "store", "web", "delivery") if not any(room in one.room for one in ALL)
    } == set()


def test_a_fault_says_what_it_means_and_why_it_may_go_unseen() -> None:
    assert [fault.id for fault in ALL if len(fault.means.split()) < 3] == []
    assert [fault.id for fault in ALL if (fault.verdict == "harmful") == bool(fault.why)] == []


def test_the_tests_of_every_fault_are_there() -> None:
    missing = {path for fault in ALL for stage in stages_of(fault) for path in stage if not (ROOT / path).exists()}
    assert missing == set()
    assert [fault.id for fault in ALL if not stages_of(fault)] == []
    assert {marker for fault in ALL for marker in fault.needs} <= MARKERS
    assert all((ROOT / option.partition("=")[2]).is_file() for option in left_out())


@pytest.mark.parametrize("path", sorted(FAULTS.glob("*.toml")), ids=lambda path: path.stem)
def test_a_file_of_faults_holds_one_room(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < MOST_LINES


MODULE = textwrap.dedent(
    '''
    """A module."""

    def grown(age):
        """Say whether somebody is grown."""
        return age >= 18


    class Door:
        """A door."""

        def opens(self, age):
            return age >= 18
    '''
)


def fault(at: str = "door.py::grown", old: str = ">= 18", new: str = "> 18", **more: object) -> Fault:
    """Return a fault of the module above."""
    return Fault(id="one", at=at, old=old, new=new, means="a child is let in", **more)  # type: ignore[arg-type]


def test_a_fault_is_put_into_its_own_function_alone() -> None:
    assert fault().put_into(MODULE) == MODULE.replace(">= 18", "> 18", 1)
    inside = fault(at="door.py::Door.opens").put_into(MODULE)
    assert inside == MODULE[: MODULE.rindex(">= 18")] + "> 18" + MODULE[MODULE.rindex(">= 18") + 5 :]


@pytest.mark.parametrize(
    ("at", "old"),
    [("door.py", ">= 18"), ("door.py::grown", ">= 21"), ("door.py::shut", ">= 18"), ("door.py::Door.shut", ">= 18")],
)
def test_a_place_that_is_not_there_or_there_twice_is_drift(at: str, old: str) -> None:
    with pytest.raises(DriftError, match="times"):
        fault(at=at, old=old).put_into(MODULE)


def test_a_function_ends_where_the_next_begins() -> None:
    start, end = span_of(MODULE, "grown")
    assert MODULE[start:end].strip().splitlines() == MODULE.strip().splitlines()[2:5]
    assert span_of(MODULE, "") == (0, len(MODULE))


def test_shards_are_the_whole_and_share_nothing() -> None:
    parts = [shard(ALL, f"{number}/4") for number in range(1, 5)]
    assert sorted(one.id for part in parts for one in part) == sorted(one.id for one in ALL)
    for wrong in ("0/4", "5/4"):
        with pytest.raises(ValueError, match="no such part"):
            shard(ALL, wrong)


def test_the_tests_of_a_module_are_those_that_mirror_it() -> None:
    inner = fault(at="flows/sign_in/verify.py::check_code")
    assert stages_of(inner)[:2] == [("tests/flows/sign_in/test_verify.py",), ("tests/flows/sign_in",)]
    assert stages_of(fault(at="passwords.py::Passwords"))[0] == ("tests/test_passwords.py",)
    named = fault(at="store/tables/sessions.py::find", tests=("tests/store/test_tables.py",))
    assert stages_of(named)[:2] == [("tests/store/test_tables.py",), ("tests/store",)]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one module and one test, which holds that a child is not let in, and nothing about the day of the birthday."""
    root = tmp_path / "checkout"
    for path, text in {
        "src/countersign/__init__.py": "",
        "src/countersign/door.py": MODULE,
        "tests/test_door.py": "from countersign.door import grown\n\n\ndef test_a_child_stays_out():\n    assert not grown(17)\n    assert grown(19)\n",
        "pytest.ini": "[pytest]\nmarkers =\n    postgres\n    browser\n    slow\n    peers\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


def test_a_fault_that_a_test_notices_is_caught_and_taken_out_again(checkout: Path) -> None:
    copy = Copy(checkout, 60)
    found, by = copy.judge(fault(new=">= 17"))
    assert (found, by) == (Found.CAUGHT, "tests/test_door.py::test_a_child_stays_out")
    assert (checkout / "src/countersign/door.py").read_text(encoding="utf-8") == MODULE
    assert copy.judge(fault(new="> 18")) == (Found.SURVIVED, "")
    assert (checkout / "src/countersign/door.py").read_text(encoding="utf-8") == MODULE


def test_a_fault_without_an_end_is_caught_by_the_time_that_it_takes(checkout: Path) -> None:
    hangs = fault(old="return age >= 18", new="while True:\n        pass")
    assert Copy(checkout, 5).judge(hangs) == (Found.CAUGHT, "it takes too long")


def test_what_cannot_be_run_is_neither_caught_nor_survived(checkout: Path) -> None:
    (checkout / "tests" / "conftest.py").write_text("import nothing_of_this_name\n", encoding="utf-8")
    assert Copy(checkout, 60).judge(fault(new=">= 17"))[0] is Found.BROKEN


def test_a_copy_holds_what_git_keeps_and_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    copy_tree(tmp_path / "copy")
    assert (tmp_path / "copy" / "tools" / "mutate.py").read_bytes() == (ROOT / "tools" / "mutate.py").read_bytes()
    assert not (tmp_path / "copy" / ".venv").exists()
    some = ALL[0]
    book = Book(tmp_path / "results.json")
    assert not book.is_settled(some)
    book.add(Result(some.id, some.room, some.verdict, Found.CAUGHT, "by a test", 1.0, digest_of(some)))
    assert Book(tmp_path / "results.json").is_settled(some)
    book.add(Result(some.id, some.room, some.verdict, Found.CAUGHT, "by a test", 1.0, "of another program"))
    assert not book.is_settled(some)
    book.add(Result(some.id, some.room, some.verdict, Found.SURVIVED, "", 1.0, digest_of(some)))
    assert not book.is_settled(some)


def test_the_table_counts_each_room_and_names_what_no_test_noticed() -> None:
    seen, unseen = fault(), fault(at="door.py::Door.opens")
    results = {"one": Result("one", "", "harmful", Found.SURVIVED, "", 1.0, "x")}
    shown = table([seen, unseen], results)
    assert "| room | caught | survived | broken |" in shown
    assert "| one | door.py::grown | a child is let in | harmful | survived |  |" in shown


def test_a_run_that_failed_names_the_first_test() -> None:
    said = "F\n==== short test summary info ====\nFAILED tests/a.py::test_it - assert 1 == 2\n1 failed\n"
    assert mutate.first_failure(Run(1, said)) == "tests/a.py::test_it"
    assert mutate.first_failure(Run(-1, "it takes too long")) == "it takes too long"


def test_the_list_is_shown_without_trying_anything(capsys: pytest.CaptureFixture[str]) -> None:
    assert mutate.main(["--list", "--only", ALL[0].id]) == 0
    assert ALL[0].means in capsys.readouterr().out
