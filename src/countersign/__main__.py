"""Runs the command line as `python -m countersign`."""

from countersign.cli import main

if __name__ == "__main__":
    main(prog_name="countersign")
