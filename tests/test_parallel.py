"""Of dear tests, a whole run leaves out variants, never a test."""

from __future__ import annotations

from tests.parallel import DEAR, left_out

VARIANTS = ["[sqlite]", "[postgres]"]


def test_each_test_keeps_a_variant_and_each_variant_is_tried_somewhere() -> None:
    tests = [f"{DEAR[0]}test_any.py::test_{number}" for number in range(40)]
    ids = [name + variant for name in tests for variant in VARIANTS]
    stay = set(ids) - left_out(ids)
    assert {id_.partition("[")[0] for id_ in stay} == set(tests)
    assert {id_.partition("[")[2] for id_ in stay} == {"sqlite]", "postgres]"}
    assert len(stay) == len(tests)


def test_one_in_three_of_many_variants_stays() -> None:
    ids = [f"{DEAR[1]}test_any.py::test_it[{number}]" for number in range(12)]
    assert len(set(ids) - left_out(ids)) == 4


def test_what_has_one_variant_or_is_not_dear_stays() -> None:
    ids = [f"{DEAR[0]}test_any.py::test_it", f"{DEAR[0]}test_any.py::test_two[a]"]
    ids += [f"tests/flows/test_any.py::test_it{variant}" for variant in VARIANTS]
    assert not left_out(ids)
