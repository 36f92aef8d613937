"""What the pages of several rooms share: rendering, sessions, forms and redirects."""
