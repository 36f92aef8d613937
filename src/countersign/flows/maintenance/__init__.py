"""Upkeep: sweep, audit, applications, keys, policy replay and the test clock."""
