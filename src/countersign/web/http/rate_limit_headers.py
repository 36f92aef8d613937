"""Budgets as HTTP tells them: the `RateLimit` and `RateLimit-Policy` fields (draft-ietf-httpapi-ratelimit-headers)."""

from __future__ import annotations

from countersign.domain.policy import InstallationPolicy
from countersign.flows.verifications.results import RateLimitStatus
from countersign.web.http.problems import MS, seconds
from countersign.web.http.request import Headers


class Budgets:
    """The limits of an installation by name; `q` counts acts, `w` and `t` are in seconds."""

    def __init__(self, rules: InstallationPolicy) -> None:
        limits = (*rules.destination, *rules.requester)
        self._policies = {
            limit.name: (b"ratelimit-policy", f'"{limit.name}";q={limit.burst};w={max(1, limit.period // MS)}'.encode())
            for limit in limits
        }

    def left(self, budget: RateLimitStatus | None) -> Headers:
        """Return the fields for an act that counted: the budget that is nearest to its end."""
        if budget is None:
            return ()
        return self._fields(budget.name, budget.remaining, seconds(budget.reset_after))

    def spent(self, name: str, retry_after: int) -> Headers:
        """Return the fields for an act that was refused; `retry_after` in milliseconds."""
        return self._fields(name, 0, seconds(retry_after))

    def _fields(self, name: str, remaining: int, reset: int) -> Headers:
        policy = self._policies.get(name)
        return () if policy is None else ((b"ratelimit", f'"{name}";r={remaining};t={reset}'.encode()), policy)
