"""The examples in the docstrings of the domain give what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from countersign import domain

MODULES = sorted(one.name for one in pkgutil.walk_packages(domain.__path__, "countersign.domain."))


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0
