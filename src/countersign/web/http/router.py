"""Routes: tables of handlers by path and method, for Falcon's compiled router."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from falcon.constants import COMBINED_METHODS
from falcon.routing import CompiledRouter

from countersign.web.http.problems import ProblemError
from countersign.web.http.request import Request
from countersign.web.http.response import Response

Responder: TypeAlias = Callable[..., Awaitable[None]]
"""Handles a request. Called with the request, the response to fill, and the variable parts of the path by name."""

Routes: TypeAlias = dict[str, Mapping[str, Responder]]
"""Handlers by path and method: `{"/v1/verifications/{path_id}": {"GET": handler}}`. GET answers HEAD too."""

Guard: TypeAlias = Callable[[Request], None]
"""Raises ProblemError for a request that must not be carried out."""

ErrorPage: TypeAlias = Callable[[Request, Response, ProblemError], Awaitable[None]]
"""Answers a person with a page that says what a problem says."""


class Resource:
    """One path. `label` names it in metrics; `methods` has a responder for every method, supported or not."""

    def __init__(self, label: str, methods: Mapping[str, Responder]) -> None:
        self.label = label
        self.methods = _Methods(methods)


class _Methods(dict[str, Any]):
    """The responders of one path by method. An unsupported method gets a list of the supported ones."""

    def __init__(self, methods: Mapping[str, Responder]) -> None:
        taken = dict(methods) | ({"HEAD": methods["GET"]} if "GET" in methods else {})
        self._allow = ", ".join(taken)
        super().__init__(dict.fromkeys(COMBINED_METHODS, self._not_allowed) | taken)

    def __missing__(self, method: str) -> Responder:
        return self._not_allowed

    async def _not_allowed(self, _: Request, __: Response, **___: str) -> None:
        raise ProblemError("method_not_allowed", headers=(("Allow", self._allow),))


class Router(CompiledRouter):
    """Falcon's router for resources that bring a table of methods."""

    def map_http_methods(self, resource: object, **_: Any) -> _Methods:  # noqa: ANN401 - as Falcon has it
        """Return the responders of a resource by method."""
        assert isinstance(resource, Resource)  # noqa: S101 - `WebApplication.mount` makes no other
        return resource.methods
