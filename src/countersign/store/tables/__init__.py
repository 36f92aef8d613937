"""The tables, and the statements on each."""
