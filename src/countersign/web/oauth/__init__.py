"""OpenID Connect: the endpoints that relying parties speak to, and the two pages that people pass."""
