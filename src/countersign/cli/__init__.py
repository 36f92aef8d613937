"""The command line."""

from countersign.cli.main import main

__all__ = ["main"]
