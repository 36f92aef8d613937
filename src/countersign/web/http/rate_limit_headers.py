"""The `RateLimit` and `RateLimit-Policy` header fields (draft-ietf-httpapi-ratelimit-headers)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.web.http.problems import MS, seconds

if TYPE_CHECKING:
    from countersign.domain.policy import InstallationPolicy
    from countersign.flows.verifications.results import RateLimitStatus
    from countersign.web.http.response import Headers


class RateLimitHeaders:
    """The rate limits of an installation by name. `q` counts acts; `w` and `t` are in seconds."""

    def __init__(self, rules: InstallationPolicy) -> None:
        self._policies = {
            limit.name: f'"{limit.name}";q={limit.burst};w={max(1, limit.period // MS)}'
            for limit in (*rules.destination, *rules.requester)
        }

    def left(self, budget: RateLimitStatus | None) -> Headers:
        """Return the fields for an act that was counted: those of the limit that is nearest to its end."""
        if budget is None:
            return ()
        return self._fields(budget.name, budget.remaining, seconds(budget.reset_after))

    def spent(self, name: str, retry_after: int) -> Headers:
        """Return the fields for an act that was refused. `retry_after` is in milliseconds."""
        return self._fields(name, 0, seconds(retry_after))

    def _fields(self, name: str, remaining: int, reset: int) -> Headers:
        policy = self._policies.get(name)
        if policy is None:
            return ()
        return (("RateLimit", f'"{name}";r={remaining};t={reset}'), ("RateLimit-Policy", policy))
