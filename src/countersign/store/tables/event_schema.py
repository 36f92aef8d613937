"""Declares the tables of the event log: its pages, the ends of its chains, its checkpoints, its order, and its seals."""

from __future__ import annotations

from typing import Final

from countersign.store.engine.database import Table

EVENTS: Final = Table(
    "events",
    key=(("writer", "text"), ("seq", "int")),
    fixed=(("at", "int"), ("count", "int"), ("page", "text"), ("hash", "bytes")),
)
"""Pages of the event log, one for each transaction: `page` is the JSON of all its events, `count` their number."""

WRITERS: Final = Table(
    "writers", key=(("writer", "text"),), moving=(("seq", "int"), ("hash", "bytes"), ("mac", "bytes"))
)
"""Where the hash chain of each writer of the event log ends."""

CHECKPOINTS: Final = Table("checkpoints", key=(("number", "int"),), fixed=(("at", "int"), ("signed", "text")))
"""Signed checkpoints of the event log."""

EVENT_SEGMENTS: Final = Table(
    "event_segments",
    key=(("number", "int"),),
    fixed=(("month", "text"), ("at", "int"), ("count", "int"), ("ranges", "text"), ("hash", "bytes")),
)
"""The order of the event log: each segment is a range of pages of some chains (`ranges`, JSON), and follows the one before it."""

EVENT_POSITIONS: Final = Table("event_positions", key=(("writer", "text"),), moving=(("seq", "int"), ("sealed", "int")))
"""Up to which page the chain of a writer is part of a segment, and up to which one it is sealed."""

EVENT_SEALS: Final = Table(
    "event_seals",
    key=(("number", "int"),),
    fixed=(("kind", "text"), ("month", "text"), ("segment", "int"), ("at", "int"), ("signed", "text")),
)
"""Months of the event log that were sealed, and then dropped, each as a signed record; `segment` is the last one of the month."""

EVENT_TABLES: Final = (EVENTS, WRITERS, CHECKPOINTS, EVENT_SEGMENTS, EVENT_POSITIONS, EVENT_SEALS)
