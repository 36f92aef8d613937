"""The pages that people see."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import falcon.asgi

    from countersign.wiring import Runtime


def add_routes(app: falcon.asgi.App[falcon.asgi.Request, falcon.asgi.Response], runtime: Runtime) -> None:
    """Add the routes of pages."""
