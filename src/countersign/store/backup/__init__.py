"""Backups of a database that is being served, and their restoration."""
