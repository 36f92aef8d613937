"""The pages of OpenID Connect: authorization and sign-out."""
