"""What pages of several rooms stand on: rendering, sessions, forms, and where a person goes next."""
