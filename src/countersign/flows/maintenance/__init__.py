"""Maintenance: sweep, audit, applications, key rotation, policy replay and the test clock."""
