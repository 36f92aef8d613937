"""The command line: the front door for whoever runs Countersign."""

from countersign.cli.main import main

__all__ = ["main"]
