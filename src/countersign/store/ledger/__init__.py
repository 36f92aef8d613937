"""The ledger: it decides commands in batches, and appends to the event log."""
