"""The pages of OpenID Connect that people pass: on the way in to an application, and on the way out."""
