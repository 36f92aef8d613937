"""The web context: the dependencies of handlers, made once for each process from the Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from countersign.flows.accounts.login_flow import is_other_flow
from countersign.web.http.browser import browser_of
from countersign.web.http.cookies import flows_in
from countersign.web.http.csrf import CrossOriginGuard
from countersign.web.http.event_stream import EventStreams
from countersign.web.http.idempotency import InFlight
from countersign.web.http.proxies import Proxies
from countersign.web.http.rate_limit_headers import RateLimitHeaders
from countersign.web.http.write_probe import WriteProbe

if TYPE_CHECKING:
    from collections.abc import Callable

    from countersign.flows.accounts.context import BrowserContext
    from countersign.web.http.request import Request
    from countersign.wiring import Runtime


class WebContext:
    """The contexts of the flows, and the state that the web layer keeps in one process.

    Args:
        runtime: what `open_runtime` opened.
        worker_alive: tells whether messages are being delivered by this process; True where that is left to another one.
    """

    def __init__(self, runtime: Runtime, worker_alive: Callable[[], bool]) -> None:
        settings = runtime.settings
        self.settings = settings
        self.core = runtime.core
        self.accounts = runtime.accounts
        self.delivery = runtime.delivery
        self.database = runtime.core.database
        self.keyring = runtime.core.keyring
        self.clock = runtime.clock
        self.applications = runtime.applications
        self.receivers = runtime.receivers
        self.inbox = runtime.shown_inbox
        self.page_words = runtime.delivery.templates.page_words
        self.demo_key = runtime.demo_key
        self.metrics = runtime.metrics
        self.metrics_page = runtime.metrics_page
        self.worker_alive = worker_alive
        self.writes = WriteProbe(self.database)
        self.clock_watch = runtime.clock_watch
        self.proxies = Proxies(settings.trusted_proxies)
        self.cross_origin = CrossOriginGuard(settings.public_url, development=settings.development)
        self.rate_limits = RateLimitHeaders(runtime.core.policy)
        self.in_flight = InFlight()
        self.streams = EventStreams(runtime.stopping)

    def browser(self, req: Request) -> BrowserContext:
        """Return the browser context of a request. Of several flows it has that which the request names, otherwise the latest."""
        browser = browser_of(req, self.proxies, self.settings.default_country)
        mark = req.flow_mark or req.get_param("flow") or ""
        others = (replace(browser, flow=flow) for flow in flows_in(req)) if mark else ()
        return next((one for one in others if not is_other_flow(self.accounts, one, mark)), browser)
