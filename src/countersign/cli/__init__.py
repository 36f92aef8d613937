"""The command line: the front door for whoever runs Countersign."""

from countersign.cli.front import main

__all__ = ["main"]
