"""The report of a verification of the event log."""

from __future__ import annotations

import msgspec


class AuditFinding(msgspec.Struct, frozen=True):
    """A difference from what was written: in which chain, from which page on, and what.

    `writer` is "seals" or "segments" if it is about these, and empty for checkpoints; then `seq` is their number.
    """

    writer: str
    seq: int
    what: str


class AuditReport(msgspec.Struct, frozen=True):
    """The result of a verification. Store `last_checkpoint` elsewhere for the next one.

    `sealed_until` and `dropped_until` are the newest months that were, or empty; `remarks` are no findings.
    """

    entries: int
    writers: int
    checkpoints: int
    findings: tuple[AuditFinding, ...]
    last_checkpoint: str
    sealed_until: str = ""
    dropped_until: str = ""
    remarks: tuple[str, ...] = ()
