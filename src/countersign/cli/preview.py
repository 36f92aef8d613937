"""`countersign preview`: every page and message in every state, language and theme, on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from countersign.cli.output import config_option, remark, settings_of
from countersign.errors import SettingsError

if TYPE_CHECKING:
    from countersign.config import Settings

PORT: Final = 8010
LOOPBACK: Final = "127.0.0.1"


@click.command(
    epilog="It has no database, no keys and no data of anybody, and answers this machine alone. It refuses settings of production:"
    " set COUNTERSIGN_ENVIRONMENT=development to look at their theme."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=PORT,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@config_option
def preview(port: int, config: Path | None) -> None:
    """Show every page and message in every state, language and theme, from made-up data."""
    import uvicorn

    from countersign.serving.server import free_port
    from countersign.web.preview.application import PAGE_STATES, PreviewApplication
    from countersign.web.preview.message_states import message_states
    from countersign.wiring import templates_of

    settings = _settings(config)
    application = PreviewApplication(settings, templates_of(settings))
    port = port or free_port(LOOPBACK)
    remark(
        f"{len(PAGE_STATES)} states of pages and {len(message_states())} messages: http://localhost:{port}/ (Ctrl-C stops it)"
    )
    uvicorn.run(application, host=LOOPBACK, port=port, log_level="error", lifespan="off", server_header=False)


def _settings(config: Path | None) -> Settings:
    """Return the settings, which must be those of development. Where nothing says which they are, they are."""
    try:
        settings, _ = settings_of(config)
    except SettingsError:
        if os.environ.get("COUNTERSIGN_ENVIRONMENT"):
            raise
        settings, _ = settings_of(config, environment="development")
    if not settings.development:
        raise SettingsError(
            "The preview is never part of production: set COUNTERSIGN_ENVIRONMENT=development to look at the theme of these settings."
        )
    return settings
