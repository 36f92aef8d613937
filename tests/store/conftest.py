"""What tests of the ledger may ask for: the places of the flows."""

from __future__ import annotations

from tests.flows.conftest import clock, each_place, home, place

__all__ = ["clock", "each_place", "home", "place"]
