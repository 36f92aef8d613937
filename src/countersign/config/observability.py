"""The settings of metrics and of the log."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from countersign.config.values import Port, read_token
from countersign.setting import Described


class MetricsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[metrics]`."""

    token: Annotated[
        str,
        Described(
            "The bearer token that opens /metrics.", expects="at least 16 characters", secret=True, reads=read_token
        ),
    ] = ""
    port: Annotated[Port | None, Described("Serves /metrics on this port of `bind` instead, without a token.")] = None


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[log]`."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Described("The least severe lines that are logged.")
    ] = "info"
    format: Annotated[
        Literal["auto", "console", "json"],
        Described("How lines are written; auto is console on a terminal and json elsewhere."),
    ] = "auto"
