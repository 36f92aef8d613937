"""SMS by the HTTP APIs of providers."""
