"""The OpenID Connect provider: the authorization endpoint, and what clients do with codes and tokens."""
