"""The table of all commands. Each is loaded when it is called, so that none waits for the imports of another."""

from __future__ import annotations

import importlib
from typing import Final

import click

from countersign import __version__
from countersign.cli.output import Stopped
from countersign.errors import CountersignError, UnavailableError

COMMANDS: Final = {
    "serve": ("serve", "serve", "Serve over HTTP, with the delivery worker inside."),
    "emulate": ("serve", "emulate", "Serve a new installation that is removed at the end, for your tests."),
    "work": ("serve", "work", "Deliver and sweep without HTTP."),
    "migrate": ("serve", "migrate", "Bring the database schema to the newest revision."),
    "config": ("config", "config", "The settings: check them before anything reads them."),
    "doctor": ("doctor.command", "doctor", "Check every setting and peer, with a remedy for each finding."),
    "apps": ("apps", "apps", "Applications and their keys."),
    "keys": ("keys", "keys", "The key file that everything is derived from."),
    "backup": ("backup", "backup", "Back up the database while it is served."),
    "restore": ("backup", "restore", "Restore a backup into an empty database."),
    "drill": ("backup", "drill", "Prove that a backup can be restored and read."),
    "events": ("events", "events", "The event log."),
    "bounces": ("bounces", "bounces", "Bounced mails."),
    "accounts": ("accounts", "accounts", "Accounts of people."),
    "suppressions": ("suppressions", "suppressions", "Addresses that nothing is sent to."),
    "demo": ("demo", "demo", "Create a few accounts to look at, in development."),
    "messages": ("messages", "messages", "What messages cost and how they look."),
    "preview": ("preview", "preview", "Show every page and message in every state, language and theme."),
    "queue": ("queue", "queue", "Messages that wait to be sent, and how to cancel them."),
    "providers": ("providers", "providers", "How providers perform, and which are left out of routes."),
    "policy": ("policy", "policy", "What a changed risk policy would have done."),
    "fraud": ("fraud", "fraud", "What is held back because of SMS pumping, and why."),
}

EXIT_CODES: Final = """\b
Exit codes:
  0  success, or nothing was found
  1  something was found, or is unsafe
  2  misuse: a setting, a file, a name or an option is wrong
  3  outage: a dependency is down or cannot be reached
"""


class CommandGroup(click.Group):
    """Loads a command when it is called, and reports an expected error in one clear sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's way
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's way
        """Return a command by name."""
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(f"countersign.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's way
        """Write the list of commands without loading any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run the command. Misuse exits with 2, an outage with 3."""
        try:
            return super().invoke(ctx)
        except UnavailableError as error:
            raise Stopped(str(error), 3) from error
        except CountersignError as error:
            raise Stopped(str(error), 2) from error


@click.group(
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_CODES,
    help="Countersign sends one-time codes and checks the answers. Settings come from countersign.toml, then from COUNTERSIGN_* in the environment.",
)
@click.version_option(__version__, message="%(version)s")
def main() -> None:
    """Do nothing by itself."""
