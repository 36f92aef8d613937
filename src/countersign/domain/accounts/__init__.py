"""Accounts, sessions, devices, authenticators, passwords, changes and risk."""
