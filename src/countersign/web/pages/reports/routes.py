"""The routes of the pages for reporting "this wasn't me" and for checking a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.web.pages.reports.phishing_check import PhishingCheckPage
from countersign.web.pages.reports.report_change import ReportChangePage
from countersign.web.pages.reports.report_code import ReportCodePage

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.router import Routes


def routes(web: WebContext) -> Routes:
    """Return the routes."""
    report, check = ReportCodePage(web, ReportChangePage(web)), PhishingCheckPage(web)
    return {
        "/not-me": {"GET": report.get, "POST": report.post},
        "/is-this-us": {"GET": check.get, "POST": check.post},
    }
