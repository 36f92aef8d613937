"""Authorization requests of OpenID Connect."""
