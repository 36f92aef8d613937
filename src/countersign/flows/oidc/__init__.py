"""The OpenID Connect provider: authorization and tokens."""
