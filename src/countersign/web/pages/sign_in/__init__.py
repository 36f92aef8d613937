"""Pages for signing up, signing in, verification and recovery."""
