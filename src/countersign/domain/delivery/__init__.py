"""Deliveries, routes, provider health, suppressions, SMS segments and SMS pumping."""
