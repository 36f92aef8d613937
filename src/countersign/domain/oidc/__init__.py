"""Authorization requests of OpenID Connect: what a client may ask for."""
